"""Training curves of pre-trainings and of fine-tunings, from what the runs have written."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from echossl.report import TrainingCurve
from echossl.study.watch import read_metrics

SHOWN = ("loss", "contrastive/pair_accuracy", "frame_order/accuracy")


def pretraining_curves(runs: Sequence[Path]) -> Iterator[TrainingCurve]:
    """Loss and accuracies over the steps of each pre-training that has begun."""
    for run in runs:
        lines = read_metrics(run)
        for key in SHOWN:
            points = [(line["step"], line[key]) for line in lines if key in line]
            if points:
                steps, values = np.array(points, dtype=np.float64).T
                yield TrainingCurve(run.name.replace("_", " "), key.replace("/", " "), steps, values)


def validation_curves(title: str, result: Mapping[str, Any]) -> Iterator[TrainingCurve]:
    """Loss and merit on the validation patients over the steps of a fine-tuning, where it kept them."""
    lines = result.get("validation") or []
    for key, name in (("loss", "validation loss"), ("merit", "validation merit")):
        points = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
        if len(points) > 1:
            steps, values = np.array(points, dtype=np.float64).T
            yield TrainingCurve(title, name, steps, values)
