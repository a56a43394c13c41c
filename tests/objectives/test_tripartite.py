"""Slots, studies and their reports: what is compared, and what absent slots do."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tripartite_samples import (
    ITEMS,
    NO_AUTOCAST,
    REPORTS,
    SIDE,
    SLOTS,
    VIT,
    batch_of,
    config_of,
    encoder_of,
    tripartite,
)

from echossl.config.encoder import R3D18Config
from echossl.data.clips import Batch
from echossl.objectives import Tripartite
from echossl.objectives.tripartite import slot_features
from echossl.training.fit import require_shapes
from echossl.training.gradient_cache import backward_partwise
from echossl.training.learner import Learner


def slow_loss(objective: Tripartite, features: Tensor, batch: Batch) -> float:
    """Slot by slot, study by study, from the heads' weights."""
    slots, total = len(objective.slots), 0.0
    vectors = [objective.text([report])[0] for report in REPORTS]
    for place in range(slots + 1):
        pictures, rows = [], []
        for row in range(ITEMS):
            there = [slot for slot in range(slots) if batch.present[row, slot]]
            if place < slots:
                if place not in there:
                    continue
                picture = objective.slot_projections[place].weight @ features[row, place]
            elif slots > 2:
                picture = (
                    objective.study_projection.weight @ sum(features[row, s] for s in there) / len(there)
                )
            else:
                parts = [features[row, s] if s in there else objective.absent[s] for s in range(slots)]
                picture = objective.study_projection.weight @ torch.cat(parts)
            pictures.append(F.normalize(picture, dim=0))
            rows.append(row)
        texts = [F.normalize(objective.text_heads[place](vectors[row]), dim=0) for row in rows]
        scale = objective.log_scales[place].exp().item()
        logits = [[scale * (picture @ text).item() for text in texts] for picture in pictures]
        for values in (logits, torch.tensor(logits).T.tolist()):
            total += _mean_loss(values, rows, batch, is_study=place == slots) / 2
    return total


def _mean_loss(logits, rows: list[int], batch: Batch, *, is_study: bool) -> float:
    words, patients = [report.lower().split() for report in REPORTS], batch.patients.tolist()
    losses = []
    for number, own in enumerate(rows):
        same = [place for place, row in enumerate(rows) if words[row] == words[own]]
        others = [p for p, row in enumerate(rows) if p not in same and patients[row] != patients[own]]
        if is_study:
            lacks = batch.present.tolist()
            others = [place for place in others if lacks[rows[place]] == lacks[own]]
        below = sum(math.exp(logits[number][place]) for place in others)
        shares = [math.exp(logits[number][place]) for place in same]
        losses.append(-sum(math.log(share / (share + below)) for share in shares) / len(same))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_the_loss_is_the_sum_over_slots_and_study(slots: int) -> None:
    encoder, objective, batch = encoder_of(), tripartite(config_of(SLOTS[slots])), batch_of(slots)
    if objective.absent is not None:
        nn.init.normal_(objective.absent)
    with torch.no_grad():
        objective.log_scales.copy_(torch.linspace(1, 2, slots + 1))
        loss, metrics = objective(encoder, batch)
        features = torch.stack([encoder(batch.clips[:, slot]) for slot in range(slots)], dim=1)
        assert loss.item() == pytest.approx(slow_loss(objective, features, batch), rel=1e-5)
    assert set(metrics) == {
        f"{name}_{kind}" for name in (*SLOTS[slots], "study") for kind in ("loss", "accuracy")
    }
    assert sum(metrics[name].item() for name in metrics if "loss" in name) == pytest.approx(loss.item())


def test_an_absent_slot_never_reaches_the_encoder() -> None:
    """Whatever augmentation has put there; nor do its batch norms see it."""
    encoder, objective, batch = encoder_of(R3D18Config(width=4)), tripartite(dim=32), batch_of()
    filled = replace(batch, clips=torch.where(batch.present[:, :, None, None, None, None], batch.clips, 7.0))
    expected, found = objective(encoder, batch)[0], objective(encoder, filled)[0]
    assert torch.equal(expected, found)
    seen = []
    handle = encoder.register_forward_pre_hook(lambda _, clips: seen.append(len(clips[0])))
    features = slot_features(encoder, filled.clips, batch.present)
    handle.remove()
    assert seen == [9]
    assert (features[~batch.present] == 0).all()
    assert (features[batch.present].abs().sum(1) > 0).all()


