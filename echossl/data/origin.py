"""What a video file was when it was read, so that a changed one is noticed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MHD_HEADER_BYTES = 4096


@dataclass(frozen=True)
class SourceVideo:
    """A video file as it is when it is read; a shard of other or changed files is made anew.

    Attributes:
        path: absolute path of a file, or of a folder of pictures.
        manifest_fps: frames per second from the manifest; 0 if it says nothing.
        file_bytes: size of the file, or of all files of the folder.
        modified_ns: time of the last change in nanoseconds, of a folder that of its newest file.
    """

    path: str
    manifest_fps: float
    file_bytes: int
    modified_ns: int


def source_video(path: str, manifest_fps: float) -> SourceVideo:
    """A video as it is on disk now; size and time are 0 where nothing can be seen."""
    try:
        states = [(state.st_size, state.st_mtime_ns) for state in _states(Path(path))]
    except OSError:
        # whoever reads it says why
        states = []
    newest = max((modified for _, modified in states), default=0)
    return SourceVideo(path, manifest_fps, sum(size for size, _ in states), newest)


def _states(path: Path) -> Iterator[os.stat_result]:
    if path.is_dir():
        with os.scandir(path) as entries:
            yield from (entry.stat() for entry in entries if entry.is_file())
        return
    yield path.stat()
    # by the name alone: opening every file of a collection only to see what it is would take too long
    if path.suffix.lower() == ".mhd":
        yield from (pixels.stat() for pixels in _pixels_of_mhd(path) if pixels.is_file())


def _pixels_of_mhd(path: Path) -> list[Path]:
    """The file beside a MetaImage header that it says holds its pixels, if it says so."""
    with path.open("rb") as file:
        lines = file.read(MHD_HEADER_BYTES).decode("latin-1").splitlines()
    names = [line.partition("=")[2].strip() for line in lines if line.startswith("ElementDataFile")]
    return [path.parent / name for name in names if name != "LOCAL"]
