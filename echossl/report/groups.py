"""Figures of groups: subgroups below each other, scores by grade, scores against a measurement."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from echossl.evaluation import format_interval
from echossl.evaluation.assessment import Assessment, Correlation, GradeScores, PointResult
from echossl.evaluation.summary import Summary
from echossl.report.forest import forest
from echossl.report.marks import MARKERS, dash
from echossl.report.svg import INK, MUTED, PAPER, WIDTH_INCHES, arm_colour, figure_style, to_svg

Floats = npt.NDArray[np.float64]
LONGEST_GROUP = 34
PLACES = 160
# below this many studies a density says more about its kernel than about them
FEWEST_FOR_DENSITY = 5


def subgroups_figure(judged: Assessment, name: str) -> str:
    """AUROC of every subgroup that has both classes, and of all, as an SVG element."""
    overall = [("all studies", [(f"all ({judged.counts.studies})", judged.figures["auroc"], 0)])]
    columns = dict.fromkeys(group.column for group in judged.subgroups)
    rows = [
        (
            column,
            [
                (
                    f"{group.group[:LONGEST_GROUP]} ({group.positive_studies} of {group.studies})",
                    group.auroc,
                    1,
                )
                for group in judged.subgroups
                if group.column == column and group.auroc is not None
            ],
        )
        for column in columns
    ]
    value = judged.figures["auroc"].value
    return forest(
        [*overall, *((column, some) for column, some in rows if some)],
        name=name,
        axis_label="AUROC",
        reference=(value, f"all studies, {value:.3f}"),
        emphasised=overall[0][1][0][0],
        limits=(None, 1.003),
    )


def violins_figure(grades: GradeScores, points: tuple[PointResult, ...], name: str) -> str:
    """Scores by grade as violins with every study as a dot, as an SVG element.

    Args:
        grades: the scores.
        points: the thresholds of the operating points are drawn as lines.
        name: unique on the page.
    """
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, 3.6), layout="constrained")
        axes = figure.subplots()
        for number, point in enumerate(points):
            if np.isfinite(point.threshold):
                axes.axhline(point.threshold, color=MUTED, linewidth=1.2, linestyle=(0, dash(number) or None))
        for place, scores in enumerate(grades.scores.values()):
            _violin(axes, place, np.array(scores))
        labels = [f"{grade}\n{len(scores)}" for grade, scores in grades.scores.items()]
        axes.set_xticks(range(len(labels)), labels)
        axes.set(ylabel="score", xlim=(-0.6, len(labels) - 0.4))
        axes.grid(axis="y")
        told = "; ".join(
            f"{grade}: {len(scores)} studies, median {np.median(scores):.3g}"
            for grade, scores in grades.scores.items()
            if scores
        )
        return to_svg(figure, name=name, alternative=f"Scores by {grades.column} as violins. {told}.")


def correlation_figure(found: Correlation, name: str) -> str:
    """Score against a measurement, a marker per grade, as an SVG element."""
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, 3.3), layout="constrained")
        axes = figure.subplots()
        values, scores = np.array(found.values), np.array(found.scores)
        groups = np.array(found.groups or [""] * values.size)
        for number, group in enumerate(dict.fromkeys(groups.tolist())):
            rows = groups == group
            axes.scatter(
                values[rows],
                scores[rows],
                s=22,
                marker=MARKERS[number % len(MARKERS)],
                color=arm_colour(number),
                edgecolors=PAPER,
                linewidths=0.5,
            )
        axes.set(xlabel=found.column.replace("_", " "), ylabel="score")
        axes.grid()
        text = f"Score against {found.column} of {found.studies} studies of {found.patients} patients. "
        told = f"Spearman's correlation {format_interval(found.spearman)}."
        return to_svg(figure, name=name, alternative=text + told)


def agreement_figure(one: Summary, name: str) -> str:
    """Predicted against measured numbers with the limits of agreement, as an SVG element."""
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, WIDTH_INCHES), layout="constrained")
        axes = figure.subplots()
        measured, predicted = np.array(one.measured), np.array(one.predicted)
        ends = np.array([min(measured.min(), predicted.min()), max(measured.max(), predicted.max())])
        axes.plot(ends, ends, color=MUTED, linewidth=1.2, linestyle="dashed")
        for limit in ("lower_limit", "upper_limit"):
            axes.plot(ends, ends + one.figures[limit].value, color=MUTED, linewidth=1.2, linestyle="dotted")
        axes.plot(measured, predicted, ".", color=arm_colour(0), markersize=6, alpha=0.7)
        axes.set(xlabel=f"measured {one.column.replace('_', ' ')}", ylabel="predicted")
        axes.set_aspect("equal")
        axes.grid()
        text = (
            f"Predicted against measured {one.column} of {one.studies} {one.unit}. Mean absolute error "
            f"{format_interval(one.figures['mae'])}, R2 {format_interval(one.figures['r2'])}."
        )
        return to_svg(figure, name=name, alternative=text)


def _violin(axes: Axes, place: int, scores: Floats) -> None:
    """Density about a vertical line, quartiles as a bar, the median as a dot, every study beside it."""
    if scores.size >= FEWEST_FOR_DENSITY and np.ptp(scores) > 0:
        reach = np.ptp(scores) * 0.1
        at = np.linspace(scores.min() - reach, scores.max() + reach, PLACES)
        density = stats.gaussian_kde(scores)(at)
        width = 0.42 * density / density.max()
        colour = arm_colour(0)
        axes.fill_betweenx(at, place - width, place + width, color=colour, alpha=0.22, linewidth=0)
        axes.plot(np.r_[place - width, place + width[::-1]], np.r_[at, at[::-1]], color=colour, linewidth=1.0)
    aside = np.random.default_rng(place).uniform(-0.12, 0.12, scores.size)
    axes.plot(place + aside, scores, ".", color=arm_colour(0), markersize=3.5, alpha=0.8)
    if scores.size:
        low, middle, high = np.quantile(scores, (0.25, 0.5, 0.75))
        axes.plot([place, place], [low, high], color=INK, linewidth=3.0, solid_capstyle="butt")
        axes.plot(place, middle, "o", color=PAPER, markeredgecolor=INK, markersize=6)
