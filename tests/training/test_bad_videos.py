"""Unreadable videos are counted once, written down, and stop the run when they are too many."""

from pathlib import Path

import pandas as pd
import pytest

from echossl.errors import EchosslError
from echossl.training.bad_videos import FILE_NAME, BadVideos

DAMAGED = "damaged, export it again"


def test_a_few_are_written_down_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = BadVideos(tmp_path, num_videos=100, most=0.02)
    bad.add(())
    assert not (tmp_path / FILE_NAME).exists()
    bad.add([("a.avi", DAMAGED)])
    bad.add([("a.avi", DAMAGED), ("b, c.avi", "gone")])
    assert len(bad) == 2
    table = pd.read_csv(tmp_path / FILE_NAME)
    assert table.to_dict("list") == {"path": ["a.avi", "b, c.avi"], "reason": [DAMAGED, "gone"]}
    assert [record.message.split(":")[0] for record in caplog.records] == ["a.avi", "b, c.avi"]


def test_more_than_allowed_stop_the_run_with_their_list(tmp_path: Path) -> None:
    bad = BadVideos(tmp_path, num_videos=100, most=0.02)
    bad.add([("a.avi", DAMAGED), ("b.avi", DAMAGED)])
    with pytest.raises(EchosslError, match=r"3 of 100 videos cannot be read, at most 2.0%") as caught:
        bad.add([("c.avi", "gone")])
    assert all(name in str(caught.value) for name in ("a.avi", "b.avi", "c.avi: gone"))
    assert len(pd.read_csv(tmp_path / FILE_NAME)) == 3


def test_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    BadVideos(tmp_path, num_videos=100, most=0.02).add([("a.avi", DAMAGED), ("b.avi", DAMAGED)])
    resumed = BadVideos(tmp_path, num_videos=100, most=0.02)
    assert len(resumed) == 2
    resumed.add([("b.avi", DAMAGED)])
    with pytest.raises(EchosslError, match="3 of 100"):
        resumed.add([("c.avi", DAMAGED)])


def test_long_lists_are_cut(tmp_path: Path) -> None:
    bad = BadVideos(tmp_path, num_videos=1000, most=0.001)
    with pytest.raises(EchosslError, match=r"and 20 more$"):
        bad.add([(f"{number}.avi", DAMAGED) for number in range(30)])
