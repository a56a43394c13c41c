"""Figures as a reader wants them: rounded, with a true minus, with their range, by their full name."""

from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup, escape

from echossl.evaluation import Difference, Interval, format_p_value
from echossl.evaluation.assessment import Assessment
from echossl.evaluation.summary import Summary
from echossl.report import marks
from echossl.report.svg import NUM_ARM_COLOURS

NAMES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "positive_likelihood_ratio": "Positive likelihood ratio",
    "negative_likelihood_ratio": "Negative likelihood ratio",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "balanced_accuracy": "Balanced accuracy",
    "calibration_intercept": "Intercept",
    "calibration_slope": "Slope",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
    "macro_auroc": "Macro AUROC (each class against the rest)",
    "mean_auroc": "Mean AUROC of the findings",
    "accuracy": "Accuracy",
    "quadratic_kappa": "Quadratic kappa",
    "concordance": "Concordance",
    "mae": "Mean absolute error",
    "r2": "R\N{SUPERSCRIPT TWO}",
    "bias": "Bias (predicted minus measured)",
    "lower_limit": "Lower limit of agreement",
    "upper_limit": "Upper limit of agreement",
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's correlation",
}
# paths of the markers of :data:`echossl.report.marks.MARKERS` within 14 x 14 pixels
SHAPES = (
    "M7 2a5 5 0 1 0 .01 0Z",
    "M2.5 2.5h9v9h-9Z",
    "M7 1.5 12.5 12h-11Z",
    "M7 1 12 7 7 13 2 7Z",
    "M7 12.5 1.5 2h11Z",
    "M5 1.5h4V5h3.5v4H9v3.5H5V9H1.5V5H5Z",
    "M4 1.5 7 4.5l3-3L12.5 4l-3 3 3 3L10 12.5l-3-3-3 3L1.5 10l3-3-3-3Z",
)


def full_name(name: str, judged: Assessment | Summary) -> str:
    """The name of a figure with what it needs to be understood."""
    if name.startswith("auroc_"):
        return f"AUROC of {name.removeprefix('auroc_')}"
    if name == "partial_auroc":
        return f"Partial AUROC (specificity {100 * judged.config.partial_specificity:g} % up)"
    if name.endswith("_at_prevalence") and judged.config.prevalence is not None:
        return f"{name[:3].upper()} at a prevalence of {percent(judged.config.prevalence)}"
    return NAMES.get(name, name.replace("_", " "))


def summary_title(one: Summary) -> str:
    """Heading of a question that is no yes or no."""
    columns = one.column.replace("_", " ")
    return f"{'Findings together' if one.kind == 'findings' else columns}, split {one.split}"


def leading_figure(one: Summary) -> str:
    """The figure that stands for the others in the headline."""
    return next(name for name in ("macro_auroc", "mean_auroc", "mae") if name in one.figures)


def summary_counted(one: Summary) -> list[tuple[str, str]]:
    """What the figures of a summary stand on, label and value."""
    lines = [("Split", one.split), ("Patients", str(one.patients)), (one.unit.capitalize(), str(one.studies))]
    if one.groups:
        title = "Positive" if one.kind == "findings" else "Of each class"
        lines.append((title, ", ".join(f"{count} {name}" for name, count in one.groups.items())))
    if one.unlabelled:
        lines.append(("Left out", f"{one.unlabelled} {one.unit} without a label"))
    return lines


def counted(judged: Assessment) -> list[tuple[str, str]]:
    """What the figures stand on, label and value."""
    counts = judged.counts
    lines = [
        ("Split", judged.split),
        ("Patients", f"{counts.patients}, {counts.positive_patients} with a positive study"),
        ("Studies", f"{counts.studies}, {counts.positive_studies} positive"),
    ]
    if counts.unlabelled:
        lines.append(("Left out", f"{counts.unlabelled} studies without a label"))
    redraws = f"{counts.redraws_without_both_classes} of {judged.config.resamples}"
    lines.append(("Redraws that lacked a class", redraws))
    if judged.classes:
        lines.append(("Classes", judged.classes))
    return lines


def parts(judged: Assessment) -> list[tuple[str, str]]:
    """Identifier and title of the parts of a section that hold something."""
    there = {
        "curves": ("ROC and PR", True),
        "points": ("Operating point", bool(judged.points)),
        "calibration": ("Calibration", judged.calibration is not None),
        "decision": ("Decision curve", judged.decision is not None),
        "subgroups": ("Subgroups", bool(judged.subgroups)),
        "grades": ("Score by grade", judged.grades is not None or bool(judged.correlations)),
    }
    return [(name, title) for name, (title, is_there) in there.items() if is_there]


def percent(share: float) -> str:
    """``1 %``."""
    return f"{100 * share:.3g} %"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}").replace("nan", "not defined")


def _signed(value: float, digits: int = 3) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _range(interval: Interval, digits: int = 3) -> str:
    low, high = _number(interval.low, digits), _number(interval.high, digits)
    # a dash between negative numbers is read as one more minus
    return f"{low} to {high}" if interval.low < 0 else f"{low}\N{EN DASH}{high}"


def _signed_range(difference: Difference, digits: int = 3) -> str:
    return f"{_signed(difference.low, digits)} to {_signed(difference.high, digits)}"


def _colour(number: int) -> str:
    return f"var(--arm-{number % NUM_ARM_COLOURS})"


def _dashes(number: int) -> str:
    """Dash pattern of an arm for a legend line that is 2.5 pixels wide."""
    return " ".join(f"{2.5 * length:g}" for length in marks.dash(number))


def _line_mark(number: int, *, grey: bool = False) -> Markup:
    colour = "var(--muted)" if grey else _colour(number)
    return Markup(
        '<svg aria-hidden="true" width="34" height="10"><line x1="0" x2="34" y1="5" y2="5" stroke="{}" '
        'stroke-width="2.5" stroke-dasharray="{}"/></svg>'
    ).format(colour, _dashes(number))


def _marker(number: int, *, coloured: bool = False) -> Markup:
    colour = _colour(number) if coloured else "var(--ink)"
    return Markup('<svg aria-hidden="true" width="14" height="14"><path d="{}" fill="{}"/></svg>').format(
        SHAPES[number % len(SHAPES)], colour
    )


def _share_cell(count: int, whole: int, kind: str) -> Markup:
    """A cell of a confusion matrix: the count, its share of the row in words, and as a shade."""
    share = count / whole if whole else 0.0
    told = f"{100 * share:.0f} %" if whole else "none"
    return Markup('<td class="{}" style="--share: {:.2f}">{} <small>{}</small></td>').format(
        kind, share, count, escape(told)
    )


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


FILTERS: dict[str, Callable[..., Any]] = {
    "colour": _colour,
    "counted": counted,
    "dashes": _dashes,
    "distinct": _distinct,
    "leading_figure": leading_figure,
    "line_mark": _line_mark,
    "marker": _marker,
    "number": _number,
    "p_value": format_p_value,
    "parts": parts,
    "percent": percent,
    "range": _range,
    "share_cell": _share_cell,
    "signed": _signed,
    "signed_range": _signed_range,
    "summary_counted": summary_counted,
    "summary_title": summary_title,
    "words": full_name,
}
