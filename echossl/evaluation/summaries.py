"""Figures of tables that ask more than one yes or no: classes, grades, several findings, a measurement."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.agreement import AGREEMENT_FIGURES, agreement_figures
from echossl.evaluation.auc import Floats, weighted_auroc
from echossl.evaluation.correlation import weighted_pearson, weighted_spearman
from echossl.evaluation.cuts import AT_LEAST, SCORE_SUFFIX
from echossl.evaluation.grades import one_against_rest, weighted_concordance, weighted_quadratic_kappa
from echossl.evaluation.resampling import Figures
from echossl.evaluation.study import Predictions
from echossl.evaluation.summary import LabelledRows, Summary
from echossl.evaluation.tables import called, faults_by_value, found_columns, key_faults, refuse_faults


def summarise_classes(
    source: Path, table: pd.DataFrame, label: str, split: str, config: EvaluationConfig
) -> Summary:
    """Macro one-vs-rest AUROC and accuracy; of grades also quadratic kappa and concordance.

    Args:
        source: for messages.
        table: from :func:`echossl.evaluation.tables.read_table`.
        label: column of class names beside ``LABEL_score_CLASS``; with ``LABEL_score_at_least_CLASS`` the
            classes are grades in the order of their columns.
        split: which rows.
        config: intervals.

    Returns:
        The figures; a reason instead where the split holds fewer than two classes.

    Raises:
        UserError: if a cell holds no class or a score is no number.
    """
    prefix = f"{label}{SCORE_SUFFIX}_"
    names = [name.removeprefix(prefix) for name in table.columns if name.startswith(prefix)]
    classes = [name for name in names if not name.startswith(AT_LEAST)]
    numbers = {name: number for number, name in enumerate(classes)}
    written = table[label].str.strip().str.replace(" ", "_")
    strange = (written != "") & ~written.isin(classes)
    faults = faults_by_value(table, label, strange, label, f"{', '.join(classes)} or empty")
    scores = _numbers(table, [prefix + name for name in classes], faults)
    refuse_faults(source, [*faults, *key_faults(table)])
    rows = LabelledRows.of(source, table, written != "", split, config)
    codes = written[rows.table.index].map(numbers).to_numpy(np.int64)
    scores = scores[rows.table.index]
    there = np.unique(codes)
    if there.size < 2:
        found = f"is {classes[there[0]]}" if there.size else "is empty"
        return rows.left_out(label, f"every {label} of split {split!r} {found}; expected several classes")
    calls = scores.argmax(axis=1)
    graded = any(name.startswith(AT_LEAST) for name in names)
    # the expected grade rises with every cut
    expected = scores @ np.arange(len(classes)) if graded else None
    lacking = [name for name in classes if numbers[name] not in there]
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (codes, calls), 1)
    order = ("quadratic_kappa", "concordance") if graded else ()
    return rows.summary(
        "grades" if graded else "classes",
        label,
        _class_figures(codes, scores, calls, expected),
        [*(f"auroc_{classes[code]}" for code in there), "macro_auroc", "accuracy", *order],
        groups={name: int(np.sum(codes == numbers[name])) for name in classes},
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
        notes=tuple(f"no row is {name}; the macro AUROC is over the others" for name in lacking),
    )


def _class_figures(
    codes: npt.NDArray[np.integer[Any]], scores: Floats, calls: npt.NDArray[np.intp], expected: Floats | None
) -> Figures:
    there, among = np.unique(codes, return_inverse=True)
    against_rest = one_against_rest(among, scores[:, there], there.size)
    right = (calls == codes).astype(np.float64)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        parts = [against_rest(counts), (counts @ right / counts.sum(axis=1))[None]]
        if expected is not None:
            parts += [
                weighted_quadratic_kappa(codes, calls, counts)[None],
                weighted_concordance(codes, expected, counts)[None],
            ]
        return np.concatenate(parts)

    return figures


def summarise_measurement(
    source: Path, table: pd.DataFrame, label: str, split: str, config: EvaluationConfig
) -> Summary:
    """Mean absolute error, R2, Bland-Altman bias and limits, Pearson and Spearman.

    Args as of :func:`summarise_classes`; the label is a column of numbers, its score in the same unit.

    Returns:
        The figures; a reason instead where fewer than three rows of the split are labelled.

    Raises:
        UserError: if a cell holds no number.
    """
    known, values, predicted = measured_and_predicted(source, table, label)
    rows = LabelledRows.of(source, table, known, split, config)
    places = rows.table.index.to_numpy()
    if places.size < 3:
        return rows.left_out(label, f"{places.size} rows of split {split!r} have a {label}; expected three")
    true, called = values[places], predicted[places]
    agreement = agreement_figures(true, called)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        lines = [metric(true, called, weights)[None] for metric in (weighted_pearson, weighted_spearman)]
        return np.concatenate([agreement(weights), *lines])

    return rows.summary(
        "measurement",
        label,
        figures,
        [*AGREEMENT_FIGURES, "pearson", "spearman"],
        measured=tuple(true.tolist()),
        predicted=tuple(called.tolist()),
    )


def measured_and_predicted(
    source: Path, table: pd.DataFrame, label: str
) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Which rows have a measurement, the measurements (0 without one) and what was predicted; (rows,) each.

    Raises:
        UserError: if a column is not there, or a cell holds no number.
    """
    missing = [name for name in (label, label + SCORE_SUFFIX) if name not in table]
    if missing:
        raise UserError(f"{source}: no column {', '.join(missing)}; found {found_columns(table)}")
    known = table[label].str.strip() != ""
    faults: list[str] = []
    values = _numbers(table.assign(**{label: table[label].where(known, "0")}), [label], faults)[:, 0]
    predicted = _numbers(table, [label + SCORE_SUFFIX], faults)[:, 0]
    refuse_faults(source, [*faults, *key_faults(table)])
    return known.to_numpy(), values, predicted


