"""What a worker does with damaged files: open each, read it, say how it ended."""

import resource
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fuzz_mutants import FOLDER, Mutant, good
from fuzz_samples import write_companions

from echossl.config.video import Backend
from echossl.data.worker_process import Ended
from echossl.data.workers import working_on
from echossl.errors import DecodeError
from echossl.video.reader import open_video

MOST_NEW_BYTES = 3 * 2**29
LARGE_PIXELS = 10**6


@dataclass(frozen=True)
class FuzzJob:
    """Some damaged files for one worker, and those of them that ended a process."""

    folder: Path
    mutants: tuple[Mutant, ...]
    backend: Backend = "auto"
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How one damaged file ended.

    Attributes:
        label: which.
        end: ``frames``, ``refused`` (by a DecodeError), ``ended`` (its process was), or ``fault``.
        words: the reason.
        seconds: how long it took.
        peak_bytes: most memory that the process has had so far.
        leaked: files that are open still.
    """

    label: str
    end: str
    words: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    leaked: int = 0


def without(job: FuzzJob, label: str, reason: str) -> FuzzJob:
    """The same job, one file left out."""
    return replace(job, refused=(*job.refused, (label, reason)))


def look_at_all(job: FuzzJob) -> list[Outcome]:
    """Look at every file of a job."""
    memory = Path("/proc/self/statm").read_text().split()[5]
    hardest = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = int(memory) * resource.getpagesize() + MOST_NEW_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hardest))
    refused = dict(job.refused)
    # the time to load a library is not that of the first file
    look_at(written(Mutant("good", "good.avi", good("mjpeg.avi")), job.folder / "good"), "good", job.backend)
    outcomes = []
    for number, mutant in enumerate(job.mutants):
        if mutant.label in refused:
            outcomes.append(Outcome(mutant.label, "ended", refused[mutant.label]))
            continue
        path = written(mutant, job.folder / str(number))
        working_on(mutant.label)
        outcomes.append(look_at(path, mutant.label, job.backend))
    return outcomes


def written(mutant: Mutant, folder: Path) -> Path:
    """Put a damaged file on disk, with what belongs beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / mutant.file_name
    if mutant.file_name == FOLDER:
        path.mkdir()
        for number, content in enumerate([good(FOLDER), mutant.content, good(FOLDER)]):
            (path / f"frame_{number}.png").write_bytes(content)
        return path
    path.write_bytes(mutant.content)
    write_companions(path)
    return path


def look_at(path: Path, label: str, backend: Backend = "auto") -> Outcome:
    """Open a file and read its first, middle and last frame."""
    before, start, ended = open_files(), time.monotonic(), Ended()
    end, words = "frames", ""
    with ended:
        try:
            read_some(path, backend)
        except DecodeError as error:
            end, words = "refused", error.reason
            check_words(error, path)
    if ended.error is not None:
        end, words = "fault", f"{ended.error!r}\n{ended.trace}"
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Outcome(label, end, words, seconds, peak, open_files() - before)


def check_words(error: DecodeError, path: Path) -> None:
    """A refusal is one line that names the file, or the picture of a folder."""
    assert path in {error.path, error.path.parent}
    assert str(error) == f"{error.path}: {error.reason}"
    assert "\n" not in str(error)


def read_some(path: Path, backend: Backend) -> None:
    """Read frames, which must be what the reader says of them."""
    with open_video(path, backend=backend) as reader:
        last = reader.num_frames - 1
        assert last >= 0
        assert reader.frame_seconds.shape == (reader.num_frames,)
        assert reader.frame_seconds[0] == 0
        assert reader.fps is None or 0 < reader.fps < float("inf")
        # the largest pictures that are read at all take a gigabyte when there are three
        is_large = reader.height * reader.width > LARGE_PIXELS
        wanted = [0] if is_large else [0, last // 2, last]
        frames = reader.read(wanted)
        assert frames.shape == (len(wanted), reader.height, reader.width, reader.channels)
        assert frames.dtype == np.uint8
        grey = reader.read_grey([last])
        assert grey.shape == (1, reader.height, reader.width)
        assert grey.dtype == np.uint8


def open_files() -> int:
    """How many files this process holds open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
