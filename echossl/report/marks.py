"""How lines of one figure are told apart without their colour: by dash and by marker."""

# on and off in line widths; arms differ by dash and by marker, not by colour alone
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (4, 1.5),
    (1, 1.2),
    (6, 1.5, 1, 1.5),
    (2, 2),
    (8, 3),
    (3, 1, 1, 1),
    (1, 3),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def dash(number: int) -> tuple[float, ...]:
    """Dash pattern of the arm with this place in the page, on and off in line widths; empty is solid."""
    return DASHES[number % len(DASHES)]