def summarise_findings(
    source: Path, table: pd.DataFrame, parts: Sequence[Predictions], split: str, config: EvaluationConfig
) -> Summary | None:
    """AUROC of each finding and their mean under the same resampled patients; None without any usable one.

    Args:
        source: for messages.
        table: from :func:`echossl.evaluation.tables.read_table`.
        parts: the questions, each with the rows that have its label, all splits.
        split: which rows.
        config: intervals.
    """
    known = np.logical_or.reduce([(table[part.column].str.strip() != "").to_numpy() for part in parts])
    rows = LabelledRows.of(source, table, known, split, config)
    keys = pd.MultiIndex.from_frame(rows.table[["patient_id", "study_id"]])
    usable, lacking, columns = [], [], []
    for part in parts:
        places = keys.get_indexer(pd.MultiIndex.from_arrays([part.patients, part.studies]))
        labels, scores = np.full(len(keys), -1), np.zeros(len(keys))
        here = places >= 0
        labels[places[here]], scores[places[here]] = part.labels[here], part.scores[here]
        if {0, 1} <= set(labels.tolist()):
            usable.append(part.column)
            columns.append((labels, scores, labels >= 0))
        else:
            lacking.append(part.column)
    if len(usable) < 2:
        return None

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        each = np.stack([weighted_auroc(labels == 1, scores, weights * on) for labels, scores, on in columns])
        return np.concatenate([each, each.mean(axis=0, keepdims=True)])

    positive = {name: int(np.sum(labels == 1)) for name, (labels, _, _) in zip(usable, columns, strict=True)}
    return rows.summary(
        "findings",
        ", ".join(part.column for part in parts),
        figures,
        [*(f"auroc_{name}" for name in usable), "mean_auroc"],
        groups=positive,
        notes=(
            *(f"{name} lacks a class; the mean is over the others" for name in lacking),
            *(
                f"{part.column}: {part.num_unlabelled} {part.unit} without a label left out{_doubt(part)}"
                for part in parts
                if part.num_unlabelled
            ),
        ),
    )


def _doubt(part: Predictions) -> str:
    return f", {part.num_uncertain} of them uncertain" if part.num_uncertain else ""


def _numbers(table: pd.DataFrame, columns: Sequence[str], faults: list[str]) -> Floats:
    """Columns as numbers, (rows, columns); what is none is added to the faults."""
    found = []
    for name in columns:
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
        faults += faults_by_value(table, name, ~np.isfinite(values), called(table, name), "a finite number")
        found.append(values)
    return np.stack(found, axis=1)
