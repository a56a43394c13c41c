"""From a file of predictions to all that is said of it: which questions its columns ask, split by split."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.assess import assess
from echossl.evaluation.assessment import Assessment
from echossl.evaluation.beside import kept_validation
from echossl.evaluation.cuts import SCORE_SUFFIX, cuts_of
from echossl.evaluation.joined import paths_as_in
from echossl.evaluation.study import Predictions, predictions_of
from echossl.evaluation.summaries import summarise_classes, summarise_findings, summarise_measurement
from echossl.evaluation.summary import LabelledRows, Summary
from echossl.evaluation.tables import TableColumns, found_columns, read_table


def evaluate_file(
    path: Path,
    config: EvaluationConfig,
    *,
    columns: TableColumns | None = None,
    manifest: pd.DataFrame | None = None,
    validation: Path | None = None,
) -> list[Assessment | Summary]:
    """Judge every question of a table on every split.

    Args:
        path: the table, of any tool.
        config: every setting.
        columns: names of its columns; ``label`` picks one question, or all of one column of classes.
        manifest: columns for subgroups and correlations besides those of the table.
        validation: predictions for the validation split, if they are in another table; its rows are taken
            for that split whatever it calls them. Without it, and without such a split, those that a run
            keeps beside its predictions are taken if they are enough; see
            :func:`echossl.evaluation.beside.kept_validation`.

    Returns:
        Of several yes or no, classes and grades first a summary over them, then each question. A question
        that a split cannot answer, for want of a class or of rows, has a summary of kind ``left_out`` there,
        unless the summary over several questions says so already.

    Raises:
        UserError: if the table is wrong, or no split answers any question.
    """
    names = columns or TableColumns()
    table = read_table(path, names)
    before = None if validation is None else _validation(read_table(validation, names), config)
    found: list[Assessment | Summary] = []
    judged = questions_of(path, table, names.label)
    for split in dict.fromkeys(table["split"]):
        summaries = list(_summaries(path, table, names.label, split, config, judged))
        found += summaries
        told = _told_by(summaries, table)
        for predictions in judged:
            if _has_both(predictions, split):
                own: Predictions | None
                if before is not None and validation is not None:
                    own, said = predictions_of(validation, before, predictions.column), ""
                else:
                    own, said = _fixed_on(path, predictions, split, config, names)
                others = _joined(path, table, manifest, config)
                found.append(assess(predictions.only(split), config, table=others, validation=own, told=said))
            elif predictions.column not in told:
                found.append(_left_out(path, table, predictions, split, config))
    if all(isinstance(one, Summary) and one.kind == "left_out" for one in found):
        reasons = [note for one in found if isinstance(one, Summary) for note in one.notes]
        raise UserError(f"{path}: {'; '.join(reasons[:1]) or 'holds no row'}")
    return found


def _fixed_on(
    path: Path, predictions: Predictions, split: str, config: EvaluationConfig, columns: TableColumns
) -> tuple[Predictions | None, str]:
    """The validation studies of the table or beside it, and what there is to say of them."""
    own_split = config.validation_split
    if own_split not in predictions.splits or split == own_split:
        return kept_validation(path, predictions.only(split), config, columns=columns)
    if not _has_both(predictions, own_split):
        return None, f"{_without_both(predictions, own_split)}, so no threshold can be fixed on it"
    return predictions.only(own_split), ""


def _has_both(predictions: Predictions, split: str) -> bool:
    return np.unique(predictions.labels[predictions.splits == split]).size == 2


def _without_both(predictions: Predictions, split: str) -> str:
    """Why a split does not answer a question."""
    labels = np.unique(predictions.labels[predictions.splits == split])
    return f"every {predictions.column} of split {split!r} is {labels[0] if labels.size else 'empty'}"


def _told_by(summaries: list[Summary], table: pd.DataFrame) -> set[str]:
    """Questions of which a summary over several says whether the split answers them."""
    columns = {one.column for one in summaries}
    found = {name for name, cut in cuts_of(list(table.columns)).items() if cut.label in columns}
    return found | (set(_binary(table)) if any(one.kind == "findings" for one in summaries) else set())


def _left_out(
    path: Path, table: pd.DataFrame, predictions: Predictions, split: str, config: EvaluationConfig
) -> Summary:
    label = cuts_of(list(table.columns))
    column = label[predictions.column].label if predictions.column in label else predictions.column
    rows = LabelledRows.of(path, table, table[column].str.strip() != "", split, config)
    return rows.left_out(
        predictions.column,
        f"{_without_both(predictions, split)}, expected both 0 and 1; evaluate a split that holds both "
        "classes",
    )


def _validation(table: pd.DataFrame, config: EvaluationConfig) -> pd.DataFrame:
    renamed = table.assign(split=config.validation_split)
    renamed.attrs.update(table.attrs)
    return renamed


def measurements_of(table: pd.DataFrame) -> list[str]:
    """Label columns that hold numbers and not, for the most part, 0 or 1."""
    return [
        name
        for name in table.columns
        if name + SCORE_SUFFIX in table.columns and _is_measured(table[name].str.strip())
    ]


def _is_measured(cells: pd.Series) -> bool:
    known = cells[cells != ""]
    codes = known.isin(["0", "1", "0.0", "1.0"]).mean() if len(known) else 1.0
    return bool(codes < 0.5) and bool(pd.to_numeric(known, errors="coerce").notna().all())


def _binary(table: pd.DataFrame) -> list[str]:
    measured = measurements_of(table)
    return [name for name in table.columns if name + SCORE_SUFFIX in table.columns and name not in measured]


def _class_columns(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(cut.label for cut in cuts_of(list(table.columns)).values()))


def questions_of(path: Path, table: pd.DataFrame, label: str | None) -> list[Predictions]:
    """Every yes or no that a table answers, or those of one label column or cut.

    Raises:
        UserError: if there is none, or the table is wrong.
    """
    cuts = cuts_of(list(table.columns))
    if label is None:
        names = [*_binary(table), *cuts]
    elif label in _class_columns(table):
        names = [name for name, cut in cuts.items() if cut.label == label]
    elif label in measurements_of(table):
        names = []
    else:
        names = [label]
    if not names and label is None and not measurements_of(table):
        raise UserError(
            f"{path}: expected a label column with a {SCORE_SUFFIX} column beside it, found "
            f"{found_columns(table)}; name yours with --label and --score"
        )
    return [predictions_of(path, table, name) for name in names]


def _summaries(
    path: Path,
    table: pd.DataFrame,
    label: str | None,
    split: str,
    config: EvaluationConfig,
    judged: list[Predictions],
) -> Iterator[Summary]:
    for name in _class_columns(table):
        if label in {None, name}:
            yield summarise_classes(path, table, name, split, config)
    binary = set(_binary(table))
    findings = [one for one in judged if one.column in binary]
    if len(findings) > 1:
        summary = summarise_findings(path, table, findings, split, config)
        if summary is not None:
            yield summary
    for name in measurements_of(table):
        if label in {None, name}:
            yield summarise_measurement(path, table, name, split, config)


def _joined(
    path: Path, table: pd.DataFrame, manifest: pd.DataFrame | None, config: EvaluationConfig
) -> pd.DataFrame:
    """Where subgroups and correlations look: the manifest, with what the table alone has."""
    if manifest is None:
        return table
    wanted = {*config.subgroups, *(config.correlate or ()), config.grades}
    own = [name for name in table.columns if name in wanted and name not in manifest]
    if not own:
        return manifest
    # of videos study_id is the path
    is_of_videos = table.attrs["unit"] == "videos"
    keys = ["patient_id", "path" if is_of_videos else "study_id"]
    if keys[1] not in manifest:
        raise UserError(f"{path}: {', '.join(own)} of the table needs a manifest with {keys[1]}; it has none")
    text = manifest.assign(**{key: manifest[key].astype(str) for key in keys})
    if is_of_videos:
        text = text.assign(path=paths_as_in(manifest, table["path"].tolist()))
    return text.merge(table[[*keys, *own]], on=keys, how="left")
