"""Recipe ``full``: all layers are trained on augmented clips, the encoder at a rate of its own."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from echossl.adapt.batches import LabelledVideos, labelled_sampler, study_targets
from echossl.adapt.embed import embed, mean_logits
from echossl.adapt.layers import drop_features, freeze, layer_groups, training_mode
from echossl.adapt.selection import Trainer
from echossl.adapt.study_pooling import (
    make_attention,
    pooled_outputs,
    studies_in_items,
    studies_of,
    with_attention,
)
from echossl.adapt.tasks import Task, resolve_task
from echossl.augment import Augmentation
from echossl.config.adapt import FinetuneConfig
from echossl.config.recipes import FullRecipe, FullSettings, ProbeThenFullRecipe
from echossl.config.training import OptimiserConfig
from echossl.data.clips import Batch, TrainingClips, step_loader
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.encoders.attention import GatedAttention
from echossl.encoders.classifier import StudyPooling
from echossl.errors import ConfigError, EchosslError
from echossl.training.bad_videos import BadVideos
from echossl.training.hardware import Hardware
from echossl.training.optimiser import build_optimiser, learning_rate, optimiser_of, set_learning_rate


class FullTrainer(Trainer):
    """Trains encoder and head together.

    Args:
        start: the start, on the CPU; it is copied for each training and stays as it is.
        store: the clip store.
        config: augmentation, batches, seed.
        recipe: steps and rates.
        hardware: device and precision.
        first_head: labelled videos to the head that their training begins from; without it, one that says
            the same of everything.

    Raises:
        ConfigError: if the precision is float16, in which only pre-training scales the loss, or settings of
            classes are given for a number.
    """

    def __init__(
        self,
        start: Encoder,
        store: ClipStore,
        *,
        config: FinetuneConfig,
        recipe: FullRecipe | ProbeThenFullRecipe,
        hardware: Hardware,
        first_head: Callable[[pd.DataFrame], nn.Module] | None = None,
    ) -> None:
        if hardware.precision == "fp16":
            raise ConfigError("hardware.precision: the recipe full cannot train in fp16; take bf16 or fp32")
        self.start = start
        self.store = store
        self.config = config
        self.recipe = recipe
        self.hardware = hardware
        self.task = resolve_task(config.labels)
        _require_classes(self.task, recipe)
        self.first_head = first_head
        self.encoder, self.head, self.attention = self._from_start()
        self.augmentation = Augmentation(config.augment, seed=config.seed)

    def use(self, settings: Mapping[str, float]) -> None:
        """Take other rates or decays from the next training on."""
        self.recipe = self.recipe.model_copy(update=dict(settings))

    def begin(self, videos: pd.DataFrame) -> LabelledVideos:
        """Take a copy of the start, and the head that a training on these labelled videos begins from."""
        labelled = LabelledVideos(videos, resolve_task(self.config.labels))
        self.task = labelled.task
        self.encoder, self.head, self.attention = self._from_start()
        if self.first_head is not None:
            self.head.load_state_dict(self.first_head(videos).state_dict())
        return labelled

    def updates(self, videos: pd.DataFrame) -> Iterator[int]:
        """Train a copy of the start and a new head; see the base class.

        Raises:
            EchosslError: if the loss is not finite.
        """
        labelled, studies = self.begin(videos), studies_of(videos)
        weights = self._class_weights(videos)
        rates = (self.recipe.learning_rate, self.recipe.head_learning_rate)
        schedules = [self._schedule(rate) for rate in rates]
        optimisers = [
            self._encoder_optimiser(schedules[0]),
            build_optimiser(with_attention(self.head, self.attention), schedules[1]),
        ]
        for step, batch in enumerate(self._batches(videos)):
            loss = self._loss(batch.to(self.hardware.device), labelled, studies, weights)
            if not loss.isfinite():
                raise EchosslError(
                    f"step {step + 1}: the loss is {loss.item()}; lower recipe.learning_rate, raise "
                    "recipe.warmup_steps, or set hardware.precision to fp32"
                )
            for optimiser, schedule in zip(optimisers, schedules, strict=True):
                set_learning_rate(optimiser, learning_rate(step, schedule))
                optimiser.zero_grad()
            torch.autograd.backward(loss)
            for optimiser in optimisers:
                optimiser.step()
            yield step + 1

    def video_logits(self, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Mean output over each video's clips, not augmented."""
        return mean_logits(self.head, self._features(rows))

    def study_outputs(self, videos: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
        """Pooled over the videos of each study; see the base class."""
        features, pooling = self._features(videos["row"].tolist()), self.pooling()
        return pooled_outputs(videos, features, self.head, pooling=pooling.name, attention=pooling.attention)

    def pooling(self) -> StudyPooling:
        """Pooling of the last training."""
        return StudyPooling(self.recipe.pooling, self.attention)

    def _features(self, rows: Sequence[int]) -> list[npt.NDArray[np.float32]]:
        return embed(
            self.encoder,
            self.store,
            rows,
            clips_per_video=self.config.clips_per_video,
            hardware=self.hardware,
            policy=self.config.clip_policy,
            seed=self.config.seed,
        )

    def classifier(self) -> tuple[Encoder, nn.Module]:
        """The encoder and the head of the last training."""
        return self.encoder, self.head

    def _from_start(self) -> tuple[Encoder, nn.Module, GatedAttention | None]:
        head = self.hardware.place(self.task.make_head(self.start.dim))
        attention = make_attention(self.recipe, self.start.dim, seed=self.config.seed)
        placed = None if attention is None else self.hardware.place(attention)
        return self.hardware.place(copy.deepcopy(self.start)), head, placed

    def _class_weights(self, videos: pd.DataFrame) -> Tensor | None:
        """Of the loss; None where the sampler sees to the balance."""
        if self.recipe.balance == "sampler":
            return None
        weights = self.task.balanced_weights(study_targets(videos), most=self.recipe.most_balance)
        return None if weights is None else weights.to(self.hardware.device)

    def _encoder_optimiser(self, schedule: OptimiserConfig) -> torch.optim.Adam:
        freeze(self.encoder, self.recipe)
        decay = self.recipe.layer_decay
        if decay == 1:
            return build_optimiser(self.encoder, schedule)
        groups = layer_groups(self.encoder, decay=decay, weight_decay=schedule.weight_decay)
        return optimiser_of(groups, schedule)

    def _schedule(self, rate: float) -> OptimiserConfig:
        recipe = self.recipe
        return OptimiserConfig(
            steps=recipe.steps,
            learning_rate=rate,
            weight_decay=recipe.weight_decay,
            warmup_steps=recipe.warmup_steps,
        )

    def _batches(self, videos: pd.DataFrame) -> Iterator[Batch]:
        sampler = labelled_sampler(
            videos, self.config, self.start.metadata.clip, balanced=self.recipe.balance == "sampler"
        )
        clips = TrainingClips(self.store, sampler, steps=self.recipe.steps)
        on_gpu = self.hardware.device.type == "cuda"
        most = self.config.data.max_bad_fraction
        bad = BadVideos(self.config.out, num_videos=len(videos), most=most)
        for batch in step_loader(clips, workers=self.hardware.workers, pin_memory=on_gpu):
            bad.add(batch.bad)
            yield batch

    def _loss(
        self, batch: Batch, labelled: LabelledVideos, studies: Mapping[int, int], weights: Tensor | None
    ) -> Tensor:
        """Loss of every clip with the target of its study; with attention, of every item's studies."""
        clips = self.augmentation(batch.clips, step=batch.step).flatten(0, 1)
        training_mode(self.encoder, self.recipe)
        with self.hardware.autocast():
            features = self.encoder(clips).float()
        # of the videos that were read: one that could not be stands in for another of its stratum alone
        targets = labelled.targets(batch.videos.flatten().tolist())
        if self.attention is not None:
            groups, first = studies_in_items(batch.videos, studies)
            features, targets = self.attention(features, groups.to(features.device)), targets[first]
        kept = drop_features(features, self.recipe.dropout, seed=self.config.seed, step=batch.step)
        return self.task.loss(
            self.head(kept),
            targets.to(features.device),
            label_smoothing=self.recipe.label_smoothing,
            class_weights=weights,
        )


def _require_classes(task: Task, recipe: FullSettings) -> None:
    """Raise ConfigError if settings of classes are given for a task that has none."""
    if task.has_classes:
        return
    for name in ("label_smoothing", "balance"):
        if getattr(recipe, name) != type(recipe).model_fields[name].default:
            raise ConfigError(f"recipe.{name}: has no effect on {task.settings.name}, which has no classes")
