"""Dense contrast with the most similar cell, and without blank cells, against a slow loop."""

import os
import subprocess
import sys
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
from echossl.objectives import Contrastive, dense_nt_xent, matched
from echossl.objectives.contrastive import grid_cells, visible_cells
from echossl.objectives.matched import best_cells, matched_nt_xent, matched_similarities

N, K, CELLS, DIM, FEATURES = 4, 3, 5, 6, 7
PATIENTS = torch.tensor([3, 0, 3, 8])


def slow_reference(
    projections: Tensor,
    patients: Tensor,
    temperature: float,
    features: Tensor | None = None,
    visible: Tensor | None = None,
) -> tuple[Tensor, float]:
    """One softmax for each cell of each clip and each of its partners, over single cells of other clips."""
    clips = [(item, clip) for item in range(len(projections)) for clip in range(projections.shape[1])]
    losses, hits = [], []

    def cosine(values: Tensor, first: tuple[int, ...], second: tuple[int, ...]) -> Tensor:
        return F.cosine_similarity(values[first], values[second], dim=0)

    def place(clip: tuple[int, int], cell: int, other: tuple[int, int]) -> tuple[int, ...]:
        """Which cell of another clip it is compared with."""
        if features is None:
            return (*other, cell)
        cells = range(projections.shape[2])
        return (*other, max(cells, key=lambda j: float(cosine(features, (*clip, cell), (*other, j)))))

    for clip in clips:
        strangers = [other for other in clips if patients[other[0]] != patients[clip[0]]]
        for partner in (other for other in clips if other[0] == clip[0] and other != clip):
            for cell in range(projections.shape[2]):
                if visible is not None:
                    either = bool(visible[(*clip, cell)]) or (features is None and visible[(*partner, cell)])
                    if not either:
                        continue
                scores = [
                    cosine(projections, (*clip, cell), place(clip, cell, other)) / temperature
                    for other in (partner, *strangers)
                ]
                losses.append(-torch.stack(scores).log_softmax(0)[0])
                hits.append(float(scores[0] == max(scores)))
    return torch.stack(losses).mean(), sum(hits) / len(hits)


def random_inputs(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(N, K, CELLS, DIM), torch.randn(N, K, CELLS, FEATURES), torch.rand(N, K, CELLS) < 0.6


@pytest.mark.parametrize("skip", [False, True], ids=["all cells", "visible cells"])
@pytest.mark.parametrize("match", ["same", "best"])
def test_loss_accuracy_and_gradient_equal_the_slow_loop(match: str, skip: bool) -> None:
    projections, features, visible = random_inputs(1)
    fast, slow = projections.clone().requires_grad_(), projections.double().requires_grad_()
    loss, accuracy = matched_nt_xent(
        fast,
        PATIENTS,
        temperature=0.2,
        features=features if match == "best" else None,
        visible=visible if skip else None,
    )
    expected, hits = slow_reference(
        slow,
        PATIENTS,
        0.2,
        features.double() if match == "best" else None,
        visible if skip else None,
    )
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert accuracy.item() == pytest.approx(hits)
    torch.testing.assert_close(fast.grad, slow.grad.float(), rtol=1e-4, atol=1e-6)


def test_the_same_place_without_blanks_is_the_dense_loss() -> None:
    projections, _, _ = random_inputs(2)
    expected = dense_nt_xent(projections, PATIENTS, temperature=0.1)
    found = matched_nt_xent(projections, PATIENTS, temperature=0.1)
    torch.testing.assert_close(found, expected)
    everything = torch.ones(N, K, CELLS, dtype=torch.bool)
    torch.testing.assert_close(
        matched_nt_xent(projections, PATIENTS, temperature=0.1, visible=everything), expected
    )


def test_if_nothing_is_seen_there_is_no_loss_and_no_gradient() -> None:
    projections, _, visible = random_inputs(3)
    projections.requires_grad_()
    blank = torch.zeros_like(visible)
    loss, accuracy = matched_nt_xent(projections, PATIENTS, temperature=0.1, visible=blank)
    loss.backward()
    assert (loss.item(), accuracy.item()) == (0, 0)
    assert projections.grad is not None
    assert not projections.grad.any()


@pytest.mark.parametrize("at_a_time", [1, 2, 3, CELLS])
def test_best_cells_are_the_most_similar_of_each_pair(
    at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matched, "MOST_SIMILARITIES", at_a_time * 36)
    units = torch.randn(6, CELLS, DIM)
    shown = F.normalize(torch.randn(6, CELLS, FEATURES), dim=2)
    for cell in range(CELLS):
        similarity = torch.einsum("ad,bjd->abj", shown[:, cell], shown)
        chosen = best_cells(shown, cell)
        assert torch.equal(chosen, similarity.argmax(2))
        assert (chosen.diagonal() == cell).all()
        expected = torch.einsum("ad,bjd->abj", units[:, cell], units).gather(2, chosen[..., None])[..., 0]
        torch.testing.assert_close(matched_similarities(units, chosen, cell), expected)


def test_cells_that_moved_are_found_again() -> None:
    """Partners show the same cells in another order: matched, all pairs are right; by place they are not."""
    torch.manual_seed(0)
    first = torch.randn(8, 1, 9, 16)
    second = first[:, :, torch.randperm(9)]
    both = torch.cat((first, second), 1)
    patients = torch.arange(8)
    _, by_look = matched_nt_xent(both, patients, temperature=0.1, features=both)
    _, by_place = dense_nt_xent(both, patients, temperature=0.1)
    assert by_look == 1
    assert by_place < 0.5


def small_encoder() -> Encoder:
    torch.manual_seed(0)
    architecture = Compact3DConfig(width=4)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=4), size=64))


