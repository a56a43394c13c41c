"""Cells of the word uncertain: somebody looked and would not decide, which is more than not assessed.

Chest radiograph tables write it as the word or as -1 (Irvin et al., CheXpert, arXiv 1901.07031, section 3,
compares the policies). What such a cell counts as is a setting, the same for every split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from echossl.config.task import UncertainPolicy

UNCERTAIN = "uncertain"
# lower case
UNCERTAIN_WORDS = (UNCERTAIN, "-1", "-1.0")
COUNTS_AS: dict[UncertainPolicy, str] = {"ignore": "", "zero": "0", "one": "1"}


@dataclass(frozen=True)
class Resolved:
    """A table without uncertain cells.

    Attributes:
        table: the cells, uncertain ones replaced.
        counts: split (``all`` without splits) to column to uncertain cells; what has none is left out.
    """

    table: pd.DataFrame
    counts: dict[str, dict[str, int]]


def is_uncertain(cells: pd.Series) -> pd.Series:
    """Whether each cell of text says so, in any case of letters."""
    found: pd.Series = cells.str.strip().str.lower().isin(UNCERTAIN_WORDS)
    return found


def resolve_uncertain(table: pd.DataFrame, columns: Sequence[str], policy: UncertainPolicy) -> Resolved:
    """Replace the uncertain cells of label columns.

    Args:
        table: cells of text.
        columns: columns of 0, 1, uncertain or nothing; one that is not there is passed over.
        policy: ``ignore`` leaves the cell empty (not assessed), ``zero`` and ``one`` fill it.
    """
    splits = table["split"].where(table["split"] != "", "all") if "split" in table else "all"
    resolved, counts = table, dict[str, dict[str, int]]()
    for name in columns:
        if name not in table:
            continue
        doubtful = is_uncertain(table[name])
        if not doubtful.any():
            continue
        resolved = resolved.assign(**{name: resolved[name].mask(doubtful, COUNTS_AS[policy])})
        of_rows = pd.Series(splits, index=table.index)[doubtful]
        for split, number in of_rows.value_counts().sort_index().items():
            counts.setdefault(str(split), {})[name] = int(number)
    return Resolved(resolved, counts)
