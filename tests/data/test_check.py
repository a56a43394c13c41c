import shutil
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from echossl.config.data import CheckConfig
from echossl.config.video import ClipConfig
from echossl.data import check
from echossl.data.check import summarise_check, write_check
from echossl.errors import ManifestError
from echossl.video.reader import open_video

SHORT = ClipConfig(clip_seconds=0.5)
STRICT = SHORT.model_copy(update={"too_short": "error"})


@pytest.fixture
def root(videos, tmp_path):
    return shutil.copytree(videos, tmp_path / "videos")


def write_jpegs(path: Path, num_frames: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuvj420p"
        for number in range(num_frames):
            grey = np.full((32, 32), 9 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        container.mux(stream.encode())
    return path


def looked_at(manifest: Path, **settings) -> pd.DataFrame:
    return check(CheckConfig(manifest=manifest, **{"workers": 1, "clip": SHORT, **settings}))


def check_rows(folder: Path, rows: list[str], **settings) -> pd.DataFrame:
    """Check a manifest of these rows; the first names the columns."""
    (folder / "rows.csv").write_text("\n".join(rows) + "\n")
    return looked_at(folder / "rows.csv", **settings)


def test_good_videos_have_no_problem(videos):
    # three jobs for two workers
    table = looked_at(videos / "manifest.csv", workers=2)
    manifest = pd.read_csv(videos / "manifest.csv")
    assert table["path"].tolist() == [str(videos / path) for path in manifest["path"]]
    assert table["patient_id"].tolist() == manifest["patient_id"].tolist()
    assert set(table["problem"]) == set(table["note"]) == set(table["duplicate_of"]) == {""}
    assert table["digest"].str.fullmatch("[0-9a-f]{16}").all()
    assert table["digest"].is_unique
    for row in table.itertuples():
        with open_video(row.path) as reader:
            assert (row.num_frames, row.height, row.width) == (reader.num_frames, 32, 32)
            assert row.fps == reader.fps
    np.testing.assert_allclose(table["duration_seconds"], table["num_frames"] / table["fps"], rtol=1e-6)


def test_every_kind_of_bad_file_is_named(root, write_video):
    (root / "p0" / "0.avi").write_bytes(b"")
    (root / "p1" / "0.avi").write_bytes(b"no video at all" * 100)
    write_video(root / "p1" / "1.avi", num_frames=5, fps=30)
    write_video(root / "p2" / "0.avi", num_frames=1)
    (root / "p2" / "1.avi").unlink()
    shutil.rmtree(root / "p3")
    (root / "p3" / "0.avi").mkdir(parents=True)
    table = looked_at(root / "manifest.csv", clip=STRICT)
    paths = table["path"].str.removeprefix(str(root))
    problems = dict(zip(paths, table["problem"], strict=True))
    expected = {
        "/p0/0.avi": "unreadable: the file is empty; copy it again",
        "/p1/0.avi": "unreadable: is ",
        "/p1/1.avi": "too short: 0.16667 s, a clip takes 0.5 s",
        "/p2/0.avi": "single picture: no video",
        "/p2/1.avi": "missing: no such file; correct the path or remove the row",
        "/p3/0.avi": "unreadable: ",
    }
    assert {path for path, problem in problems.items() if problem} == set(expected)
    for path, start in expected.items():
        assert problems[path].startswith(start)
    # what is known of a short video is still said
    assert table["num_frames"].tolist()[:4] == [0, 0, 5, 1]


WITHOUT_NIBABEL = """
import sys
from pathlib import Path
sys.modules["nibabel"] = None
from echossl.config.data import CheckConfig
from echossl.data import check
if __name__ == "__main__":
    for workers in (1, 2):
        table = check(CheckConfig(manifest=Path("rows.csv"), workers=workers))
        print(*table["problem"], sep="\\n")
"""


def test_a_missing_package_costs_its_videos_only(videos, tmp_path):
    header = bytearray(352)
    header[:4], header[344:348] = struct.pack("<i", 348), b"n+1\0"
    (tmp_path / "a.nii").write_bytes(header)
    rows = ["path,patient_id", "a.nii,a", *(f"{videos}/p{patient}/0.avi,p{patient}" for patient in range(8))]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    (tmp_path / "script.py").write_text(WITHOUT_NIBABEL)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    advice = 'unreadable: NIfTI files need nibabel; pip install "echossl[nifti]"'
    assert done.stdout.splitlines() == [advice, *[""] * 8] * 2


def test_damage_in_any_frame_is_found(root):
    # every picture by itself: opening the file, or reading others, does not show it
    path = write_jpegs(root / "p4" / "0.avi", 20)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    content = bytearray(path.read_bytes())
    bad, last = bytes(packets[7]), len(packets) - 1
    path.write_bytes(content.replace(bad, bytes(len(bad))))
    with open_video(path) as reader:
        reader.read([0, last // 2, last])
    table = looked_at(root / "manifest.csv").set_index("path")
    assert table["problem"][str(path)].startswith("unreadable: frame 7 ")
    assert (table["problem"] != "").sum() == 1


def test_faults_of_the_table_itself_come_first(tmp_path):
    with pytest.raises(ManifestError) as caught:
        check_rows(tmp_path, ["path,patient_id,fps", "gone.avi,,fast"])
    lines = str(caught.value).splitlines()
    assert ["patient_id is empty" in lines[0], "fps is 'fast'" in lines[1], len(lines)] == [True, True, 2]


def test_a_short_video_that_would_be_repeated_gets_a_note(root, write_video):
    write_video(root / "p1" / "1.avi", num_frames=5, fps=30)
    table = looked_at(root / "manifest.csv")
    assert (table["problem"] == "").all()
    assert table["note"][table["note"] != ""].tolist() == ["too short: 0.16667 s, a clip takes 0.5 s"]


def test_a_cut_file_says_how_much_is_left(root, write_video):
    path = root / "p1" / "1.avi"
    write_video(path, num_frames=80)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])
    row = looked_at(root / "manifest.csv").set_index("path").loc[str(path)]
    assert 40 < row["num_frames"] < 60
    assert row["note"] == f"truncated: declares 80 frames, {row['num_frames']} decode"
    assert row["problem"] == ""


def test_frame_rates_are_looked_at(tmp_path, write_video):
    for name, fps in {"slow": 4, "fast": 400, "right": 30, "other": 30}.items():
        write_video(tmp_path / f"{name}.avi", num_frames=300, fps=fps, seed=fps + len(name))
    rows = ["path,patient_id,fps", "slow.avi,1,", "fast.avi,2,", "right.avi,3,31", "other.avi,4,60"]
    assert check_rows(tmp_path, rows)["note"].tolist() == [
        "frame rate: 4 frames per second are unusual",
        "frame rate: 400 frames per second are unusual",
        "",
        "frame rate: the manifest says 60, the file 30, which is used",
    ]


def test_the_same_pixels_under_two_names(root, write_video):
    # the same frames in another container, of another size in bytes
    write_video(root / "p8" / "twin.mkv", num_frames=40, fps=50, seed=0)
    shutil.copy(root / "p7" / "0.avi", root / "p7" / "again.avi")
    rows = [
        "path,patient_id,split",
        "p0/0.avi,p0,train",
        "p8/twin.mkv,p8,test",
        "p7/0.avi,p7,train",
        "p7/again.avi,p7,train",
        "p6/0.avi,p6,test",
    ]
    table = check_rows(root, rows)
    first, original = str(root / "p0" / "0.avi"), str(root / "p7" / "0.avi")
    assert table["duplicate_of"].tolist() == ["", first, "", original, ""]
    assert table["problem"].tolist() == [
        "",
        f"duplicate: same pixels as {first}, of another patient and another split",
        "",
        "",
        "",
    ]
    assert table["note"].tolist() == ["", "", "", f"duplicate: same pixels as {original}", ""]


def test_trap_11_a_patient_in_two_splits(videos):
    rows = [
        "path,patient_id,split",
        "p2/0.avi,p2,train",
        "p3/0.avi,p3,test",
        "p2/1.avi,p2,test",
        "p2/2.avi,p2,train",
    ]
    assert check_rows(videos, rows)["problem"].tolist() == [
        "",
        "",
        f"two splits: its patient is in test here, in train with {videos}/p2/0.avi",
        "",
    ]


def test_a_video_that_takes_too_long_is_unreadable(slow_videos):
    table = check_rows(slow_videos, ["path,patient_id,fps", "0,p0,20"], seconds_per_video=0.05)
    assert table["problem"].str.startswith("unreadable: took longer than 0.05 s").all()


def test_the_summary_counts_every_kind(root, write_video):
    for number in range(3):
        (root / "p0" / f"{number}.avi").write_bytes(b"")
    write_video(root / "p1" / "0.avi", num_frames=5)
    rows = ["path,patient_id", *(f"p0/{number}.avi,p0" for number in range(3))]
    table = check_rows(root, [*rows, "gone.avi,p9", "p1/0.avi,p1", "p1/1.avi,p1"])
    assert summarise_check(table) == [
        "6 videos: 2 can be used, 1 of them with a note; 4 cannot",
        f"problem unreadable: 3, first {root}/p0/0.avi: the file is empty; copy it again",
        f"problem missing: 1, first {root}/gone.avi: no such file; correct the path or remove the row",
        f"note too short: 1, first {root}/p1/0.avi: 0.16667 s, a clip takes 0.5 s",
    ]


def test_the_table_is_written_whole(videos, tmp_path):
    table = check_rows(videos, ["path,patient_id", "p2/0.avi,007", "p2/1.avi,p2"])
    write_check(table, tmp_path / "check.csv")
    again = pd.read_csv(tmp_path / "check.csv", dtype={"patient_id": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert [path.name for path in tmp_path.iterdir()] == ["check.csv"]


def test_the_decoder_is_the_one_that_is_asked_for(root, tmp_path):
    plain = looked_at(root / "manifest.csv")
    named = looked_at(root / "manifest.csv", backend="pyav")
    assert named.equals(plain)
    from PIL import Image

    Image.new("L", (32, 32)).save(root / "still.png")
    rows = ["path,patient_id,fps", f"{root / 'still.png'},P1,30"]
    (found,) = check_rows(tmp_path, rows, backend="decord")["problem"]
    assert found.startswith("unreadable: is a picture, which decord cannot read; use backend auto")
