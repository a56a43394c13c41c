"""The loss between pictures and reports, compared with loops over its formula."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.objectives.picture_text import pairs_of, picture_text_loss, report_keys

SCALE = torch.tensor(7.0)


def vectors(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, generator=generator), torch.randn(count, 5, generator=generator)


def slow_loss(
    pictures: Tensor, texts: Tensor, reports: list[str], patients: list[int], present: list[bool]
) -> float:
    """The formula, sum by sum, of reports that are compared as they stand."""
    rows = [row for row in range(len(reports)) if present[row]]
    pictures, texts = F.normalize(pictures, dim=1).tolist(), F.normalize(texts, dim=1).tolist()

    def similarity(picture: int, text: int) -> float:
        return SCALE.item() * sum(a * b for a, b in zip(pictures[picture], texts[text], strict=True))

    total = 0.0
    for own in rows:
        positives = [row for row in rows if reports[row] == reports[own]]
        negatives = [row for row in rows if row not in positives and patients[row] != patients[own]]
        forth = [math.exp(similarity(own, row)) for row in negatives]
        back = [math.exp(similarity(row, own)) for row in negatives]
        for row in positives:
            one, other = math.exp(similarity(own, row)), math.exp(similarity(row, own))
            share = -math.log(one / (one + sum(forth))) - math.log(other / (other + sum(back)))
            total += share / 2 / len(positives)
    return total / max(len(rows), 1)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_the_formula(seed: int) -> None:
    reports = ["a", "b", "a", "c", "d", "b", "a", "e"]
    patients = [0, 1, 2, 3, 3, 1, 6, 7]  # patient 3 with two reports, patient 1 twice with one
    generator = torch.Generator().manual_seed(seed)
    present = (torch.rand(8, generator=generator) < 0.7).tolist()
    pictures, texts = vectors(8, seed)
    pairs = pairs_of(report_keys(reports), torch.tensor(patients))
    loss, accuracy = picture_text_loss(pictures, texts, pairs, torch.tensor(present), scale=SCALE)
    assert loss.item() == pytest.approx(slow_loss(pictures, texts, reports, patients, present), rel=1e-5)
    logits = F.normalize(pictures, dim=1) @ F.normalize(texts, dim=1).T
    hits = []
    for own in [row for row in range(8) if present[row]]:
        same = [reports[row] == reports[own] for row in range(8)]
        seen = [row for row in range(8) if present[row] and (same[row] or patients[row] != patients[own])]
        hits.append(same[max(seen, key=lambda row: logits[own, row].item())])
    assert accuracy.item() == pytest.approx(sum(hits) / len(hits))


def test_with_different_reports_it_is_the_loss_of_clip() -> None:
    pictures, texts = vectors(6)
    pairs = pairs_of(report_keys([f"report {row}" for row in range(6)]), torch.arange(6))
    loss, _ = picture_text_loss(pictures, texts, pairs, torch.ones(6, dtype=torch.bool), scale=SCALE)
    logits = SCALE * F.normalize(pictures, dim=1) @ F.normalize(texts, dim=1).T
    own = torch.arange(6)
    torch.testing.assert_close(loss, (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2)


def test_sister_trap_07_equal_reports_are_never_negatives() -> None:
    """However they are written: each draws the pictures of all, and none is pushed away for another."""
    reports = ["Normal aortic valve.", "Severe stenosis", "NORMAL  aortic\nvalve."]
    everyone = torch.ones(3, dtype=torch.bool)
    pairs = pairs_of(report_keys(reports), torch.arange(3))
    assert pairs[0].tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    one_hot = pairs_of(torch.arange(3), torch.arange(3))
    # two pictures of one finding, one of them nearer to its words, and a stranger
    texts = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [1.0, 0, 0]])
    start = torch.tensor([[1.0, 0.2, 0], [0, 0, 1.0], [1.0, 0.6, 0]])
    pulls = {}
    for name, chosen in {"published": one_hot, "mended": pairs}.items():
        pictures = start.clone().requires_grad_()
        loss, _ = picture_text_loss(pictures, texts, chosen, everyone, scale=SCALE)
        (gradient,) = torch.autograd.grad(loss, pictures)
        moved = F.normalize(start - 0.01 * gradient, dim=1)
        pulls[name] = ((moved - F.normalize(start, dim=1)) @ texts[0]).tolist()
    assert pulls["published"][0] < 0  # pushed from its own report, as the other picture fits it less
    assert pulls["mended"][0] > 0
    assert pulls["mended"][2] > 0
    perfect, _ = picture_text_loss(texts, texts, pairs, everyone, scale=torch.tensor(100.0))
    assert perfect.item() == pytest.approx(0, abs=1e-6)  # nothing more to learn; published it is 0.46


def test_another_report_of_the_patient_plays_no_part() -> None:
    pictures, texts = vectors(4)
    everyone, keys = torch.ones(4, dtype=torch.bool), report_keys(["a", "b", "c", "d"])
    pairs = pairs_of(keys, torch.tensor([0, 1, 1, 2]))
    assert not pairs[1][1, 2]
    assert not pairs[1][2, 1]
    alone, _ = picture_text_loss(pictures, texts, pairs, torch.tensor([0, 1, 0, 0]).bool(), scale=SCALE)
    assert alone.item() == 0
    pictures.requires_grad_()
    both, _ = picture_text_loss(pictures, texts, pairs, torch.tensor([0, 1, 1, 0]).bool(), scale=SCALE)
    both.backward()
    assert both.item() == pytest.approx(0, abs=1e-6)
    assert pictures.grad.abs().max() < 1e-6
    with_all, _ = picture_text_loss(pictures, texts, pairs, everyone, scale=SCALE)
    assert with_all > 0.1


def test_what_is_absent_weighs_nothing_and_leaves_no_nan() -> None:
    pictures, texts = vectors(5)
    pairs = pairs_of(report_keys(list("abcde")), torch.arange(5))
    present = torch.tensor([True, False, True, True, False])
    pictures.requires_grad_()
    loss, _ = picture_text_loss(pictures, texts, pairs, present, scale=SCALE)
    loss.backward()
    assert pictures.grad.isfinite().all()
    assert (pictures.grad[~present] == 0).all()
    assert (pictures.grad[present].abs().sum(1) > 0).all()
    small = pairs_of(report_keys(list("acd")), torch.arange(3))
    expected, _ = picture_text_loss(
        pictures[present], texts[present], small, torch.ones(3, dtype=torch.bool), scale=SCALE
    )
    torch.testing.assert_close(loss, expected)
    nobody, accuracy = picture_text_loss(pictures, texts, pairs, torch.zeros(5).bool(), scale=SCALE)
    assert (nobody.item(), accuracy.item()) == (0, 0)


def test_keys_are_the_same_in_every_process_and_differ_between_reports() -> None:
    keys = report_keys(["Vmax 4.6 m/s", "vmax  4.6 M/S", "Vmax 4.7 m/s", "正常", ""])
    assert keys.dtype == torch.int64
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 4
    assert report_keys(["normal aortic valve."]).item() == 6588275088324460859  # of any process
