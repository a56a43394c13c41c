"""Several arms in one or several data sets as tables: Markdown for a person, ``results.csv``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.panel_answers import Answer, answer_rows, join_panels
from echossl.evaluation.panel_files import R2, read_probe
from echossl.evaluation.results import format_difference, format_interval, write_results
from echossl.files import write_text


def write_summary(folder: Path, titles: Mapping[str, str], config: BootstrapConfig) -> None:
    """Write ``results.csv`` and ``summary.md`` of a probe whose scores are all there.

    Args:
        folder: the run folder.
        titles: arms in their order, with the name that a reader sees.
        config: resamples, confidence, seed.
    """
    answers = join_panels([read_probe(folder, list(titles))], config)
    write_tables(answers, titles, config, folder)


def write_tables(
    answers: Sequence[Answer], titles: Mapping[str, str], config: BootstrapConfig, folder: Path
) -> None:
    """Write ``results.csv`` and ``summary.md`` into a folder."""
    write_results([row for answer in answers for row in answer_rows(answer)], folder / "results.csv")
    write_text(folder / "summary.md", tables_text(answers, titles, config))


def tables_text(answers: Sequence[Answer], titles: Mapping[str, str], config: BootstrapConfig) -> str:
    """The tables as Markdown, with what a reader must know to believe them.

    Args:
        answers: of :func:`echossl.evaluation.panel_answers.join_panels`.
        titles: the name that a reader sees of each arm; an arm without one is called by its own.
        config: how the intervals were made.
    """
    resampling = f"{config.confidence:.0%}, {config.resamples} resamples"
    lines = [f"Intervals: {resampling} of scored patients, label draws and seeds together."]
    lines += _datasets(answers[0])
    for split in dict.fromkeys(answer.question.split for answer in answers):
        own = [answer for answer in answers if answer.question.split == split]
        lines += ["", f"## Split {split}"]
        labels = [answer for answer in own if not answer.question.is_r2]
        for metric in dict.fromkeys(answer.question.metric for answer in labels):
            chosen = [answer for answer in labels if answer.question.metric == metric]
            lines += ["", _counts(chosen), "", *_both_tables(chosen, titles, metric.upper())]
        numbers = [answer for answer in own if answer.question.is_r2]
        if numbers:
            told = "R2 of ridge regression on all training patients"
            lines += ["", f"{told}; {numbers[0].num_patients} {split} patients.", ""]
            lines += _both_tables(numbers, titles, "R2")
    return "\n".join(lines) + "\n"


def _both_tables(answers: Sequence[Answer], titles: Mapping[str, str], metric: str) -> Iterator[str]:
    columns = {answer.question: _heading(answer) for answer in answers}
    rule = "|---" * (len(columns) + 1) + "|"
    by_arm: dict[str, list[Answer]] = {}
    for answer in answers:
        by_arm.setdefault(answer.arm, []).append(answer)
    yield f"| {metric} | {' | '.join(columns.values())} |"
    yield rule
    for arm, own in by_arm.items():
        yield f"| {titles.get(arm, arm)} | {' | '.join(_figure(one) for one in own)} |"
    if len(by_arm) > 1:
        first = titles.get(answers[0].first, answers[0].first)
        yield ""
        yield f"| {first} minus this, {metric} | {' | '.join(columns.values())} |"
        yield rule
        for arm, own in by_arm.items():
            if arm != answers[0].first:
                yield f"| {titles.get(arm, arm)} | {' | '.join(_gap(one) for one in own)} |"


def _figure(answer: Answer) -> str:
    interval = answer.figure.interval
    shown = format_interval(interval)
    if answer.question.is_r2:
        # may be below 0, where a dash between two numbers would mislead
        shown = f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"
    return shown + _each([f"{part.value:.2f}" for part in answer.parts])


def _gap(answer: Answer) -> str:
    shown = format_difference(answer.against) if answer.against else ""
    return shown + _each([f"{gap:+.2f}" for gap in answer.gaps])


def _each(figures: list[str]) -> str:
    """The figure of each data set, which says more of the spread between them than any interval of a few."""
    return f" [{', '.join(figures)}]" if len(figures) > 1 else ""


def _heading(answer: Answer) -> str:
    question = answer.question
    if question.is_r2:
        return question.metric.removeprefix(R2)
    labelled = answer.num_labelled_patients
    return f"{question.fraction:.1%}" if labelled is None else f"{labelled} ({question.fraction:.1%})"


def _counts(answers: Sequence[Answer]) -> str:
    first = answers[0]
    draws = max(len(answer.panels[0].draws) for answer in answers)
    of_all = " (1 of all labels)" if draws > 1 and any(one.question.fraction == 1 for one in answers) else ""
    seeds = max(len(panel.seeds) for answer in answers for panel in answer.panels)
    each = " in each data set" if len(first.panels) > 1 else ""
    return (
        f"{first.num_patients} {first.question.split} patients, {first.num_positive} positive; "
        f"{_plural(draws, 'paired label draw')}{of_all}, {_plural(seeds, 'seed')}{each}."
    )


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _datasets(answer: Answer) -> list[str]:
    count = len(answer.panels)
    if count == 1:
        return []
    return [
        f"Means over {count} data sets of equal weight, each resampled on its own; in brackets each figure.",
        "The intervals leave out the spread between data sets, and between seeds where each has but one.",
    ]
