"""Reports of studies: the texts of a manifest, one of each study."""

import logging

import pandas as pd

from echossl.errors import ManifestError, UserError, first_names

REPORT_COLUMN = "report"
# row 1 of a spreadsheet is the header
FIRST_ROW = 2
logger = logging.getLogger(__name__)


def with_reports(manifest: pd.DataFrame, *, column: str, name: str) -> pd.DataFrame:
    """The videos of studies that have a report, each with the report of its study.

    A study's report may stand in all its rows or in some of them. Studies without one are left out, and how
    many is said.

    Args:
        manifest: as :func:`echossl.data.manifest.read_manifest` returns it, or some of its rows.
        column: that holds the reports.
        name: the manifest's file, for messages.

    Returns:
        Its rows, with the report in the column ``report``.

    Raises:
        UserError: if there is no such column, or no report in it.
        ManifestError: if a study has two different reports, one line each.
    """
    if column not in manifest:
        raise UserError(
            f"{name}: report_column: no column {column!r}, found {', '.join(manifest.columns)}; "
            "set report_column to the one that holds the reports"
        )
    texts = manifest[column].astype(object).fillna("").astype(str).str.strip()
    found = manifest.assign(**{REPORT_COLUMN: texts})
    written = found[texts != ""]
    if written.empty:
        raise UserError(f"{name}: column {column}: no report in {len(manifest)} rows; fill it in")
    studies = written.groupby(["patient_id", "study_id"], sort=False)[REPORT_COLUMN]
    _require_one_each(written[studies.transform("nunique") > 1], name)
    of_study = studies.first()
    keys = pd.MultiIndex.from_frame(found[["patient_id", "study_id"]])
    found = found.assign(**{REPORT_COLUMN: of_study.reindex(keys).to_numpy()})
    kept = found[found[REPORT_COLUMN].notna()]
    num_left_out = keys.nunique() - len(of_study)
    if num_left_out:
        logger.warning(
            "%s: column %s: %d of %d studies have no report and are left out",
            name,
            column,
            num_left_out,
            keys.nunique(),
        )
    return kept


def reports_of_studies(table: pd.DataFrame) -> list[str]:
    """The report of each study, in the order of patients and studies.

    Args:
        table: ``patient_id``, ``study_id`` and ``report`` of videos, as :func:`with_reports` leaves them.
    """
    return table.groupby(["patient_id", "study_id"])[REPORT_COLUMN].first().tolist()


def _require_one_each(conflicts: pd.DataFrame, name: str) -> None:
    """Name the rows of every study that has two reports; no id, as the row is enough to find it."""
    lines = []
    for _, rows in conflicts.groupby(["patient_id", "study_id"], sort=False):
        numbers = [str(number + FIRST_ROW) for number in rows.index]
        lines.append(
            f"{name}: rows {first_names(numbers)}: one study with {rows[REPORT_COLUMN].nunique()} different "
            "reports, expected one; leave one of them, or give the rows different study_ids"
        )
    if lines:
        raise ManifestError("\n".join(lines))
