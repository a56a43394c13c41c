"""What every arm answers to every question, in one data set or as the mean over several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.bootstrap import Difference
from echossl.evaluation.panel_files import Panels, Question
from echossl.evaluation.panels import Panel, Resampled, refuse_unpaired_panels
from echossl.evaluation.results import ResultRow


@dataclass(frozen=True)
class Answer:
    """One arm's answer to one question.

    Attributes:
        question: what was asked.
        arm: who was asked.
        first: name of the arm that all others are compared with.
        panels: the scores, one panel per data set.
        parts: the figure in each data set.
        figure: their mean.
        gaps: the first arm's figure minus this one's in each data set; of the first itself 0.
        against: the mean of the gaps; None for the first itself.
    """

    question: Question
    arm: str
    first: str
    panels: list[Panel]
    parts: list[Resampled]
    figure: Resampled
    gaps: list[float]
    against: Difference | None

    @property
    def num_patients(self) -> int:
        """Patients that are scored, in all data sets."""
        return sum(panel.num_patients for panel in self.panels)

    @property
    def num_positive(self) -> int | None:
        """Of those, how many are positive; None where a number is predicted."""
        return None if self.question.is_r2 else sum(panel.num_positive for panel in self.panels)

    @property
    def num_labelled_patients(self) -> int | None:
        """Labelled patients of a run; None if the data sets differ in it."""
        counts = {panel.num_labelled_patients for panel in self.panels}
        return counts.pop() if len(counts) == 1 else None


def join_panels(
    datasets: Sequence[Panels], config: BootstrapConfig, *, first: str | None = None
) -> list[Answer]:
    """The figure of every arm for every question: the mean over the data sets.

    Data sets are independent: each is resampled with random numbers of its own. Within one, all arms meet the
    same resampled patients and label draws, so that differences are paired.

    Args:
        datasets: what was found in each; all hold the same questions and arms.
        config: resamples, confidence, seed.
        first: the arm that all others are compared with; None takes the first of each question.

    Raises:
        UserError: if a data set lacks an arm or a question of another, or arms are not paired.
    """
    _refuse_different(datasets)
    configs = [_of_dataset(config, number) for number in range(len(datasets))]
    answers = []
    for question, arms in datasets[0].items():
        names = _first_to_front(list(arms), first)
        default: list[Resampled] = []
        for arm in names:
            panels = [dataset[question][arm] for dataset in datasets]
            for dataset, panel in zip(datasets, panels, strict=True):
                refuse_unpaired_panels(dataset[question][names[0]], panel)
            parts = [
                Resampled.of(panel, question.function, each)
                for panel, each in zip(panels, configs, strict=True)
            ]
            default = default or parts
            gaps = [one.value - other.value for one, other in zip(default, parts, strict=True)]
            figure = Resampled.mean(parts)
            against = Resampled.mean(default).minus(figure) if parts is not default else None
            answers.append(Answer(question, arm, names[0], panels, parts, figure, gaps, against))
    return answers


def answer_rows(answer: Answer) -> Iterator[ResultRow]:
    """An answer as rows of ``results.csv``.

    First every run, or with several data sets the figure of each, whose row is told by its seed where each
    had one of its own; then the pooled figure; then the paired difference, whose arm is ``A - B``.
    """
    question, metric = answer.question, answer.question.metric
    blank = ResultRow(
        split=question.split,
        metric=metric,
        value=float("nan"),
        num_patients=answer.num_patients,
        num_positive=answer.num_positive,
        arm=answer.arm,
        fraction=question.fraction,
        draw="all",
        seed="all",
        num_labelled_patients=answer.num_labelled_patients,
    )
    yield from _parts(answer, blank)
    yield blank.with_interval(metric, answer.figure.interval)
    if answer.against:
        difference = replace(blank, arm=f"{answer.first} - {answer.arm}")
        yield from difference.with_difference(metric, answer.against)


def _parts(answer: Answer, blank: ResultRow) -> Iterator[ResultRow]:
    if len(answer.panels) == 1:
        (panel,) = answer.panels
        for (draw, seed), value in np.ndenumerate(panel.cells(answer.question.function)):
            yield replace(blank, value=float(value), draw=panel.draws[draw], seed=panel.seeds[seed])
        return
    seeds = [panel.seeds for panel in answer.panels]
    if all(len(own) == 1 for own in seeds) and len(set(seeds)) == len(seeds):
        for panel, part in zip(answer.panels, answer.parts, strict=True):
            positive = None if answer.question.is_r2 else panel.num_positive
            own_row = replace(blank, seed=panel.seeds[0], num_patients=panel.num_patients)
            own_row = replace(own_row, num_labelled_patients=panel.num_labelled_patients)
            yield replace(own_row, num_positive=positive).with_interval(blank.metric, part.interval)


def _first_to_front(names: list[str], first: str | None) -> list[str]:
    if first is None:
        return names
    if first not in names:
        raise UserError(f"no arm {first!r} to compare with; there are {', '.join(names)}")
    return [first, *(name for name in names if name != first)]


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
