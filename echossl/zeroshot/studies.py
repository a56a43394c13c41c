"""The studies of a split as vectors that can be compared with those of words."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.adapt.embed import embed
from echossl.config.objective import STUDY
from echossl.config.zeroshot import AlignedConfig
from echossl.data.store import ClipStore
from echossl.data.study_sampler import slot_places
from echossl.encoders.files import load_encoder
from echossl.errors import UserError
from echossl.objectives import Tripartite
from echossl.objectives.alignment import read_alignments
from echossl.objectives.tripartite import NAME
from echossl.training.encoding import require_fit
from echossl.training.hardware import Hardware

KEYS = ["patient_id", "study_id"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Studies:
    """Studies of which there are pictures.

    Attributes:
        table: ``patient_id, study_id``, one row each, sorted.
        pictures: unit vectors, float32 (studies, d).
    """

    table: pd.DataFrame
    pictures: npt.NDArray[np.float32]


class Aligned:
    """An encoder and what it has learned of words.

    Args:
        config: the run, the slot that is compared, and where to compute.

    Attributes:
        objective: on the device, in evaluation mode.
        scale: one over the temperature that was learned of the slot.

    Raises:
        UserError: if the run has not learned from reports, or has no such slot.
    """

    def __init__(self, config: AlignedConfig) -> None:
        self.config = config
        self.hardware = Hardware.resolve(config.hardware)
        self.objective = _objective(config.run).to(self.hardware.device)
        self.encoder = self.hardware.place(load_encoder(config.run))
        names = (*self.objective.slots, STUDY)
        if config.slot not in names:
            raise UserError(
                f"slot: found {config.slot!r}, expected one of those of the run: {', '.join(names)}"
            )
        self._place = names.index(config.slot)
        self.scale = float(self.objective.log_scales[self._place].detach().exp())

    def words(self, sentences: list[str]) -> npt.NDArray[np.float32]:
        """Unit vectors of sentences: (sentences, d)."""
        with torch.inference_mode():
            return _units(self.objective.texts(sentences)[:, self._place])

    def studies(self, videos: pd.DataFrame, store: ClipStore) -> Studies:
        """Unit vectors of the studies that have pictures to compare; others are counted and said.

        The features of a slot are the mean over its videos and their clips.

        Args:
            videos: ``row, patient_id, study_id`` and the slot column.
            store: the clips.

        Raises:
            UserError: if the store does not fit the encoder, or no study has pictures.
        """
        require_fit(self.encoder, store)
        slots = self.objective.slots
        own = videos.assign(place=slot_places(videos, slots, self.objective.slot_column))
        own = own[own["place"] >= 0]
        clips = embed(
            self.encoder,
            store,
            own["row"].tolist(),
            clips_per_video=self.config.clips_per_video,
            hardware=self.hardware,
        )
        vectors = np.stack([of_video.mean(axis=0) for of_video in clips])
        keys = own[KEYS].drop_duplicates().sort_values(KEYS, ignore_index=True)
        numbers = pd.MultiIndex.from_frame(keys).get_indexer(pd.MultiIndex.from_frame(own[KEYS]))
        features = np.zeros((len(keys), len(slots), vectors.shape[1]), dtype=np.float32)
        counts = np.zeros((len(keys), len(slots)), dtype=np.float32)
        np.add.at(features, (numbers, own["place"].to_numpy()), vectors)
        np.add.at(counts, (numbers, own["place"].to_numpy()), 1)
        features /= np.maximum(counts, 1)[..., None]
        present = torch.from_numpy(counts > 0)
        usable = np.ones(len(keys), dtype=bool) if self.config.slot == STUDY else counts[:, self._place] > 0
        self._say_left_out(videos, int(usable.sum()))
        with torch.inference_mode():
            device = self.hardware.device
            pictures = self.objective.pictures(torch.from_numpy(features).to(device), present.to(device))
        return Studies(keys[usable].reset_index(drop=True), _units(pictures[:, self._place])[usable])

    def _say_left_out(self, videos: pd.DataFrame, num_usable: int) -> None:
        total = len(videos[KEYS].drop_duplicates())
        if not num_usable:
            raise UserError(f"slot: none of the {total} studies has a picture of {self.config.slot}")
        if num_usable < total:
            logger.warning(
                "%d of %d studies have no picture of %s and are left out",
                total - num_usable,
                total,
                self.config.slot if self.config.slot != STUDY else " or ".join(self.objective.slots),
            )


def _objective(run: Path) -> Tripartite:
    alignments = read_alignments(run)
    if NAME not in alignments:
        raise UserError(
            f"{run}: learned with {', '.join(alignments)}, expected {NAME}, which compares whole studies"
        )
    return Tripartite.of_alignment(alignments[NAME])


def _units(vectors: Tensor) -> npt.NDArray[np.float32]:
    units: npt.NDArray[np.float32] = F.normalize(vectors.float(), dim=1).cpu().numpy()
    return units
