"""The figure of a study: AUROC against the share of the labels, as files for a paper and for a page."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from echossl.evaluation import auroc
from echossl.files import atomic_path
from echossl.report.marks import MARKERS, dash
from echossl.study.labels_saved import percent
from echossl.study.pooled import ArmResult

NAME = "label_efficiency"
# Okabe and Ito: told apart by readers with any colour vision; arms differ by dash and marker too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
WIDTH_INCHES, PLOT_INCHES, LINE_INCHES = 6.4, 3.6, 0.22
# of the width, between the intervals of two arms at one share of the labels, which would hide each other
APART = 0.008
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "echossl",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9.5,
}
NO_DATE = {"svg": {"Date": None}, "png": {"Software": None}}
CHANCE = 0.5


def write_efficiency(results: Sequence[ArmResult], folder: Path) -> list[Path]:
    """Draw ``label_efficiency.svg`` and ``label_efficiency.png`` into a folder.

    Args:
        results: what was pooled, by arm and fraction.
        folder: of the study.

    Returns:
        Both paths.
    """
    paths = []
    with style.context(STYLE):
        figure = draw_efficiency(results)
        for kind, metadata in NO_DATE.items():
            path = folder / f"{NAME}.{kind}"
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=200, metadata=metadata)
            paths.append(path)
    return paths


def draw_efficiency(results: Sequence[ArmResult]) -> Figure:
    """Lines: means over draws and seeds. Bands: intervals over patients, draws and seeds. Dots: draws."""
    arms = list(dict.fromkeys(result.arm.title for result in results))
    height = PLOT_INCHES + LINE_INCHES * len(arms)  # a title may be as long as a line
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.subplots()
    patients = {result.fraction: result.num_labelled_patients for result in results}
    fractions = sorted(patients)
    span = fractions[-1] / fractions[0]
    for number, arm in enumerate(arms):
        line = sorted((one for one in results if one.arm.title == arm), key=lambda one: one.fraction)
        # many bands on top of each other would hide the lines
        aside = span ** (APART * (number - (len(arms) - 1) / 2))
        _draw_arm(axes, line, number, band=min(0.15, 0.5 / len(arms)), aside=aside)
    axes.set(xscale="log", xlabel="share of the training patients with a label (patients)", ylabel="AUROC")
    axes.set_xticks(fractions, [f"{percent(one)}\n({patients[one]})" for one in fractions])
    axes.set_xticks([], minor=True)
    axes.axhline(CHANCE, color="0.5", linewidth=0.8, linestyle=(0, (2, 2)))
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", frameon=False, handlelength=3)
    return figure


def draw_means(result: ArmResult) -> list[float]:
    """AUROC of each label draw, the mean over its seeds, draws rising."""
    values: dict[int, list[float]] = defaultdict(list)
    for cell in result.cells:
        values[cell.draw].append(auroc(cell.predictions.labels, cell.predictions.scores))
    return [float(np.mean(values[draw])) for draw in sorted(values)]


def _draw_arm(axes: Axes, line: Sequence[ArmResult], number: int, *, band: float, aside: float) -> None:
    colour, intervals = COLOURS[number % len(COLOURS)], [one.intervals["auroc"] for one in line]
    fractions = [one.fraction * aside for one in line]
    lows, highs = ([one.low for one in intervals], [one.high for one in intervals])
    axes.fill_between(fractions, lows, highs, color=colour, alpha=band, linewidth=0)
    # a band has no width at a single fraction
    axes.vlines(fractions, lows, highs, color=colour, alpha=0.5, linewidth=1.0)
    for place, one in zip(fractions, line, strict=True):
        means = draw_means(one)
        axes.plot([place] * len(means), means, ".", color=colour, markersize=3, alpha=0.6)
    axes.plot(
        fractions,
        [one.value for one in intervals],
        color=colour,
        linestyle=(0, dash(number) or None),
        marker=MARKERS[number % len(MARKERS)],
        markersize=5,
        linewidth=1.6,
        label=line[0].arm.title,
    )
