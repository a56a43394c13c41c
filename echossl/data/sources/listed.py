"""The files that the table of a data set lists, found by name below several folders.

Tables name files without suffix, with another case, or by a path that starts at another folder. What is
listed and absent is left out and said, and so is what is there and not listed.

Example:
    >>> listing = find_table(root, "FileList.csv")
    >>> table = read_table(listing, ["FileName", "EF"])
    >>> matched = match_files(table, "FileName", FileIndex([listing.parent]), listing)
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from echossl.data.order import natural_key
from echossl.data.sources.tables import FOREIGN_FOLDERS, counted, joined
from echossl.errors import UserError

VIDEO_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".dcm", ".gif", ".png", ".jpg", ".jpeg")


class FileIndex:
    """The files below some folders, found by the names that a table gives them.

    Args:
        folders: searched in this order; the first one that has a file wins.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = [folder.absolute() for folder in folders]
        self._by_key = [_by_key(folder) for folder in self.folders]

    def find(self, name: str) -> Path | None:
        """The file of a name, or None.

        Args:
            name: file name or relative path with ``/``, of any case, with or without the suffix.

        Raises:
            UserError: if one folder has it twice.
        """
        wanted = name.replace("\\", "/").strip("/").casefold()
        key = _key(PurePosixPath(wanted).name)
        for folder, by_key in zip(self.folders, self._by_key, strict=True):
            found = [path for path in by_key.get(key, ()) if _ends_with(path, wanted)]
            exact = [path for path in found if f"/{path}".casefold().endswith(f"/{wanted}")]
            found = exact or found
            if len(found) > 1:
                raise UserError(f"{folder}: {name} is there as {found[0]} and as {found[1]}; keep one")
            if found:
                return folder / found[0]
        return None

    def others(self, known: Collection[str], suffixes: Collection[str] = VIDEO_SUFFIXES) -> list[str]:
        """Absolute paths, in natural order, of files with one of the suffixes that are not known."""
        paths = (
            str(folder / path)
            for folder, by_key in zip(self.folders, self._by_key, strict=True)
            for group in by_key.values()
            for path in group
        )
        known = frozenset(known)
        return sorted((p for p in paths if p not in known and _suffix(p) in suffixes), key=natural_key)


def _by_key(folder: Path) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for path in walk_files(folder):
        files.setdefault(_key(path.name.casefold()), []).append(path.relative_to(folder).as_posix())
    return files


def walk_files(folder: Path) -> Iterator[Path]:
    """Every file that is not hidden; linked folders are followed, each folder once."""
    seen = set()
    for place, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(n for n in subfolders if not n.startswith(".") and n not in FOREIGN_FOLDERS)
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.casefold()


def _key(name: str) -> str:
    """A name without the suffix of a video; other dots belong to the name."""
    suffix = _suffix(name)
    return name.removesuffix(suffix) if suffix in VIDEO_SUFFIXES else name


def _ends_with(path: str, wanted: str) -> bool:
    """Whether the folders that are asked for are those of the path."""
    folders = PurePosixPath(wanted).parent.parts
    return not folders or PurePosixPath(path.casefold()).parent.parts[-len(folders) :] == folders


@dataclass(frozen=True)
class Matched:
    """The rows whose file is there, with its absolute ``path``, and what was left out, in words."""

    table: pd.DataFrame
    note: str


def match_files(table: pd.DataFrame, column: str, files: FileIndex, listing: Path) -> Matched:
    """Find the file of every row.

    Args:
        table: as :func:`read_table` gives it.
        column: the column of file names, one row each.
        files: where to look.
        listing: the table's file, for the words of the errors.

    Raises:
        UserError: if a file is listed twice, or none is there.
    """
    paths = [files.find(name) for name in table[column]]
    there = [path is not None for path in paths]
    found = table[there].assign(path=[str(path) for path in paths if path is not None])
    where = ", ".join(map(str, files.folders))
    if found.empty:
        first = f", the first is {table[column].iloc[0]}" if len(table) else ""
        raise UserError(
            f"{listing}: none of the {len(table)} files that it lists is below {where}{first}; "
            "unpack all parts there"
        )
    again = found.index[found["path"].duplicated()]
    if len(again):
        raise UserError(f"{listing}: row {again[0]}: {found[column][again[0]]} is listed twice; keep one row")
    lost = table.loc[[not is_there for is_there in there], column]
    missing = counted(f"left out, listed in {listing.name} (of {len(table)}) but not there", lost)
    unlisted = counted(f"left out, there but not listed in {listing.name}", files.others(found["path"]))
    return Matched(found, joined(missing, unlisted))
