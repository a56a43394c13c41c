"""The validation studies that a fine-tuned run keeps beside its predictions: do they suffice?"""

from pathlib import Path

import numpy as np

from echossl.config.evaluation import LEAST_PER_CLASS, VALIDATION_NAME, EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.study import Predictions, predictions_of
from echossl.evaluation.tables import TableColumns, read_table

PREDICTIONS_NAME = "predictions.csv"


def kept_validation(
    path: Path, judged: Predictions, config: EvaluationConfig, *, columns: TableColumns | None = None
) -> tuple[Predictions | None, str]:
    """The ``validation.csv`` beside a run's ``predictions.csv``, if it holds enough studies of both classes.

    Its scores are those of the classifier that was chosen, before it was trained on these patients too; see
    :func:`echossl.adapt.predictions.write_validation`. A table that is named outright needs no number.

    Args:
        path: the table that is judged.
        judged: its studies of one split.
        config: its ``validation_split`` becomes the name of the split.
        columns: names of the columns of both tables.

    Returns:
        The studies, or None; and what there is to say of them in a sentence, nothing where there is no such
        file, or where the validation split itself is judged.
    """
    kept = path.with_name(VALIDATION_NAME)
    is_own_split = config.validation_split in judged.splits
    if path.name != PREDICTIONS_NAME or is_own_split or not kept.is_file():
        return None, ""
    try:
        found = predictions_of(kept, read_table(kept, columns), judged.column)
    except UserError as error:
        return None, f"the validation studies beside it cannot serve ({error})"
    if set(found.patients.tolist()) & set(judged.patients.tolist()):
        return None, f"{kept} is of patients that are judged here too"
    positive = int(found.labels.sum())
    counts = f"{positive} positive and {found.labels.size - positive} negative {found.unit}"
    if min(positive, found.labels.size - positive) < LEAST_PER_CLASS:
        return None, (
            f"{kept} holds {counts} of the label budget, expected {LEAST_PER_CLASS} of each; name it, or "
            "another table, with --validation to take fewer"
        )
    split = np.full(found.splits.shape, config.validation_split)
    told = f"thresholds and any recalibration from {kept}: {counts}, scored before they were trained on too"
    return Predictions(**(vars(found) | {"splits": split})), told
