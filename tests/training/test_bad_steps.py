"""Skipped steps are written down with their videos, and too many in a row stop the run."""

import math
from pathlib import Path

import pandas as pd
import pytest

from echossl.errors import EchosslError
from echossl.training.bad_steps import FILE_NAME, BadSteps

PATHS = ["a.avi", "b, c.avi", "d.avi"]
BAD = {"loss": math.nan, "gradient_norm": math.inf}


def test_a_step_is_written_down_with_its_videos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = BadSteps(tmp_path, most=1, paths=PATHS)
    assert not (tmp_path / FILE_NAME).exists()
    bad.add(7, BAD, [1, 0, 1])
    assert len(bad) == 1
    table = pd.read_csv(tmp_path / FILE_NAME)
    assert table["step"].tolist() == [7, 7]
    assert table["path"].tolist() == ["a.avi", "b, c.avi"]
    assert table["gradient_norm"].tolist() == [math.inf, math.inf]
    assert "step 7 is skipped: loss nan, gradient norm inf" in caplog.text


@pytest.mark.parametrize("most", [0, 1, 3])
def test_one_more_in_a_row_than_allowed_stops_the_run(tmp_path: Path, most: int) -> None:
    bad = BadSteps(tmp_path, most=most, paths=PATHS)
    for step in range(2, 2 + most):
        bad.add(step, BAD, [0])
    with pytest.raises(EchosslError, match=rf"step {2 + most}: loss nan.* the {most + 1}\. such") as caught:
        bad.add(2 + most, BAD, [2])
    assert str(tmp_path / FILE_NAME) in str(caught.value)
    assert pd.read_csv(tmp_path / FILE_NAME)["path"].tolist() == ["a.avi"] * most + ["d.avi"]


def test_steps_that_are_not_in_a_row_do_not_add_up(tmp_path: Path) -> None:
    bad = BadSteps(tmp_path, most=1, paths=PATHS)
    for step in range(1, 21, 2):
        bad.add(step, BAD, [0])
    assert len(bad) == 10


def test_a_resumed_run_goes_on_counting_from_its_checkpoint(tmp_path: Path) -> None:
    first = BadSteps(tmp_path, most=2, paths=PATHS)
    for step in (1, 4, 5):
        first.add(step, BAD, [0])
    resumed = BadSteps(tmp_path, most=2, paths=PATHS, resumed_step=4)
    assert len(resumed) == 2  # step 5 is done again
    assert pd.read_csv(tmp_path / FILE_NAME)["step"].tolist() == [1, 4]
    resumed.add(5, BAD, [1])
    assert pd.read_csv(tmp_path / FILE_NAME)["step"].tolist() == [1, 4, 5]
    with pytest.raises(EchosslError, match=r"the 3\. such step in a row"):
        resumed.add(6, BAD, [1])


def test_only_one_process_writes(tmp_path: Path) -> None:
    bad = BadSteps(tmp_path, most=1, paths=PATHS, writes=False)
    bad.add(1, BAD, [0])
    assert len(bad) == 1
    assert not (tmp_path / FILE_NAME).exists()
