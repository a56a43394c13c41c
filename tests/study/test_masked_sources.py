"""The study of fused sources: its script at a small size, and all of its settings files."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from echossl.config import load_config
from echossl.config.study import StudyConfig
from echossl.data.manifest import read_manifest
from echossl.phantom.makers import MAKERS
from echossl.study.cells import plan_cells, plan_pretrainings

SISTERS = Path(__file__).parents[2] / "experiments" / "sisters"
FILES = sorted(SISTERS.glob("masked_sources*.yaml"))


def test_the_script_runs_from_pictures_to_the_table(tmp_path: Path) -> None:
    program = tmp_path / "echossl"
    program.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -m echossl "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {
        "SMALL": "1",
        "DATA": str(tmp_path / "data"),
        "OUT": str(tmp_path / "runs"),
        "PATIENTS": "16",
        "NPROC": "1",
        "ECHOSSL": str(program),
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    }
    # two of the four arms, to be quick
    arms = (
        "arms=[{name: fused, title: Fused, start: fused, recipe: {name: full, steps: 1, evaluate_every: 1}}, "
        "{name: none, title: None, recipe: {name: full, steps: 1, evaluate_every: 1}}]"
    )
    command = ["bash", str(SISTERS / "masked_sources.sh"), arms]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "## On sources that were not learned from" in done.stdout
    assert "| 50 % | Fused | 0." in done.stdout
    table = pd.read_csv(tmp_path / "runs/masked_sources/results.csv", keep_default_na=False)
    cells = table[(table["draw"] != "all") & (table["metric"] == "auroc")]
    names = ("harbour", "hill", "lake")
    fused = cells[cells["arm"] == "fused"]
    pairs = set(zip(fused["adapted_on"], fused["tested_on"], strict=True))
    assert pairs == {(one, other) for one in names for other in names if one != other}
    assert len(cells.query("arm == 'none'")) == 9
    for name in names:
        found = read_manifest(tmp_path / "data" / name / "manifest.csv")
        assert set(found["as_grade"]) <= set(MAKERS[name].grades)
        assert found["patient_id"].nunique() == 16
    made = {path.name for path in (tmp_path / "runs/masked_sources/pretrain").iterdir()}
    assert made == {f"fused-{pair}-seed0" for pair in ("harbour+hill", "harbour+lake", "hill+lake")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_settings_file_is_a_whole_plan(path: Path) -> None:
    config = load_config(StudyConfig, path)
    needed = {cell.config.start for cell in plan_cells(config) if cell.arm.pretraining}
    assert {one.out for one in plan_pretrainings(config)} == needed
    for source in config.sources:
        if source.name in MAKERS:
            assert source.assessed == MAKERS[source.name].grades
    assert config.draws * config.seeds >= 3


def test_in_the_headline_study_no_pretraining_has_seen_the_tested_source() -> None:
    config = load_config(StudyConfig, SISTERS / "masked_sources.yaml")
    for cell in plan_cells(config):
        assert cell.place is not None
        if cell.arm.name == "fused":
            seen = {one.name for one in (*cell.place.pretrained, *cell.place.adapted)}
            assert not seen & {one.name for one in cell.place.tested}
    assert {arm.recipe for arm in config.arms} == {config.arms[0].recipe}, "trained alike"


def test_the_published_settings_are_the_papers() -> None:
    config = load_config(StudyConfig, SISTERS / "masked_sources_paper.yaml")
    for training in plan_pretrainings(config):
        objective, optimiser = training.objectives[0], training.optimiser
        assert (objective.name, objective.ratio) == ("masked", 0.7)
        assert (optimiser.learning_rate, optimiser.weight_decay, training.batch_size) == (1.5e-4, 0.05, 32)
    recipe = config.arms[0].recipe
    assert (recipe.learning_rate, recipe.weight_decay) == (3e-4, 1e-6)
    assert config.sources[0].assessed == ("normal", "amd", "dme", "cnv")
