"""The rows of a manifest whose view is one of those asked for, as a manifest of its own.

    .venv/bin/python experiments/studies/keep_views.py all.csv manifest.csv --views PLAX

A row without a view is left out: what is not known to be wanted is not taken.
"""

import argparse
import sys
from pathlib import Path

from echossl.data.manifest import read_manifest, write_manifest
from echossl.errors import EchosslError, UserError


def keep_views(manifest: Path, out: Path, views: list[str]) -> str:
    """Write the rows of these views, and say how many they are.

    Raises:
        UserError: if the manifest has no views, or none of those asked for.
    """
    table = read_manifest(manifest, files_needed=False)
    if "view" not in table:
        raise UserError(f"{manifest}: no column view; index with a table of views, or predict them first")
    wanted = {view.lower() for view in views}  # tables of views differ in case alone: PLAX, plax
    kept = table[table["view"].str.lower().isin(wanted)]
    if kept.empty:
        found = ", ".join(sorted(view for view in table["view"].dropna().unique() if view))
        raise UserError(f"{manifest}: no video of view {', '.join(views)}; found {found or 'none'}")
    write_manifest(kept.reset_index(drop=True), out)
    patients = f"{kept['patient_id'].nunique()} of {table['patient_id'].nunique()} patients"
    return f"{out}: {len(kept)} of {len(table)} videos, {patients}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--views", nargs="+", required=True, help="views, in any case")
    given = parser.parse_args()
    try:
        print(keep_views(given.manifest, given.out, given.views))
    except EchosslError as error:
        sys.exit(f"keep_views.py: {error}")


if __name__ == "__main__":
    main()
