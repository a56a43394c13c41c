import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.objectives import Contrastive, nt_xent


def slow_reference(projections: Tensor, patients: Tensor, temperature: float) -> Tensor:
    """The formula of the paper, one term at a time."""
    clips = [(i, k) for i in range(len(projections)) for k in range(2)]
    losses = []
    for i, k in clips:
        anchor = projections[i, k] / projections[i, k].norm()
        positive = projections[i, 1 - k] / projections[i, 1 - k].norm()
        numerator = torch.exp(anchor @ positive / temperature)
        denominator = numerator
        for j, m in clips:
            if patients[j] != patients[i]:
                other = projections[j, m] / projections[j, m].norm()
                denominator = denominator + torch.exp(anchor @ other / temperature)
        losses.append(-torch.log(numerator / denominator))
    return torch.stack(losses).mean()


PATIENTS = {
    "all different": torch.arange(6),
    "one patient twice": torch.tensor([4, 7, 4, 1, 2, 9]),
    "two patients thrice": torch.tensor([1, 2, 1, 2, 1, 2]),
}


@pytest.mark.parametrize("patients", PATIENTS.values(), ids=PATIENTS.keys())
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_value_and_gradient_equal_the_double_loop(patients: Tensor, temperature: float) -> None:
    torch.manual_seed(0)
    fast = torch.randn(6, 2, 16, requires_grad=True)
    slow = fast.detach().double().requires_grad_()
    loss, _ = nt_xent(fast, patients, temperature=temperature)
    expected = slow_reference(slow, patients, temperature)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(fast.grad, slow.grad.float(), rtol=1e-4, atol=1e-6)


def test_equals_an_independent_implementation() -> None:
    loss_module = pytest.importorskip("lightly.loss")
    torch.manual_seed(1)
    pairs = torch.randn(16, 2, 32)
    expected = loss_module.NTXentLoss(temperature=0.1)(pairs[:, 0], pairs[:, 1])
    loss, _ = nt_xent(pairs, torch.arange(16), temperature=0.1)
    torch.testing.assert_close(loss, expected)


def test_symmetric_in_the_pair_and_blind_to_the_order_of_items() -> None:
    torch.manual_seed(2)
    pairs, patients = torch.randn(8, 2, 16), torch.tensor([0, 1, 2, 3, 4, 5, 0, 1])
    loss, accuracy = nt_xent(pairs, patients, temperature=0.1)
    order = torch.randperm(8)
    for other, codes in [(pairs.flip(1), patients), (pairs[order], patients[order]), (3 * pairs, patients)]:
        again, same = nt_xent(other, codes, temperature=0.1)
        torch.testing.assert_close(again, loss)
        assert same == accuracy


def test_trap_13_clips_of_the_same_patient_are_never_negatives() -> None:
    """Two items of one patient that look the same cost nothing, two patients that look the same do."""
    pairs = torch.eye(2)[[0, 0, 1]][:, None].repeat(1, 2, 1)  # items 0 and 1 alike, item 2 apart
    one_patient, _ = nt_xent(pairs, torch.tensor([5, 5, 1]), temperature=0.1)
    two_patients, _ = nt_xent(pairs, torch.tensor([5, 6, 1]), temperature=0.1)
    assert one_patient < 0.001
    assert two_patients > math.log(3) * 4 / 6
    nobody_else, _ = nt_xent(pairs, torch.tensor([5, 5, 5]), temperature=0.1)
    assert nobody_else == 0


def test_known_values() -> None:
    same = torch.ones(4, 2, 8)
    loss, _ = nt_xent(same, torch.arange(4), temperature=0.1)
    assert loss.item() == pytest.approx(math.log(7), rel=1e-5)  # the partner and six negatives, all alike
    apart = torch.eye(4)[:, None].expand(4, 2, 4).contiguous()
    loss, accuracy = nt_xent(apart, torch.arange(4), temperature=0.1)
    assert loss.item() == pytest.approx(math.log1p(6 * math.exp(-10)), rel=1e-3)
    assert accuracy == 1


def test_accuracy_counts_the_nearest_candidate() -> None:
    pairs = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.1], [0.1, 1.0]]])
    _, accuracy = nt_xent(pairs, torch.arange(2), temperature=0.1)
    assert accuracy == 0  # every clip is nearest to one of the other patient
    _, accuracy = nt_xent(pairs, torch.zeros(2, dtype=torch.int64), temperature=0.1)
    assert accuracy == 1  # no other patient is left


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_float32_under_autocast(scale: float) -> None:
    torch.manual_seed(4)
    pairs = (torch.randn(8, 2, 16) * scale).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = nt_xent(pairs, torch.arange(8), temperature=0.05)
    assert loss.dtype == torch.float32
    expected = slow_reference(pairs.double(), torch.arange(8), 0.05)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting")
def test_4096_clips_of_dimension_128_take_less_than_1_gb() -> None:
    pairs = torch.randn(2048, 2, 128, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = memory_kib("VmRSS")
    loss, _ = nt_xent(pairs, torch.arange(2048), temperature=0.1)
    loss.backward()
    assert memory_kib("VmHWM") - before < 0.5 * 1024**2
    assert pairs.grad is not None


def memory_kib(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1])


def batch_of(clips: Tensor, patients: Tensor) -> Batch:
    return Batch(clips=clips, patients=patients, videos=torch.zeros(clips.shape[:2], dtype=torch.int64))


def test_the_objective_compares_the_two_clips_of_each_item() -> None:
    torch.manual_seed(5)
    encoder = small_encoder()
    objective = Contrastive(ContrastiveConfig(hidden_dim=16, projection_dim=8), encoder.dim)
    batch = batch_of(torch.rand(4, 2, 1, 4, 16, 16), torch.arange(4))
    loss, metrics = objective(encoder, batch)
    flat = objective.projection_head(encoder(batch.clips.reshape(8, 1, 4, 16, 16)))
    expected = slow_reference(flat.view(4, 2, 8), batch.patients, 0.1)
    torch.testing.assert_close(loss, expected)
    assert set(metrics) == {"pair_accuracy", "temperature"}
    assert metrics["temperature"].item() == pytest.approx(0.1)
    assert not any(value.requires_grad for value in metrics.values())
    loss.backward()
    parameters = [*encoder.parameters(), *objective.parameters()]
    assert all(parameter.grad is not None for parameter in parameters)


def test_spare_clips_are_left_out() -> None:
    torch.manual_seed(6)
    encoder = small_encoder()
    objective = Contrastive(ContrastiveConfig(), encoder.dim)
    clips = torch.rand(4, 3, 1, 4, 16, 16)
    with_spare, _ = objective(encoder, batch_of(clips, torch.arange(4)))
    without, _ = objective(encoder, batch_of(clips[:, :2], torch.arange(4)))
    assert torch.equal(with_spare, without)


def small_encoder() -> Encoder:
    architecture = Compact3DConfig(width=4)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=4), size=16))
