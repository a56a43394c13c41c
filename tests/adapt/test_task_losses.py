import math

import numpy as np
import pytest
import torch
from torch import nn

from echossl.adapt.tasks import Task, build_task
from echossl.config.task import TaskSettings
from echossl.encoders.heads import CumulativeHead, build_head

GRADES = ("none", "mild", "moderate", "severe")
SETTINGS = {
    "binary": TaskSettings(name="binary", columns=("severe_as",)),
    "multiclass": TaskSettings(name="multiclass", columns=("view",), classes=("PLAX", "A4C", "PSAX")),
    "ordinal": TaskSettings(name="ordinal", columns=("as_grade",), classes=GRADES),
    "multilabel": TaskSettings(name="multilabel", columns=("first", "second", "third")),
    "regression": TaskSettings(name="regression", columns=("velocity",), mean=3.0, deviation=0.5),
}
WITH_CLASSES = [name for name in SETTINGS if name != "regression"]


def _task(name: str) -> Task:
    return build_task(SETTINGS[name])


def _targets(name: str, rows: int, generator: np.random.Generator) -> np.ndarray:
    shape = (rows, len(SETTINGS[name].columns))
    if name == "regression":
        return generator.normal(3, 0.5, shape).astype(np.float32)
    return generator.integers(0, len(SETTINGS[name].classes) or 2, shape).astype(np.float32)


def _outputs(name: str, rows: int, generator: np.random.Generator) -> np.ndarray:
    outputs = generator.normal(size=(rows, SETTINGS[name].num_outputs))
    # cumulative logits fall along a row
    return np.sort(outputs, axis=1)[:, ::-1].copy() if name == "ordinal" else outputs


def _probabilities(name: str, output: np.ndarray) -> list[np.ndarray]:
    """Class probabilities of one row, in each target column, by the plain formula."""
    sigmoid = 1 / (1 + np.exp(-output))
    match name:
        case "multiclass":
            return [np.exp(output) / np.exp(output).sum()]
        case "ordinal":
            return [-np.diff([1.0, *sigmoid, 0.0])]
    return [np.array([1 - chance, chance]) for chance in sigmoid]


def _slow_loss(name: str, outputs, targets, smoothing: float, weights) -> float:
    """Cell by cell, class by class."""
    total = weight_sum = 0.0
    for output, target in zip(outputs, targets, strict=True):
        for column, (chances, code) in enumerate(zip(_probabilities(name, output), target, strict=True)):
            if np.isnan(code):
                continue
            own = np.ones(len(chances)) if weights is None else np.broadcast_to(weights, weights.shape)
            own = own[column] if own.ndim == 2 else own
            for number, chance in enumerate(chances):
                share = smoothing / len(chances) + (1 - smoothing) * (number == code)
                # the smoothed part of several classes weighs as its own class, as in torch
                weight = own[number] if name in {"multiclass", "ordinal"} else own[int(code)]
                total -= weight * share * math.log(chance)
            weight_sum += own[int(code)]
    return total / weight_sum


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("name", WITH_CLASSES)
def test_loss_equals_the_formula_written_out_and_skips_what_is_not_assessed(name, smoothing, weighted):
    generator = np.random.default_rng(1)
    task, outputs, targets = _task(name), _outputs(name, 12, generator), _targets(name, 12, generator)
    targets[3] = np.nan
    targets[5, -1] = np.nan
    weights = task.balanced_weights(_targets(name, 20, generator)) if weighted else None
    found = task.loss(
        torch.tensor(outputs),
        torch.tensor(targets).double(),
        label_smoothing=smoothing,
        class_weights=weights,
    )
    slow = _slow_loss(name, outputs, targets, smoothing, None if weights is None else weights.numpy())
    assert found.item() == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize("name", list(SETTINGS))
def test_rows_that_are_not_assessed_have_no_gradient(name):
    generator = np.random.default_rng(2)
    outputs = torch.tensor(_outputs(name, 6, generator), requires_grad=True)
    targets = torch.tensor(_targets(name, 6, generator)).double()
    targets[[1, 4]] = torch.nan
    _task(name).loss(outputs, targets).backward()
    assert (outputs.grad[[1, 4]] == 0).all()
    assert (outputs.grad[[0, 2, 3, 5]] != 0).any(dim=1).all()


