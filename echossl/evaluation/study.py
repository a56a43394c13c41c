"""From a table of predictions, one row per study, to figures with intervals."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.auc import METRICS
from echossl.evaluation.bootstrap import bootstrap_interval
from echossl.evaluation.cuts import SCORE_SUFFIX, questions, with_cut
from echossl.evaluation.results import ResultRow

KEYS = ("patient_id", "study_id", "split")
FAULTS_SHOWN = 5
UNLABELLED, INVALID = -1, -2


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
        num_unlabelled: studies that were left out because their label is empty (not assessed).
    """

    source: str
    column: str
    patients: npt.NDArray[np.str_]
    studies: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    num_unlabelled: int = 0

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


def read_predictions(path: Path, column: str | None = None) -> Predictions:
    """Read and check a ``predictions.csv``.

    Args:
        path: columns ``patient_id, study_id, split``, the label column and its ``_score``; one row per study.
        column: the label column, or a cut of several classes such as ``as_grade_at_least_severe`` or
            ``view_is_PLAX`` (see :mod:`echossl.evaluation.cuts`); None takes the only one that there is.

    Raises:
        UserError: naming the row, if a study is there twice, a patient is in two splits, a score is missing
            or not finite, a label is neither 0, 1 nor empty, or no labelled study is left.
    """
    table = _read_table(path)
    label = column if column is not None else _only_label(path, table)
    table = with_cut(table, label)
    missing = [name for name in (*KEYS, label, label + SCORE_SUFFIX) if name not in table]
    if missing:
        raise UserError(f"{path}: no column {', '.join(missing)}; found {', '.join(table.columns)}")
    scores = pd.to_numeric(table[label + SCORE_SUFFIX], errors="coerce").to_numpy(np.float64)
    codes = {"": UNLABELLED, "0": 0, "1": 1, "0.0": 0, "1.0": 1}
    labels = np.array([codes.get(text.strip(), INVALID) for text in table[label]], dtype=np.int64)
    _refuse(path, _faults(table, label, labels, scores))
    known = labels != UNLABELLED
    if not known.any():
        raise UserError(f"{path}: no study has a {label} label; every cell of the column is empty")
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
    )


def read_all_predictions(path: Path) -> list[Predictions]:
    """The predictions of every label column and cut of a table; see :func:`read_predictions`."""
    names = questions(list(_read_table(path).columns))
    return [read_predictions(path, name) for name in names] or [read_predictions(path)]


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a predictions.csv")
    try:
        # all text: a patient called 007 stays 007, and an empty label is told apart from a wrong one
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a CSV table ({reason}); give a predictions.csv") from error


def _only_label(path: Path, table: pd.DataFrame) -> str:
    labels = questions(list(table.columns))
    if len(labels) != 1:
        found = ", ".join(labels) if labels else "none"
        raise UserError(
            f"{path}: expected one label column with a {SCORE_SUFFIX} column beside it, found {found}; "
            "name the label column"
        )
    return labels[0]


def _faults(
    table: pd.DataFrame, label: str, labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> list[str]:
    """Every fault of the table as a sentence without the file's name; row 1 is the header."""
    faults = [
        f"row {row}: {name} is empty" for name in KEYS[:2] for row in _rows((table[name] == "").to_numpy())
    ]
    faults += [
        f"row {row}: {label} is {table[label][row - 2]!r}, expected 0, 1 or empty"
        for row in _rows(labels == INVALID)
    ]
    score = label + SCORE_SUFFIX
    faults += [
        f"row {row}: {score} is {table[score][row - 2]!r}, expected a finite number"
        for row in _rows(~np.isfinite(scores))
    ]
    for row in _rows(table.duplicated(["patient_id", "study_id"]).to_numpy()):
        patient, study = table["patient_id"][row - 2], table["study_id"][row - 2]
        faults.append(
            f"row {row}: study {study!r} of patient {patient!r} is there already; evaluation is by study, "
            "so average the scores of its videos first"
        )
    for patient, splits in table.groupby("patient_id")["split"].unique().items():
        if len(splits) > 1:
            faults.append(f"patient {patient!r} is in splits {', '.join(splits)}; keep each patient in one")
    return faults


def _rows(wrong: npt.NDArray[np.bool_]) -> list[int]:
    """Row numbers of a spreadsheet, where the header is row 1."""
    return [int(place) + 2 for place in np.flatnonzero(wrong)]


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        more = len(faults) - FAULTS_SHOWN
        rest = [f"{path}: and {more} more"] if more > 0 else []
        raise UserError("\n".join([f"{path}: {fault}" for fault in faults[:FAULTS_SHOWN]] + rest))
