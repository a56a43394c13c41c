import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from echossl.training.logging import Log, MetricsLog, TolerantLog


def steps_in(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_line_per_step_that_can_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.write(10, {"loss": 0.5, "learning_rate": 1e-3})
        assert json.loads(path.read_text()) == {"step": 10, "loss": 0.5, "learning_rate": 1e-3}
        log.write(20, {"loss": 0.25})
    assert steps_in(path) == [10, 20]


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.write(1, {"loss": float("nan"), "gradient_norm": float("inf"), "rate": 0.5})
    assert path.read_text() == '{"step": 1, "loss": null, "gradient_norm": null, "rate": 0.5}\n'


def test_no_step_is_doubled_after_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        for step in (10, 20, 30):
            log.write(step, {"loss": 1.0})
    with MetricsLog(path, resumed_step=20) as log:
        log.write(30, {"loss": 2.0})
    assert steps_in(path) == [10, 20, 30]
    assert json.loads(path.read_text().splitlines()[-1])["loss"] == 2.0
    with MetricsLog(path, resumed_step=0):
        pass
    assert path.read_text() == ""


def test_a_half_written_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "loss": 1.0}\n{"step": 20, "lo')
    with MetricsLog(path, resumed_step=20) as log:
        log.write(20, {"loss": 0.5})
    assert steps_in(path) == [10, 20]


class FailsAfter(Log):
    """Notes what arrives, and raises from the given call on."""

    def __init__(self, calls: int, error: Exception) -> None:
        self.calls = calls
        self.error = error
        self.arrived: list[object] = []

    def _note(self, what: object) -> None:
        if len(self.arrived) >= self.calls:
            raise self.error
        self.arrived.append(what)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self._note((step, dict(figures)))

    def media(self, step: int, name: str, path: Path) -> None:
        self._note((step, name, path))

    def artifact(self, path: Path) -> None:
        self._note(path)

    def close(self) -> None:
        self._note("closed")


def use(log: Log) -> None:
    with log:
        log.write(1, {"loss": 0.5})
        log.media(1, "film", Path("film.mp4"))
        log.artifact(Path("encoder"))


def test_a_tolerant_log_passes_everything_on() -> None:
    inner = FailsAfter(99, OSError("never"))
    use(TolerantLog(inner, name="Inner", failures=(OSError,)))
    assert inner.arrived == [(1, {"loss": 0.5}), (1, "film", Path("film.mp4")), Path("encoder"), "closed"]


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_the_first_failure_is_told_of_once_and_then_nothing_is_passed_on(calls: int, caplog) -> None:
    inner = FailsAfter(calls, OSError(28, "No space left on device"))
    with caplog.at_level("WARNING"):
        use(TolerantLog(inner, name="Inner", failures=(OSError,)))
    assert len(inner.arrived) == calls
    (record,) = caplog.records
    assert record.getMessage() == (
        "Inner failed (OSError: [Errno 28] No space left on device); training goes on without it, "
        "metrics.jsonl has all figures"
    )


def test_mistakes_and_errors_of_training_are_not_swallowed() -> None:
    with pytest.raises(TypeError, match="a mistake"):
        use(TolerantLog(FailsAfter(0, TypeError("a mistake")), name="Inner", failures=(OSError,)))
    inner = FailsAfter(99, OSError("never"))
    with pytest.raises(OSError, match="of training"), TolerantLog(inner, name="Inner", failures=(OSError,)):
        raise OSError("of training")
    assert inner.arrived == ["closed"]
