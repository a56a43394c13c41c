"""Clips per second: from files with every decoder, from the clip store, and through the augmentation.

    .venv/bin/python experiments/benchmarks/decoding.py --out experiments/results/decoding

The figures of a table are measured in turns, in one process on one thread, best of some rounds, so that what
else the machine does weighs on all alike. Libraries that are not installed are left out with a word.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import plain_readers
import torch
from clip_files import FRAMES_PER_CLIP, KINDS, write_kind, write_store_videos
from tables import Row, machine_facts, write_report

from echossl.augment import Augmentation
from echossl.config.data import PrepareConfig
from echossl.config.training import AugmentConfig
from echossl.config.video import ClipConfig
from echossl.data import ClipStore, prepare
from echossl.data.requests import ClipRequest, read_clip
from echossl.video import open_video

PACKAGES = (
    "echossl",
    "av",
    "decord",
    "torchcodec",
    "opencv-python-headless",
    "pydicom",
    "torch",
    "numpy",
    "scipy",
)
Read = Callable[[int], object]


def main() -> None:
    """Measure everything and write ``decoding.md`` and ``decoding.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each figure; the best counts")
    parser.add_argument("--seconds", type=float, default=0.6, help="seconds of each figure and round")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tables: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = write_kind(Path(folder), kind)
            tables[kind] = measure(file_readers(path), arguments.rounds, arguments.seconds)
        tables |= store_tables(Path(folder), arguments.rounds, arguments.seconds)
    tables["augmentation, 16 x 112 x 112"] = measure(augmentations(), arguments.rounds, arguments.seconds)
    write_report(
        "Clips of 16 frames per second",
        {title: with_shares(rates) for title, rates in tables.items()},
        machine_facts(PACKAGES, threads=1),
        arguments.out / "decoding",
    )


def measure(readers: dict[str, Read], rounds: int, seconds: float) -> dict[str, float]:
    """Clips per second of each, taken in turns: the best round."""
    best = dict.fromkeys(readers, 0.0)
    for turn in range(rounds):
        for name, read in readers.items():
            read(turn)
            count, started = 0, time.perf_counter()
            while (passed := time.perf_counter() - started) < seconds:
                read(1000 * turn + count)
                count += 1
            best[name] = max(best[name], count / passed)
    return best


def file_readers(path: Path) -> dict[str, Read]:
    """Ways of reading 16 consecutive frames at a random place; the file is opened for each clip unless said.

    Ours remembers the last few files of a process, as training reads them again; the first row goes without.
    """
    with open_video(path) as video:
        num_frames = video.num_frames
    starts = np.random.default_rng(0).integers(0, num_frames - FRAMES_PER_CLIP + 1, 997)

    def start_of(turn: int) -> int:
        return int(starts[turn % len(starts)])

    def ours_first(turn: int) -> object:
        # another time of change makes it another file
        os.utime(path, ns=(turn, turn))
        return ours(turn)

    def ours(turn: int) -> object:
        with open_video(path) as video:
            return video.read(range(start_of(turn), start_of(turn) + FRAMES_PER_CLIP))

    def ours_grey(turn: int) -> object:
        with open_video(path) as video:
            return video.read_grey(range(start_of(turn), start_of(turn) + FRAMES_PER_CLIP))

    kept = open_video(path)

    def ours_open(turn: int) -> object:
        return kept.read_grey(range(start_of(turn), start_of(turn) + FRAMES_PER_CLIP))

    readers: dict[str, Read] = {
        "echossl, opened for the first time": ours_first,
        "echossl, opened again": ours,
        "echossl, opened again, in grey": ours_grey,
        "echossl, kept open, in grey": ours_open,
    }
    for name, read in plain_readers.usable(path).items():
        readers[name] = lambda turn, read=read: read(path, start_of(turn))
    return readers


def store_tables(folder: Path, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """The three forms of the clip store beside a plain copy of the same bytes."""
    manifest = write_store_videos(folder / "videos")
    clip = ClipConfig(clip_seconds=1.0, num_frames=FRAMES_PER_CLIP)
    readers: dict[str, Read] = {}
    cold: dict[str, Read] = {}
    for form in ("raw", "compressed", "files"):
        out = folder / form
        prepare(PrepareConfig(manifest=manifest, out=out, size=112, format=form))
        store = ClipStore.open(out)
        generator = np.random.default_rng(1)
        requests = [
            ClipRequest(row, float(generator.uniform(0, store.durations[row] - 1.0)))
            for row in generator.integers(0, len(store), 997).tolist()
        ]
        readers[f"{form} store"] = lambda turn, store=store, requests=requests: read_clip(
            store, requests[turn % len(requests)], clip
        )
        cold[f"{form} store, opened anew"] = lambda turn, out=out, requests=requests: read_clip(
            ClipStore.open(out), requests[turn % len(requests)], clip
        )
    readers |= plain_readers.memory_copies(ClipStore.open(folder / "raw"))
    sizes = {
        form: sum(file.stat().st_size for file in (folder / form).iterdir()) for form in ("raw", "compressed")
    }
    print(f"size of the compressed store: {sizes['compressed'] / sizes['raw']:.2f} of the raw one")
    return {
        "clip store, warm": measure(readers, rounds, seconds),
        "clip store, cold (page cache emptied of it)": measure_cold(cold, folder),
    }


def measure_cold(readers: dict[str, Read], folder: Path) -> dict[str, float]:
    """Clips per second with nothing of the files in memory: the cache is emptied before each of 64."""
    found = {}
    for name, read in readers.items():
        passed = 0.0
        for turn in range(64):
            plain_readers.forget_files(folder)
            started = time.perf_counter()
            read(turn)
            passed += time.perf_counter() - started
        found[name] = 64 / passed
    return found


def augmentations() -> dict[str, Read]:
    """Ours for a batch, and SciPy frame by frame, of one channel and of three."""
    clips = torch.randint(0, 256, (8, 1, FRAMES_PER_CLIP, 112, 112), dtype=torch.uint8)
    augmentation = Augmentation(AugmentConfig(), seed=0)
    state = {"left": 0}

    def ours(turn: int) -> None:
        # a batch of eight is one call: each clip is an eighth of it
        if state["left"] == 0:
            augmentation(clips, step=turn)
            state["left"] = len(clips)
        state["left"] -= 1

    grey = clips[0, 0].numpy()
    colour = np.repeat(grey[..., None], 3, axis=-1)
    return {
        "echossl (zoom, rotation, shift, gamma, gain)": ours,
        "SciPy rotate + flip + pad-crop, RGB frames": lambda turn: plain_readers.scipy_augment(
            colour, turn, 3
        ),
        "SciPy the same, grey frames": lambda turn: plain_readers.scipy_augment(grey, turn, 3),
        "SciPy the same, grey, linear": lambda turn: plain_readers.scipy_augment(grey, turn, 1),
    }


def with_shares(rates: dict[str, float]) -> dict[str, Row]:
    """Each rate, and its share of the fastest."""
    fastest = max(rates.values())
    return {name: {"clips/s": rate, "of the fastest": rate / fastest} for name, rate in rates.items()}


if __name__ == "__main__":
    main()
