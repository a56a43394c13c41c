"""Nested, stratified draws of patients from any number of groups, such as classes or quartiles."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from echossl.data.order import shuffled
from echossl.errors import UserError

FEWEST_OF_A_CLASS = 2


def allocate(sizes: Sequence[int], count: int, *, fewest: Sequence[int], most: Sequence[int]) -> list[int]:
    """Share ``count`` places among groups in proportion to their sizes, within bounds.

    One place after the other goes to the group with the largest ``size / (2 x places + 1)`` (Webster's
    method), so a larger count never takes a place away from any group; of equal groups the last one is first.

    Args:
        sizes: members of each group.
        count: places, at least the sum of ``fewest`` and at most that of ``most``.
        fewest: places that each group has in any case.
        most: places that a group can have.

    Returns:
        Places of each group, which add up to ``count``.
    """
    places = list(fewest)
    for _ in range(count - sum(fewest)):
        open_groups = [group for group in range(len(sizes)) if places[group] < most[group]]
        places[max(open_groups, key=lambda group: (_claim(sizes[group], places[group]), group))] += 1
    return places


def draw_patients(
    strata: Mapping[str, int], *, fraction: float, draw: int, what: str, fewest_groups: int = 2
) -> tuple[str, ...]:
    """Choose a share of the patients, each group in proportion.

    Every group has two patients among the chosen, or as many as it has. A larger fraction of the same draw
    holds every patient of a smaller one.

    Args:
        strata: group of each patient.
        fraction: share of the patients, above 0, at most 1.
        draw: which random draw.
        what: the label, for messages.
        fewest_groups: groups that must have two patients: 2, or 1 where a group holds several classes.

    Returns:
        Sorted ids.

    Raises:
        UserError: if too few groups have two patients, or the share is too small for every group.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"labels.fraction: found {fraction}, expected a share above 0 and at most 1")
    groups = members(strata)
    if sum(len(group) >= FEWEST_OF_A_CLASS for group in groups) < fewest_groups:
        found = "fewer than two classes" if fewest_groups > 1 else "no class"
        raise UserError(
            f"manifest: {what} has {found} with {FEWEST_OF_A_CLASS} patients in this split; nothing can be "
            "learned from it"
        )
    fewest = [min(FEWEST_OF_A_CLASS, len(group)) for group in groups]
    count = rounded(fraction * len(strata))
    if count < sum(fewest):
        raise UserError(
            f"labels.fraction: {fraction:g} of {len(strata)} assessed patients is {count}, expected at least "
            f"{sum(fewest)} for the {len(groups)} classes of {what}; take "
            f"{sum(fewest) / len(strata):.4g} or more"
        )
    sizes = [len(group) for group in groups]
    places = allocate(sizes, count, fewest=fewest, most=sizes)
    return _first(groups, places, "labels", draw)


def hold_out(
    strata: Mapping[str, int], *, share: float, draw: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part validation patients from those that are trained on, each group in proportion.

    Args:
        strata: group of each patient of a label budget.
        share: share that is held out, between 0 and 1.
        draw: which random draw.

    Returns:
        Sorted ids to train on and to validate on. A group with two patients or more is on both sides, a
        single patient is trained on.

    Raises:
        UserError: if the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UserError(f"labels.validation_share: found {share}, expected a share between 0 and 1")
    groups = members(strata)
    sizes = [len(group) for group in groups]
    fewest, most = [int(size > 1) for size in sizes], [size - 1 for size in sizes]
    count = min(max(rounded(share * len(strata)), sum(fewest)), sum(most))
    validation = _first(groups, allocate(sizes, count, fewest=fewest, most=most), "validation", draw)
    return tuple(sorted(set(strata) - set(validation))), validation


def members(strata: Mapping[str, int]) -> list[list[str]]:
    """The patients of each group that has any, groups in order of their codes."""
    return [
        [patient for patient, own in strata.items() if own == code] for code in sorted(set(strata.values()))
    ]


def rounded(value: float) -> int:
    """Half goes up; products such as 0.29 x 50 that fall short of a half by a rounding error do too."""
    return int(value + 0.5 + 1e-9)


def _claim(size: int, places: int) -> Fraction:
    """Exact, so that equal claims are equal whatever the last bit says."""
    return Fraction(size, 2 * places + 1)


def _first(groups: Sequence[list[str]], places: Sequence[int], use: str, draw: int) -> tuple[str, ...]:
    chosen = [
        patient
        for group, count in zip(groups, places, strict=True)
        for patient in shuffled(group, use, draw)[:count]
    ]
    return tuple(sorted(chosen))
