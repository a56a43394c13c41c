"""What ``echossl evaluate`` says to a person: lines for a terminal, ``summary.md`` and ``results.csv``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from echossl.errors import UserError
from echossl.evaluation.assessment import Assessment, Counts, Figure, PointResult
from echossl.evaluation.results import ResultRow, format_interval, write_results
from echossl.evaluation.summary import Summary
from echossl.files import write_json, write_text

TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
    "brier": "Brier",
    "ece": "ECE",
    "ppv": "PPV",
    "npv": "NPV",
    "positive_likelihood_ratio": "LR+",
    "negative_likelihood_ratio": "LR-",
    "f1": "F1",
    "mcc": "MCC",
    "mae": "mean absolute error",
    "r2": "R2",
    "lower_limit": "lower limit of agreement",
    "upper_limit": "upper limit of agreement",
}
Answer = Assessment | Summary


def title_of(name: str, answer: Answer) -> str:
    """The name of a figure as a person reads it."""
    if name == "partial_auroc":
        return f"partial AUROC, specificity {100 * answer.config.partial_specificity:g}-100 %"
    if name.endswith("_at_prevalence"):
        share = 100 * (answer.config.prevalence or 0.0)
        return f"{title_of(name.removesuffix('_at_prevalence'), answer)} at prevalence {share:g} %"
    if name.startswith("auroc_"):
        return f"AUROC {name.removeprefix('auroc_')}"
    return TITLES.get(name, name.replace("_auroc", " AUROC").replace("_", " "))


def as_text(answer: Answer) -> str:
    """Lines for a terminal."""
    lines = _summary_lines(answer) if isinstance(answer, Summary) else _assessment_lines(answer)
    return "\n".join(lines)


def counts_of(counts: Counts, unit: str) -> str:
    """``100 patients, 120 studies, 25 positive patients, ...``."""
    left_out = f"{counts.unlabelled} {unit} without a label left out"
    doubt = f", {counts.uncertain} of them uncertain" if counts.uncertain else ""
    return (
        f"{counts.patients} patients, {counts.studies} {unit}, {counts.positive_patients} positive patients, "
        f"{counts.positive_studies} positive {unit}, {left_out}{doubt}"
    )


def _assessment_lines(answer: Assessment) -> Iterator[str]:
    yield f"{answer.source}: {answer.column}, split {answer.split}"
    yield f"  {counts_of(answer.counts, answer.unit)}"
    yield from _figure_lines(answer.figures, answer)
    yield f"  AUPRC of a guess {answer.prevalence:.3f}"
    lacking = answer.counts.redraws_without_both_classes
    yield f"  {answer.definition}, {lacking} lacked a class"
    for point in answer.points:
        yield f"  at {point.rule} (threshold {point.threshold:.4g} from split {point.chosen_on})"
        yield from _figure_lines(point.figures, answer, indent="    ")
    if answer.calibration:
        yield f"  probabilities {answer.calibration.probabilities}"
        yield from _figure_lines(answer.calibration.figures, answer, indent="    ")
        yield f"    ECE of a perfect model here {answer.calibration.chance_ece:.3f}"
    for group in answer.subgroups:
        shown = shown_figure(group.auroc) if group.auroc else "lacks a class"
        yield (
            f"  {group.column} = {group.group}: AUROC {shown}, {group.patients} patients, "
            f"{group.studies} {answer.unit}, {group.positive_studies} positive"
        )
    for one in answer.correlations:
        yield (
            f"  Spearman with {one.column} {shown_figure(one.spearman)}, {one.patients} patients, "
            f"{one.studies} {answer.unit}"
        )
    yield from (f"  {note}" for note in answer.notes)
    for part, reason in answer.missing.items():
        yield f"  no {PARTS[part]}: {reason}"
    if answer.classes:
        yield f"  {answer.column} by its name follows {answer.classes}"


PARTS = {
    "points": "operating points",
    "calibration": "calibration",
    "decision": "decision curve",
    "subgroups": "subgroups by a column",
    "correlations": "correlation with a column",
    "grades": "scores by grade",
}


def _summary_lines(answer: Summary) -> Iterator[str]:
    yield f"{answer.source}: {answer.column}, split {answer.split}"
    if answer.kind == "left_out":
        yield f"  left out: {'; '.join(answer.notes)}"
        return
    counted = f"{answer.patients} patients, {answer.studies} {answer.unit}"
    groups = ", ".join(f"{count} {name}" for name, count in answer.groups.items())
    which = "any label" if answer.kind == "findings" else "a label"
    label = f", {answer.unlabelled} {answer.unit} without {which} left out"
    positive = "positive: " if answer.kind == "findings" else ""
    yield f"  {counted}{label}{f' ({positive}{groups})' if groups else ''}"
    yield from _figure_lines(answer.figures, answer)
    for note in answer.notes:
        yield f"  {note}"
    yield f"  {answer.definition}, {_unusable(answer)}"


def _unusable(answer: Summary) -> str:
    """How many resamples left a figure undefined, of the figure with the most."""
    name = max(answer.figures, key=lambda name: answer.figures[name].unusable)
    lost = answer.figures[name].unusable
    return f"{lost} left {title_of(name, answer)} undefined" if lost else "none left a figure undefined"


def _figure_lines(figures: dict[str, Figure], answer: Answer, indent: str = "  ") -> Iterator[str]:
    for name, figure in figures.items():
        yield f"{indent}{title_of(name, answer)} {shown_figure(figure)}{_unlike(figure, answer)}"


def _unlike(figure: Figure, answer: Answer) -> str:
    """The method where it is not the one that is named for all."""
    expected = {answer.config.method, "percentile" if answer.config.method == "delong" else ""}
    if figure.method in expected:
        return ""
    return f" ({figure.method.replace('_', '-')})"


def shown_figure(figure: Figure) -> str:
    """``0.818 (0.794-0.840)``; ends that are not known are said to be."""
    if figure.value != figure.value:
        return "undefined"
    if figure.low != figure.low:
        return f"{figure.value:.3f} (no interval)"
    if figure.low == figure.high and figure.resamples:
        return f"{figure.value:.3f} (every resample the same)"
    if figure.low < 0:
        return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
    return format_interval(figure)


def as_markdown(answers: Sequence[Answer]) -> str:
    """``summary.md``: a heading and a table per answer."""
    lines = ["# Evaluation", ""]
    for answer in answers:
        text = as_text(answer).splitlines()
        lines += [
            f"## {answer.column}, split {answer.split}",
            "",
            f"`{answer.source}`: {text[1].strip()}.",
            "",
        ]
        if rows := result_rows([answer]):
            lines += ["| figure | value | interval |", "|---|---|---|"]
            lines += [*(_table_row(row) for row in rows), ""]
            lines += [*(f"- {line.strip()}" for line in _remarks(answer)), ""]
    return "\n".join(lines)


def _remarks(answer: Answer) -> Iterator[str]:
    yield answer.definition
    if isinstance(answer, Summary):
        yield f"of the resamples {_unusable(answer)}"
        yield from answer.notes
        return
    yield f"{answer.counts.redraws_without_both_classes} resamples lacked a class and were left out"
    yield from answer.notes
    yield from (f"no {PARTS[part]}: {reason}" for part, reason in answer.missing.items())
    if answer.classes:
        yield f"{answer.column} by its name follows {answer.classes}"
    yield "Research use only."


def _table_row(row: ResultRow) -> str:
    ends = "" if row.low is None or row.low != row.low else f"{row.low:.3f} to {row.high:.3f}"
    value = "undefined" if row.value != row.value else f"{row.value:.3f}"
    return f"| {row.metric} | {value} | {ends} |"


def result_rows(answers: Sequence[Answer]) -> list[ResultRow]:
    """One row per figure; where a table asks several questions the name of a figure ends with its column."""
    several = len({answer.column for answer in answers}) > 1
    rows = []
    for answer in answers:
        suffix = f"_{answer.column}".replace(", ", "_") if several else ""
        if isinstance(answer, Summary):
            blank = ResultRow(answer.split, "", 0.0, answer.patients, None)
        else:
            blank = ResultRow(answer.split, "", 0.0, answer.counts.patients, answer.counts.positive_patients)
        rows += [blank.with_interval(name + suffix, figure) for name, figure in _named(answer)]
        if isinstance(answer, Assessment):
            rows += list(_rows_of_parts(answer, suffix))
    return rows


def _rows_of_parts(answer: Assessment, suffix: str) -> Iterator[ResultRow]:
    """Figures of some of the studies, with their own counts; how many patients are positive is not known."""
    for group in answer.subgroups:
        if group.auroc:
            blank = ResultRow(answer.split, "", 0.0, group.patients, None)
            yield blank.with_interval(f"auroc[{group.column}={group.group}]{suffix}", group.auroc)
    for one in answer.correlations:
        blank = ResultRow(answer.split, "", 0.0, one.patients, None)
        yield blank.with_interval(f"spearman_{one.column}{suffix}", one.spearman)


def _named(answer: Answer) -> Iterator[tuple[str, Figure]]:
    """Figures of all studies of the split."""
    yield from answer.figures.items()
    if isinstance(answer, Summary):
        return
    for point in answer.points:
        yield from ((f"{name}_at_{_slug(point)}", figure) for name, figure in point.figures.items())
    if answer.calibration:
        yield from answer.calibration.figures.items()


def _slug(point: PointResult) -> str:
    return point.rule.replace(" %", "").replace(" ", "_")


def write_answers(answers: Sequence[Answer], folder: Path) -> list[Path]:
    """Write ``results.csv``, ``assessment.json`` and ``summary.md`` to a folder.

    Returns:
        The files.

    Raises:
        UserError: if the folder is a file.
    """
    if folder.is_file():
        raise UserError(f"{folder}: is a file; give a folder with -o")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("results.csv", "assessment.json", "summary.md")]
    write_results(result_rows(answers), paths[0])
    write_json(paths[1], [answer.as_dict() for answer in answers])
    write_text(paths[2], as_markdown(answers))
    return paths
