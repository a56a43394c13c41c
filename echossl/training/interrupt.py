"""Stop between two steps when asked to: Ctrl-C, or a signal of a cluster's scheduler."""

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

from echossl.errors import EchosslError

Item = TypeVar("Item")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
CTRL_C_EXIT_CODE = 130


class StoppedError(EchosslError):
    """The run was asked to stop and has saved its state.

    A scheduler's signal is no failure (exit code 0); Ctrl-C ends with 130, as everywhere.

    Args:
        number: the signal.
        message: how far the run came.
    """

    def __init__(self, number: signal.Signals, message: str) -> None:
        super().__init__(f"{number.name}: {message}")
        self.exit_code = CTRL_C_EXIT_CODE if number == signal.SIGINT else 0


class StopRequest:
    """While the block runs, signals are only noted; a Ctrl-C after the first signal acts as it always does.

    SIGTERM and SIGUSR1 may come several times: schedulers repeat them while a job puts its state away. In a
    thread other than the main one, where Python takes no signals, nothing is changed.

    Attributes:
        asked: the first signal, after which to stop once the step that is under way is done; None before.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            for number in SIGNALS:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in tuple(self._before):
            self._restore(number)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Python's signature
        self.asked = self.asked or signal.Signals(number)
        self._restore(signal.SIGINT)

    def _restore(self, number: signal.Signals) -> None:
        if number in self._before:
            signal.signal(number, self._before.pop(number))  # type: ignore[arg-type]


def shielded(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; processes that are started for the first of them never see the signals.

    A scheduler signals all processes of a job. Reader processes must outlive that, or the step that is under
    way would fail for want of its batch; they end when the training process does.
    """
    iterator = iter(items)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        first = next(iterator, None)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if first is not None:
        yield first
        yield from iterator
