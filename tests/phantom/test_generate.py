import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.config.phantom import PhantomConfig
from echossl.errors import RunFolderError
from echossl.phantom import generate
from echossl.phantom.generate import make_patient
from echossl.phantom.truth import read_truth

SMALL = {"beats": (0.6, 0.8), "frames_per_second": (25.0, 30.0), "image_height": (64, 72)}


def settings(out: Path, **changes) -> PhantomConfig:
    return PhantomConfig(**({"out": out, "patients": 3, "workers": 1, **SMALL} | changes))


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> PhantomConfig:
    config = settings(tmp_path_factory.mktemp("phantom") / "made")
    generate(config)
    return config


def test_the_folder_holds_what_is_promised(made):
    patients = pd.read_csv(made.out / "patients.csv")
    assert patients["patient_id"].tolist() == ["P00001", "P00002", "P00003"]
    columns = {"study_id", "severe_as", "as_grade", "peak_velocity_m_per_s", "mean_gradient_mmhg"}
    assert columns | {"valve_area_cm2", "discordant", "report"} <= set(patients.columns)
    assert json.loads((made.out / "phantom.json").read_text())["config"]["seed"] == 0
    for patient in patients["patient_id"]:
        videos = sorted((made.out / "videos" / patient).iterdir())
        assert 2 <= len(videos) <= 4
        assert [video.stem for video in videos] == [f"{patient}_{n + 1}" for n in range(len(videos))]
        assert all((made.out / "truth" / f"{video.stem}.npz").is_file() for video in videos)


def test_every_container_is_used(made):
    assert {path.suffix for path in (made.out / "videos").rglob("P*_*")} == {".avi", ".mp4", ".dcm"}


def test_the_same_seed_gives_the_same_bytes_for_any_workers_and_number_of_patients(made, tmp_path):
    other = settings(tmp_path / "other", patients=2, workers=2)
    generate(other)
    expected, found = content(made.out), content(other.out)
    del expected["patients.csv"], found["patients.csv"]
    assert found == {name: data for name, data in expected.items() if "P00003" not in name}
    first, second = pd.read_csv(made.out / "patients.csv"), pd.read_csv(other.out / "patients.csv")
    pd.testing.assert_frame_equal(first.iloc[:2], second)


def test_another_seed_gives_other_videos(made, tmp_path):
    other = settings(tmp_path / "other", patients=1, seed=1)
    generate(other)
    assert content(made.out)["truth/P00001_1.npz"] != content(other.out)["truth/P00001_1.npz"]


def test_a_finished_folder_is_left_alone(made):
    before = {path: path.stat().st_mtime_ns for path in made.out.rglob("*")}
    generate(made)
    assert {path: path.stat().st_mtime_ns for path in made.out.rglob("*")} == before


def test_other_settings_are_refused_by_name(made):
    with pytest.raises(RunFolderError, match=r"share: 0.3 there, 0.95 asked for"):
        generate(made.model_copy(update={"share": 0.95}))


def test_other_workers_are_not_other_settings(made):
    generate(made.model_copy(update={"workers": 2}))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="choose another folder"):
        generate(settings(tmp_path))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_broken_record_is_named(tmp_path):
    (tmp_path / "phantom.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"phantom\.json: not a record"):
        generate(settings(tmp_path))


def test_an_interrupted_call_goes_on_with_the_missing_patient(made, tmp_path):
    config = settings(tmp_path / "part")
    generate(config)
    (config.out / "phantom.json").rename(config.out / "phantom.started.json")
    (config.out / "patients.csv").unlink()
    (config.out / "truth" / "P00002_2.npz").unlink()
    first = config.out / "videos" / "P00001" / "P00001_1.avi"
    before = first.stat().st_mtime_ns
    generate(config)
    assert first.stat().st_mtime_ns == before
    assert content(config.out) == content(made.out)
    assert not (config.out / "phantom.started.json").exists()


def test_ctrl_c_stops_at_once_and_leaves_whole_files_only(tmp_path):
    code = (
        "from pathlib import Path; from echossl.phantom import generate;"
        "from echossl.config.phantom import PhantomConfig;"
        "import sys\n"
        "if __name__ == '__main__': generate(PhantomConfig(out=Path(sys.argv[1]), patients=400, workers=2,"
        " beats=(0.6, 0.8), image_height=(64, 72)))"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    out = tmp_path / "out"
    command = [sys.executable, str(script), str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(out.glob("truth/*.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, 2)
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert not (out / "phantom.json").exists()
    assert not list(out.rglob(".*"))
    for path in out.glob("truth/*.npz"):
        assert list((out / "videos" / path.stem[:6]).glob(f"{path.stem}.*"))


def test_effect_changes_the_picture_and_not_the_measurements(tmp_path):
    full, none = settings(tmp_path / "full", patients=1), settings(tmp_path / "none", patients=1, effect=0.0)
    generate(full)
    generate(none)
    assert (full.out / "patients.csv").read_bytes() == (none.out / "patients.csv").read_bytes()
    latents = [read_truth(config.out, Path("P00001_1.avi")).latents for config in (full, none)]
    assert latents[0]["severity"] == latents[1]["severity"]
    assert latents[0]["opening"] < latents[1]["opening"]


def test_a_patient_is_made_by_number_alone(made, tmp_path):
    config = settings(tmp_path / "alone", patients=99)
    assert make_patient(config, 3) == 3
    expected = {name: data for name, data in content(made.out).items() if "P00003" in name}
    assert content(config.out) == expected
    assert np.all([name.startswith(("videos", "truth")) for name in expected])
