"""Manifests for repeated cross-validation: in each, the patients of one fold are the test split.

    .venv/bin/python experiments/studies/real_check_folds.py manifest.csv folds --column ef_below_45 \
        --folds 5 --repeats 2 --aside 0.2

Patients stay whole, and positives are spread as whole patients allow (StratifiedGroupKFold of scikit-learn).
Whoever is not assessed is trained on, without a label, in every fold. Patients set aside are trained on too,
and never tested: settings are compared on them, in aside.csv, before any fold is looked at.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.splits import assign_splits
from echossl.errors import EchosslError, UserError

ASIDE_NAME = "aside.csv"


def folds_of(
    table: pd.DataFrame, column: str, *, folds: int, repeats: int, aside: float, seed: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Names of manifests, and each with its column ``split``.

    Args:
        table: a manifest.
        column: a label column of 0, 1 and NaN.
        folds: parts that are tested in turn.
        repeats: how often patients are dealt to folds anew.
        aside: share of the assessed patients that is set aside, below 1; 0 sets nobody aside.
        seed: of everything.

    Raises:
        UserError: if the column is missing, or a fold would lack a class.
    """
    if column not in table:
        raise UserError(f"manifest: no column {column}; found {', '.join(table.columns)}")
    assessed = table[table[column].notna()]
    if aside:
        shares = {"test": aside, "train": 1 - aside}
        dealt = assign_splits(assessed, shares, seed=seed, stratify=column)
        yield ASIDE_NAME, with_test(table, assessed.index[dealt == "test"])
        assessed = assessed[dealt == "train"]
    for repeat in range(repeats):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + repeat)
        parts = splitter.split(assessed, assessed[column].astype(int), assessed["patient_id"])
        for fold, (_, places) in enumerate(parts):
            part = assessed.iloc[places]
            if part[column].nunique() < 2:
                raise UserError(
                    f"fold {fold} of repeat {repeat}: holds one class of {column} alone; take fewer folds "
                    f"than {folds}, or another seed"
                )
            yield f"repeat{repeat}-fold{fold}.csv", with_test(table, part.index)


def with_test(table: pd.DataFrame, rows: pd.Index) -> pd.DataFrame:
    """The manifest with these rows as test split and all others as training split."""
    return table.assign(split=np.where(table.index.isin(rows), "test", "train"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path, help="folder of the manifests")
    parser.add_argument("--column", required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--aside", type=float, default=0.0, help="share of patients that is never tested")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    numbers = {"folds": given.folds, "repeats": given.repeats, "aside": given.aside, "seed": given.seed}
    try:
        table = read_manifest(given.manifest, binary_columns=[given.column])
        for name, part in folds_of(table, given.column, **numbers):
            write_manifest(part, given.out / name)
    except EchosslError as error:
        sys.exit(f"real_check_folds.py: {error}")


if __name__ == "__main__":
    main()
