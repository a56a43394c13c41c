"""``predictions.csv``: test studies, labels unseen until then; ``validation.csv``: those held out."""

from pathlib import Path

import pandas as pd

from echossl.adapt.budget import Budget, Floats, largest_targets, refuse_mixed_studies, targets_of
from echossl.adapt.scores import KEYS
from echossl.adapt.tasks import Task
from echossl.adapt.units import STUDY_OF_VIDEO
from echossl.config.evaluation import VALIDATION_SPLIT
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
    _write(task, scored, largest_targets(test["study_id"], targets), split, path, videos=test)


def write_validation(
    task: Task, scored: pd.DataFrame, budget: Budget, videos: pd.DataFrame, path: Path
) -> None:
    """Write the studies that a choice was made on, as :func:`write_predictions` does, as split ``val``.

    Their scores are those of the classifier that was chosen, before it was trained on them too; that the
    choice was made on them makes them look a little better than studies of other patients would.

    Args:
        task: what was learned.
        scored: see :func:`scored_studies`.
        budget: the labelled patients; the labels are its targets, no other one is read.
        videos: stored videos of the manifest, labels are not needed.
        path: the file.
    """
    held_out = budget.validation_videos
    targets = largest_targets(held_out["study_id"], targets_of(held_out))
    _write(task, scored, targets, VALIDATION_SPLIT, path, videos=videos)


def _write(
    task: Task, scored: pd.DataFrame, targets: pd.DataFrame, split: str, path: Path, *, videos: pd.DataFrame
) -> None:
    """Keys, labels and scores; by video ``videos`` says of which study each is."""
    of_study = targets.loc[scored["study_id"]]
    keys = scored[KEYS].assign(split=split)
    if task.settings.unit == "video":
        study = videos.set_index("study_id")[STUDY_OF_VIDEO].loc[scored["study_id"]]
        keys.insert(2, "path", scored["study_id"])
        keys["study_id"] = study.to_numpy()
    table = pd.concat([keys, task.labels(of_study.to_numpy()), scored[list(task.score_names)]], axis=1)
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
