"""The public-data recipe on small copies of both data sets: index, check, view filter, run to the end."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from echossl.config import load_config
from echossl.config.phantom import PhantomConfig
from echossl.config.sources import PhantomSource
from echossl.config.study import StudyConfig
from echossl.data.manifest import read_manifest
from echossl.data.sources.phantom import index_phantom
from echossl.phantom import generate
from echossl.study.cells import plan_cells, plan_pretrainings

TESTS = Path(__file__).parents[1]
EXPERIMENTS = TESTS.parent / "experiments"
PATIENTS = 30
# the published study with fewer updates, a smaller network and one draw
SMALL = [
    "encoder={name: compact3d, width: 4}",
    "clip={clip_seconds: 0.5, num_frames: 4}",
    "optimiser={steps: 2, warmup_steps: 1}",
    "batch_size=4",
    "fractions=[1.0]",
    "family={}",
    "draws=1",
    "seeds=1",
    "bootstrap.resamples=100",
    "arms.0.recipe={name: frozen, steps: 2, evaluate_every: 2, augmented_views: 1}",
    "arms.1.recipe={name: full, steps: 1, evaluate_every: 1}",
    "arms.2.recipe={name: frozen, steps: 2, evaluate_every: 2, augmented_views: 1}",
    "arms.3.recipe={name: full, steps: 1, evaluate_every: 1}",
    "arms.4.recipe={name: frozen, steps: 2, evaluate_every: 2, augmented_views: 1}",
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``lvh/``, ``mimic/`` and ``views.csv``, as a user has them; one video of each study is no PLAX."""
    folder = tmp_path_factory.mktemp("published")
    config = PhantomConfig(
        out=folder / "phantom",
        patients=PATIENTS,
        seed=12,
        workers=1,
        videos_per_study=(3, 3),
        beats=(0.8, 0.9),
        frames_per_second=(20, 21),
        image_height=(64, 66),
    )
    generate(config)
    videos = index_phantom(folder / "phantom", PhantomSource())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TESTS / "sources"))
        from layout_echonet_lvh import build_echonet_lvh
        from layout_mimic_iv_echo import build_mimic_iv_echo

        build_echonet_lvh(videos, folder / "lvh")
        build_mimic_iv_echo(videos, folder / "mimic")
    names = sorted(path.relative_to(folder / "mimic" / "1.0") for path in (folder / "mimic").rglob("*.dcm"))
    views = ["A4C" if name.stem.endswith("0001") else "PLAX" for name in names]
    pd.DataFrame({"path": names, "view": views}).to_csv(folder / "views.csv", index=False)
    return folder


def test_from_the_published_folders_to_the_table(published: Path, tmp_path: Path) -> None:
    program = tmp_path / "echossl"
    program.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -m echossl "$@"\n')
    program.chmod(0o755)
    out = tmp_path / "out"
    environment = os.environ | {
        "LVH": str(published / "lvh"),
        "MIMIC": str(published / "mimic"),
        "VIEWS": str(published / "views.csv"),
        "OUT": str(out),
        "SIZE": "32",
        "NPROC": "1",
        "ECHOSSL": str(program),
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    }
    command = ["bash", str(EXPERIMENTS / "lvh_to_mimic.sh"), *SMALL]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    everything, kept = (read_manifest(out / "mimic" / name) for name in ("all.csv", "manifest.csv"))
    assert set(kept["view"].str.upper()) == {"PLAX"}
    assert len(everything) == 3 * PATIENTS
    assert len(kept) == 2 * PATIENTS
    table = pd.read_csv(out / "study" / "results.csv")
    arms = table.query("metric == 'auroc' and draw != 'all'")["arm"]
    assert sorted(arms) == sorted(["lvh", "lvh_full", "mimic", "random_start", "frozen_random", "pixels"])
    trained_on = {
        path.parent.name: yaml.safe_load(path.read_text())["config"]["data"]["manifest"]
        for path in out.glob("study/pretrain/*/run.json")
    }
    assert trained_on == {
        "lvh-seed0": str(out / "lvh" / "manifest.csv"),
        "mimic-seed0": str(out / "mimic" / "manifest.csv"),
    }


def test_a_filter_that_keeps_nothing_says_what_there_is(published: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    pd.DataFrame({"path": ["a.dcm", "b.dcm"], "patient_id": ["1", "2"], "view": ["A4C", "A2C"]}).to_csv(
        manifest, index=False
    )
    script = [sys.executable, str(EXPERIMENTS / "studies" / "keep_views.py"), str(manifest)]
    command = [*script, str(tmp_path / "kept.csv"), "--views", "PLAX"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("no video of view PLAX; found A2C, A4C")
    assert not (tmp_path / "kept.csv").exists()


def test_the_study_pretrains_on_the_other_data_set(tmp_path: Path) -> None:
    study = load_config(StudyConfig, EXPERIMENTS / "studies" / "lvh_to_mimic.yaml")
    lvh, mimic = list(plan_pretrainings(study))[:2]
    assert lvh.data.manifest.parts[-2] == "lvh"
    assert mimic.data == study.data
    assert {cell.config.data for cell in plan_cells(study)} == {study.data}
    assert study.column == "as_severe"


def test_an_arm_may_start_from_given_weights(tmp_path: Path) -> None:
    content = yaml.safe_load((EXPERIMENTS / "studies" / "lvh_to_mimic.yaml").read_text())
    for start in ("weights/r3d_18.pth", "torchvision:r3d_18"):
        given = {"name": "kinetics", "title": "Kinetics-400", "start": start, "recipe": {"name": "full"}}
        study = StudyConfig.model_validate(content | {"arms": [given], "family": {}})
        assert list(plan_pretrainings(study)) == []
        assert {str(cell.config.start) for cell in plan_cells(study)} == {start}
    arm = {"name": "a", "title": "A", "start": "weights", "recipe": {"name": "full"}}
    with pytest.raises(ValueError, match="starts from 'weights'; known are lvh, mimic, random, or give"):
        StudyConfig.model_validate(content | {"arms": [arm], "family": {}})