def test_every_weight_learns_also_in_studies_that_lack_a_slot() -> None:
    encoder, objective, batch = encoder_of(), tripartite(), batch_of()
    objective(encoder, batch)[0].backward()
    for name, value in (*objective.named_parameters(), *encoder.named_parameters()):
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
    assert (objective.absent.grad.abs().sum(1) > 0).all()
    objective.zero_grad()
    objective(encoder, replace(batch, present=torch.ones_like(batch.present)))[0].backward()
    assert not objective.absent.grad.any()


def test_which_slots_a_study_lacks_teaches_nothing() -> None:
    """Reports that are known by heart, and pictures of nothing: the loss stays that of guessing."""
    encoder, objective, batch = encoder_of(), tripartite(), batch_of()
    different = tuple(f"{report} Study {number}." for number, report in enumerate(REPORTS))
    blank = replace(
        batch, clips=torch.zeros_like(batch.clips), patients=torch.arange(ITEMS), reports=different
    )
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.01)
    for _ in range(60):
        loss, metrics = objective(encoder, blank)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # three of the six lack nothing, two the second slot, and one alone the first
    guessing = (3 * math.log(3) + 2 * math.log(2)) / ITEMS
    assert metrics["study_loss"].item() == pytest.approx(guessing, abs=0.02)


def test_swapped_sides_are_other_slots_and_another_study() -> None:
    objective, encoder, batch = tripartite(), encoder_of(), batch_of(lacking=False)
    features = slot_features(encoder, batch.clips, batch.present)
    straight, swapped = (
        objective.pictures(features, batch.present),
        objective.pictures(features.flip(1), batch.present),
    )
    assert straight.shape == swapped.shape == (ITEMS, 3, 8)
    assert not torch.isclose(straight, swapped).all(dim=2).any()


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("network", [R3D18Config(width=4), VIT])
def test_stills_and_clips(network, frames: int) -> None:
    encoder = encoder_of(network, frames)
    objective = tripartite(dim=encoder.dim)
    require_shapes(Learner(encoder, objective))
    loss, _ = objective(encoder, batch_of(frames=frames))
    loss.backward()
    assert loss.isfinite()


def test_a_few_items_at_a_time_give_the_gradient_of_all() -> None:
    batch, found = batch_of(), []
    for micro_batch in (ITEMS, 2):
        encoder, objective = encoder_of(), tripartite()
        loss, _ = backward_partwise(
            objective, encoder, batch, micro_batch=micro_batch, autocast=NO_AUTOCAST, scaled=lambda loss: loss
        )
        found.append((loss, [value.grad for value in (*encoder.parameters(), *objective.parameters())]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=5e-5)


def test_it_learns_which_report_belongs_to_which_pictures() -> None:
    torch.manual_seed(0)
    encoder, objective, batch = encoder_of(), tripartite(), batch_of()
    # a bright stripe at a place of its own
    where = torch.arange(SIDE) // 2 == torch.arange(ITEMS)[:, None, None, None, None, None]
    batch = replace(batch, clips=where.expand(batch.clips.shape).float())
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=0.003)
    for _ in range(80):
        loss, metrics = objective(encoder, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_update(encoder)
    assert all(metrics[f"{name}_accuracy"] == 1 for name in ("L", "R", "study"))


def test_temperatures_stay_within_bounds() -> None:
    objective = tripartite(config_of(temperature=1 / 90))
    assert objective.log_scales.exp().tolist() == pytest.approx([90, 90, 90])
    with torch.no_grad():
        objective.log_scales.copy_(torch.tensor([9.0, -2.0, 1.0]))
    objective.after_update(encoder_of())
    assert objective.log_scales.exp().tolist() == pytest.approx([100, 1, math.e])
