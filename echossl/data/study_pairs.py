"""Every pair of a study's videos as an item, as published (Holste et al., arXiv 2207.11581): a baseline."""

from itertools import combinations

import numpy as np
import pandas as pd

from echossl.config.video import ClipConfig
from echossl.data.requests import ClipRequest
from echossl.data.samplers import ITEM, Draw, durations_of, members_of_step, random_request
from echossl.errors import UserError


class StudyPairSampler:
    """Batches of pairs of videos of a study, with a clip of each.

    An epoch is one random order of all pairs, so that a study weighs with the square of its videos, and a
    batch may hold a patient several times. A study of one video is one pair, of the video with itself. The
    last batch of an epoch is filled up from the start of the same order.

    Args:
        table: ``row``, ``patient_id``, ``study_id`` and ``duration_seconds`` of the videos, from
            ``ClipStore.rows_for``.
        batch_size: pairs per batch.
        clip: which frames make a clip.
        seed: seed of all draws.

    Attributes:
        patients: the patients, sorted; a draw names them by their position.
        rows: (pairs, 2) int64, store rows of the videos of each pair, sorted.
        owners: (pairs,) int64, position of its patient.

    Raises:
        UserError: if there are fewer pairs than a batch holds.
    """

    def __init__(self, table: pd.DataFrame, *, batch_size: int, clip: ClipConfig, seed: int) -> None:
        self.patients = sorted(set(table["patient_id"]))
        self.batch_size = batch_size
        self.clip = clip
        self.seed = seed
        self.rows, self.owners = study_pairs(table, self.patients)
        if len(self.rows) < batch_size:
            raise UserError(
                f"batch_size: a batch of {batch_size} pairs of videos of a study cannot be drawn from "
                f"{len(self.rows)}; set it to {len(self.rows)} or less"
            )
        self._durations = durations_of(table)

    def draw(self, step: int) -> Draw:
        """``batch_size`` different pairs with a clip of each video."""
        pairs = members_of_step(len(self.rows), self.batch_size, step, (self.seed,))
        items = [
            self._item(pair, np.random.default_rng((ITEM, self.seed, step, item)))
            for item, pair in enumerate(pairs)
        ]
        return Draw(items, self.owners[pairs])

    def replace(
        self, patients: np.ndarray, step: int, item: int, attempt: int
    ) -> tuple[list[ClipRequest], int]:
        """Clips of a pair drawn from all, for an item that cannot be read; see :class:`PairSampler`."""
        del patients  # a patient may stand in a batch twice
        generator = np.random.default_rng((ITEM, self.seed, step, item, attempt))
        pair = int(generator.integers(len(self.rows)))
        return self._item(pair, generator), int(self.owners[pair])

    def _item(self, pair: int, generator: np.random.Generator) -> list[ClipRequest]:
        return [random_request(int(row), self._durations, self.clip, generator) for row in self.rows[pair]]


def study_pairs(table: pd.DataFrame, patients: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of all studies, study by study.

    Returns:
        Store rows (pairs, 2), and positions in ``patients`` (pairs,), both int64.
    """
    codes = {patient: code for code, patient in enumerate(patients)}
    rows, owners = [], []
    for (patient, _), videos in table.groupby(["patient_id", "study_id"])["row"]:
        own = sorted(videos)
        pairs = list(combinations(own, 2)) or [(own[0], own[0])]
        rows += pairs
        owners += [codes[str(patient)]] * len(pairs)
    return np.array(rows, dtype=np.int64), np.array(owners, dtype=np.int64)
