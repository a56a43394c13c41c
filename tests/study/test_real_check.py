"""The check on real data: made-up frames of a few patients, from the npz to the table."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from real_check_scripts import STUDIES, files, folds, pool

from echossl.config import load_config
from echossl.config.data import PrepareConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.study import StudyConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import prepare
from echossl.errors import UserError
from echossl.study.tasks import do_task, plan_tasks
from echossl.video import open_video

PATIENTS, SIDE = 18, 40
NAMES = ("camus_a4c", "camus_a4c_choice", "pocus_lung")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the real folder: noise and a bright middle, brighter in the second frame of every other patient."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "camus_a4c").mkdir()
    generator = np.random.default_rng(0)
    images = generator.integers(20, 90, (2 * PATIENTS, SIDE, SIDE)).astype(np.uint8)
    images[:, 8:30, 8:30] += 60
    images[1::4, 12:24, 12:24] += 60
    names = np.repeat([f"patient{number:04d}" for number in range(PATIENTS)], 2)
    order = generator.permutation(2 * PATIENTS)
    phases = np.array(["ED", "ES"] * PATIENTS)
    arrays = {"images": images[order], "patient": names[order], "phase": phases[order]}
    np.savez(folder / "camus_a4c" / "camus_a4c_112.npz", **arrays, split=names[order])
    ef = pd.DataFrame(
        {"patient": names[::2], "ef_arealength_pct": np.where(np.arange(PATIENTS) % 2, 60.0, 44.9)}
    )
    ef.to_csv(folder / "camus_a4c" / "camus_a4c_ef.csv", index=False)
    return folder


def test_frames_become_pictures_without_loss_in_order(data: Path, tmp_path: Path) -> None:
    table = files.camus_videos(data, tmp_path)
    content = np.load(data / "camus_a4c" / "camus_a4c_112.npz")
    assert len(table) == table["patient_id"].nunique() == PATIENTS
    assert set(table.loc[table["ef"] < 45, "ef_below_45"]) == {1}
    assert set(table.loc[table["ef"] >= 45, "ef_below_45"]) == {0}
    for row in table.itertuples():
        with open_video(row.path) as video:
            frames = video.read_grey([0, 1])
            assert video.num_frames == 2
        for frame, phase in zip(frames, ("ED", "ES"), strict=True):
            own = (content["patient"] == row.patient_id) & (content["phase"] == phase)
            np.testing.assert_array_equal(frame, content["images"][own][0])


def test_trap_15_a_patient_without_ejection_fraction_has_no_label(data: Path, tmp_path: Path) -> None:
    (tmp_path / "camus_a4c").mkdir()
    shutil.copy(data / "camus_a4c" / "camus_a4c_112.npz", tmp_path / "camus_a4c")
    ef = pd.read_csv(data / "camus_a4c" / "camus_a4c_ef.csv")
    ef.loc[0, "ef_arealength_pct"] = np.nan
    ef.to_csv(tmp_path / "camus_a4c" / "camus_a4c_ef.csv", index=False)
    table = files.camus_videos(tmp_path, tmp_path / "out").set_index("patient_id")
    table.to_csv(tmp_path / "videos.csv")
    written = pd.read_csv(tmp_path / "videos.csv", dtype=str, keep_default_na=False)
    assert written["ef_below_45"].tolist() == ["", *["0", "1"] * 8, "0"]


def test_a_patient_without_both_frames_is_named(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "camus_a4c"
    other.mkdir()
    content = dict(np.load(data / "camus_a4c" / "camus_a4c_112.npz"))
    content["phase"] = np.where(content["patient"] == "patient0003", "ED", content["phase"])
    np.savez(other / "camus_a4c_112.npz", **content)
    (other / "camus_a4c_ef.csv").write_text((data / "camus_a4c" / "camus_a4c_ef.csv").read_text())
    with pytest.raises(UserError, match="patient0003 has the frames ED, ED, expected one ED and one ES"):
        files.camus_videos(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="no such file; give the folder of the real data"):
        files.camus_videos(tmp_path / "nothing", tmp_path / "out")


def test_lung_clips_of_one_patient_are_joined_through_either_name(tmp_path: Path) -> None:
    notes = {"Pneu_a": ("7", "Pneu"), "Reg_a": ("7", "Reg"), "Reg_b": ("8", "Reg"), "Cov": ("9", "Cov")}
    labels = {"Pneu_a": "pneumonia", "Reg_a": "regular", "Reg_b": "regular", "Cov": "covid"}
    rows = [
        {
            "file": f"pocus_lung/convex/{name}.mp4",
            "kind": "lung ultrasound video",
            "label": labels[name],
            "fps": 20.0,
            "note": f"patient_id={patient}; group={group}; source=nowhere",
        }
        for name, (patient, group) in notes.items()
    ]
    rows += [
        {"file": "pocus_lung/sheet.csv", "kind": "labels"},
        {"file": "dicom/a.dcm", "kind": "echo dicom"},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "MANIFEST.csv", index=False)
    table = files.lung_videos(tmp_path, tmp_path)
    assert table["patient_id"].tolist() == ["p00", "p00", "p00", "p01"]
    assert table["study_id"].tolist() == list(notes)
    assert table["pneumonia"].tolist() == ["1", "0", "0", ""]


def test_names_are_joined_as_by_hand() -> None:
    generator = np.random.default_rng(1)
    columns = [pd.Series(generator.integers(36, size=24).astype(str)) for _ in range(2)]
    found = files.joined_patients(*columns)
    reached = {row: {row} for row in range(24)}
    for _ in range(8):
        for row in range(24):
            for other in range(24):
                if any(column[one] == column[other] for one in reached[row] for column in columns):
                    reached[row] = reached[row] | {other}
    assert all((found[a] == found[b]) == (b in reached[a]) for a in range(24) for b in range(24))


def test_every_patient_is_tested_once_in_each_repeat_and_never_if_set_aside() -> None:
    generator = np.random.default_rng(2)
    patients = generator.integers(60, size=150)
    labels = np.where(generator.random(150) < 0.1, np.nan, (patients % 3 == 0).astype(float))
    table = pd.DataFrame({"patient_id": [f"{one:02d}" for one in patients], "positive": labels})
    arguments = {"folds": 4, "repeats": 2, "aside": 0.2, "seed": 3}
    made = dict(folds.folds_of(table, "positive", **arguments))
    assert next(iter(made)) == "aside.csv"
    assert len(made) == 1 + 4 * 2
    tested = {name: set(part.loc[part["split"] == "test", "patient_id"]) for name, part in made.items()}
    aside = tested.pop("aside.csv")
    assessed = set(table.loc[table["positive"].notna(), "patient_id"])
    assert len(aside) == round(0.2 * len(assessed))
    for repeat in range(2):
        own = [patients for name, patients in tested.items() if name.startswith(f"repeat{repeat}-")]
        assert sum(map(len, own)) == len(set.union(*own))
        assert set.union(*own) == assessed - aside
    for part in made.values():
        assert part.groupby("patient_id")["split"].nunique().max() <= 1 + part["positive"].isna().any()
        assert set(part.loc[part["positive"].isna(), "split"]) == {"train"}
    again = dict(folds.folds_of(table, "positive", **arguments | {"repeats": 1}))
    assert all(again[name].equals(made[name]) for name in again)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_fold_of_one_class_is_refused() -> None:
    table = pd.DataFrame({"patient_id": list("abcdef"), "positive": [1.0, 1, 0, 0, 0, 0]})
    with pytest.raises(UserError, match="holds one class of positive alone; take fewer folds than 3"):
        list(folds.folds_of(table, "positive", folds=3, repeats=1, aside=0, seed=0))


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_are_valid(name: str) -> None:
    study = load_config(StudyConfig, STUDIES / f"real_check_{name}.yaml")
    assert (study.draws, study.seeds) == (1, 1) or name.endswith("choice")
    if not name.endswith("choice"):
        arms = {arm.name for arm in study.arms}
        assert {arm for pair in pool.COMPARISONS for arm in pair} == arms


def test_from_the_npz_to_the_table(data: Path, tmp_path: Path) -> None:
    content = yaml.safe_load((STUDIES / "real_check_camus_a4c.yaml").read_text())
    quick = {"name": "full", "steps": 1, "evaluate_every": 1, "warmup_steps": 0}
    for arm in content["arms"]:
        arm["recipe"] = quick if arm["recipe"]["name"] == "full" else arm["recipe"]
    content |= {"fractions": [1.0], "optimiser": {"steps": 2, "warmup_steps": 1}, "batch_size": 4}
    content |= {"encoder": {"name": "compact3d", "width": 4, "motion": "beside"}}
    content["pretrainings"][0]["objectives"][0]["dense_grid"] = 2
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(content))
    whole, store = tmp_path / "manifest.csv", tmp_path / "store"
    write_manifest(files.camus_videos(data, tmp_path), whole)
    prepare(PrepareConfig(manifest=whole, out=store, size=32, workers=1))
    table = read_manifest(whole, binary_columns=["ef_below_45"])
    arguments = {"folds": 2, "repeats": 1, "aside": 0.2, "seed": 0}
    for name, part in folds.folds_of(table, "ef_below_45", **arguments):
        write_manifest(part, tmp_path / name)
        if name != "aside.csv":
            own = {"data": {"manifest": str(tmp_path / name), "store": str(store)}}
            own |= {"out": str(tmp_path / name.removesuffix(".csv"))}
            for task in plan_tasks(StudyConfig.model_validate(content | own)):
                do_task(task)
    text = pool.pool_check(tmp_path, study, tmp_path, BootstrapConfig(resamples=200))
    pooled = pd.read_csv(tmp_path / "results.csv").query("metric == 'auroc' and draw == 'all'")
    assert len(pooled) == 5 + len(pool.COMPARISONS)
    # those who were set aside are trained on, and nobody tests them
    tested = PATIENTS - round(0.2 * PATIENTS)
    assert set(pooled["num_patients"]) == {tested}
    assert f"{PATIENTS - tested // 2} patients labelled (100%)" in text


def test_the_script_calls_for_every_repeat_and_fold(tmp_path: Path) -> None:
    """A program that writes down what it is asked for stands in for both real ones."""
    program = tmp_path / "program"
    program.write_text(f'#!/usr/bin/env bash\necho "$(basename $1) ${{@:2}}" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    own = {
        "DATA": "/data",
        "OUT": str(tmp_path / "out"),
        "FOLDS": "2",
        "REPEATS": "2",
        "NPROC": "3",
        "CHOICE": "1",
    }
    settings = os.environ | own | {"ECHOSSL": str(program), "PYTHON": str(program)}
    subprocess.run(["bash", str(STUDIES / "real_check.sh"), "seeds=1"], env=settings, check=True, timeout=60)
    calls = (tmp_path / "calls").read_text().splitlines()
    camus, studies = tmp_path / "out" / "camus_a4c", "experiments/studies"
    numbers = "--folds 2 --repeats 2"
    assert calls[:4] == [
        f"real_check_files.py camus_a4c /data {camus}",
        f"index csv {camus}/videos.csv --out {camus}/manifest.csv",
        f"prepare manifest={camus}/manifest.csv out={camus}/store48 size=48 workers=3",
        f"real_check_folds.py {camus}/manifest.csv {camus}/2folds --column ef_below_45 {numbers} --aside 0.2",
    ]
    assert calls[4] == (
        f"sweep {studies}/real_check_camus_a4c_choice.yaml data.manifest={camus}/2folds/aside.csv "
        f"data.store={camus}/store48 out={camus}/choice --jobs 3 seeds=1"
    )
    runs = [call for call in calls[5:] if call.startswith("sweep")]
    assert len(runs) == 2 * 2 * 2
    assert runs[-1].endswith("first_seed=1 seeds=1")
    assert runs[0] == (
        f"sweep {studies}/real_check_camus_a4c.yaml data.manifest={camus}/2folds/repeat0-fold0.csv "
        f"data.store={camus}/store48 out={camus}/2folds/repeat0-fold0 --jobs 3 first_seed=0 seeds=1"
    )
    assert calls[-2] == (
        f"real_check_pool.py {camus}/2folds --study {studies}/real_check_camus_a4c.yaml "
        f"--out {tmp_path}/out/results/real_camus_a4c"
    )
