"""The curves of one assessed score: ROC, precision and recall, calibration, decision. Bands are pointwise."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from echossl.evaluation import format_interval
from echossl.evaluation.assessment import Assessment, CalibrationResult, Curve, DecisionResult
from echossl.evaluation.proportions import wilson
from echossl.report.marks import MARKERS, dash
from echossl.report.svg import INK, MUTED, PAPER, WIDTH_INCHES, arm_colour, figure_style, to_svg

BAND_OPACITY = 0.18
SQUARE_INCHES = (WIDTH_INCHES, WIDTH_INCHES * 0.92)
REFERENCE: dict[str, Any] = {"color": MUTED, "linewidth": 1.0, "linestyle": (0, (2, 2))}


def roc_band_figure(judged: Assessment, name: str) -> str:
    """Receiver operating characteristic with its band and operating points, as an SVG element."""
    with figure_style():
        figure, axes = _square("1 - specificity", "sensitivity")
        axes.plot([0, 1], [0, 1], **REFERENCE)
        _draw(axes, judged.roc)
        for number, point in enumerate(judged.points):
            _mark(axes, 1 - point.figures["specificity"].value, point.figures["sensitivity"].value, number)
        told = _told("AUROC", judged, "auroc")
        at = "; ".join(
            f"{point.rule}: sensitivity {format_interval(point.figures['sensitivity'])}, "
            f"specificity {format_interval(point.figures['specificity'])}"
            for point in judged.points
        )
        where = f" Operating points: {at}." if at else ""
        return to_svg(
            figure,
            name=name,
            alternative=f"Receiver operating characteristic of {judged.column} with its band. {told}{where}",
        )


def precision_recall_figure(judged: Assessment, name: str) -> str:
    """Precision against recall with its band, as an SVG element."""
    with figure_style():
        figure, axes = _square("recall (sensitivity)", "precision (PPV)")
        axes.axhline(judged.prevalence, **REFERENCE)
        _draw(axes, judged.pr)
        for number, point in enumerate(judged.points):
            _mark(axes, point.figures["sensitivity"].value, point.figures["ppv"].value, number)
        guess = f"the dashed line is a guess, {judged.prevalence:.3f}"
        text = f"Precision against recall of {judged.column} with its band; {guess}."
        return to_svg(figure, name=name, alternative=f"{text} {_told('AUPRC', judged, 'auprc')}")


def calibration_figure(found: CalibrationResult, name: str) -> str:
    """Share of positives against probability: smooth curve with band, bins with Wilson intervals, as SVG."""
    with figure_style():
        figure, axes = _square("probability", "share of positives")
        axes.plot([0, 1], [0, 1], **REFERENCE)
        _draw(axes, found.curve)
        for mean, positives, studies in found.bins:
            low, high = wilson(positives, studies)
            axes.plot([mean, mean], [low, high], color=INK, linewidth=1.0)
            axes.plot(mean, positives / studies, "o", color=PAPER, markeredgecolor=INK, markersize=5)
        bins = "; ".join(f"{positives} of {studies} at {mean:.2f}" for mean, positives, studies in found.bins)
        figures = ", ".join(
            f"{figure_name.replace('calibration_', '')} {format_interval(figure_)}"
            for figure_name, figure_ in found.figures.items()
        )
        return to_svg(
            figure,
            name=name,
            alternative=f"Share of positives against probability ({found.probabilities}); the diagonal is "
            f"perfect. {figures}. Positives by bin: {bins}.",
        )


def decision_figure(found: DecisionResult, name: str) -> str:
    """Net benefit of the model with its band beside acting on all and on none, as an SVG element."""
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, 3.4), layout="constrained")
        axes = figure.subplots()
        x, everyone = np.array(found.model.x), np.array(found.everyone)
        axes.axhline(0, **REFERENCE)
        axes.plot(x, everyone, color=arm_colour(1), linestyle=(0, dash(1)), linewidth=1.6)
        _draw(axes, found.model)
        top = float(np.nanmax([*found.model.high, *found.model.y, *everyone, 0.0]))
        bottom = max(float(np.nanmin([*found.model.low, *everyone, 0.0])), -0.35 * top - 0.02)
        axes.set(xlabel="probability at which one would act", ylabel="net benefit per study")
        axes.set(xlim=(x[0], x[-1]), ylim=(bottom, 1.06 * top))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid()
        middle = len(x) // 2
        text = (
            "Net benefit of acting on the model, on everyone and on no one (0), by the probability at which "
            f"one would act. At {100 * x[middle]:.0f} %: model {found.model.y[middle]:.3f}, "
            f"everyone {everyone[middle]:.3f}."
        )
        return to_svg(figure, name=name, alternative=text)


def _square(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SQUARE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x_label, ylabel=y_label, xlim=(-0.015, 1.015), ylim=(-0.015, 1.015))
    axes.set_aspect("equal")
    axes.grid()
    return figure, axes


def _told(title: str, judged: Assessment, name: str) -> str:
    return f"{title} {format_interval(judged.figures[name])}."


def _mark(axes: Axes, x: float, y: float, number: int) -> None:
    """An operating point, with the marker that the legend of the page gives it."""
    marker = MARKERS[number % len(MARKERS)]
    axes.plot(x, y, marker=marker, color=INK, markersize=8, markeredgecolor=PAPER, linestyle="none", zorder=3)


def _draw(axes: Axes, curve: Curve) -> None:
    x = np.array(curve.x)
    colour = arm_colour(0)
    if curve.low:
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=BAND_OPACITY, linewidth=0)
    axes.plot(x, curve.y, color=colour, linewidth=2.0)
