"""Binary questions that a table of predictions of several classes answers: each cut of grades, each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

SCORE_SUFFIX = "_score"
AT_LEAST = "at_least_"


@dataclass(frozen=True)
class Cut:
    """One binary question.

    Attributes:
        label: the column of class names.
        score: the column of scores of this question.
        classes: all classes in order, as the score columns write them (``_`` for a blank).
        positive: those that make a study positive.
    """

    label: str
    score: str
    classes: tuple[str, ...]
    positive: frozenset[str]

    def labels(self, cells: pd.Series) -> pd.Series:
        """Cells of class names as 1, 0 or empty; what is no class stays as it is."""
        written = cells.str.strip().str.replace(" ", "_")
        answers = {name: str(int(name in self.positive)) for name in self.classes}
        return written.map(answers).fillna(cells)


def cuts_of(columns: Sequence[str]) -> dict[str, Cut]:
    """The binary questions of a table, by name.

    Args:
        columns: its columns. ``as_grade`` beside ``as_grade_score_none``, ``..._mild`` and
            ``as_grade_score_at_least_mild`` makes ``as_grade_at_least_mild``: the classes stand in the order
            of their columns. Without cuts, ``view`` beside ``view_score_PLAX`` makes ``view_is_PLAX``.
    """
    cuts: dict[str, Cut] = {}
    for label in columns:
        prefix = f"{label}{SCORE_SUFFIX}_"
        names = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
        classes = tuple(name for name in names if not name.startswith(AT_LEAST))
        graded = [name for name in names if name.removeprefix(AT_LEAST) in classes and name not in classes]
        for name in graded or classes:
            place = classes.index(name.removeprefix(AT_LEAST))
            positive = frozenset(classes[place:] if graded else (name,))
            question = f"{label}_{name}" if graded else f"{label}_is_{name}"
            cuts[question] = Cut(label, prefix + name, classes, positive)
    return cuts


def questions(columns: Sequence[str]) -> list[str]:
    """Every name that a table can be evaluated by: label columns with a score, and cuts of classes."""
    return [*(name for name in columns if name + SCORE_SUFFIX in columns), *cuts_of(columns)]


def with_cut(table: pd.DataFrame, question: str) -> pd.DataFrame:
    """The table with columns of labels and scores for a cut; as it is for a label column of its own."""
    cut = cuts_of(list(table.columns)).get(question)
    if cut is None:
        return table
    return table.assign(**{question: cut.labels(table[cut.label]), question + SCORE_SUFFIX: table[cut.score]})
