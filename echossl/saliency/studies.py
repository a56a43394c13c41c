"""Which studies are explained: drawn from those that a run predicted, without looking at their scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.config.task import TaskName
from echossl.data.manifest import read_manifest
from echossl.data.order import shuffled
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.evaluation.study import Predictions, read_predictions
from echossl.saliency.model import Model
from echossl.saliency.output import Output

STUDY = ["patient_id", "study_id"]
KEYS = [*STUDY, "split"]
# tasks whose columns of the manifest hold 0 or 1
ZERO_OR_ONE: tuple[TaskName, ...] = ("binary", "multilabel")


def read_answers(path: Path, output: Output, split: str) -> Predictions:
    """What a run said of the studies of a split that have a label.

    Args:
        path: a ``predictions.csv``.
        output: what is explained. Of a measurement the studies above the median of the split stand for the
            positive ones.
        split: name of the split.

    Raises:
        UserError: if the table has faults, or no study of the split has a label.
    """
    if not output.is_number:
        return read_predictions(path, output.question).only(split)
    table = pd.read_csv(path, dtype=dict.fromkeys(KEYS, str))
    known = table.dropna(subset=output.question)
    patients, studies, splits = (known[name].to_numpy(dtype=np.str_) for name in KEYS)
    values = known[output.question].to_numpy(np.float64)
    scores = known[f"{output.question}_score"].to_numpy(np.float64)
    blank = np.zeros(len(known), dtype=np.int64)
    every = Predictions(str(path), output.question, patients, studies, splits, blank, scores)
    found = every.only(split)
    own = values[splits == split]
    return replace(found, labels=(own > np.median(own)).astype(np.int64))


def choose_studies(predictions: Predictions, count: int, *, seed: int) -> pd.DataFrame:
    """Draw studies, half of them positive as far as there are; their scores play no part.

    Args:
        predictions: of one split.
        count: studies, at most all; of an odd number one more is negative.
        seed: which draw; a larger ``count`` holds the studies of a smaller one.

    Returns:
        ``study_id, patient_id, label, score``, positive studies first.
    """
    table = pd.DataFrame(
        {
            "study_id": predictions.studies,
            "patient_id": predictions.patients,
            "label": predictions.labels,
            "score": predictions.scores,
        }
    )
    positive, negative = (_in_random_order(table[table["label"] == label], seed) for label in (1, 0))
    positives = min(len(positive), max(count // 2, count - len(negative)))
    return pd.concat([positive[:positives], negative[: count - positives]], ignore_index=True)


def _in_random_order(studies: pd.DataFrame, seed: int) -> pd.DataFrame:
    places = {name: place for place, name in enumerate(shuffled(set(studies["study_id"]), "explain", seed))}
    # two patients may have a study of one name
    order = studies.assign(place=studies["study_id"].map(places)).sort_values(["place", "patient_id"])
    return order.drop(columns="place")


def videos_of(store: ClipStore, model: Model, studies: pd.DataFrame) -> pd.DataFrame:
    """The videos of the studies with a label, in the order of the studies.

    Args:
        store: the clip store.
        model: what predicted the studies.
        studies: see :func:`choose_studies`.

    Returns:
        The columns of the studies, ``path`` and ``row`` (of the store).

    Raises:
        UserError: if a study is gone.
    """
    path = model.settings.data.manifest
    columns = model.task.columns if model.task.name in ZERO_OR_ONE else ()
    uncertain = model.settings.labels.uncertain
    manifest = read_manifest(path, binary_columns=columns, files_needed=False, uncertain=uncertain)
    table = store.rows_for(manifest)
    # a study's score is that of all its videos with any label
    assessed = table.loc[table[list(model.task.columns)].notna().any(axis=1), [*STUDY, "path", "row"]]
    videos = studies.merge(assessed, on=STUDY, how="left", validate="one_to_many")
    if videos["row"].isna().any():
        raise UserError(
            f"{path}: study {videos.loc[videos['row'].isna(), 'study_id'].iloc[0]} was "
            "predicted but is not there any more; run echossl finetune again"
        )
    return videos