def batch_with_blank_corners() -> Batch:
    clips = torch.rand(4, 2, 1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    clips[..., :16, :16] = 0
    clips[0, 0, ..., 48:] = 0  # blank in one clip of its item alone
    return Batch(clips=clips, patients=torch.arange(4), videos=torch.zeros(4, 2, dtype=torch.int64))


@pytest.mark.parametrize("global_weight", [0.0, 0.5])
@pytest.mark.parametrize("match", ["same", "best"])
@pytest.mark.parametrize("skip", [False, True], ids=["all cells", "visible cells"])
def test_the_objective_compares_the_cells_of_its_encoder(
    match: str, skip: bool, global_weight: float
) -> None:
    encoder = small_encoder()
    sizes = {"hidden_dim": 16, "projection_dim": 8, "global_weight": global_weight}
    config = ContrastiveConfig(dense_grid=4, dense_match=match, skip_blank_cells=skip, **sizes)
    objective = Contrastive(config, encoder.dim)
    batch = batch_with_blank_corners()
    flat = batch.clips.flatten(0, 1)
    loss, metrics = objective(encoder, batch)
    features = encoder.feature_map(flat)
    cells = grid_cells(features, 4)
    projections = objective.projection_head(cells.flatten(0, 1)).view(4, 2, 16, 8)
    seen = visible_cells(flat, 4).view(4, 2, 16)
    expected, hits = slow_reference(
        projections,
        batch.patients,
        0.1,
        cells.view(4, 2, 16, -1) if match == "best" else None,
        seen if skip else None,
    )
    assert metrics["pair_accuracy"].item() == pytest.approx(hits)
    if objective.global_head is not None:
        whole = objective.global_head(features.mean(dim=(2, 3, 4))).view(4, 2, 1, 8)
        expected = expected + 0.5 * slow_reference(whole, batch.patients, 0.1)[0]
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    loss.backward()
    assert all(value.grad is not None for value in [*encoder.parameters(), *objective.parameters()])


def test_visible_cells_equal_the_slow_loop() -> None:
    clips = batch_with_blank_corners().clips.flatten(0, 1)
    clips[3, :, 2, 5, 7] = 0.01  # one pixel of one frame is enough
    found = visible_cells(clips, 4)
    for number, clip in enumerate(clips):
        for cell in range(16):
            row, column = divmod(cell, 4)
            part = clip[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            assert found[number, cell] == bool((part != 0).any())
    assert not found[1, 0]
    assert found[3, 0]


def test_bfloat16_keeps_float32_features_and_similarities() -> None:
    encoder = small_encoder()
    config = ContrastiveConfig(dense_grid=4, dense_match="best", skip_blank_cells=True, global_weight=1.0)
    objective = Contrastive(config, encoder.dim)
    with torch.autocast("cpu", torch.bfloat16):
        loss, metrics = objective(encoder, batch_with_blank_corners())
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(value.isfinite() for value in metrics.values())


@pytest.mark.parametrize("settings", [{"dense_match": "best"}, {"skip_blank_cells": True}])
def test_settings_of_cells_without_cells_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="are about cells; set dense_grid"):
        ContrastiveConfig(**settings)


MEASURE = """
from pathlib import Path
import torch
from echossl.objectives.matched import matched_nt_xent

def kib(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if key in line).split()[1])

projections, features = torch.randn(128, 2, 32, 16, requires_grad=True), torch.randn(128, 2, 32, 16)
matched_nt_xent(projections[:8], torch.arange(8), temperature=0.1, features=features[:8])
Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
before = kib("VmRSS")
matched_nt_xent(projections, torch.arange(128), temperature=0.1, features=features)[0].backward()
print(kib("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting")
def test_memory_does_not_hold_all_cells_at_once() -> None:
    """256 clips of 32 cells: all similarities at once would take 256 MiB, those of one cell 8 MiB.

    In a process of its own that gives back what it frees, so that no gaps are counted.
    """
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "100000", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 64 * 1024
