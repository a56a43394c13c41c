"""Any number of clips, cells of the feature map, and a learned temperature."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.objectives import Contrastive, dense_nt_xent, nt_xent
from echossl.objectives.contrastive import grid_cells


def slow_reference(projections: Tensor, patients: Tensor, temperature: float) -> Tensor:
    """One softmax for each clip and each of its partners: that partner against the clips of strangers."""
    units = F.normalize(projections, dim=-1)
    losses = []
    for i in range(len(units)):
        strangers = [units[j, m] for j in range(len(units)) for m in range(units.shape[1])]
        owners = [patients[j] for j in range(len(units)) for _ in range(units.shape[1])]
        others = [unit for unit, owner in zip(strangers, owners, strict=True) if owner != patients[i]]
        for k in range(units.shape[1]):
            for partner in set(range(units.shape[1])) - {k}:
                scores = [units[i, k] @ units[i, partner], *(units[i, k] @ other for other in others)]
                losses.append(-torch.stack(scores).div(temperature).log_softmax(0)[0])
    return torch.stack(losses).mean()


def small_encoder(side: int = 64) -> Encoder:
    architecture = Compact3DConfig(width=4)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=4), size=side))


def batch_of(clips: Tensor) -> Batch:
    videos = torch.zeros(clips.shape[:2], dtype=torch.int64)
    return Batch(clips=clips, patients=torch.arange(len(clips)), videos=videos)


@pytest.mark.parametrize("num_clips", [2, 3, 5])
@pytest.mark.parametrize("patients", [[0, 1, 2, 3], [4, 7, 4, 1]], ids=["different", "one twice"])
def test_any_number_of_clips_equals_the_slow_loop(num_clips: int, patients: list[int]) -> None:
    torch.manual_seed(num_clips)
    codes = torch.tensor(patients)
    fast = torch.randn(4, num_clips, 8, requires_grad=True)
    slow = fast.detach().double().requires_grad_()
    loss, _ = nt_xent(fast, codes, temperature=0.2)
    expected = slow_reference(slow, codes, 0.2)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(fast.grad, slow.grad.float(), rtol=1e-4, atol=1e-6)


def test_trap_13_neither_partners_nor_other_clips_of_a_patient_compete() -> None:
    """All clips of a patient alike, patients at right angles: no number of clips makes the loss larger."""
    for num_clips in (2, 4, 8):
        alike = torch.eye(3)[:, None].repeat(1, num_clips, 1)
        loss, accuracy = nt_xent(alike, torch.arange(3), temperature=0.1)
        assert loss.item() == pytest.approx(math.log1p(2 * num_clips * math.exp(-10)), rel=1e-3)
        assert accuracy == 1


def test_cells_are_compared_with_the_same_cell_of_other_patients() -> None:
    torch.manual_seed(0)
    fast = torch.randn(4, 2, 9, 8, requires_grad=True)
    slow = fast.detach().double().requires_grad_()
    codes = torch.tensor([0, 1, 2, 1])
    loss, _ = dense_nt_xent(fast, codes, temperature=0.1)
    expected = torch.stack([slow_reference(slow[:, :, cell], codes, 0.1) for cell in range(9)]).mean()
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(fast.grad, slow.grad.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_cells_are_means_of_their_part_of_the_map(grid: int) -> None:
    features = torch.rand(2, 5, 3, 6, 6)
    cells = grid_cells(features, grid)
    side = 6 // grid
    for row in range(grid):
        for column in range(grid):
            part = features[..., row * side : (row + 1) * side, column * side : (column + 1) * side]
            torch.testing.assert_close(cells[:, row * grid + column], part.mean(dim=(2, 3, 4)))


def test_a_grid_finer_than_the_map_is_refused_in_words() -> None:
    with pytest.raises(UserError, match="dense_grid is 4, but the encoder's feature map has 3 x 5 places"):
        grid_cells(torch.rand(1, 2, 1, 3, 5), 4)


def test_dense_with_a_global_term_is_the_sum_of_both() -> None:
    torch.manual_seed(1)
    encoder = small_encoder()
    config = ContrastiveConfig(dense_grid=4, global_weight=0.5, hidden_dim=16, projection_dim=8)
    objective = Contrastive(config, encoder.dim)
    clips = torch.rand(4, 2, 1, 4, 64, 64)
    loss, metrics = objective(encoder, batch_of(clips))
    features = encoder.feature_map(clips.flatten(0, 1))  # (8, dim, 1, 4, 4)
    cells = features.mean(2).permute(0, 2, 3, 1).reshape(8 * 16, -1)
    dense = objective.projection_head(cells).view(4, 2, 16, 8)
    assert objective.global_head is not None
    whole = objective.global_head(encoder(clips.flatten(0, 1))).view(4, 2, 8)
    codes = torch.arange(4)
    expected = torch.stack([slow_reference(dense[:, :, cell], codes, 0.1) for cell in range(16)]).mean()
    torch.testing.assert_close(loss, expected + 0.5 * slow_reference(whole, codes, 0.1))
    assert set(metrics) == {"pair_accuracy", "temperature", "global_accuracy"}
    loss.backward()
    assert all(value.grad is not None for value in [*encoder.parameters(), *objective.parameters()])


def test_a_learned_temperature_starts_as_set_has_a_gradient_and_stays_in_bounds() -> None:
    torch.manual_seed(2)
    encoder = small_encoder(16)
    objective = Contrastive(ContrastiveConfig(temperature=0.07, learn_temperature=True), encoder.dim)
    fixed = Contrastive(ContrastiveConfig(temperature=0.07), encoder.dim)
    fixed.projection_head.load_state_dict(objective.projection_head.state_dict())
    batch = batch_of(torch.rand(4, 2, 1, 4, 16, 16))
    loss, metrics = objective(encoder, batch)
    torch.testing.assert_close(loss, fixed(encoder, batch)[0])
    assert metrics["temperature"].item() == pytest.approx(0.07)
    loss.backward()
    assert objective.log_scale is not None
    assert objective.log_scale.grad is not None
    assert objective.log_scale.grad != 0
    for start, end in [(-3.0, 1.0), (9.0, 0.01), (math.log(20), 0.05)]:
        objective.log_scale.data.fill_(start)
        objective.after_update(encoder)
        assert objective(encoder, batch)[1]["temperature"].item() == pytest.approx(end, rel=1e-5)
    assert all("log_scale" not in name for name, _ in fixed.named_parameters())


def test_a_head_without_batch_norm_is_the_published_one() -> None:
    config = ContrastiveConfig(hidden_dim=256, projection_dim=128, batch_norm=False)
    head = Contrastive(config, 512).projection_head
    shapes = [tuple(value.shape) for value in head.parameters()]
    assert shapes == [(256, 512), (256,), (128, 256), (128,)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"global_weight": 1.0}, "dense_grid, which is 0"),
        ({"num_clips": 3}, "two_videos are two; set positives patient"),
        ({"learn_temperature": True, "temperature": 2.0}, "within 0.01..1"),
    ],
)
def test_settings_without_effect_are_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ContrastiveConfig(**settings)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting")
@pytest.mark.parametrize("shape", [(1024, 4, 1, 128), (512, 2, 64, 128)], ids=["four clips", "64 cells"])
def test_memory_does_not_grow_with_partners_or_cells(shape: tuple[int, ...]) -> None:
    projections = torch.randn(shape, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = memory_kib("VmRSS")
    loss, _ = dense_nt_xent(projections, torch.arange(shape[0]), temperature=0.1)
    loss.backward()
    assert memory_kib("VmHWM") - before < 0.8 * 1024**2


def memory_kib(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1])


def test_all_clips_of_a_patient_are_positives() -> None:
    torch.manual_seed(3)
    encoder = small_encoder(16)
    config = ContrastiveConfig(positives="patient", num_clips=4, hidden_dim=16, projection_dim=8)
    objective = Contrastive(config, encoder.dim)
    assert (objective.num_clips, objective.positives) == (4, "patient")
    clips = torch.rand(3, 5, 1, 4, 16, 16)  # another objective may have asked for a fifth
    loss, _ = objective(encoder, batch_of(clips))
    flat = objective.projection_head(encoder(clips[:, :4].flatten(0, 1))).view(3, 4, 8)
    torch.testing.assert_close(loss, slow_reference(flat, torch.arange(3), 0.1))
