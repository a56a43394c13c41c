"""The loss of classes that not every source assesses, against a plain softmax source by source."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from echossl.adapt.tasks import resolve_task
from echossl.adapt.tasks.assessed import ASSESSED_COLUMN, AssessedTask, assessed_text
from echossl.config.across import AssessedLabels
from echossl.errors import UserError

CLASSES = ("normal", "amd", "dme", "cnv")
FIRST, SECOND = ("normal", "amd", "dme"), ("cnv", "normal")


def task_of() -> AssessedTask:
    task = resolve_task(AssessedLabels(column="oct", classes=CLASSES))
    assert isinstance(task, AssessedTask)
    assert task.settings.name == "multiclass"
    assert task.num_targets == task.num_outputs == len(CLASSES)
    return task


def table_of(labels: list[str], assessed: list[tuple[str, ...]]) -> pd.DataFrame:
    return pd.DataFrame({"oct": labels, ASSESSED_COLUMN: list(map(assessed_text, assessed))})


def mixed() -> tuple[pd.DataFrame, torch.Tensor]:
    """Rows of two sources and an empty cell, with outputs."""
    labels = ["normal", "dme", "amd", "cnv", "normal", ""]
    table = table_of(labels, [FIRST] * 3 + [SECOND] * 2 + [FIRST])
    generator = torch.Generator().manual_seed(0)
    return table, torch.randn(len(labels), len(CLASSES), generator=generator, requires_grad=True)


def test_sister_trap_03_a_label_that_a_source_does_not_assess_never_enters_the_loss() -> None:
    task = task_of()
    table, outputs = mixed()
    targets = torch.from_numpy(task.targets(table))
    task.loss(outputs, targets).backward()
    gradient = outputs.grad
    assert gradient is not None
    unassessed = torch.tensor(
        [[name not in row.split("|") for name in CLASSES] for row in table[ASSESSED_COLUMN]]
    )
    assert (gradient[unassessed] == 0).all()
    assert (gradient[5] == 0).all(), "an empty cell"
    known = ~unassessed
    known[5] = False
    assert (gradient[known] != 0).all()
    moved = outputs.detach().clone()
    moved[unassessed] += 1000
    moved[5] += 7
    assert task.loss(moved, targets) == task.loss(outputs, targets)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_equals_a_softmax_for_each_source(smoothing: float, weighted: bool) -> None:
    task = task_of()
    table, outputs = mixed()
    targets = torch.from_numpy(task.targets(table))
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0]) if weighted else torch.ones(4)
    total, weight = torch.zeros(()), torch.zeros(())
    for row in range(5):
        own = [CLASSES.index(name) for name in table[ASSESSED_COLUMN][row].split("|")]
        place = own.index(CLASSES.index(table["oct"][row]))
        total = total + F.cross_entropy(
            outputs[row, own],
            torch.tensor(place),
            weight=weights[own],
            label_smoothing=smoothing,
            reduction="sum",
        )
        weight = weight + weights[own[place]]
    found = task.loss(
        outputs, targets, label_smoothing=smoothing, class_weights=weights if weighted else None
    )
    assert found.item() == pytest.approx((total / weight).item(), rel=1e-6)


def test_with_all_classes_it_is_the_plain_task() -> None:
    labels = ["normal", "dme", "cnv", "amd"]
    task = task_of()
    targets = task.targets(table_of(labels, [CLASSES] * 4))
    outputs = torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
    codes = torch.tensor([CLASSES.index(name) for name in labels])
    assert task.loss(outputs, torch.from_numpy(targets)).item() == pytest.approx(
        F.cross_entropy(outputs, codes).item(), rel=1e-6
    )
    assert task.strata(targets).tolist() == codes.tolist()
    assert task.labels(targets)["oct"].tolist() == labels
    assert task.balanced_weights(targets).tolist() == [1.0] * 4


def test_nothing_assessed_is_a_loss_of_zero_with_a_gradient() -> None:
    outputs = torch.zeros(2, 4, requires_grad=True)
    loss = task_of().loss(outputs, torch.full((2, 4), torch.nan))
    loss.backward()
    assert loss.item() == 0
    assert outputs.grad is not None


def test_merit_is_one_for_the_right_order_among_assessed_classes() -> None:
    task = task_of()
    labels = ["normal", "amd", "cnv", "normal"]
    targets = task.targets(table_of(labels, [FIRST, FIRST, SECOND, SECOND]))
    # what the sources do not assess is the largest everywhere, and plays no part
    outputs = np.array([[2.0, 0, 1, 9], [0, 2.0, 1, 9], [0, 9, 9, 1.0], [3.0, 9, 9, 1.0]])
    assert task.merit(targets, outputs) == 1.0
    assert task.merit(targets, -outputs) == 0.0
    assert task.merit(targets[:1], outputs[:1]) == 0.5


def test_a_patient_with_two_classes_belongs_to_the_last() -> None:
    task = task_of()
    both = np.array([[1.0, 0.0, 1.0, np.nan]])
    assert task.strata(both).tolist() == [2]
    assert task.labels(np.full((1, 4), np.nan))["oct"].isna().all()


def test_a_label_that_its_source_is_said_not_to_assess_is_refused() -> None:
    with pytest.raises(UserError, match=r"oct is 'cnv' in 2 rows .* assess normal, amd, dme; add the class"):
        task_of().targets(table_of(["cnv", "amd", "cnv"], [FIRST] * 3))
    with pytest.raises(UserError, match="oct is 'retina', expected"):
        task_of().targets(table_of(["retina"], [FIRST]))
