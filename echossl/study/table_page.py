"""The page of a bare table of predictions, from any tool."""

from pathlib import Path

from echossl.config.report import ReportConfig
from echossl.evaluation.assessment import Assessment
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.summary import Summary
from echossl.evaluation.tables import TableColumns, read_manifest_table
from echossl.report import Judged, ReportPage

LIMITS = [
    "Research use only; not a medical device.",
    "The page stands on the table alone: it cannot tell how the patients were chosen or the scores made.",
    "Figures hold for patients like these, from these machines; another hospital is another question.",
]
NOT_IN_A_TABLE = (
    "a table of predictions says nothing of them; give the folder of a run or of a study instead of its table"
)


def table_page(
    path: Path, config: ReportConfig, *, columns: TableColumns, validation: Path | None = None
) -> ReportPage:
    """Judge every question of a table on every split.

    Args:
        path: the table.
        config: of the page.
        columns: names of its columns.
        validation: predictions for the validation split, if they are in another table.

    Raises:
        UserError: if the table is wrong or asks no question.
    """
    manifest = None if config.manifest is None else read_manifest_table(config.manifest, columns)
    found = evaluate_file(path, config, columns=columns, manifest=manifest, validation=validation)
    said = [one for one in found if isinstance(one, Assessment) or one.kind != "left_out"]
    # the validation split is there to fix thresholds on; alone it is what the reader wants judged
    shown = [one for one in said if one.split != config.validation_split] or said
    answers = [one for one in shown if isinstance(one, Assessment)]
    judged = [Judged(f"{one.column.replace('_', ' ')}, split {one.split}", "", one) for one in answers]
    left_out = [one for one in found if isinstance(one, Summary) and one.kind == "left_out"]
    missing = [("Label budget, training curves, saliency, environment of the training", NOT_IN_A_TABLE)]
    missing += [(f"{one.column}, split {one.split}", one.notes[0]) for one in left_out]
    return ReportPage(
        title=config.title or path.stem.replace("_", " "),
        lead=f"Scores of {path.name}, judged by study with intervals over patients.",
        what_was_run=[("Table", str(path)), ("Intervals", shown[0].definition)],
        source=path.name,
        judged=judged,
        summaries=[one for one in shown if isinstance(one, Summary)],
        missing=missing,
        limits=LIMITS,
    )
