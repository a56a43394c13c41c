"""The runs of a study by name: which are finished, which wait for another, and how one is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from echossl.adapt import finetune
from echossl.config.across import AcrossConfig
from echossl.config.adapt import FinetuneConfig
from echossl.config.data import DataConfig, SourceConfig
from echossl.config.logging import WandbConfig
from echossl.config.study import StudyConfig
from echossl.config.training import PretrainConfig
from echossl.encoders.files import FILE_NAME as ENCODER_NAME
from echossl.errors import UserError
from echossl.runs import RunFolder
from echossl.study.across_run import COMMAND, adapt_across
from echossl.study.cells import Cell, cell_name, plan_cells, plan_pretrainings
from echossl.study.wandb_cells import cell_wandb, log_cell
from echossl.training.pretrain import pretrain


@dataclass(frozen=True)
class Task:
    """One run of a study.

    Attributes:
        name: of a pre-training ``NAME-seedS``, of a cell ``ARM/fractionF-drawD-seedS``.
        config: its settings.
        cell: its place in the grid; None for a pre-training.
        needs: name of the pre-training that it starts from, or None.
        wandb: how a cell is shown at Weights & Biases; None if it is not.
        question: what its figure there answers.
    """

    name: str
    config: PretrainConfig | FinetuneConfig
    cell: Cell | None = None
    needs: str | None = None
    wandb: WandbConfig | None = None
    question: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether its result and what others read of it are there; a run whose product is gone is not."""
        if self.cell is not None:
            return self.cell.is_finished
        return all((self.config.out / name).is_file() for name in ("result.json", ENCODER_NAME))

    @property
    def command(self) -> str:
        """The command that its run folder names."""
        if self.cell is None:
            return "pretrain"
        return COMMAND if self.cell.place else "finetune"

    @property
    def data(self) -> list[DataConfig | SourceConfig]:
        """Every manifest and store that it reads."""
        match self.config:
            case PretrainConfig():
                return [self.config.data, *self.config.fusion.sources]
            case AcrossConfig():
                return [*self.config.adapted, *self.config.tested]
        return [self.config.data]

    def refuse_other_settings(self) -> None:
        """Raise RunFolderError if its folder holds a run with other settings."""
        if (self.config.out / "run.json").is_file():
            RunFolder.open(self.config.out, self.config, command=self.command)


def plan_tasks(config: StudyConfig) -> list[Task]:
    """Every run of a study: the pre-trainings first, then the cells."""
    trainings = [Task(one.out.name, one) for one in plan_pretrainings(config)]
    return trainings + [cell_task(config, cell) for cell in plan_cells(config)]


def cell_task(config: StudyConfig, cell: Cell) -> Task:
    """The task of one cell."""
    start = cell.config.start
    needs = start.name if start and cell.arm.pretraining else None
    shown = cell_wandb(config.wandb, cell)
    return Task(cell_name(config, cell), cell.config, cell, needs, shown, config.evaluated)


def left_to_do(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that are not finished; of the pre-trainings those that an unfinished cell starts from.

    A pre-training without any cell among the tasks was asked for itself.
    """
    open_tasks = [task for task in tasks if not task.is_finished]
    if not any(task.cell for task in tasks):
        return open_tasks
    needed = {task.needs for task in open_tasks}
    return [task for task in open_tasks if task.cell or task.name in needed]


def find_task(config: StudyConfig, name: str, *, is_cell: bool) -> Task:
    """The cell or the pre-training of this name.

    Raises:
        UserError: if the study has none.
    """
    tasks = [task for task in plan_tasks(config) if (task.cell is not None) == is_cell]
    found = next((task for task in tasks if task.name == name), None)
    if found is None:
        kind, example = ("cell", tasks[0].name) if is_cell else ("pretraining", _first_name(tasks))
        raise UserError(f"{kind} {name!r}: the study has none of this name; names look like {example}")
    return found


def do_task(task: Task) -> Path:
    """Do one run, or what is left of it.

    A run that says it is finished but has lost its product is opened again: a pre-training goes on from its
    newest checkpoint, a cell is adapted anew.

    Returns:
        What the run made.
    """
    task.refuse_other_settings()
    was_finished = task.is_finished
    if not was_finished:
        (task.config.out / "result.json").unlink(missing_ok=True)
    if isinstance(task.config, PretrainConfig):
        return pretrain(task.config)
    if isinstance(task.config, AcrossConfig):
        return adapt_across(task.config)
    predictions = finetune(task.config)
    if task.wandb is not None and not was_finished:
        log_cell(task.wandb, task.config, task.question)
    return predictions


def do_alone(config: StudyConfig, name: str, *, is_cell: bool) -> Path:
    """Do one run of a study by its name, in this process.

    Raises:
        UserError: if the study has none of this name, or the pre-training of a cell is not finished.
    """
    task = find_task(config, name, is_cell=is_cell)
    if task.needs and not task.is_finished and not find_task(config, task.needs, is_cell=False).is_finished:
        raise UserError(
            f"cell {name}: its pre-training is not finished; run echossl sweep FILE.yaml --pretraining "
            f"{task.needs} first"
        )
    return do_task(task)


def _first_name(tasks: Sequence[Task]) -> str:
    return tasks[0].name if tasks else "NAME-seed0, but no arm starts from a pre-training"
