"""What shows only when videos are compared: the same pixels under two names, a patient in two splits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One thing about one row of a table.

    Attributes:
        row: which row, counted from 0.
        text: ``kind: words``.
        is_problem: whether it makes the video unusable, or is only worth knowing.
    """

    row: int
    text: str
    is_problem: bool


def first_with_same_pixels(digests: Sequence[str]) -> dict[int, int]:
    """For every row that repeats an earlier one: that one. Rows without a digest repeat nothing."""
    first: dict[str, int] = {}
    found: dict[int, int] = {}
    for row, digest in enumerate(digests):
        original = first.setdefault(digest, row)
        if digest and original != row:
            found[row] = original
    return found


def duplicate_findings(table: pd.DataFrame, repeats: dict[int, int]) -> Iterator[Finding]:
    """Videos with the pixels of another: a leak if that one is of another patient or in another split.

    Args:
        table: as ``read_manifest`` gives it.
        repeats: from :func:`first_with_same_pixels`.
    """
    for row, original in repeats.items():
        here, there = table.loc[row], table.loc[original]
        others = [
            f"another {what}"
            for what, name in (("patient", "patient_id"), ("split", "split"))
            if name in table and here[name] != there[name]
        ]
        where = f", of {' and '.join(others)}" if others else ""
        yield Finding(row, f"duplicate: same pixels as {there['path']}{where}", is_problem=bool(others))


def split_findings(table: pd.DataFrame) -> Iterator[Finding]:
    """Rows whose patient stands in another split before."""
    if "split" not in table:
        return
    first: dict[str, int] = {}
    for row, patient, split in zip(table.index, table["patient_id"], table["split"], strict=True):
        there = table.loc[first.setdefault(patient, row)]
        if split != there["split"]:
            text = f"two splits: its patient is in {split} here, in {there['split']} with {there['path']}"
            yield Finding(row, text, is_problem=True)
