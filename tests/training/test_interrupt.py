import os
import signal
import threading
from collections.abc import Iterator

import pytest

from echossl.training.interrupt import SIGNALS, StoppedError, StopRequest, shielded


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = handlers()
    with StopRequest() as stop:
        assert stop.asked is None
        os.kill(os.getpid(), number)
        assert stop.asked == number
    assert handlers() == before


def test_a_second_ctrl_c_stops_at_once() -> None:
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_scheduler_may_repeat_itself() -> None:
    with StopRequest() as stop:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        assert stop.asked == signal.SIGUSR1


def test_without_a_signal_nothing_is_left_changed() -> None:
    before = handlers()
    with StopRequest() as stop:
        assert all(now is not then for now, then in zip(handlers(), before, strict=True))
    assert stop.asked is None
    assert handlers() == before


def test_in_another_thread_it_changes_nothing() -> None:
    seen = []

    def work() -> None:
        with StopRequest() as stop:
            seen.append((stop.asked, handlers()))

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGUSR1, 0)]
)
def test_a_scheduler_is_obeyed_without_failure(number: signal.Signals, exit_code: int) -> None:
    error = StoppedError(number, "saved at step 3 of 9")
    assert error.exit_code == exit_code
    assert str(error) == f"{number.name}: saved at step 3 of 9"


def test_only_the_first_item_is_made_behind_the_shield() -> None:
    def masks() -> Iterator[set[signal.Signals]]:
        while True:
            yield signal.pthread_sigmask(signal.SIG_BLOCK, ())

    items = shielded(masks())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert next(items) == before | set(SIGNALS)
    assert next(items) == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_the_shield_is_taken_off_when_the_first_item_fails() -> None:
    def broken() -> Iterator[int]:
        raise ValueError("no batch")
        yield 1

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(ValueError, match="no batch"):
        next(shielded(broken()))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_no_items_are_no_items() -> None:
    assert list(shielded([])) == []
    assert list(shielded(range(4))) == [0, 1, 2, 3]
