"""Intervals below each other, every label on a line of its own so that long names fit a phone."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from echossl.evaluation import Interval, format_interval
from echossl.report.marks import MARKERS
from echossl.report.svg import INK, MUTED, PAPER, WIDTH_INCHES, arm_colour, figure_style, to_svg

# label, figure, number of its colour and marker
Row = tuple[str, Interval, int]
LONGEST_LABEL = 52


def forest(
    groups: Sequence[tuple[str, Sequence[Row]]],
    *,
    name: str,
    axis_label: str,
    reference: tuple[float, str],
    emphasised: str = "",
    signed: bool = False,
    limits: tuple[float | None, float | None] = (None, None),
) -> str:
    """Intervals below each other, every label on a line of its own so that long names fit a phone."""
    num_rows = sum(len(rows) for _, rows in groups)
    height = 0.6 + 0.46 * num_rows + 0.42 * len(groups)
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, height))
        top, bottom = 1 - 0.02 / height, 0.48 / height
        axes = figure.add_axes((0.02, bottom, 0.96, top - bottom))
        axes.axvline(reference[0], color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.6)
        place, texts = 0.25, []
        for heading, rows in groups:
            place -= 0.75
            axes.text(
                0,
                place,
                heading,
                transform=axes.get_yaxis_transform(),
                color=MUTED,
                va="center",
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
            )
            for label, interval, number in rows:
                place -= 1.0
                _forest_row(axes, place, (label, interval, number), label == emphasised, signed)
                texts.append(f"{heading}, {label}: {format_interval(interval)}")
        axes.set(xlabel=axis_label, ylim=(place - 0.6, 0), yticks=[])
        _forest_limits(
            axes, [interval for _, rows in groups for _, interval, _ in rows], reference[0], limits
        )
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        alternative = f"{axis_label} with intervals; the dashed line is {reference[1]}. {'; '.join(texts)}."
        return to_svg(figure, name=name, alternative=alternative)


def _forest_row(axes: Axes, place: float, row: Row, emphasised: bool, signed: bool) -> None:
    label, interval, number = row
    colour = arm_colour(number)
    axes.plot(
        [interval.low, interval.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt"
    )
    axes.plot(
        interval.value,
        place,
        marker=MARKERS[number % len(MARKERS)],
        color=colour,
        markersize=8 if emphasised else 7,
        markeredgecolor=PAPER,
    )
    # the label hides the grid behind it
    words: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "color": INK,
        "weight": "bold" if emphasised else "normal",
        "bbox": {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
    }
    short = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    axes.text(0, place + 0.4, short, **words)
    value = f"{interval.value:+.3f}" if signed else f"{interval.value:.3f}"
    axes.text(1, place + 0.4, value, ha="right", **words)


def _forest_limits(
    axes: Axes, intervals: Iterable[Interval], reference: float, limits: tuple[float | None, float | None]
) -> None:
    ends = np.array([(interval.low, interval.high) for interval in intervals])
    finite = np.append(ends[np.isfinite(ends)], reference)
    room = 0.04 * (finite.max() - finite.min()) + 0.005
    low, high = finite.min() - room, finite.max() + room
    axes.set_xlim(limits[0] if limits[0] is not None else low, limits[1] if limits[1] is not None else high)
