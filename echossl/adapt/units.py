"""What has a label and a score: a study, or each of its videos; by video the classes may be found."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.adapt import LabelBudget
from echossl.data.cells import EMPTY_AMONG_NUMBERS
from echossl.data.labels import UNKNOWN_WORDS, class_map_of
from echossl.errors import UserError

# where the study of a video stands while ``study_id`` names the video
STUDY_OF_VIDEO = "study_of_video"


def by_unit(table: pd.DataFrame, labels: LabelBudget) -> pd.DataFrame:
    """Manifest rows whose ``study_id`` names what has a label.

    Args:
        table: manifest rows with their store ``row``.
        labels: unit and columns.

    Returns:
        By study the table as it is. By video ``study_id`` is the ``path``, ``study_of_video`` the study, and
        an empty label of a column of text, such as ``view``, is NaN like that of any other column.
    """
    if labels.unit == "study":
        return table
    known = [name for name in labels.all_columns if name in table]
    texts = {name: table[name].mask(table[name].eq("").to_numpy(bool)) for name in known}
    return table.assign(**{STUDY_OF_VIDEO: table["study_id"], "study_id": table["path"]}, **texts)


def takes_found_classes(labels: LabelBudget) -> bool:
    """Whether the classes are those of the budget's patients, as nobody has said them."""
    is_open = labels.unit == "video" and labels.task == "multiclass" and not labels.classes
    return is_open and class_map_of(labels.column) is None


def found_classes(cells: pd.Series) -> tuple[str, ...]:
    """The names in a column of classes, in alphabetical order, those that differ in case alone once.

    Args:
        cells: names; empty cells and words for *not known* are no classes.
    """
    names = [str(cell).strip() for cell in cells.dropna()]
    known = [name for name in names if name not in EMPTY_AMONG_NUMBERS and name.lower() not in UNKNOWN_WORDS]
    spelled = {name.lower(): name for name in sorted(known, reverse=True)}
    return tuple(spelled[name] for name in sorted(spelled))


def refuse_other_classes(table: pd.DataFrame, column: str, classes: Sequence[str], split: str) -> None:
    """Raise UserError if videos to be predicted have a class that nothing was learned of."""
    known = {name.lower() for name in classes}
    others = [name for name in found_classes(table[column]) if name.lower() not in known]
    if others:
        raise UserError(
            f"manifest: split {split!r} holds {column} {', '.join(others)}, which no labelled patient has; "
            "raise labels.fraction, leave the cells empty, or give all names as labels.classes"
        )


def rarest_classes(patients: pd.Series, codes: npt.NDArray[np.floating]) -> dict[str, int]:
    """The class of each patient that the fewest patients have, the lower code of equally rare ones.

    Args:
        patients: patient of each video.
        codes: number of the class of each video, none NaN.

    Returns:
        In the order of the sorted patients.
    """
    pairs = pd.DataFrame({"patient": patients.to_numpy(), "code": codes.astype(int)}).drop_duplicates()
    holders = pairs.groupby("code")["patient"].transform("size")
    first = pairs.assign(holders=holders).sort_values(["patient", "holders", "code"])
    rarest = first.drop_duplicates("patient")
    return {str(name): int(code) for name, code in zip(rarest["patient"], rarest["code"], strict=True)}
