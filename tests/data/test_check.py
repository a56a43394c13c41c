import shutil

import numpy as np
import pandas as pd
import pytest

from echossl.config.video import ClipConfig
from echossl.data import check
from echossl.errors import ManifestError
from echossl.video.reader import open_video

SHORT = ClipConfig(clip_seconds=0.5)


def test_good_videos_have_no_problem(videos):
    # two jobs for two workers
    table = check(videos / "manifest.csv", 2, clip=SHORT)
    manifest = pd.read_csv(videos / "manifest.csv")
    assert table["path"].tolist() == [str(videos / path) for path in manifest["path"]]
    assert table["patient_id"].tolist() == manifest["patient_id"].tolist()
    assert set(table["problem"]) == {""}
    for row in table.itertuples():
        with open_video(row.path) as reader:
            assert (row.num_frames, row.height, row.width) == (reader.num_frames, 32, 32)
            assert row.fps == reader.fps
    np.testing.assert_allclose(table["duration_seconds"], table["num_frames"] / table["fps"], rtol=1e-6)


def test_every_kind_of_bad_file_is_named(videos, tmp_path, write_video):
    root = shutil.copytree(videos, tmp_path / "videos")
    (root / "p0" / "0.avi").write_bytes(b"")
    (root / "p1" / "0.avi").write_bytes(b"no video at all" * 100)
    write_video(root / "p1" / "1.avi", num_frames=5, fps=30)
    write_video(root / "p2" / "0.avi", num_frames=1)
    strict = SHORT.model_copy(update={"too_short": "error"})
    table = check(root / "manifest.csv", 1, clip=strict).set_index("path")
    problems = table["problem"][table["problem"] != ""]
    assert [path.removeprefix(str(root)) for path in problems.index] == [
        "/p0/0.avi",
        "/p1/0.avi",
        "/p1/1.avi",
        "/p2/0.avi",
    ]
    assert "empty" in problems.iloc[0]
    assert problems.iloc[2] == "too short: 0.16667 s, a clip takes 0.5 s"
    assert problems.iloc[3] == "a single picture, no video"
    # what is known of a short video is still said
    assert table["num_frames"].tolist()[:4] == [0, 0, 5, 1]


def test_faults_of_the_table_come_first(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,patient_id\ngone.avi,1\n")
    with pytest.raises(ManifestError, match="row 2: no such file"):
        check(tmp_path / "manifest.csv", 1)


def test_a_short_video_that_would_be_repeated_gets_a_note(videos, tmp_path, write_video):
    root = shutil.copytree(videos, tmp_path / "videos")
    write_video(root / "p1" / "1.avi", num_frames=5, fps=30)
    table = check(root / "manifest.csv", 1, clip=SHORT)
    assert (table["problem"] == "").all()
    assert table["note"][table["note"] != ""].tolist() == ["too short: 0.16667 s, a clip takes 0.5 s"]
