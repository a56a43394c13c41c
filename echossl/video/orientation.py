"""Whether a container asks for its pictures to be turned, told without decoding one."""

from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 1 << 16
# the largest table of contents that is searched, in bytes
MOST_TABLE_BYTES = 1 << 26
# Matroska's names of the elements that hold a projection and, after all headers, the first pictures
PROJECTION, CLUSTER = b"\x76\x70", b"\x1f\x43\xb6\x75"
# where the matrix stands after the name of a movie's and a track's header, by the header's version
MATRIX_PLACES = {(b"mvhd", 0): 40, (b"mvhd", 1): 52, (b"tkhd", 0): 44, (b"tkhd", 1): 56}
UPRIGHT = b"".join(number.to_bytes(4, "big") for number in (1 << 16, 0, 0, 0, 1 << 16))


def may_be_turned(path: Path, container_name: str) -> bool:
    """False only where a file surely shows its pictures as they are stored."""
    if container_name.startswith("matroska"):
        with path.open("rb") as file:
            return PROJECTION in file.read(HEAD_BYTES).partition(CLUSTER)[0]
    if not container_name.startswith("mov"):
        return False
    with path.open("rb") as file:
        table = _table(file)
    return table is None or {UPRIGHT} != set(_matrices(table))


def _table(file: BinaryIO) -> bytes | None:
    """The box ``moov`` of an MP4 or MOV file; None if it is not found."""
    while len(head := file.read(8)) == 8:
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        if size == 1:
            size = int.from_bytes(file.read(8), "big") - 8
        if name == b"moov":
            return file.read(size - 8) if size <= MOST_TABLE_BYTES else None
        if size < 8:
            return None
        file.seek(size - 8, 1)
    return None


def _matrices(table: bytes) -> list[bytes]:
    """The part of every header's matrix that turns pictures."""
    found = []
    for name in (b"mvhd", b"tkhd"):
        place = table.find(name)
        while place >= 0:
            version = table[place + 4] if place + 4 < len(table) else 0
            begin = place + MATRIX_PLACES.get((name, version), MATRIX_PLACES[name, 0])
            found.append(table[begin : begin + len(UPRIGHT)])
            place = table.find(name, place + 4)
    return found
