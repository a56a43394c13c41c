"""Several arms in one or several data sets as one table: pooled figures, paired differences, results.csv."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.bootstrap import Difference
from echossl.evaluation.panel_files import Panels, Question, read_probe
from echossl.evaluation.panels import Panel, Resampled, refuse_unpaired_panels
from echossl.evaluation.results import ResultRow, format_difference, format_interval, write_results
from echossl.files import write_text


@dataclass(frozen=True)
class Answer:
    """One arm's answer to one question.

    Attributes:
        question: what was asked.
        arm: who was asked.
        panels: the scores, one panel per data set.
        figure: the figure, averaged over the data sets.
        against: the first arm minus this one; None for the first itself.
        first: name of the first arm.
    """

    question: Question
    arm: str
    panels: list[Panel]
    figure: Resampled
    against: Difference | None
    first: str

    @property
    def num_labelled_patients(self) -> int | None:
        """Labelled patients of a run; None if the data sets differ in it."""
        counts = {panel.num_labelled_patients for panel in self.panels}
        return counts.pop() if len(counts) == 1 else None


def join_panels(datasets: Sequence[Panels], config: BootstrapConfig) -> list[Answer]:
    """The figure of every arm for every question: the mean over the data sets.

    Data sets are independent: each is resampled with random numbers of its own. Within one, all arms meet the
    same resampled patients and label draws, so that differences are paired.

    Args:
        datasets: what was found in each; all hold the same questions and arms.
        config: resamples, confidence, seed.

    Raises:
        UserError: if a data set lacks an arm or a question of another, or arms are not paired.
    """
    _refuse_different(datasets)
    configs = [_of_dataset(config, number) for number in range(len(datasets))]
    answers = []
    for question, arms in datasets[0].items():
        first, *_ = arms
        default: Resampled | None = None
        for arm in arms:
            panels = [dataset[question][arm] for dataset in datasets]
            for dataset, panel in zip(datasets, panels, strict=True):
                refuse_unpaired_panels(dataset[question][first], panel)
            own = zip(panels, configs, strict=True)
            figure = Resampled.mean([Resampled.of(panel, question.function, each) for panel, each in own])
            against = default.minus(figure) if default else None
            default = default or figure
            answers.append(Answer(question, arm, panels, figure, against, first))
    return answers


def write_summary(folder: Path, titles: Mapping[str, str], config: BootstrapConfig) -> None:
    """Write ``results.csv`` and ``summary.md`` of a probe whose scores are all there.

    Args:
        folder: the run folder.
        titles: arms in their order, with the name that a reader sees.
        config: resamples, confidence, seed.
    """
    answers = join_panels([read_probe(folder, list(titles))], config)
    write_table(answers, titles, config, folder)


def write_table(
    answers: Sequence[Answer], titles: Mapping[str, str], config: BootstrapConfig, folder: Path
) -> None:
    """Write ``results.csv`` and ``summary.md`` into a folder."""
    write_results([row for answer in answers for row in _rows(answer)], folder / "results.csv")
    write_text(folder / "summary.md", table_text(answers, titles, config))


def table_text(answers: Sequence[Answer], titles: Mapping[str, str], config: BootstrapConfig) -> str:
    """The tables as Markdown, with what a reader must know to believe them."""
    resampling = f"{config.confidence:.0%}, {config.resamples} resamples"
    lines = [f"Intervals: {resampling} of patients, label draws and seeds together. {_datasets(answers[0])}"]
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
            lines += ["", f"{told}; {_num_patients(numbers[0])} {split} patients.", ""]
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
        figures = [_shown(one) for one in own]
        yield f"| {titles.get(arm, arm)} | {' | '.join(figures)} |"
    if len(by_arm) > 1:
        first = titles.get(answers[0].first, answers[0].first)
        yield ""
        yield f"| {first} minus this, {metric} | {' | '.join(columns.values())} |"
        yield rule
        for arm, own in list(by_arm.items())[1:]:
            differences = [format_difference(one.against) for one in own if one.against]
            yield f"| {titles.get(arm, arm)} | {' | '.join(differences)} |"


def _shown(answer: Answer) -> str:
    interval = answer.figure.interval
    if not answer.question.is_r2:
        return format_interval(interval)
    # may be below 0, where a dash between two numbers would mislead
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _heading(answer: Answer) -> str:
    question = answer.question
    if question.is_r2:
        return question.metric.removeprefix("r2_")
    labelled = answer.num_labelled_patients
    return f"{question.fraction:.0%}" if labelled is None else f"{labelled} ({question.fraction:.1%})"


def _counts(answers: Sequence[Answer]) -> str:
    first = answers[0]
    draws = max(len(answer.panels[0].draws) for answer in answers)
    of_all = " (1 of all labels)" if draws > 1 and any(one.question.fraction == 1 for one in answers) else ""
    positive = sum(panel.num_positive for panel in first.panels)
    seeds = max(len(panel.seeds) for answer in answers for panel in answer.panels)
    return (
        f"{_num_patients(first)} {first.question.split} patients, {positive} positive; "
        f"{_plural(draws, 'paired label draw')}{of_all}, {_plural(seeds, 'seed')} in each data set."
    )


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _datasets(answer: Answer) -> str:
    count = len(answer.panels)
    if count == 1:
        return "1 data set."
    return f"Means over {count} data sets of equal weight, each resampled on its own."


def _num_patients(answer: Answer) -> int:
    return sum(panel.num_patients for panel in answer.panels)


def _rows(answer: Answer) -> Iterator[ResultRow]:
    question = answer.question
    blank = ResultRow(
        split=question.split,
        metric=question.metric,
        value=float("nan"),
        num_patients=_num_patients(answer),
        num_positive=None if question.is_r2 else sum(panel.num_positive for panel in answer.panels),
        arm=answer.arm,
        fraction=question.fraction,
        draw="all",
        seed="all",
        num_labelled_patients=answer.num_labelled_patients,
    )
    if len(answer.panels) == 1:
        (panel,) = answer.panels
        for (draw, seed), value in np.ndenumerate(panel.cells(question.function)):
            yield replace(blank, value=float(value), draw=panel.draws[draw], seed=panel.seeds[seed])
    yield blank.with_interval(question.metric, answer.figure.interval)
    if answer.against:
        difference = replace(blank, arm=f"{answer.first} - {answer.arm}")
        yield from difference.with_difference(question.metric, answer.against)


def _of_dataset(config: BootstrapConfig, number: int) -> BootstrapConfig:
    """Other random numbers for every data set; the first keeps those that it has on its own."""
    if number == 0:
        return config
    seed = np.random.SeedSequence([config.seed, number]).generate_state(1)[0]
    return config.model_copy(update={"seed": int(seed)})


def _refuse_different(datasets: Sequence[Panels]) -> None:
    if not datasets or not datasets[0]:
        raise UserError("no scores to put into a table; give at least one finished probe or sweep")
    wanted = [(question, arm) for question, arms in datasets[0].items() for arm in arms]
    for number, dataset in enumerate(datasets[1:], start=2):
        found = [(question, arm) for question, arms in dataset.items() for arm in arms]
        different = [pair for pair in [*wanted, *found] if (pair in wanted) != (pair in found)]
        if different:
            question, arm = different[0]
            lacks, has = (number, 1) if different[0] in wanted else (1, number)
            raise UserError(
                f"folder {lacks}: lacks {question.metric} of the arm {arm} at fraction {question.fraction:g} "
                f"in split {question.split}, which folder {has} has; all need the same arms and fractions"
            )
