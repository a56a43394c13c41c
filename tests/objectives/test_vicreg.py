import math

import pytest
import torch
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import VICRegConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.objectives.vicreg import VICReg, vicreg_terms


def slow_terms(first: Tensor, second: Tensor) -> tuple[float, float, float]:
    """The formulas of the paper, one number at a time."""
    items, length = first.shape
    invariance = sum((first[i, j] - second[i, j]) ** 2 for i in range(items) for j in range(length))
    variance, covariance = 0.0, 0.0
    for values in (first.tolist(), second.tolist()):
        means = [sum(row[j] for row in values) / items for j in range(length)]
        for j in range(length):
            for k in range(length):
                products = [(row[j] - means[j]) * (row[k] - means[k]) for row in values]
                entry = sum(products) / (items - 1)
                if j == k:
                    variance += max(0.0, 1 - math.sqrt(entry + 1e-4)) / length / 2
                else:
                    covariance += entry**2 / length
    return float(invariance) / items / length, variance, covariance


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_the_terms_equal_the_slow_loop(scale: float) -> None:
    torch.manual_seed(0)
    first, second = scale * torch.randn(7, 5), scale * torch.randn(7, 5)
    found = [term.item() for term in vicreg_terms(first, second)]
    assert found == pytest.approx(slow_terms(first.double(), second.double()), rel=1e-4, abs=1e-7)


def test_symmetric_in_the_pair_and_blind_to_the_order_of_items_and_values() -> None:
    torch.manual_seed(1)
    first, second = torch.randn(8, 6), torch.randn(8, 6)
    expected = torch.stack(vicreg_terms(first, second))
    items, values = torch.randperm(8), torch.randperm(6)
    for one, other in [(second, first), (first[items], second[items]), (first[:, values], second[:, values])]:
        torch.testing.assert_close(torch.stack(vicreg_terms(one, other)), expected)


def test_known_values() -> None:
    invariance, variance, covariance = vicreg_terms(torch.ones(6, 4), torch.ones(6, 4))
    assert (invariance.item(), covariance.item()) == (0, 0)
    assert variance.item() == pytest.approx(0.99)  # collapsed: 1 - sqrt(1e-4)
    spread = 10 * torch.cat((torch.eye(3), -torch.eye(3)))  # uncorrelated, deviations above 1
    assert [term.item() for term in vicreg_terms(spread, spread)] == pytest.approx([0, 0, 0], abs=1e-9)
    copied = torch.randn(50, 1).expand(50, 2)  # two values that say the same
    assert vicreg_terms(copied, copied)[2].item() == pytest.approx(
        2 * copied[:, 0].var().item() ** 2, rel=1e-4
    )


def test_a_collapsed_batch_has_a_finite_gradient() -> None:
    collapsed = torch.zeros(4, 3, requires_grad=True)
    sum(vicreg_terms(collapsed, collapsed + 1)).backward()
    assert collapsed.grad is not None
    assert collapsed.grad.isfinite().all()


def test_float32_under_autocast() -> None:
    torch.manual_seed(2)
    first, second = torch.randn(6, 4).bfloat16(), torch.randn(6, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        terms = vicreg_terms(first, second)
    assert {term.dtype for term in terms} == {torch.float32}
    expected = slow_terms(first.double(), second.double())
    assert [term.item() for term in terms] == pytest.approx(expected, rel=1e-4)


def test_the_objective_weighs_the_terms_of_the_two_clips() -> None:
    torch.manual_seed(3)
    architecture = Compact3DConfig(width=4)
    encoder = build_encoder(
        EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=4), size=16)
    )
    config = VICRegConfig(invariance=3, variance=2, covariance=0.5, hidden_dim=16, projection_dim=8)
    objective = VICReg(config, encoder.dim)
    clips = torch.rand(5, 2, 1, 4, 16, 16)
    batch = Batch(clips=clips, patients=torch.arange(5), videos=torch.zeros(5, 2, dtype=torch.int64))
    loss, metrics = objective(encoder, batch)
    flat = objective.expander(encoder(clips.reshape(10, 1, 4, 16, 16)))
    invariance, variance, covariance = vicreg_terms(flat[0::2], flat[1::2])
    torch.testing.assert_close(loss, 3 * invariance + 2 * variance + 0.5 * covariance)
    assert set(metrics) == {"invariance", "variance", "covariance"}
    assert not any(value.requires_grad for value in metrics.values())
    loss.backward()
    assert all(value.grad is not None for value in [*encoder.parameters(), *objective.parameters()])
