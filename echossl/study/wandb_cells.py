"""The runs of a study at Weights & Biases: grouped by arm, found by fraction, draw and seed."""

import json
from typing import Any

from echossl.adapt.finetune import PREDICTIONS_NAME
from echossl.config.adapt import FinetuneConfig
from echossl.config.logging import WandbConfig
from echossl.evaluation import auroc, read_predictions
from echossl.runs import RunFolder
from echossl.study.cells import Cell
from echossl.training.wandb_log import open_wandb

JOB_TYPE = "adapt"
COUNTS = ("num_labelled_patients", "num_test_patients", "seconds")


def cell_wandb(study: WandbConfig, cell: Cell) -> WandbConfig | None:
    """How a cell is shown; None unless the study's settings say that W&B is used."""
    if study.mode in {"auto", "disabled"}:
        return None
    tags = (f"fraction{cell.fraction:g}", f"draw{cell.draw}", f"seed{cell.seed}", *study.tags)
    return study.model_copy(update={"group": cell.arm.name, "job_type": JOB_TYPE, "tags": tags})


def log_cell(wandb: WandbConfig, config: FinetuneConfig, question: str) -> None:
    """Send what a finished cell found: its looks at the validation patients, then its test figures."""
    result: dict[str, Any] = json.loads((config.out / "result.json").read_text(encoding="utf-8"))
    with open_wandb(wandb, run=RunFolder(config.out), settings=config) as log:
        last = 0
        for look in result.get("validation", []):
            last = int(look["step"])
            log.write(last, _numbers({f"validation/{name}": value for name, value in look.items()}))
        predictions = read_predictions(config.out / PREDICTIONS_NAME, question)
        figures = {"test/auroc": auroc(predictions.labels, predictions.scores)}
        counts = _numbers({name: result.get(name) for name in COUNTS})
        log.write(last + 1, figures | counts)


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isinstance(value, int | float)}
