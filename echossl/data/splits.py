"""Who is used for what: patient-disjoint splits, and the few patients whose labels may be read.

Everything is a pure function of the patient ids, their labels, and the numbers given: the order of the rows
and the number of videos of a patient change nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from echossl.data.order import shuffled
from echossl.data.strata import FEWEST_OF_A_CLASS, draw_patients, hold_out, rounded
from echossl.errors import UserError

NOT_ASSESSED = "not assessed"


@dataclass(frozen=True)
class LabelSubset:
    """The patients of a label budget; validation comes out of them too.

    Attributes:
        column: label column.
        fraction: share of the assessed patients that was asked for.
        draw: which random draw.
        patients: their ids, sorted.
        positive_patients: those with a positive study, sorted.
        assessed: number of assessed patients the share was taken of.
    """

    column: str
    fraction: float
    draw: int
    patients: tuple[str, ...]
    positive_patients: tuple[str, ...]
    assessed: int

    @property
    def positives(self) -> int:
        """Number of positive patients."""
        return len(self.positive_patients)

    @property
    def negative_patients(self) -> tuple[str, ...]:
        """The ids of the negative patients, sorted."""
        positive = set(self.positive_patients)
        return tuple(patient for patient in self.patients if patient not in positive)


def patient_labels(table: pd.DataFrame, column: str) -> pd.Series:
    """One label per assessed patient: 1 if any assessed row is 1, else 0.

    Args:
        table: a manifest.
        column: a label column of 0, 1 and NaN.

    Returns:
        int64, indexed by the sorted patient ids; patients without an assessed row are left out.

    Raises:
        UserError: if the column is missing or holds something else.
    """
    if column not in table:
        raise UserError(f"manifest: no label column {column!r}; found {', '.join(map(str, table.columns))}")
    assessed = table.loc[table[column].notna(), ["patient_id", column]]
    strange = assessed.loc[~assessed[column].isin((0, 1)), column]
    if len(strange):
        raise UserError(f"manifest: {column} holds {strange.iloc[0]}, expected 0, 1 or empty (not assessed)")
    return assessed.groupby("patient_id")[column].max().astype("int64").sort_index()


def assign_splits(
    table: pd.DataFrame, shares: Mapping[str, float], *, seed: int, stratify: str | None
) -> pd.Series:
    """Give every patient, with all its videos, to one split.

    Args:
        table: a manifest.
        shares: split name to share of the patients; the shares add up to 1.
        seed: which random assignment.
        stratify: a column whose values have the same shares in every split, as far as whole patients allow; a
            patient with several values counts with the highest; those not assessed are a class of their own.

    Returns:
        The split of each row, with the index of ``table``.

    Raises:
        UserError: if the shares do not add up to 1, the column is missing, or a split would be empty.
    """
    if not shares or min(shares.values()) <= 0 or not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        raise UserError(f"splits: the shares {dict(shares)} must be above 0 and add up to 1")
    strata = _strata(table, stratify)
    patients = [
        patient
        for stratum in sorted(set(strata.values()))
        for patient in shuffled((name for name, own in strata.items() if own == stratum), "split", seed)
    ]
    assigned = _deal(patients, shares)
    empty = [name for name in shares if name not in assigned.values()]
    if empty:
        found = f"{len(patients)} patients are too few for a share of {shares[empty[0]]:g} in {empty[0]!r}"
        raise UserError(f"splits: {found}; raise the share or leave the split out")
    return table["patient_id"].map(assigned).rename("split")


def _strata(table: pd.DataFrame, column: str | None) -> dict[str, str]:
    """The stratum of each patient."""
    strata = dict.fromkeys(table["patient_id"], NOT_ASSESSED)
    if column is None:
        return strata
    if column not in table:
        raise UserError(
            f"splits: no column {column!r} to stratify by; found {', '.join(map(str, table.columns))}"
        )
    assessed = table[table[column].notna() & (table[column] != "")]
    highest = assessed.groupby("patient_id")[column].max()
    return strata | {str(patient): str(value) for patient, value in highest.items()}


def _deal(patients: list[str], shares: Mapping[str, float]) -> dict[str, str]:
    """Each patient in turn goes to the split that lags its share most, so every stretch is dealt fairly."""
    counts = dict.fromkeys(shares, 0)
    assigned = {}
    for number, patient in enumerate(patients, start=1):
        # the rounding keeps ties equal whatever the last bit of the product says
        split = max(counts, key=lambda name: round(shares[name] * number - counts[name], 9))
        counts[split] += 1
        assigned[patient] = split
    return assigned


def label_subset(table: pd.DataFrame, *, column: str, fraction: float, draw: int) -> LabelSubset:
    """Choose the patients whose labels may be read.

    The share is taken of the assessed patients and rounded; positives and negatives keep their proportion as
    far as whole patients allow, with at least two of each. A larger fraction of the same draw holds every
    patient of a smaller one.

    Args:
        table: the manifest rows to choose from, as a rule those of the training split.
        column: a label column of 0, 1 and NaN.
        fraction: share of the assessed patients, above 0, at most 1.
        draw: which random draw.

    Raises:
        UserError: if there cannot be two patients of each class.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"labels.fraction: found {fraction}, expected a share above 0 and at most 1")
    labels = patient_labels(table, column)
    strata = {str(patient): int(label) for patient, label in labels.items()}
    positives = sum(strata.values())
    count = rounded(fraction * len(strata))
    _refuse_too_few(column, fraction, count, positives, len(strata) - positives)
    chosen = draw_patients(strata, fraction=fraction, draw=draw, what=column)
    positive = tuple(patient for patient in chosen if strata[patient] == 1)
    return LabelSubset(column, fraction, draw, chosen, positive, len(strata))


def _refuse_too_few(column: str, fraction: float, count: int, positives: int, negatives: int) -> None:
    if min(positives, negatives) < FEWEST_OF_A_CLASS:
        raise UserError(
            f"manifest: {column} has {positives} positive and {negatives} negative patients in this split; "
            f"at least {FEWEST_OF_A_CLASS} of each are needed"
        )
    if count < 2 * FEWEST_OF_A_CLASS:
        assessed = positives + negatives
        raise UserError(
            f"labels.fraction: {fraction:g} of {assessed} assessed patients is {count}, expected at least "
            f"{2 * FEWEST_OF_A_CLASS}; take {2 * FEWEST_OF_A_CLASS / assessed:.4g} or more"
        )


def split_validation(
    subset: LabelSubset, *, share: float, draw: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Hold out validation patients from within a label budget.

    Args:
        subset: the budget.
        share: share of its patients that is held out, between 0 and 1.
        draw: which random draw.

    Returns:
        Sorted ids to train on and to validate on; both hold at least one patient of each class.

    Raises:
        UserError: if the share is not between 0 and 1.
    """
    strata = dict.fromkeys(subset.negative_patients, 0) | dict.fromkeys(subset.positive_patients, 1)
    return hold_out(strata, share=share, draw=draw)
