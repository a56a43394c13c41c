"""Label columns: what their classes are, raw values to classes, classes to the numbers that training reads.

A manifest column that is named like a class map holds its classes. An empty cell, and every word for *not
known*, means not assessed: it never becomes a class, and least of all the negative one.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.data.cells import EMPTY_AMONG_NUMBERS, EMPTY_WORDS
from echossl.data.class_maps import CLASS_MAPS, ClassMap, Kind
from echossl.errors import UserError

__all__ = [
    "CLASS_MAPS",
    "NOT_ASSESSED_CODE",
    "ClassMap",
    "Kind",
    "LabelKind",
    "apply_class_map",
    "class_map_of",
    "describe",
    "encode_labels",
    "encode_multilabel",
]

LabelKind = Literal["binary", "multiclass", "ordinal", "multilabel"]
NOT_ASSESSED_CODE = -1
# columns of older manifests that follow a class map under another name
ALIASES = {"severe_as": "as_severe", "as_grade": "as_acc_aha_2020"}
# words of tables and readers for what nobody knows, lower case
UNKNOWN_WORDS = frozenset(
    (
        *("not_provided", "not provided", "not assessed", "not_assessed", "unassessed", "unknown", "n/a"),
        *("uncertain", "indeterminate", "undetermined", "equivocal", "cannot exclude", "?", "-1", "-1.0"),
    )
)
_BINARY_CODES = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


def class_map_of(column: str) -> ClassMap | None:
    """The class map whose classes a manifest column holds, or None."""
    return CLASS_MAPS.get(ALIASES.get(column, column))


def describe(column: str) -> str | None:
    """One line about the classes of a column, to be printed with every result; None without a class map."""
    class_map = class_map_of(column)
    return class_map.describe() if class_map else None


def apply_class_map(values: pd.Series, class_map: ClassMap) -> pd.Series:
    """Turn raw values into what a manifest column of the map's name holds.

    Args:
        values: raw values of the map or its classes, of any case; the index is said as the row in errors.
        class_map: the map.

    Returns:
        Same index: 0.0, 1.0 or NaN of a binary map (float64), else the class name or NaN (object).

    Raises:
        UserError: at a value that the map does not know, naming its row.
    """
    cells = _cells(values, none_is_class=_none_is_class(values, class_map))
    codes = [
        _raw_code(class_map, cell, f"{values.name}: row {row}")
        for row, cell in zip(values.index, cells, strict=True)
    ]
    if class_map.kind == "binary":
        found = [float("nan") if code is None else float(code) for code in codes]
        return pd.Series(found, index=values.index, name=class_map.name, dtype="float64")
    names = [float("nan") if code is None else class_map.classes[code] for code in codes]
    return pd.Series(names, index=values.index, name=class_map.name, dtype=object)


def encode_labels(
    table: pd.DataFrame,
    column: str,
    *,
    kind: Kind | None = None,
    classes: Sequence[str] | None = None,
) -> npt.NDArray[np.int64]:
    """The codes of a label column: the place of the class in its fixed order.

    Args:
        table: a manifest as ``read_manifest`` gives it.
        column: a label column.
        kind: what the column must be; None takes that of its class map, or binary.
        classes: the classes in order, for a column without a class map. They are never taken from the data:
            another table would number them differently.

    Returns:
        (rows,) int64: 0 or 1 for a binary column, else the index of the class; -1 where not assessed.

    Raises:
        UserError: if the column is missing, its classes are not known or not those asked for, or a cell
            holds none of them.
    """
    _require(table, column)
    order = _classes_of(column, kind, classes)
    places = {name.strip().lower(): place for place, name in enumerate(order)}
    if len(order) == 2 and (kind or _kind_of(column, classes)) == "binary":
        places |= _BINARY_CODES
    cells = _cells(table[column], none_is_class="none" in places)
    codes = [NOT_ASSESSED_CODE if cell is None else places.get(cell.lower()) for cell in cells]
    for number, code in enumerate(codes):
        if code is None:
            raise UserError(
                f"manifest: {_row(table, number)}: {column} is {cells[number]!r}, expected "
                f"{_said(order, _BINARY_CODES if '0' in places else {})} or empty (not assessed)"
            )
    return np.array(codes, dtype=np.int64)


def encode_multilabel(table: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.float32]:
    """Several findings of which any number may be present.

    Args:
        table: a manifest.
        columns: binary label columns.

    Returns:
        (rows, columns) float32: 0, 1, or NaN where not assessed.

    Raises:
        UserError: if there is no column, one is missing, or a cell is neither 0 nor 1.
    """
    if not columns:
        raise UserError("labels: no columns given; name the binary label columns")
    codes = np.stack([encode_labels(table, column, kind="binary") for column in columns], axis=1)
    return np.where(codes == NOT_ASSESSED_CODE, np.nan, codes).astype(np.float32)


def _cells(values: pd.Series, *, none_is_class: bool) -> list[str | None]:
    """The cells as stripped text, None where not assessed; 1.0 stays a way to write 1."""
    empty = EMPTY_WORDS if none_is_class else EMPTY_AMONG_NUMBERS
    texts = [None if pd.isna(value) else str(value).strip() for value in values]
    return [
        None if text is None or text in empty or text.lower() in UNKNOWN_WORDS else text for text in texts
    ]


def _none_is_class(values: pd.Series, class_map: ClassMap) -> bool:
    """Whether ``None`` is the class or the raw value none; beside 0 and 1 it is an empty cell."""
    if "none" in class_map.classes:
        return True
    others = set(values.dropna().astype(str).str.strip().str.lower()) - {"none"}
    return "none" in class_map.values and not others.isdisjoint(class_map.values)


def _raw_code(class_map: ClassMap, cell: str | None, where: str) -> int | None:
    if cell is None:
        return None
    if class_map.below is not None:
        return int(_percentage(cell, where) < class_map.below)
    word = cell.lower()
    if class_map.kind == "binary" and word in _BINARY_CODES:
        return _BINARY_CODES[word]
    name = class_map.values.get(word, word)
    places = {own.lower(): place for place, own in enumerate(class_map.classes)}
    if name.lower() not in places:
        known = _said([*class_map.values, *class_map.classes], {})
        raise UserError(f"{where}: found {cell!r}, expected a value of {class_map.name}: {known} or empty")
    return places[name.lower()]


def _percentage(cell: str, where: str) -> float:
    try:
        value = float(cell.removesuffix("%"))
    except ValueError:
        value = float("nan")
    if not 1 < value <= 100:
        raise UserError(f"{where}: found {cell!r}, expected a percentage above 1 and at most 100, or empty")
    return value


def _classes_of(column: str, kind: Kind | None, classes: Sequence[str] | None) -> Sequence[str]:
    """The classes in order, from the map or from the caller."""
    class_map = class_map_of(column)
    if class_map is not None:
        if classes is not None and tuple(classes) != class_map.classes:
            known = ", ".join(class_map.classes)
            raise UserError(f"labels: the classes of {column} are {known}, not {', '.join(classes)}")
        if kind not in {None, class_map.kind}:
            raise UserError(f"labels: {column} is {class_map.kind}, not {kind}")
        return class_map.classes
    if classes is not None:
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise UserError(f"labels: {column} needs two different classes or more, found {list(classes)}")
        return classes
    if kind in {"multiclass", "ordinal"}:
        raise UserError(
            f"labels: {column} is not the name of a class map, so its classes must be given in order; "
            f"maps are {', '.join(CLASS_MAPS)}"
        )
    return ("0", "1")


def _kind_of(column: str, classes: Sequence[str] | None) -> Kind:
    class_map = class_map_of(column)
    if class_map is not None:
        return class_map.kind
    return "binary" if classes is None else "multiclass"


def _require(table: pd.DataFrame, column: str) -> None:
    if column not in table:
        raise UserError(f"manifest: no label column {column!r}; found {', '.join(map(str, table.columns))}")


def _row(table: pd.DataFrame, number: int) -> str:
    """The row as a spreadsheet counts; a manifest's index starts at 0 below the header."""
    label = table.index[number]
    return f"row {label + 2}" if isinstance(label, int | np.integer) else f"row {label}"


def _said(names: Sequence[str], codes: dict[str, int]) -> str:
    words = dict.fromkeys((*names, *(str(code) for code in codes.values())))
    return ", ".join(words)
