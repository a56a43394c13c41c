"""Progress: plain lines where nobody watches, nothing in workers, a bar on a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from echossl.progress import QUIET, progress, track


def test_lines_say_rate_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("decoding", total=3, unit="videos") as bar:
        for _ in range(3):
            bar.advance(note="loss 1.5")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("decoding: 3/3 videos, ")
    assert "s left, loss 1.5" in printed.err


def test_a_finished_piece_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("decoding", total=3, unit="videos", done=3) as bar:
        bar.advance(0)
    assert capsys.readouterr().err == ""


def test_workers_are_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(QUIET, "1")
    with progress("decoding", total=1, unit="videos") as bar:
        bar.advance()
    assert capsys.readouterr().err == ""


def test_track_yields_everything() -> None:
    assert list(track("abc", "letters", total=3, unit="letters")) == ["a", "b", "c"]


def test_a_terminal_gets_a_bar() -> None:
    code = "from echossl.progress import track\nlist(track(range(5), 'decoding', total=5, unit='videos'))"
    screen, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", code], stderr=terminal, check=True, env=environment)
    os.close(terminal)
    shown = os.read(screen, 65536).decode()
    os.close(screen)
    assert "decoding" in shown
    assert "5/5" in shown
