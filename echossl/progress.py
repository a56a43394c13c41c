"""Progress a person can follow: a bar on a terminal, a plain line now and then elsewhere."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 15.0
QUIET = "ECHOSSL_QUIET"  # set in worker processes, whose caller shows the progress of all


class Progress(Protocol):
    """What a long piece of work reports to."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Say that ``count`` more units are done; ``note`` is a short live figure such as ``loss 3.21``."""


class _Nothing:
    """Says nothing."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Do nothing."""


class _Lines:
    """A line at most every 15 s and one at the end, for logs and pipes."""

    def __init__(self, label: str, total: int, unit: str, done: int) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self.first = done
        self.started = self.last_line = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        now = time.monotonic()
        ended = self.done >= self.total and count > 0
        if ended or now - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = now
            rate = (self.done - self.first) / max(now - self.started, 1e-9)
            left = (self.total - self.done) / rate if rate > 0 else float("inf")
            line = f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s, {left:.0f} s left"
            sys.stderr.write(f"{line}, {note}\n" if note else f"{line}\n")
            sys.stderr.flush()


class _Bar:
    """A rich progress bar with rate and time left."""

    def __init__(self, label: str, total: int, unit: str, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit + " {task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task(label, total=total, completed=done, rate="", note="")

    def advance(self, count: int = 1, note: str = "") -> None:
        speed = self.bar.tasks[0].speed
        self.bar.update(self.task, advance=count, rate=f"{speed:.1f}/s" if speed else "", note=note)


class progress:  # noqa: N801 - a context manager, used like a function
    """``with progress("decoding", total=10, unit="videos") as bar: ... bar.advance()``.

    Args:
        label: what is being done.
        total: number of units in all.
        unit: the name of one unit, in the plural.
        done: units already done by an earlier, interrupted run.
    """

    def __init__(self, label: str, *, total: int, unit: str, done: int = 0) -> None:
        self.report: _Bar | _Lines | _Nothing
        if os.environ.get(QUIET):
            self.report = _Nothing()
        elif sys.stderr.isatty():
            self.report = _Bar(label, total, unit, done)
        else:
            self.report = _Lines(label, total, unit, done)

    def __enter__(self) -> Progress:
        if isinstance(self.report, _Bar):
            self.report.bar.start()
        return self.report

    def __exit__(self, *error: object) -> None:
        if isinstance(self.report, _Bar):
            self.report.bar.stop()


def track(items: Iterable[Item], label: str, *, total: int, unit: str) -> Iterator[Item]:
    """Yield the items and report each as done once the next is asked for."""
    with progress(label, total=total, unit=unit) as bar:
        for item in items:
            yield item
            bar.advance()
