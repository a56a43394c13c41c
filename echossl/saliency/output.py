"""Which answer of a classifier is explained: a column, a class, a cut of grades, a measurement."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from echossl.config.task import TaskName, TaskSettings
from echossl.errors import UserError


@dataclass(frozen=True)
class Output:
    """One answer.

    Attributes:
        name: as a user gives it.
        question: as ``predictions.csv`` can be evaluated by it; of a measurement its column.
        title: in words, as pictures show it.
        kind: the task.
        place: which of the head's outputs.
        mean: of a measurement, in its unit.
        deviation: of a measurement, in its unit.
    """

    name: str
    question: str
    title: str
    kind: TaskName
    place: int = 0
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def is_number(self) -> bool:
        """Whether it is a measurement, so that studies are neither positive nor negative."""
        return self.kind == "regression"

    def of(self, outputs: Tensor) -> Tensor:
        """What is explained of the outputs of a head.

        Args:
            outputs: (batch, outputs).

        Returns:
            (batch, 1): the logit of a column or of a cut; the log odds of a class against all others, since
            what raises the logits of all classes alike changes no answer; a measurement in its unit.
        """
        own = outputs[:, self.place : self.place + 1]
        match self.kind:
            case "multiclass":
                others = torch.cat([outputs[:, : self.place], outputs[:, self.place + 1 :]], dim=1)
                return own - others.logsumexp(dim=1, keepdim=True)
            case "regression":
                return self.mean + self.deviation * own
        return own


class OneOutput(nn.Module):
    """A head of several outputs as one of a single answer: (batch, dim) to (batch, 1)."""

    def __init__(self, head: nn.Module, output: Output) -> None:
        super().__init__()
        self.head, self.output = head, output

    def forward(self, features: Tensor) -> Tensor:
        """(batch, dim) to (batch, 1)."""
        return self.output.of(self.head(features))


def outputs_of(task: TaskSettings) -> tuple[Output, ...]:
    """Every answer of a task that can be explained, in the order of the head's outputs."""
    column = task.columns[0]
    named = [(name, name.replace(" ", "_")) for name in task.classes]
    match task.name:
        case "multiclass":
            return tuple(
                Output(written, f"{column}_is_{written}", f"{column}: {name}", "multiclass", place)
                for place, (name, written) in enumerate(named)
            )
        case "ordinal":
            return tuple(
                Output(
                    f"at_least_{written}",
                    f"{column}_at_least_{written}",
                    f"{column}: {name} or higher",
                    "ordinal",
                    place,
                )
                for place, (name, written) in enumerate(named[1:])
            )
        case "regression":
            return (Output(column, column, column, "regression", 0, task.mean, task.deviation),)
        case "binary" | "multilabel":
            return tuple(
                Output(name, name, name, task.name, place) for place, name in enumerate(task.columns)
            )


def choose_output(task: TaskSettings, name: str | None, run: Path) -> Output:
    """The answer of this name.

    Args:
        task: what was learned.
        name: of a column, a class, or a cut (``at_least_severe``); None takes the only one.
        run: for messages.

    Raises:
        UserError: if there is no such answer, or there are several and none is named.
    """
    known = outputs_of(task)
    names = ", ".join(output.name for output in known)
    if name is None and len(known) > 1:
        raise UserError(f"{run}: the {task.name} task has several outputs; give output= one of {names}")
    wanted = known[0].name if name is None else name.strip().replace(" ", "_")
    found = [output for output in known if wanted in {output.name, output.question}]
    if not found:
        raise UserError(f"output: found {name}, expected {'one of ' if len(known) > 1 else ''}{names}")
    return found[0]
