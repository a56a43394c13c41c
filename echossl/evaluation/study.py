"""From a table of predictions, one row per study, to figures with intervals."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.data.uncertain import is_uncertain
from echossl.errors import UserError
from echossl.evaluation.auc import METRICS
from echossl.evaluation.bootstrap import bootstrap_interval
from echossl.evaluation.cuts import SCORE_SUFFIX, cuts_of, questions, with_cut
from echossl.evaluation.results import ResultRow
from echossl.evaluation.tables import (
    KEYS,
    TableColumns,
    Unit,
    called,
    faults_by_value,
    found_columns,
    key_faults,
    read_table,
    refuse_faults,
)

UNLABELLED, INVALID = -1, -2
CODES = {"": UNLABELLED, "0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


@dataclass(frozen=True)
class Predictions:
    """Scores of studies with a known label; all arrays are (n,).

    Attributes:
        source: where they come from, for messages.
        column: name of the label column.
        patients: patient of each study, str.
        studies: name of each study, unique within its patient, str.
        splits: split of each study, str.
        labels: 0 or 1.
        scores: finite, higher is more likely positive.
        num_unlabelled: studies that were left out because their label is empty (not assessed) or uncertain.
        num_uncertain: of those, how many are uncertain.
        unit: what a row is; of videos ``studies`` holds their paths.
    """

    source: str
    column: str
    patients: npt.NDArray[np.str_]
    studies: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    num_unlabelled: int = 0
    num_uncertain: int = 0
    unit: Unit = "studies"

    @property
    def num_patients(self) -> int:
        """Number of different patients."""
        return np.unique(self.patients).size

    @property
    def num_positive(self) -> int:
        """Number of patients with at least one positive study."""
        return np.unique(self.patients[self.labels == 1]).size

    @property
    def prevalence(self) -> float:
        """Share of positive studies: the average precision of a score without information."""
        return float(np.mean(self.labels))

    def only(self, split: str) -> "Predictions":
        """The studies of one split.

        Raises:
            UserError: if there are none.
        """
        rows = self.splits == split
        if not rows.any():
            found = ", ".join(sorted(set(self.splits.tolist())))
            raise UserError(f"{self.source}: no labelled study in split {split!r}; found {found}")
        return self.take(np.flatnonzero(rows))

    def take(self, places: npt.NDArray[np.intp]) -> "Predictions":
        """The studies at these places, in this order."""
        return replace(
            self,
            patients=self.patients[places],
            studies=self.studies[places],
            splits=self.splits[places],
            labels=self.labels[places],
            scores=self.scores[places],
        )

    def require_both_classes(self) -> None:
        """Raise UserError if every label is the same."""
        found = np.unique(self.labels)
        if found.size < 2:
            where = ", ".join(sorted(set(self.splits.tolist())))
            raise UserError(
                f"{self.source}: every {self.column} of split {where!r} is {found[0]}, expected "
                "both 0 and 1; evaluate a split that holds both classes"
            )


def evaluate(predictions: Predictions, config: BootstrapConfig) -> list[ResultRow]:
    """AUROC, AUPRC and prevalence of every split, by study, with patient-clustered intervals.

    Splits are never mixed. Fill in the run's arm, fraction, draw and seed with ``dataclasses.replace``.

    Raises:
        UserError: if a split lacks a class.
    """
    rows = []
    for split in dict.fromkeys(predictions.splits.tolist()):
        part = predictions.only(split)
        part.require_both_classes()
        blank = ResultRow(
            split=split,
            metric="prevalence",
            value=part.prevalence,
            num_patients=part.num_patients,
            num_positive=part.num_positive,
        )
        for name, metric in METRICS.items():
            interval = bootstrap_interval(part.labels, part.scores, part.patients, metric, config)
            rows.append(blank.with_interval(name, interval))
        rows.append(blank)
    return rows


def read_predictions(
    path: Path, column: str | None = None, *, columns: TableColumns | None = None
) -> Predictions:
    """Read and check a ``predictions.csv``.

    Args:
        path: columns ``patient_id, study_id, split``, the label column and its ``_score``; one row per study,
            or per video where there is a column ``path``.
        column: the label column, or a cut of several classes such as ``as_grade_at_least_severe`` or
            ``view_is_PLAX`` (see :mod:`echossl.evaluation.cuts`); None takes the only one that there is.
        columns: other names of the columns, see :func:`echossl.evaluation.tables.read_table`.

    Raises:
        UserError: naming the row, if a study is there twice, a patient is in two splits, a score is missing
            or not finite, a label is neither 0, 1 nor empty, or no labelled study is left.
    """
    table = read_table(path, columns)
    label = column if column is not None else _only_label(path, table)
    return predictions_of(path, table, label)


def predictions_of(path: Path, table: pd.DataFrame, label: str) -> Predictions:
    """One question of a table from :func:`echossl.evaluation.tables.read_table`."""
    table = with_cut(table, label)
    missing = [name for name in (label, label + SCORE_SUFFIX) if name not in table]
    if missing:
        hint = (
            ""
            if label in missing
            else "; name its score, or what those of its classes start with, with --score"
        )
        raise UserError(f"{path}: no column {', '.join(missing)}; found {found_columns(table)}{hint}")
    scores = pd.to_numeric(table[label + SCORE_SUFFIX], errors="coerce").to_numpy(np.float64)
    labels = np.array([CODES.get(text.strip().lower(), INVALID) for text in table[label]], dtype=np.int64)
    cut = cuts_of(list(table.columns)).get(label)
    # of a class it is a name like any other
    doubtful = is_uncertain(table[label]).to_numpy() if cut is None else np.zeros(len(table), dtype=bool)
    labels[doubtful] = UNLABELLED
    name, known_words = (cut.label, ", ".join(cut.classes)) if cut else (label, "0, 1")
    score = label + SCORE_SUFFIX
    faults = faults_by_value(table, label, labels == INVALID, name, f"{known_words} or empty")
    faults += faults_by_value(table, score, ~np.isfinite(scores), called(table, score), "a finite number")
    refuse_faults(path, [*faults, *key_faults(table)])
    known = labels != UNLABELLED
    if not known.any():
        doubt = " or uncertain" if doubtful.any() else ""
        raise UserError(f"{path}: no study has a {label} label; every cell of the column is empty{doubt}")
    patients, studies, splits = (table[name].to_numpy(dtype=np.str_)[known] for name in KEYS)
    return Predictions(
        source=str(path),
        column=label,
        patients=patients,
        studies=studies,
        splits=splits,
        labels=labels[known],
        scores=scores[known],
        num_unlabelled=int((~known).sum()),
        num_uncertain=int(doubtful.sum()),
        unit=table.attrs["unit"],
    )


def read_all_predictions(path: Path) -> list[Predictions]:
    """The predictions of every label column and cut of a table; see :func:`read_predictions`."""
    table = read_table(path)
    names = questions(list(table.columns))
    return [predictions_of(path, table, name) for name in names] or [read_predictions(path)]


def _only_label(path: Path, table: pd.DataFrame) -> str:
    labels = questions(list(table.columns))
    if len(labels) != 1:
        found = ", ".join(labels) if labels else "none"
        raise UserError(
            f"{path}: expected one label column with a {SCORE_SUFFIX} column beside it, found {found}; "
            "name the label column"
        )
    return labels[0]
