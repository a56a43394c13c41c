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
from echossl.evaluation.summaries import (
    Summary,
    summarise_classes,
    summarise_findings,
    summarise_measurement,
)
from echossl.evaluation.tables import TableColumns, read_table


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
        Of several yes or no, classes and grades first a summary over them, then each question. Of several
        questions those that lack a class on a split are left out there, which the summary says.

    Raises:
        UserError: if the table is wrong, or a split lacks a class.
    """
    names = columns or TableColumns()
    table = read_table(path, names)
    before = None if validation is None else _validation(read_table(validation, names), config)
    found: list[Assessment | Summary] = []
    splits = list(dict.fromkeys(table["split"]))
    judged = questions_of(path, table, names.label)
    for split in splits:
        found += _summaries(path, table, names.label, split, config, judged)
        for predictions in _usable(judged, split):
            own, told = None, ""
            if before is not None and validation is not None:
                own = predictions_of(validation, before, predictions.column)
            elif config.validation_split in predictions.splits and split != config.validation_split:
                own = predictions.only(config.validation_split)
            else:
                own, told = kept_validation(path, predictions.only(split), config, columns=names)
            others = _joined(path, table, manifest, config)
            judged_split = predictions.only(split)
            found.append(assess(judged_split, config, table=others, validation=own, told=told))
    return found


def _usable(judged: list[Predictions], split: str) -> list[Predictions]:
    """The questions with both answers on a split; all that it has labels for if none is, to be refused."""
    here = [one for one in judged if split in one.splits]
    both = [one for one in here if np.unique(one.labels[one.splits == split]).size == 2]
    return both or here


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
            f"{', '.join(table.columns)}; name yours with --label and --score"
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
