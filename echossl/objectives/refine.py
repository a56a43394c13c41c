"""Refinement: an encoder that was given learns from the reports of its pictures, by up to four losses."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.refine import RefineConfig
from echossl.data.clips import Batch
from echossl.distributed import rank
from echossl.encoders import Encoder
from echossl.objectives.alignment import Alignment
from echossl.objectives.base import Objective
from echossl.objectives.contrastive import LEAST_SCALE, MOST_SCALE
from echossl.objectives.draws import GENERATION_STREAM, MATCHING_STREAM, WORD_STREAM, draw_numbers
from echossl.objectives.gather import gathered, share_of_batch
from echossl.objectives.picture_text import pairs_of, report_keys
from echossl.objectives.report_losses import (
    classified,
    draw_others,
    from_all,
    hide_words,
    report_contrast,
)
from echossl.text.tokenizer import Tokenizer
from echossl.text.transformer import TextTransformer

logger = logging.getLogger(__name__)
Result = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class Pairs:
    """Pictures of this process and their reports.

    Attributes:
        vectors: of the pictures, (items, dim).
        pictures: their tokens, (items, tokens, dim), as long as those of the text where it reads them.
        ids: word pieces of the reports, (items, length).
        codes: of the reports, equal for equal ones, (items,) int64.
        patients: (items,) int64.
        step: of the run.
    """

    vectors: Tensor
    pictures: Tensor
    ids: Tensor
    codes: Tensor
    patients: Tensor
    step: int


class Refine(Objective):
    """Contrast, matching, masked words and generation, after RetFiner (arXiv 2506.22149).

    One text transformer serves all: it reads reports alone for the contrast, beside the tokens of the picture
    for matching and masked words, and so but from left to right for generation. Equal reports of different
    patients are right answers in the contrast, each by itself, and no negatives in matching; what else is of
    one patient is neither. What a weight of 0 leaves out has
    no weights of its own.

    Args:
        config: the losses, and the network that reads.
        encoder_dim: length of the encoder's vectors.
        reports: those of the training split, from which the word pieces are learned.
    """

    reads_reports = True

    def __init__(self, config: RefineConfig, encoder_dim: int, reports: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        width, reads = config.text.width, config.matching + config.masked_words + config.generation > 0
        self.tokenizer = Tokenizer.train(reports, size=config.text.vocabulary_size)
        self.text = TextTransformer(
            config.text,
            len(self.tokenizer),
            reads_pictures=reads,
            says_words=config.masked_words + config.generation > 0,
        )
        self.to_text = nn.Linear(encoder_dim, width) if reads else None
        if config.contrast:
            self.picture_head = nn.Linear(encoder_dim, config.projection_dim, bias=False)
            self.text_head = nn.Linear(width, config.projection_dim, bias=False)
            self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        if config.matching:
            self.match_head = nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, 2)
            )
        self._say_what_is_cut(reports)

    def forward(self, encoder: Encoder, batch: Batch) -> Result:
        """The sum of the losses that have a weight, and each of them with its accuracy by name."""
        pairs = self.read(encoder, batch)
        results: list[tuple[float, str, Result]] = []
        similarities = None
        if self.config.contrast:
            similarities = self.similarities(pairs)
            results.append((self.config.contrast, "contrast", self.contrast(similarities, pairs)))
        if self.config.matching:
            results.append((self.config.matching, "matching", self.matching(similarities, pairs)))
        if self.config.masked_words:
            results.append((self.config.masked_words, "masked_words", self.masked_words(pairs)))
        if self.config.generation:
            results.append((self.config.generation, "generation", self.generation(pairs)))
        total = torch.stack([weight * loss for weight, _, (loss, _) in results]).sum()
        metrics = {name: loss.detach() for _, name, (loss, _) in results}
        for _, name, (_, figures) in results:
            metrics |= {f"{name}_{key}": value for key, value in figures.items()}
        return total, metrics | {"cut_share": self._cut_share(batch, total.device)}

    def read(self, encoder: Encoder, batch: Batch) -> Pairs:
        """Encode the first clip of every item, and spell its report."""
        reports = _reports_of(batch)
        vectors, tokens = encoder.vectors_and_tokens(batch.clips[:, 0])
        ids = torch.from_numpy(self.tokenizer.encode(reports, length=self.config.text.length))
        return Pairs(
            vectors=vectors,
            pictures=tokens if self.to_text is None else self.to_text(tokens),
            ids=ids.to(vectors.device),
            codes=report_keys(reports).to(vectors.device),
            patients=batch.patients,
            step=batch.step,
        )

    def similarities(self, pairs: Pairs) -> Tensor:
        """Of all pictures with all reports of the batch of all processes, over the temperature: (n, n)."""
        texts = self.text_head(self.text(trimmed(pairs.ids))[:, 0])
        with torch.autocast(texts.device.type, enabled=False):
            pictures = F.normalize(gathered(self.picture_head(pairs.vectors.float()).float()), dim=1)
            words = F.normalize(gathered(texts.float()), dim=1)
            return pictures @ words.T * self.log_scale.exp()

    def contrast(self, similarities: Tensor, pairs: Pairs) -> Result:
        """Each picture finds its report among all, and each report its picture."""
        belong = pairs_of(gathered(pairs.codes), gathered(pairs.patients))
        smoothing = self.config.label_smoothing
        loss, accuracy = report_contrast(similarities, belong, label_smoothing=smoothing)
        return loss, {"accuracy": accuracy, "temperature": (-self.log_scale).exp().detach()}

    def matching(self, similarities: Tensor | None, pairs: Pairs) -> Result:
        """Do they belong together? Each picture with its own report and another, each report with another."""
        items = len(pairs.ids)
        others, has_other = self.draw_pairs(similarities, pairs)
        pictures, ids = from_all(pairs.pictures), gathered(pairs.ids)
        beside = torch.cat([pairs.pictures, pictures[others[:, 0]][has_other], pairs.pictures[has_other]])
        texts = torch.cat([pairs.ids, pairs.ids[has_other], ids[others[:, 1]][has_other]])
        is_pair = torch.zeros(len(texts), dtype=torch.int64, device=texts.device)
        is_pair[:items] = 1
        hidden = self.text(trimmed(texts), pictures=beside)
        loss, accuracy = classified(self.match_head(hidden[:, 0]), is_pair)
        return loss, {"accuracy": accuracy}

    def draw_pairs(self, similarities: Tensor | None, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Another picture for each report of this process, and another report for each picture.

        Never one with an equal report or of the same patient, and the more similar the likelier.

        Returns:
            (items, 2) int64 places in the batch of all processes, and (items,) bool whether there are any.
        """
        codes, patients = gathered(pairs.codes), gathered(pairs.patients)
        total, own = share_of_batch(len(pairs.ids))
        if similarities is None:
            similarities = torch.zeros(total, total, device=codes.device)
        is_allowed = (codes[own, None] != codes) & (patients[own, None] != patients)
        numbers = draw_numbers(len(pairs.ids), 2, stream=MATCHING_STREAM, step=pairs.step, seed=self.seed)
        found = [
            draw_others(rows, is_allowed, numbers[:, place])
            for place, rows in enumerate((similarities.T[own], similarities[own]))
        ]
        return torch.stack([drawn for drawn, _ in found], dim=1), found[0][1]

    def masked_words(self, pairs: Pairs) -> Result:
        """Which words are hidden? From those on both sides, and the picture."""
        ids = trimmed(pairs.ids)
        shown, is_hidden = self._hide(ids, pairs.step, self.config.mask_share, WORD_STREAM)
        return self._told(self.text(shown, pictures=pairs.pictures), ids, is_hidden)

    def generation(self, pairs: Pairs) -> Result:
        """The report from left to right, from the picture and what is already written."""
        ids = trimmed(pairs.ids)
        if self.config.generate == "next_word":
            hidden = self.text(ids[:, :-1], pictures=pairs.pictures, causal=True)
            return self._told(hidden, ids[:, 1:], ids[:, 1:] != Tokenizer.PAD)
        share = self.config.generation_mask_share
        shown, is_hidden = self._hide(ids, pairs.step, share, GENERATION_STREAM)
        return self._told(self.text(shown, pictures=pairs.pictures, causal=True), ids, is_hidden)

    def after_update(self, encoder: Encoder) -> None:
        """Keep the temperature within 0.01..1."""
        del encoder
        if self.config.contrast:
            with torch.no_grad():
                self.log_scale.clamp_(math.log(LEAST_SCALE), math.log(MOST_SCALE))

    def artifacts(self) -> dict[str, Alignment]:
        """The text transformer and the heads, with settings and word pieces."""
        metadata = {"settings": self.config.model_dump_json(), "tokenizer": self.tokenizer.to_json()}
        return {self.config.name: Alignment(self.state_dict(), metadata)}

    def _hide(self, ids: Tensor, step: int, share: float, stream: int) -> tuple[Tensor, Tensor]:
        length = self.config.text.length  # of all draws, whatever the longest report of a process
        numbers = draw_numbers(len(ids), 3 * length, stream=stream, step=step, seed=self.seed)
        numbers = numbers.reshape(len(ids), 3, length)[:, :, : ids.shape[1]].to(ids.device)
        return hide_words(ids, numbers, share=share, vocabulary_size=len(self.tokenizer))

    def _told(self, hidden: Tensor, ids: Tensor, where: Tensor) -> Result:
        loss, accuracy = classified(self.text.words(hidden[where]), ids[where])
        return loss, {"accuracy": accuracy}

    def _cut_share(self, batch: Batch, device: torch.device) -> Tensor:
        cut = self.tokenizer.cut(_reports_of(batch), length=self.config.text.length)
        return torch.tensor(cut.mean(), dtype=torch.float32, device=device)

    def _say_what_is_cut(self, reports: Sequence[str]) -> None:
        length = self.config.text.length
        cut = int(self.tokenizer.cut(reports, length=length).sum())
        if cut and rank() == 0:
            logger.warning(
                "objective refine: %d of %d reports (%.1f %%) have more than %d word pieces and are cut; set "
                "text.length higher to read all of them",
                cut,
                len(reports),
                100 * cut / len(reports),
                length,
            )


def trimmed(ids: Tensor) -> Tensor:
    """Word pieces (texts, pieces) up to the end of the longest text: padding costs time and does nothing."""
    return ids[:, : int((ids != Tokenizer.PAD).sum(1).max())]


def _reports_of(batch: Batch) -> tuple[str, ...]:
    if batch.reports is None:
        raise ValueError("objective refine: the batch has no reports")
    return batch.reports
