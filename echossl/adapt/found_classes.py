"""A budget whose classes nobody has said: they are those of the drawn patients' videos."""

from dataclasses import replace

import pandas as pd

from echossl.adapt.budget import Budget, draw_budget, of_split
from echossl.adapt.units import found_classes, takes_found_classes
from echossl.config.adapt import LabelBudget
from echossl.errors import UserError


def draw_with_classes(table: pd.DataFrame, labels: LabelBudget, *, split: str) -> tuple[LabelBudget, Budget]:
    """Draw the patients whose labels may be read, and say what the classes are.

    As with every stratified draw, the *choice* of the patients looks at all labels of the split; a class that
    none of the chosen ones has is none.

    Args:
        table: see :func:`echossl.adapt.budget.draw_budget`.
        labels: task, columns, share, draw.
        split: the split to draw from.

    Returns:
        The settings with the classes in alphabetical order (as they are, if they need none), and the budget.

    Raises:
        UserError: if a budget cannot be drawn, or its patients have videos of one class alone.
    """
    if not takes_found_classes(labels):
        return labels, draw_budget(table, labels, split=split)
    if labels.column not in table:
        raise UserError(
            f"manifest: no label column {labels.column!r}; found {', '.join(map(str, table.columns))}"
        )
    names = found_classes(of_split(table, split)[labels.column])
    if len(names) < 2:
        raise UserError(
            f"manifest: split {split!r} holds {', '.join(names) or 'nothing'} in {labels.column}; two "
            "classes or more can be told apart"
        )
    drawn = draw_budget(table, labels.model_copy(update={"classes": names}), split=split)
    codes = sorted(set(drawn.videos["label"].astype(int)))
    if len(codes) < 2:
        raise UserError(
            f"labels.fraction: the {len(drawn.strata)} labelled patients have videos of {names[codes[0]]} "
            f"alone, of {', '.join(names)}; take a larger share"
        )
    places = {code: place for place, code in enumerate(codes)}
    columns = [drawn.videos[name] for name in ("label", "target0")]
    renumbered = {str(column.name): column.map(places).astype(column.dtype) for column in columns}
    budget = replace(
        drawn,
        videos=drawn.videos.assign(**renumbered),
        strata={patient: places[code] for patient, code in drawn.strata.items()},
    )
    return labels.model_copy(update={"classes": tuple(names[code] for code in codes)}), budget
