"""Recipe ``frozen``: the encoder never changes; a linear head is trained on features of augmented clips."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from echossl.adapt.batches import LabelledVideos, labelled_sampler
from echossl.adapt.budget import Budget
from echossl.adapt.embed import mean_logits
from echossl.adapt.features import VideoFeatures
from echossl.adapt.selection import Trainer
from echossl.adapt.study_pooling import (
    make_attention,
    pooled_outputs,
    studies_of,
    whole_studies,
    with_attention,
)
from echossl.adapt.tasks import resolve_task
from echossl.augment import Augmentation
from echossl.config.adapt import FinetuneConfig, FrozenRecipe
from echossl.config.training import OptimiserConfig
from echossl.data.clips import ClipRequest
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.encoders.attention import GatedAttention
from echossl.encoders.classifier import StudyPooling
from echossl.training.encoding import encode
from echossl.training.hardware import Hardware
from echossl.training.optimiser import build_optimiser, learning_rate, set_learning_rate
from echossl.video.sampling import random_clip_start

# first words of the random streams, so that no two uses share one
VIEW_OF_STEP, START_OF_VIEW = 11, 12


@dataclass(frozen=True)
class HeadBatch:
    """What the head sees in one update.

    Attributes:
        rows: (clips,) store row of each clip.
        views: (clips,) which of the video's augmented views.
        targets: (clips, k) float32; with attention (items, k).
        items: with attention, which item each clip belongs to, (clips,) int64.
    """

    rows: npt.NDArray[np.int64]
    views: npt.NDArray[np.int64]
    targets: Tensor
    items: Tensor | None = None


class FrozenTrainer(Trainer):
    """Trains the head; what the frozen encoder says of a clip is computed once.

    The features are divided by *one* number, the standard deviation of all numbers in the features of the
    budget's augmented clips, so that the learning rate means the same for every encoder; it is folded into
    the head at the end. Each feature is not standardised for itself: that would blow up the directions of
    little variance, and the few of much variance are what makes few labels suffice.

    Args:
        encoder: the start, already on the device.
        store: the clip store.
        budget: the labelled videos.
        config: augmentation, batches, seed.
        recipe: steps, rate, views.
        hardware: device and precision of the encoder; the head is trained on the CPU in float32.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: ClipStore,
        budget: Budget,
        *,
        config: FinetuneConfig,
        recipe: FrozenRecipe,
        hardware: Hardware,
    ) -> None:
        self.encoder = encoder.eval().requires_grad_(requires_grad=False)
        self.store = store
        self.config = config
        self.recipe = recipe
        self.hardware = hardware
        self.task = resolve_task(config.labels)
        self.head, self.attention = self._new_head()
        self.features = VideoFeatures(self.encoder, store, config=config, hardware=hardware)
        self._augmented = self._augmented_features(budget)
        self._scale = torch.stack(list(self._augmented.values())).std().clamp_min(1e-6)

    def use(self, settings: Mapping[str, float]) -> None:
        """Take another learning rate or weight decay from the next training on."""
        self.recipe = self.recipe.model_copy(update=dict(settings))

    def updates(self, videos: pd.DataFrame) -> Iterator[int]:
        """Train a head from zero; see the base class."""
        labelled = LabelledVideos(videos, resolve_task(self.config.labels))
        self.task = labelled.task
        self.head, self.attention = self._new_head()
        schedule = OptimiserConfig(**self.recipe.model_dump(include=set(OptimiserConfig.model_fields)))
        optimiser = build_optimiser(with_attention(self.head, self.attention), schedule)
        for step, batch in enumerate(self._batches(videos)):
            set_learning_rate(optimiser, learning_rate(step, schedule))
            features = self._features(batch)
            if self.attention is not None and batch.items is not None:
                features = self.attention(features, batch.items)
            loss = self.task.loss(self.head(features), batch.targets)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            yield step + 1

    def video_logits(self, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Mean output over each video's clips, not augmented."""
        _, head = self.classifier()
        return mean_logits(head, self.features.clips(rows))

    def classifier(self) -> tuple[Encoder, nn.Module]:
        """Encoder, and a head for its features as they are."""
        head = copy.deepcopy(self.head)
        with torch.no_grad():
            head.get_parameter("weight").div_(self._scale)
        return self.encoder, head

    def study_outputs(self, videos: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
        """Pooled over the videos of each study; see the base class."""
        (_, head), pooling = self.classifier(), self.pooling()
        features = self.features.clips(videos["row"].tolist())
        return pooled_outputs(videos, features, head, pooling=pooling.name, attention=pooling.attention)

    def pooling(self) -> StudyPooling:
        """Pooling of features as they are."""
        attention = copy.deepcopy(self.attention)
        if attention is not None:
            with torch.no_grad():
                for layer in (attention.content, attention.gate):
                    layer.weight.div_(self._scale)
        return StudyPooling(self.recipe.pooling, attention)

    def _new_head(self) -> tuple[nn.Module, GatedAttention | None]:
        dim = self.encoder.dim
        return self.task.make_head(dim), make_attention(self.recipe, dim, seed=self.config.seed)

    def _features(self, batch: HeadBatch) -> Tensor:
        pairs = zip(batch.rows.tolist(), batch.views.tolist(), strict=True)
        return torch.stack([self._augmented[pair] for pair in pairs]) / self._scale

    def _batches(self, videos: pd.DataFrame) -> Iterator[HeadBatch]:
        """The batches of a training on these videos, one per update."""
        labelled, studies = LabelledVideos(videos, self.task), studies_of(videos)
        sampler = labelled_sampler(videos, self.config, self.encoder.metadata.clip)
        for step in range(self.recipe.steps):
            draw = sampler.draw(step)
            rows, items = [request.row for item in draw.items for request in item], None
            if self.recipe.attends:
                rows, items = whole_studies(draw, studies)
            generator = np.random.default_rng((VIEW_OF_STEP, self.config.seed, step))
            views = generator.integers(self.recipe.augmented_views, size=len(rows))
            labelled_rows = rows if items is None else [item[0].row for item in draw.items]
            yield HeadBatch(np.array(rows), views, labelled.targets(labelled_rows), items)

    def _augmented_features(self, budget: Budget) -> dict[tuple[int, int], Tensor]:
        """Features of every (row, view) that some update of either training will ask for."""
        wanted = {
            pair
            for videos in (budget.training_videos, budget.videos)
            for batch in self._batches(videos)
            for pair in zip(batch.rows.tolist(), batch.views.tolist(), strict=True)
        }
        pairs = sorted(wanted)
        features = encode(
            self.encoder,
            self.store,
            [self._view(row, view) for row, view in pairs],
            hardware=self.hardware,
            augmentation=Augmentation(self.config.augment, seed=self.config.seed),
        )
        return dict(zip(pairs, torch.from_numpy(features), strict=True))

    def _view(self, row: int, view: int) -> ClipRequest:
        generator = np.random.default_rng((START_OF_VIEW, self.config.seed, row, view))
        duration = float(self.store.durations[row])
        clip = self.encoder.metadata.clip
        return ClipRequest(row, random_clip_start(duration, clip=clip, generator=generator))
