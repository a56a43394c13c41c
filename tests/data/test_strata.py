import numpy as np
import pytest

from echossl.data.order import shuffled
from echossl.data.strata import allocate, draw_patients, hold_out, members
from echossl.errors import UserError

CLASSES = ((50, 30, 15, 5), (400, 3, 2, 1), (10, 10, 10, 10), (2, 2, 2, 2), (1, 40, 40), (168, 632))


def _strata(sizes) -> dict[str, int]:
    codes = [code for code, size in enumerate(sizes) for _ in range(size)]
    return {f"p{number:04d}": code for number, code in enumerate(codes)}


def _counts(strata: dict[str, int], patients, num_classes: int) -> list[int]:
    return np.bincount([strata[name] for name in patients], minlength=num_classes).tolist()


def _binary_by_hand(strata: dict[str, int], count: int, draw: int) -> tuple[str, ...]:
    """Two classes, the rounded share of either, clipped to two."""
    positives = [name for name, code in strata.items() if code]
    negatives = [name for name, code in strata.items() if not code]
    num_positive = int(count * len(positives) / len(strata) + 0.5 + 1e-9)
    num_positive = min(max(num_positive, 2), count - 2)
    chosen = shuffled(positives, "labels", draw)[:num_positive]
    return tuple(sorted(chosen + shuffled(negatives, "labels", draw)[: count - num_positive]))


@pytest.mark.parametrize(
    ("positives", "negatives"), [(2, 98), (21, 79), (50, 50), (97, 3), (7, 4), (168, 632)]
)
def test_draws_of_two_classes_are_the_rounded_shares(positives, negatives):
    strata = _strata((negatives, positives))
    for count in range(4, len(strata) + 1, max(1, len(strata) // 30)):
        found = draw_patients(strata, fraction=count / len(strata), draw=5, what="severe_as")
        assert found == _binary_by_hand(strata, count, 5)


@pytest.mark.parametrize("sizes", CLASSES)
@pytest.mark.parametrize("draw", [0, 3])
def test_trap_14_draws_are_nested_and_stratified_with_two_of_each_class(sizes, draw):
    strata = _strata(sizes)
    fewest = [min(2, size) for size in sizes]
    before: set[str] = set()
    for count in range(sum(fewest), len(strata) + 1, max(1, len(strata) // 40)):
        patients = draw_patients(strata, fraction=count / len(strata), draw=draw, what="grade")
        assert len(patients) == count
        assert before <= set(patients)
        before = set(patients)
        counts = _counts(strata, patients, len(sizes))
        assert all(own >= least for own, least in zip(counts, fewest, strict=True))
        free = [own for own, least in zip(counts, fewest, strict=True) if own > least]
        wanted = [count * size / len(strata) for size in sizes]
        if len(free) == len(sizes):
            # no bound plays a part, so no class is a whole patient off its share
            assert max(abs(own - share) for own, share in zip(counts, wanted, strict=True)) < 1


def test_draws_differ_and_do_not_depend_on_the_order():
    strata = _strata((50, 30, 20))
    found = draw_patients(strata, fraction=0.2, draw=0, what="grade")
    turned = dict(reversed(strata.items()))
    assert draw_patients(turned, fraction=0.2, draw=0, what="grade") == found
    assert draw_patients(strata, fraction=0.2, draw=1, what="grade") != found


def test_places_are_those_of_the_largest_claim():
    found = allocate([60, 30, 10], 10, fewest=[0, 0, 0], most=[60, 30, 10])
    assert found == [6, 3, 1]
    assert allocate([60, 30, 10], 7, fewest=[2, 2, 2], most=[60, 30, 10]) == [3, 2, 2]
    assert allocate([60, 30, 10], 8, fewest=[0, 0, 0], most=[3, 30, 10]) == [3, 4, 1]
    # of equal claims the last group is first
    assert allocate([5, 5], 1, fewest=[0, 0], most=[5, 5]) == [0, 1]


@pytest.mark.parametrize("sizes", [(4, 4, 2, 2), (9, 1, 3), (40, 30, 20, 10), (2, 2)])
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.95])
def test_validation_holds_every_class_that_can_be_parted(sizes, share):
    strata = _strata(sizes)
    train, validation = hold_out(strata, share=share, draw=1)
    assert sorted([*train, *validation]) == sorted(strata)
    assert train == tuple(sorted(train))
    for size, trained, held in zip(
        sizes, _counts(strata, train, len(sizes)), _counts(strata, validation, len(sizes)), strict=True
    ):
        assert trained + held == size
        assert trained >= 1
        assert held >= 1 or size == 1


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UserError, match="grade has fewer than two classes with 2 patients"):
        draw_patients(_strata((50, 1, 1)), fraction=0.5, draw=0, what="grade")
    with pytest.raises(
        UserError, match=r"0\.05 of 100 assessed patients is 5, expected at least 8 for the 4"
    ):
        draw_patients(_strata((40, 30, 20, 10)), fraction=0.05, draw=0, what="grade")
    with pytest.raises(UserError, match="above 0 and at most 1"):
        draw_patients(_strata((4, 4)), fraction=0, draw=0, what="grade")
    with pytest.raises(UserError, match="between 0 and 1"):
        hold_out(_strata((4, 4)), share=1.0, draw=0)


def test_empty_groups_are_no_groups():
    assert members({"a": 3, "b": 0, "c": 3}) == [["b"], ["a", "c"]]
