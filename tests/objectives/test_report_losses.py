"""The parts of refinement, each beside a plain loop: equal reports, others to tell apart, hidden words."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.objectives.report_losses import (
    LEAST_CHANCE,
    classified,
    draw_others,
    hide_words,
    report_contrast,
)
from echossl.text import Tokenizer

EQUAL = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]).bool()


def similarities(seed: int = 0, size: int = 4) -> Tensor:
    return 3 * torch.randn(size, size, generator=torch.Generator().manual_seed(seed))


def plain_contrast(values: Tensor, positives: Tensor, candidates: Tensor, smoothing: float) -> float:
    """Both ways, item by item, right answer by right answer, each against the negatives alone."""
    total, count = 0.0, len(values)
    for rows, right, allowed in ((values, positives, candidates), (values.T, positives.T, candidates.T)):
        for item in range(count):
            wrong = [other for other in range(count) if allowed[item, other] and not right[item, other]]
            answers = [other for other in range(count) if right[item, other]]
            for answer in answers:
                choice = [answer, *wrong]
                denominator = sum(math.exp(rows[item, other]) for other in choice)
                for other in choice:
                    share = (1 - smoothing) * (other == answer) + smoothing / len(choice)
                    total -= share * math.log(math.exp(rows[item, other]) / denominator) / len(answers)
    return total / (2 * count)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_contrast_is_what_a_plain_loop_gives(smoothing: float) -> None:
    candidates = torch.ones(4, 4).bool()
    candidates[1, 3] = candidates[3, 1] = False  # of one patient
    loss, _ = report_contrast(similarities(), (EQUAL, candidates), label_smoothing=smoothing)
    assert loss.item() == pytest.approx(
        plain_contrast(similarities(), EQUAL, candidates, smoothing), rel=1e-5
    )


def test_contrast_without_equal_reports_is_the_published_one() -> None:
    values, own = similarities(), torch.arange(4)
    pairs = torch.eye(4).bool(), torch.ones(4, 4).bool()
    loss, accuracy = report_contrast(values, pairs, label_smoothing=0.1)
    expected = 0.5 * sum(F.cross_entropy(rows, own, label_smoothing=0.1) for rows in (values, values.T))
    torch.testing.assert_close(loss, expected)
    assert accuracy == (values.argmax(1) == own).float().mean()


def test_contrast_does_not_care_which_side_comes_first() -> None:
    pairs = EQUAL, torch.ones(4, 4).bool()
    one, _ = report_contrast(similarities(), pairs, label_smoothing=0.1)
    other, _ = report_contrast(similarities().T, pairs, label_smoothing=0.1)
    torch.testing.assert_close(one, other)


def test_sister_trap_07_equal_reports_never_repel() -> None:
    """A picture that fits its report less than another one with an equal report is drawn nearer too."""
    values = similarities()
    values[2, 0] = 9.0
    values.requires_grad_()
    loss, _ = report_contrast(values, (EQUAL, torch.ones(4, 4).bool()), label_smoothing=0.0)
    loss.backward()
    assert values.grad is not None
    assert (values.grad[EQUAL] < 0).all()
    assert (values.grad[~EQUAL] > 0).all()


def test_a_batch_of_one_report_has_nothing_to_tell_apart() -> None:
    values = similarities().requires_grad_()
    loss, accuracy = report_contrast(values, (torch.ones(4, 4).bool(),) * 2, label_smoothing=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert accuracy == 1
    assert values.grad is not None
    assert values.grad.abs().max() < 1e-6


def plain_draw(values: Tensor, is_allowed: Tensor, number: float) -> int:
    chances = values.double().softmax(0) + LEAST_CHANCE
    left = number * sum(chances[place].item() for place in range(len(values)) if is_allowed[place])
    for place in range(len(values)):
        if is_allowed[place]:
            left -= chances[place].item()
            if left < 0:
                return place
    raise AssertionError("the numbers are less than 1")


def test_others_are_drawn_as_a_plain_loop_does() -> None:
    values = similarities(size=30)
    is_allowed = torch.rand(30, 30, generator=torch.Generator().manual_seed(1)) < 0.5
    numbers = torch.rand(30, generator=torch.Generator().manual_seed(2))
    drawn, has_other = draw_others(values, is_allowed, numbers)
    assert has_other.all()
    assert drawn.tolist() == [
        plain_draw(*row) for row in zip(values, is_allowed, numbers.tolist(), strict=True)
    ]


def test_the_more_similar_are_drawn_more_often() -> None:
    values = torch.tensor([0.0, 1.0, 2.0, 50.0]).log().repeat(4000, 1)
    is_allowed = torch.tensor([True, True, True, False]).repeat(4000, 1)
    drawn, _ = draw_others(values, is_allowed, torch.rand(4000, generator=torch.Generator().manual_seed(0)))
    counts = torch.bincount(drawn, minlength=4)
    assert counts[3] == 0
    assert 1.6 < counts[2] / counts[1] < 2.5
    assert counts[0] < 40


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_the_ends_of_the_numbers_draw_what_is_allowed(number: float) -> None:
    is_allowed = torch.tensor([[False, True, True, False]])
    drawn, _ = draw_others(torch.zeros(1, 4), is_allowed, torch.tensor([number]))
    assert drawn.item() == (1 if number == 0 else 2)


def test_where_nothing_is_allowed_it_is_said() -> None:
    is_allowed = torch.tensor([[False, False], [True, False]])
    drawn, has_other = draw_others(torch.zeros(2, 2), is_allowed, torch.tensor([0.5, 0.5]))
    assert has_other.tolist() == [False, True]
    assert drawn[1] == 0


def some_ids() -> Tensor:
    ids = torch.randint(5, 60, (200, 30), generator=torch.Generator().manual_seed(0))
    ids[:, 0] = Tokenizer.CLS
    ids[:, 20] = Tokenizer.SEP
    ids[:, 21:] = Tokenizer.PAD
    ids[::3, 4] = Tokenizer.UNK
    return ids


def test_hidden_words_are_what_a_plain_loop_hides() -> None:
    ids, numbers = some_ids(), torch.rand(200, 3, 30, generator=torch.Generator().manual_seed(3))
    shown, is_hidden = hide_words(ids, numbers, share=0.4, vocabulary_size=60)
    for text in range(20):
        for place in range(30):
            piece = int(ids[text, place])
            chosen, way, other = numbers[text, :, place].tolist()
            expected, told = piece, False
            if piece > Tokenizer.MASK and chosen < 0.4:
                told = True
                if way < 0.8:
                    expected = Tokenizer.MASK
                elif way < 0.9:
                    expected = 5 + int(other * 55)
            assert shown[text, place] == expected
            assert is_hidden[text, place] == told


def test_special_pieces_are_never_hidden_and_never_shown_instead() -> None:
    ids, numbers = some_ids(), torch.rand(200, 3, 30, generator=torch.Generator().manual_seed(4))
    numbers[0] = 1 - 2**-24
    shown, is_hidden = hide_words(ids, numbers, share=0.9, vocabulary_size=60)
    special = ids <= Tokenizer.MASK
    assert torch.equal(shown[special], ids[special])
    assert not is_hidden[special].any()
    changed = shown[is_hidden & (shown != Tokenizer.MASK)]
    assert changed.min() > Tokenizer.MASK
    assert shown.max() < 60


def test_the_shares_of_what_is_hidden_are_those_of_the_paper() -> None:
    ids, numbers = some_ids(), torch.rand(200, 3, 30, generator=torch.Generator().manual_seed(5))
    shown, is_hidden = hide_words(ids, numbers, share=0.15, vocabulary_size=60)
    assert is_hidden.sum() / (ids > Tokenizer.MASK).sum() == pytest.approx(0.15, abs=0.02)
    assert (shown[is_hidden] == Tokenizer.MASK).float().mean() == pytest.approx(0.8, abs=0.05)
    assert (shown[is_hidden] == ids[is_hidden]).float().mean() == pytest.approx(0.1, abs=0.04)


def test_classification_is_the_mean_and_nothing_is_zero() -> None:
    logits, targets = torch.randn(5, 3, requires_grad=True), torch.tensor([0, 1, 2, 0, 0])
    loss, accuracy = classified(logits, targets)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets))
    torch.testing.assert_close(accuracy, (logits.argmax(1) == targets).float().mean())
    nothing, _ = classified(logits[:0], targets[:0])
    nothing.backward()
    assert nothing == 0
