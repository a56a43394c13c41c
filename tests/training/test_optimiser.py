import math

import pytest
import torch
from torch import nn

from echossl.config.training import OptimiserConfig
from echossl.training.optimiser import build_optimiser, learning_rate, parameter_groups, set_learning_rate

CONFIG = OptimiserConfig(steps=100, learning_rate=0.01, warmup_steps=10, weight_decay=0.05)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(4, 2))


def test_warm_up_rises_evenly_and_starts_above_zero() -> None:
    rates = [learning_rate(step, CONFIG) for step in range(11)]
    assert rates == pytest.approx([0.01 * (step + 1) / 11 for step in range(11)])


def test_cosine_falls_to_zero() -> None:
    assert learning_rate(10, CONFIG) == 0.01
    assert learning_rate(55, CONFIG) == pytest.approx(0.005)
    assert 0 < learning_rate(99, CONFIG) < 0.01 * (math.pi / 2 / 90) ** 2 * 1.01
    rates = [learning_rate(step, CONFIG) for step in range(10, 100)]
    assert rates == sorted(rates, reverse=True)


def test_edge_lengths() -> None:
    assert learning_rate(0, OptimiserConfig(steps=1, warmup_steps=0, learning_rate=0.1)) == 0.1
    warm_up_only = OptimiserConfig(steps=5, warmup_steps=30, learning_rate=0.1)
    assert learning_rate(4, warm_up_only) == pytest.approx(0.1 * 5 / 31)
    assert OptimiserConfig().learning_rate <= 5e-3  # trap 19: Adam at 0.1


def test_betas_are_those_of_the_settings() -> None:
    """Two updates with gradients 1 and 3: the formula of Adam (arXiv 1412.6980), algorithm 1."""
    module = nn.Linear(1, 1, bias=False)
    start = module.weight.item()
    config = OptimiserConfig(learning_rate=0.01, weight_decay=0, betas=(0.5, 0.8))
    optimiser = build_optimiser(module, config)
    for gradient in (1.0, 3.0):
        module.weight.grad = torch.full((1, 1), gradient)
        optimiser.step()
    mean, square = (0.25 * 1 + 0.5 * 3) / (1 - 0.5**2), (0.16 * 1 + 0.2 * 9) / (1 - 0.8**2)
    assert module.weight.item() == pytest.approx(start - 0.01 - 0.01 * mean / math.sqrt(square), abs=1e-6)


def test_biases_and_norms_do_not_decay() -> None:
    module = network()
    decaying, others = parameter_groups(module, 0.05)
    assert [id(p) for p in decaying["params"]] == [id(module[0].weight), id(module[3].weight)]
    assert decaying["weight_decay"] == 0.05
    assert others["weight_decay"] == 0
    assert len(others["params"]) == 4


def test_frozen_parameters_are_left_out() -> None:
    module = network()
    module[0].requires_grad_(False)
    decaying, others = parameter_groups(module, 0.05)
    assert len(decaying["params"]) + len(others["params"]) == 4


def test_one_update_equals_the_formula() -> None:
    module = nn.Linear(3, 2)
    weight, bias = module.weight.detach().clone(), module.bias.detach().clone()
    optimiser = build_optimiser(module, CONFIG)
    set_learning_rate(optimiser, 0.002)
    module(torch.ones(1, 3)).sum().backward()  # every gradient is 1, so Adam's first step is the rate
    optimiser.step()
    torch.testing.assert_close(module.weight.detach(), weight * (1 - 0.002 * 0.05) - 0.002)
    torch.testing.assert_close(module.bias.detach(), bias - 0.002)


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    constant = CONFIG.model_copy(update={"schedule": "constant"})
    warm_up = [learning_rate(step, CONFIG) for step in range(10)]
    assert [learning_rate(step, constant) for step in range(100)] == warm_up + [0.01] * 90


def adam_by_hand(weight: float, gradients: list[float], *, rate: float, decay: float) -> float:
    """Algorithm 1 of the paper, with the decay in the gradient."""
    mean = square = 0.0
    for number, plain in enumerate(gradients, start=1):
        gradient = plain + decay * weight
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        step = (mean / (1 - 0.9**number)) / (math.sqrt(square / (1 - 0.999**number)) + 1e-8)
        weight -= rate * step
    return weight


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_equals_the_formula_and_adamw_only_without_decay(decay: float) -> None:
    gradients = [1.0, -0.5, 0.25, 2.0]
    found = {}
    for algorithm in ("adam", "adamw"):
        module = nn.Linear(1, 1, bias=False)
        nn.init.constant_(module.weight, 0.7)
        config = OptimiserConfig(algorithm=algorithm, weight_decay=decay, learning_rate=0.01)
        optimiser = build_optimiser(module, config)
        for gradient in gradients:
            module.weight.grad = torch.full((1, 1), gradient)
            optimiser.step()
        found[algorithm] = module.weight.item()
    expected = adam_by_hand(0.7, gradients, rate=0.01, decay=decay)
    assert found["adam"] == pytest.approx(expected, abs=1e-6)
    assert (found["adam"] == found["adamw"]) == (decay == 0)
