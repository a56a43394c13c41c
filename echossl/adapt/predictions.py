"""``predictions.csv``: the scores of the test studies with their labels, which nothing has seen before."""

from pathlib import Path

import pandas as pd

from echossl.adapt.budget import Floats, largest_targets, refuse_mixed_studies
from echossl.adapt.scores import KEYS
from echossl.adapt.tasks import Task
from echossl.adapt.units import STUDY_OF_VIDEO
from echossl.files import atomic_path


def scored_studies(task: Task, studies: pd.DataFrame, outputs: Floats) -> pd.DataFrame:
    """Studies with the task's score columns.

    Args:
        task: with what it took from the labels of the budget.
        studies: ``patient_id, study_id``.
        outputs: (studies, outputs).
    """
    scores = pd.DataFrame(task.scores(outputs), columns=list(task.score_names))
    return pd.concat([studies[KEYS].reset_index(drop=True), scores], axis=1)


def write_predictions(task: Task, scored: pd.DataFrame, test: pd.DataFrame, split: str, path: Path) -> None:
    """Write one row per study, or per video where that is the unit of the task.

    Args:
        task: what was learned.
        scored: see :func:`scored_studies`.
        test: the test videos with their labels; a study has the largest of its videos' labels.
        split: name of the test split.
        path: the file: ``patient_id, study_id, split`` (by video ``patient_id, study_id, path, split``, the
            path as the manifest names it), a column of labels for each label column of the
            manifest, then the score columns.

    Raises:
        UserError: if a label is none of the task.
    """
    targets = task.targets(test)
    refuse_mixed_studies(task, test, targets)
    of_study = largest_targets(test["study_id"], targets).loc[scored["study_id"]]
    keys = scored[KEYS].assign(split=split)
    if task.settings.unit == "video":
        study = test.set_index("study_id")[STUDY_OF_VIDEO].loc[scored["study_id"]]
        keys.insert(2, "path", scored["study_id"])
        keys["study_id"] = study.to_numpy()
    table = pd.concat([keys, task.labels(of_study.to_numpy()), scored[list(task.score_names)]], axis=1)
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
