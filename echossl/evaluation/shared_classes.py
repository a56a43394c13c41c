"""Figures of several classes on those that two sources have in common, and the penalty index over sources.

Scores are found by the name of their class, never by its place: two sources may list classes in other orders.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.auc import Floats, weighted_auroc, weighted_average_precision
from echossl.evaluation.bootstrap import ENTRIES_PER_CHUNK, PATIENTS, drawn_counts
from echossl.evaluation.cuts import SCORE_SUFFIX
from echossl.evaluation.resampling import Figures
from echossl.evaluation.tables import key_faults, read_table, refuse_faults, rows_of

# in the order of the rows of shared_figures
SHARED_FIGURES = ("auroc", "auprc", "f1", "balanced_accuracy")
SMALLEST_SUM = 1e-12


@dataclass(frozen=True)
class SharedScores:
    """Studies whose class is one of those that are shared, by patient and study.

    Attributes:
        source: the file.
        classes: the shared classes in order.
        patients: patient of each study, (n,).
        studies: (n,).
        codes: place of the true class among the shared ones, (n,).
        probabilities: of the shared classes alone, (n, classes); rows sum to 1.
        all_patients: every patient of the table, sorted, also those without a study of a shared class.
    """

    source: str
    classes: tuple[str, ...]
    patients: npt.NDArray[np.str_]
    studies: npt.NDArray[np.str_]
    codes: npt.NDArray[np.int64]
    probabilities: Floats
    all_patients: npt.NDArray[np.str_]


def read_shared_scores(path: Path, column: str, classes: tuple[str, ...]) -> SharedScores:
    """Read the studies of shared classes from a ``predictions.csv`` of a task of several classes.

    Args:
        path: a table with ``COLUMN`` and ``COLUMN_score_CLASS``, of which it may have others too.
        column: the label column.
        classes: the shared classes; studies of another class, or of none, are left out, and the
            probabilities of others are divided among them in proportion.

    Raises:
        UserError: if a column is missing, a score is no probability, or a shared class has no study.
    """
    table = read_table(path)
    refuse_faults(path, key_faults(table))
    names = [f"{column}{SCORE_SUFFIX}_{name.replace(' ', '_')}" for name in classes]
    missing = [name for name in [column, *names] if name not in table]
    if missing:
        raise UserError(f"{path}: no column {', '.join(missing)}; found {', '.join(map(str, table.columns))}")
    shares, everyone = (
        _probabilities(path, table[names].to_numpy(str)),
        np.unique(table["patient_id"].to_numpy(str)),
    )
    table = table[table[column].isin(classes)].sort_values(["patient_id", "study_id"])
    lacking = [name for name in classes if name not in set(table[column])]
    if lacking:
        raise UserError(
            f"{path}: no study whose {column} is {', '.join(lacking)}; nothing can be said of it, leave it "
            "out of the assessed classes of this source"
        )
    places = {name: place for place, name in enumerate(classes)}
    return SharedScores(
        source=str(path),
        classes=classes,
        patients=table["patient_id"].to_numpy(str),
        studies=table["study_id"].to_numpy(str),
        codes=np.array([places[name] for name in table[column]], dtype=np.int64),
        probabilities=shares[table.index],
        all_patients=everyone,
    )


def shared_figures(codes: npt.ArrayLike, probabilities: npt.ArrayLike) -> Figures:
    """AUROC, AUPRC, F1 and balanced accuracy, each a plain mean over the classes (macro average).

    The first two are of each class against the others. The class of the largest probability is called, the
    first of equal ones. A redraw that lacks a class has no figure (NaN): a mean over the others would be the
    answer to another question.

    Args:
        codes: class numbers from 0, (n,).
        probabilities: (n, classes).

    Returns:
        Figures (4, resamples), in the order of ``SHARED_FIGURES``.
    """
    known, shares = np.asarray(codes), np.asarray(probabilities, dtype=np.float64)
    truth = known[:, None] == np.arange(shares.shape[1])
    called = shares.argmax(axis=1)[:, None] == np.arange(shares.shape[1])

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        ranked = [
            np.mean(
                [metric(own, score, weights) for own, score in zip(truth.T, shares.T, strict=True)], axis=0
            )
            for metric in (weighted_auroc, weighted_average_precision)
        ]
        counts = np.asarray(weights, dtype=np.float64)
        right, true, calls = (counts @ table for table in (truth & called, truth * 1.0, called * 1.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            recall = right / true
            f1 = np.where(true > 0, 2 * right / (true + calls), np.nan)
        return np.stack([*ranked, f1.mean(axis=1), recall.mean(axis=1)])

    return figures


def resampled_shared_figures(scores: SharedScores, config: BootstrapConfig, *, stream: int) -> Floats:
    """The figures under resampled patients, (4, resamples).

    All patients of the table are drawn, so that whoever is asked about other classes of the same table meets
    the same patients: differences between the two are paired.

    Args:
        scores: of one test source.
        config: resamples and seed.
        stream: number of the test source; sources are resampled independently of each other.
    """
    figures = shared_figures(scores.codes, scores.probabilities)
    places = np.searchsorted(scores.all_patients, scores.patients)
    generator = np.random.default_rng([config.seed, PATIENTS, stream])
    size = scores.all_patients.size
    most_rows = max(1, ENTRIES_PER_CHUNK // size)
    parts = []
    for first in range(0, config.resamples, most_rows):
        counts = drawn_counts(generator, min(most_rows, config.resamples - first), size)
        parts.append(figures(counts[:, places]))
    return np.concatenate(parts, axis=1)


def penalty_index(scores: npt.ArrayLike) -> Floats:
    """How far a model falls short of 1 on average over its test sets: ``100 x mean(1 - s)``, lower is better.

    Multi-OCT-SelfNet (arXiv 2409.11375) sums up a row of its train x test matrix by it.

    Args:
        scores: 0 to 1, (test sets, ...).

    Returns:
        (...), 0 to 100.

    Raises:
        ValueError: if a score lies outside 0 to 1, or there is none.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not values.size or (values < 0).any() or (values > 1).any():
        raise ValueError("penalty index: expected one score or more of 0 to 1")
    index: Floats = 100 * (1 - values).mean(axis=0)
    return index


def _probabilities(path: Path, cells: npt.NDArray[np.str_]) -> Floats:
    try:
        values = cells.astype(np.float64)
    except ValueError as error:
        raise UserError(f"{path}: a score is no number ({error}); expected probabilities") from error
    wrong = ~((values >= 0) & (values <= 1)).all(axis=1)
    if wrong.any():
        raise UserError(f"{path}: row {rows_of(wrong)[0]}: a score is no probability of 0 to 1")
    sums = values.sum(axis=1, keepdims=True)
    # of a study that is surely of another class, nothing is known about these
    even = np.full_like(values, 1 / values.shape[1])
    shares: Floats = np.divide(values, sums, out=even, where=sums > SMALLEST_SUM)
    return shares
