"""What ``echossl report`` does: finds out what a path holds, and writes its page."""

import json
from pathlib import Path

from echossl.config.report import ReportConfig
from echossl.errors import UserError
from echossl.evaluation.tables import TableColumns
from echossl.report import ReportPage, source_of, write_report
from echossl.report.checklists import write_checklist
from echossl.study.demo import demo_page
from echossl.study.folder_page import folder_page, is_study_folder
from echossl.study.run_page import run_page
from echossl.study.table_page import table_page

PAGE_NAME = "report.html"


def report_of(
    path: Path,
    config: ReportConfig,
    *,
    out: Path | None = None,
    columns: TableColumns | None = None,
    validation: Path | None = None,
) -> Path:
    """Write the page of a demo, a study, a fine-tuning run or a table of predictions.

    Args:
        path: folder, or table of any tool.
        config: of the page.
        out: the file; ``report.html`` in or beside the path unless given.
        columns: names of the columns of a table; of a run only ``label`` may be named.
        validation: predictions for the validation split of a table, if they are in another one.

    Returns:
        The page.

    Raises:
        UserError: if the path holds nothing to report.
    """
    names = columns or TableColumns()
    target = out or (path if path.is_dir() else path.parent) / PAGE_NAME
    page = _page(path, config, names, validation)
    if out is None and page.source and source_of(target) not in {"", page.source}:
        raise UserError(
            f"{target}: is the report of {source_of(target)}; name another file for that of {path.name} "
            "with -o"
        )
    write_report(page, target, film_kilobytes=config.film_kilobytes)
    return target


def checklist_of(path: Path, config: ReportConfig, page: Path) -> Path:
    """Write ``checklist.md`` beside the page of a fine-tuning run, from its records.

    Raises:
        UserError: if the path is no such run: a table or a study has not its records.
    """
    refuse_checklist(path)
    return write_checklist(path, page.parent / "checklist.md", config)


def refuse_checklist(path: Path) -> None:
    """Raise UserError where there are no records to fill a checklist from."""
    if not path.is_dir() or _command(path) != "finetune":
        raise UserError(
            f"{path}: a checklist is filled from a finetune run; give its folder, such as a cell's"
        )


def _page(path: Path, config: ReportConfig, names: TableColumns, validation: Path | None) -> ReportPage:
    if not path.is_dir():
        return table_page(path, config, columns=names, validation=validation)
    command = _command(path)
    only_label = TableColumns(label=names.label)
    if validation is not None or names != only_label:
        raise UserError(
            f"{path}: names of columns and --validation are for a table; give its predictions.csv"
        )
    if command == "finetune":
        return run_page(path, config, column=names.label)
    if names.label is not None:
        raise UserError(f"{path}: --label is for a run or a table; a study is about one label already")
    if command == "demo":
        return demo_page(path, config)
    if is_study_folder(path):
        return folder_page(path, config)
    raise UserError(
        f"{path}: holds {f'a run of {command}' if command else 'no run.json and no results.csv'}; give the "
        "folder of a demo, a study or a finetune run, or a table of predictions"
    )


def _command(folder: Path) -> str | None:
    """The command of a run folder, or None."""
    record = folder / "run.json"
    return str(json.loads(record.read_text(encoding="utf-8"))["command"]) if record.is_file() else None
