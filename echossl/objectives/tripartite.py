"""Tripartite objective: pictures of each view or side, and of the whole study, agree with its report."""

import json
import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from echossl.config.objective import STUDY, TripartiteConfig
from echossl.data.clips import Batch
from echossl.distributed import rank
from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.objectives.alignment import Alignment
from echossl.objectives.base import PartwiseObjective
from echossl.objectives.gather import gathered
from echossl.objectives.picture_text import pairs_of, picture_text_loss, report_keys
from echossl.text.model import TextModel, build_text, restored_text

NAME = "tripartite"
# 1 / temperature is kept within these bounds, as published
LEAST_SCALE, MOST_SCALE = 1.0, 100.0
# with so many slots their features stand side by side, with more their mean is taken
MOST_BESIDE = 2
SETTINGS, ENCODER_DIM = "settings", "encoder_dim"
logger = logging.getLogger(__name__)


class Tripartite(PartwiseObjective):
    """Contrast of pictures and reports per slot and per study (RET-CLIP, arXiv 2405.14137).

    A slot is a side (both eyes, as published) or a view. Each has a linear projection of its pictures, a head
    for its text and a temperature, and so has the study; what a report says of one slot is for the heads to
    find, the report itself is not cut. The losses of slots and study are added up without weights.

    Mended: a study may lack slots, and then takes part with those that it has; equal reports are never told
    apart, nor are studies of one patient; and all processes of a run see all negatives. A study is told apart
    from those that lack the same slots alone: else the text network learns by heart which reports belong to
    studies that lack one, and the pictures teach nothing.

    Args:
        config: slots, text model, dimension.
        encoder_dim: length of the encoder's vectors.
        text: reads the reports.
    """

    def __init__(self, config: TripartiteConfig, encoder_dim: int, text: TextModel) -> None:
        super().__init__()
        self.config, self.encoder_dim, self.text = config, encoder_dim, text
        self.reads_reports, self.slots, self.slot_column = True, config.slots, config.slot_column
        self.num_clips = num_slots = len(config.slots)
        self.is_beside = num_slots <= MOST_BESIDE
        length = config.projection_dim
        self.slot_projections = nn.ModuleList(
            nn.Linear(encoder_dim, length, bias=False) for _ in range(num_slots)
        )
        together = encoder_dim * num_slots if self.is_beside else encoder_dim
        self.study_projection = nn.Linear(together, length, bias=False)
        # what stands in the place of an absent slot's features
        self.absent = (
            nn.Parameter(torch.zeros(num_slots, encoder_dim)) if 1 < num_slots <= MOST_BESIDE else None
        )
        self.text_heads = nn.ModuleList(_text_head(text.dim, length) for _ in range(num_slots + 1))
        self.log_scales = nn.Parameter(torch.full((num_slots + 1,), -math.log(config.temperature)))

    @classmethod
    def of_reports(cls, config: TripartiteConfig, encoder_dim: int, reports: Sequence[str]) -> "Tripartite":
        """With random weights, and what the reports to be trained on teach of words.

        Raises:
            UserError: if the text model cannot be made.
        """
        text = build_text(config.text, reports)
        if (share := text.cut_share(reports)) and rank() == 0:
            logger.warning(
                "objective tripartite: %.1f %% of the reports are longer than text.length and are cut",
                100 * share,
            )
        return cls(config, encoder_dim, text)

    @classmethod
    def of_alignment(cls, alignment: Alignment) -> "Tripartite":
        """As :meth:`artifacts` kept it, in evaluation mode.

        Raises:
            UserError: if its weights are not those that its settings ask for.
        """
        config = TripartiteConfig.model_validate(json.loads(alignment.metadata[SETTINGS]))
        with torch.random.fork_rng(devices=[]):  # the random weights made here are thrown away at once
            text = restored_text(alignment.metadata)
            objective = cls(config, int(alignment.metadata[ENCODER_DIM]), text)
        found = objective.load_state_dict(alignment.state, strict=False)
        if faults := [*found.missing_keys, *found.unexpected_keys]:
            raise UserError(
                f"alignment of {NAME}: {len(faults)} weights are missing or unknown, as {faults[0]}; "
                "take the file as pre-training wrote it"
            )
        return objective.eval()

    def artifacts(self) -> dict[str, Alignment]:
        """Heads and text model."""
        settings = {SETTINGS: self.config.model_dump_json(), ENCODER_DIM: str(self.encoder_dim)}
        return {NAME: Alignment(self.state_dict(), settings | self.text.records())}

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """Pictures of each slot and of the study, then their texts: (items, 2 x (slots + 1), d)."""
        present, reports = _present(batch)[items], (batch.reports or ())[items]
        features = slot_features(encoder, batch.clips[items], present)
        return torch.cat((self.pictures(features, present), self.texts(reports).to(features.dtype)), dim=1)

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and those of each slot and the study, with how often a picture finds its report."""
        device, everywhere = projections.device, gathered(projections)
        pairs = pairs_of(
            gathered(report_keys(batch.reports or ()).to(device)), gathered(batch.patients.to(device))
        )
        present = gathered(_present(batch).to(device).long()).bool()
        of_study = pairs_of_study(pairs, present)
        present = torch.cat((present, torch.ones_like(present[:, :1])), dim=1)  # a study is always there
        pictures, texts = everywhere.chunk(2, dim=1)
        losses: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        for place, name in enumerate((*self.slots, STUDY)):
            loss, accuracy = picture_text_loss(
                pictures[:, place],
                texts[:, place],
                of_study if name == STUDY else pairs,
                present[:, place],
                scale=self.log_scales[place].exp(),
            )
            losses.append(loss)
            metrics |= {f"{name}_loss": loss.detach(), f"{name}_accuracy": accuracy}
        return torch.stack(losses).sum(), metrics

    def pictures(self, features: Tensor, present: Tensor) -> Tensor:
        """Projections of the slots' features, and of the study's as the last.

        Args:
            features: (n, slots, encoder_dim).
            present: (n, slots) bool; features of absent slots are not looked at.

        Returns:
            (n, slots + 1, d); what stands for an absent slot means nothing.
        """
        slots = [project(features[:, place]) for place, project in enumerate(self.slot_projections)]
        is_there = present.to(features.device)[..., None]
        if not self.is_beside:
            together = (features * is_there).sum(1) / is_there.sum(1).clamp(min=1)
        elif self.absent is None:
            together = features.flatten(1)
        else:
            together = torch.where(is_there, features, self.absent.to(features.dtype)).flatten(1)
        return torch.stack((*slots, self.study_projection(together)), dim=1)

    def texts(self, reports: Sequence[str]) -> Tensor:
        """What each slot's head, and the study's as the last, makes of reports: (n, slots + 1, d)."""
        different = list(dict.fromkeys(reports))  # each is read once, however often it stands in the batch
        vectors = self.text(different)
        heads = torch.stack([head(vectors) for head in self.text_heads], dim=1)
        places = {report: place for place, report in enumerate(different)}
        return heads[torch.tensor([places[report] for report in reports], device=heads.device)]

    def after_update(self, encoder: Encoder) -> None:
        """Keep the temperatures within 0.01..1."""
        del encoder
        with torch.no_grad():
            self.log_scales.clamp_(math.log(LEAST_SCALE), math.log(MOST_SCALE))


def pairs_of_study(pairs: tuple[Tensor, Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
    """Positives as they are, and of the negatives those that lack the same slots.

    Args:
        pairs: of :func:`echossl.objectives.picture_text.pairs_of`, (n, n) each.
        present: (n, slots) bool.
    """
    positives, candidates = pairs
    alike = (present[:, None] == present[None, :]).all(2)
    return positives, candidates & (alike | positives)


def slot_features(encoder: Encoder, clips: Tensor, present: Tensor) -> Tensor:
    """The encoder's vectors of the clips that there are; absent ones do not reach it, nor its batch norms.

    Args:
        encoder: the network.
        clips: (n, slots, channels, frames, height, width).
        present: (n, slots) bool.

    Returns:
        (n, slots, dim), zeros for absent ones.
    """
    places = present.flatten().nonzero()[:, 0].to(clips.device)
    vectors: Tensor = encoder(clips.flatten(0, 1)[places])
    blank = vectors.new_zeros(present.numel(), vectors.shape[1])
    return blank.index_copy(0, places, vectors).reshape(*present.shape, -1)


def _present(batch: Batch) -> Tensor:
    if batch.present is None or batch.reports is None:
        raise ValueError("a batch without reports was given to an objective that reads them")
    return batch.present


def _text_head(text_dim: int, length: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(text_dim, text_dim), nn.ReLU(), nn.Linear(text_dim, length))
