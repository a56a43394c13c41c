"""Batches of studies with their reports: a clip of each view or side that a study has."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from echossl.config.video import ClipConfig
from echossl.data.reports import REPORT_COLUMN
from echossl.data.requests import ABSENT, ClipRequest
from echossl.data.samplers import ITEM, Draw, durations_of, members_of_step, random_request, stand_in
from echossl.errors import UserError, first_names


class StudySampler:
    """Batches of different patients, each with one of its studies: a clip per slot, and the report.

    An epoch is one random order of the patients, as of :class:`echossl.data.samplers.PairSampler`. Which of a
    patient's studies stands in a batch, and which of a study's videos in a slot, is random.

    Args:
        table: ``row``, ``patient_id``, ``study_id``, ``duration_seconds``, ``report`` and the slot column of
            the videos, from ``ClipStore.rows_for`` and :func:`echossl.data.reports.with_reports`.
        slots: values of the slot column, in the order of the clips of an item; upper and lower case are one.
            A study that lacks some has ``ABSENT`` clips there, one that lacks all is left out. Without slots
            an item is one clip of any video of the study.
        slot_column: column of the table, "view" or "side"; without slots it need not be there.
        batch_size: studies per batch.
        clip: which frames make a clip.
        seed: seed of all draws.

    Attributes:
        patients: those with a study that can be drawn, sorted; a draw names them by their position.
        num_left_out: studies without a video in any slot.

    Raises:
        UserError: if a slot has no video, or there are fewer patients than a batch holds.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        slots: tuple[str, ...],
        slot_column: str,
        batch_size: int,
        clip: ClipConfig,
        seed: int,
    ) -> None:
        self.slots, self.batch_size, self.clip, self.seed = slots, batch_size, clip, seed
        places = slot_places(table, slots, slot_column)
        _require_every_slot(table, slots, slot_column, places)
        usable = table.assign(place=places)[places >= 0]
        self.num_left_out = _num_studies(table) - _num_studies(usable)
        self.patients = sorted(set(usable["patient_id"]))
        if len(self.patients) < batch_size:
            raise UserError(
                f"batch_size: a batch of {batch_size} patients with reports cannot be drawn from "
                f"{len(self.patients)}; set it to {len(self.patients)} or less"
            )
        self._studies = _studies_of(usable, self.patients, num_places=max(len(slots), 1))
        self._durations = durations_of(usable)
        self._reports = dict(zip(usable["row"].astype(int), usable[REPORT_COLUMN], strict=True))

    def draw(self, step: int) -> Draw:
        """A study each of ``batch_size`` different patients."""
        patients = members_of_step(len(self.patients), self.batch_size, step, (self.seed,))
        items = [
            self._item(patient, np.random.default_rng((ITEM, self.seed, step, item)))
            for item, patient in enumerate(patients)
        ]
        return Draw(items, patients, reports=self._reports)

    def replace(
        self, patients: np.ndarray, step: int, item: int, attempt: int
    ) -> tuple[list[ClipRequest], int]:
        """Another study, or other videos of it; see :meth:`echossl.data.samplers.PairSampler.replace`."""
        members = np.arange(len(self.patients))
        patient = stand_in(patients, item, attempt, members, (self.seed, step))
        generator = np.random.default_rng((ITEM, self.seed, step, item, attempt))
        return self._item(patient, generator), patient

    def _item(self, patient: int, generator: np.random.Generator) -> list[ClipRequest]:
        studies = self._studies[patient]
        study = studies[int(generator.integers(len(studies)))]
        return [
            random_request(int(generator.choice(rows)), self._durations, self.clip, generator)
            if len(rows)
            else ABSENT
            for rows in study
        ]


def slot_places(table: pd.DataFrame, slots: Sequence[str], slot_column: str) -> np.ndarray:
    """Which slot each video belongs to: (videos,) int64, -1 for none; 0 without slots.

    Args:
        table: videos.
        slots: values of the column; upper and lower case are one.
        slot_column: "view" or "side".

    Raises:
        UserError: if there is no such column, or no video belongs to any slot.
    """
    if not slots:
        return np.zeros(len(table), dtype=np.int64)
    if slot_column not in table:
        raise UserError(
            f"slots: the manifest has no column {slot_column!r}, found {', '.join(table.columns)}; add it"
        )
    wanted = {slot.strip().casefold(): place for place, slot in enumerate(slots)}
    places = _plain(table[slot_column]).map(wanted).fillna(-1).to_numpy(dtype=np.int64)
    if (places < 0).all():
        raise UserError(_absent_slot(table, slot_column, " or ".join(map(repr, slots))))
    return places


def _require_every_slot(
    table: pd.DataFrame, slots: Sequence[str], slot_column: str, places: np.ndarray
) -> None:
    for place, slot in enumerate(slots):
        if not (places == place).any():
            raise UserError(_absent_slot(table, slot_column, repr(slot)))


def _absent_slot(table: pd.DataFrame, slot_column: str, wanted: str) -> str:
    found = sorted(set(_plain(table[slot_column])) - {""}) or ["none"]
    return (
        f"slots: no video whose {slot_column} is {wanted}, found {first_names(found)}; "
        f"set slots to some of these, or fill in the column"
    )


def _plain(cells: pd.Series) -> pd.Series:
    """Cells of text without what does not tell slots apart."""
    plain: pd.Series = cells.astype(object).fillna("").astype(str).str.strip().str.casefold()
    return plain


def _num_studies(table: pd.DataFrame) -> int:
    return len(table[["patient_id", "study_id"]].drop_duplicates())


def _studies_of(
    table: pd.DataFrame, patients: Sequence[str], *, num_places: int
) -> list[list[list[np.ndarray]]]:
    """Patient by patient, study by study: the store rows of the videos of each slot, sorted."""
    studies: dict[str, list[list[np.ndarray]]] = {patient: [] for patient in patients}
    for (patient, _), videos in table.groupby(["patient_id", "study_id"]):
        rows, places = videos["row"].to_numpy(), videos["place"].to_numpy()
        studies[str(patient)].append([np.sort(rows[places == place]) for place in range(num_places)])
    return [studies[patient] for patient in patients]