@pytest.mark.parametrize("name", list(SETTINGS))
def test_batch_without_any_label_leaves_the_head_alone(name):
    outputs = torch.zeros(3, SETTINGS[name].num_outputs, requires_grad=True)
    loss = _task(name).loss(outputs, torch.full((3, len(SETTINGS[name].columns)), torch.nan))
    loss.backward()
    assert loss.item() == 0
    assert (outputs.grad == 0).all()


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_trap_20_label_smoothing_changes_the_loss_and_its_gradient(name):
    generator = np.random.default_rng(3)
    outputs, targets = _outputs(name, 8, generator), torch.tensor(_targets(name, 8, generator)).double()
    gradients = []
    for smoothing in (0.0, 0.1):
        leaf = torch.tensor(outputs, requires_grad=True)
        _task(name).loss(leaf, targets, label_smoothing=smoothing).backward()
        gradients.append(leaf.grad)
    assert not torch.allclose(*gradients, atol=1e-3)


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_trap_20_class_weights_are_no_constant_factor(name):
    generator = np.random.default_rng(4)
    outputs, targets = _outputs(name, 40, generator), _targets(name, 40, generator)
    task = _task(name)
    targets[:30], targets[30:36] = 0, 1  # class 0 is much the most frequent

    def gradient(weights: torch.Tensor | None) -> torch.Tensor:
        leaf = torch.tensor(outputs, requires_grad=True)
        task.loss(leaf, torch.tensor(targets).double(), class_weights=weights).backward()
        return leaf.grad

    weights = task.balanced_weights(targets)
    plain, weighted = gradient(None), gradient(weights)
    # twice the weights are the same weights, and equal ones are none
    assert torch.allclose(weighted, gradient(2 * weights))
    assert torch.allclose(plain, gradient(torch.full_like(weights, 3.0)))
    ratio = (weighted / plain)[:, 0]
    frequent, seldom = ratio[torch.tensor(targets[:, 0] == 0)], ratio[torch.tensor(targets[:, 0] == 1)]
    assert frequent.max() < 1 < seldom.min()


@pytest.mark.parametrize("name", ["binary", "multiclass", "ordinal"])
def test_balanced_weights_give_every_class_the_same_total(name):
    targets = np.array([0] * 6 + [1] * 3 + [0, np.nan], dtype=np.float32)[:, None]
    weights = _task(name).balanced_weights(targets).numpy()
    assert 7 * weights[0] == pytest.approx(3 * weights[1])
    assert 7 * weights[0] + 3 * weights[1] == pytest.approx(10)
    assert (weights[2:] == 1).all()


def test_balanced_weights_of_several_columns_stand_side_by_side():
    targets = np.array([[0, 1, np.nan], [0, 1, np.nan], [1, np.nan, np.nan]], dtype=np.float32)
    weights = _task("multilabel").balanced_weights(targets)
    assert weights.tolist() == [[0.75, 1.5], [1.0, 1.0], [1.0, 1.0]]


def test_regression_loss_is_in_deviations_and_has_no_classes():
    task = _task("regression")
    loss = task.loss(torch.tensor([[1.0], [0.0], [5.0]]), torch.tensor([[4.0], [3.5], [torch.nan]]))
    assert loss.item() == pytest.approx(((1 - 2) ** 2 + (0 - 1) ** 2) / 2)
    for settings in ({"label_smoothing": 0.1}, {"class_weights": torch.ones(2)}):
        with pytest.raises(ValueError, match="no classes to smooth or to weigh"):
            task.loss(torch.zeros(1, 1), torch.zeros(1, 1), **settings)
    assert task.balanced_weights(np.zeros((3, 1), dtype=np.float32)) is None


def test_binary_loss_is_torch_to_the_bit():
    outputs, labels = torch.randn(16, 1), torch.arange(16.0) % 2
    expected = nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], labels)
    assert torch.equal(_task("binary").loss(outputs, labels[:, None]), expected)


@pytest.mark.parametrize("size", [1.0, 60.0, 500.0])
def test_ordinal_loss_is_finite_and_exact_far_out(size):
    outputs = torch.tensor([[size, size - 1, size - 2], [-size, -size - 1, -size - 2]], requires_grad=True)
    loss = _task("ordinal").loss(outputs, torch.tensor([[1.0], [2.0]]))
    loss.backward()
    assert torch.isfinite(outputs.grad).all()
    if size > 50:
        # first row: sigmoid(-(s - 1)) (1 - 1/e); second: sigmoid(-s - 1) (1 - 1/e)
        expected = (size - 1 + size + 1) / 2 - np.log1p(-np.exp(-1.0))
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_head_of_grades_has_one_score_and_cuts_that_never_cross():
    head = CumulativeHead(5, 4)
    with torch.no_grad():
        head.gaps.copy_(torch.tensor([-30.0, 2.0]))
        head.weight.normal_()
    features = torch.randn(20, 5)
    outputs = head(features)
    assert outputs.shape == (20, 3)
    assert (outputs.diff(dim=1) <= 0).all()
    apart = outputs[0] - outputs
    assert torch.allclose(apart, apart[:, :1].expand(-1, 3), atol=1e-5)


def test_every_head_begins_by_saying_the_same_and_leaves_the_random_numbers_alone():
    for name, settings in SETTINGS.items():
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        outputs = build_head(settings, 7)(torch.randn(4, 7))
        torch.manual_seed(3)
        build_head(settings, 7)
        assert torch.equal(torch.rand(2), expected)
        assert outputs.shape == (4, settings.num_outputs)
        if name == "ordinal":
            # all four grades equally likely
            assert torch.allclose(outputs.sigmoid(), torch.tensor([0.75, 0.5, 0.25]).expand(4, 3))
        else:
            assert (outputs == 0).all()
