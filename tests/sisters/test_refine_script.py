"""The script of refinement, small: from the phantom to the table, and again without doing anything twice."""

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

SISTERS = Path(__file__).parents[2] / "experiments" / "sisters"
TASKS = ("severe_as", "left_atrial_enlargement", "left_ventricular_hypertrophy", "pericardial_effusion")


def run_script(out: Path, programs: dict[str, str], **more: str) -> str:
    own = {"OUT": str(out), "SEEDS": "0"}
    done = subprocess.run(
        ["bash", str(SISTERS / "refine.sh")],
        env=os.environ | programs | own | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(warm_programs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("refine")
    return out, run_script(out, warm_programs)


def test_the_table_has_every_task_before_and_after(finished: tuple[Path, str]) -> None:
    out, said = finished
    rows = pd.read_csv(out / "table" / "results.csv")
    for fraction in (0.3, 1.0):
        own = rows[rows["fraction"] == fraction]
        for task in TASKS:
            metric = f"auroc_{task}"
            for arm in ("start", "refined", "contrast", "longer"):
                figure = own[(own["arm"] == arm) & (own["metric"] == metric)]
                assert figure["value"].between(0, 1).all()
                assert len(figure) > 0
            pair = own[own["arm"] == "refined - start"].set_index(["metric", "seed"])["value"]
            assert 0 < pair[f"{metric}_q_value", "all"] <= 1
    assert all(f"| {task} |" in said for task in TASKS)
    assert "Wilcoxon signed-rank test over 4 task x seed means (4 tasks, 1 seeds)" in said


def test_a_finished_script_does_nothing_twice(
    finished: tuple[Path, str], warm_programs: dict[str, str]
) -> None:
    out, said = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    again = run_script(out, warm_programs)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == before
    assert len(before) >= 4 + 2  # an encoder of each arm, and the text side of those that read reports
    assert said.partition("# Refinement")[2] == again.partition("# Refinement")[2]


def test_an_encoder_and_data_that_are_given_are_taken(
    finished: tuple[Path, str], warm_programs: dict[str, str], tmp_path: Path
) -> None:
    out, _ = finished
    given, data = out / "start-seed0" / "encoder.safetensors", tmp_path / "data"
    data.mkdir()
    for name in ("manifest.csv", "store"):
        (data / name).symlink_to(out / "data" / name)
    said = run_script(tmp_path / "out", warm_programs, START=str(given), DATA=str(data), SEEDS="5")
    assert (tmp_path / "out" / "start-seed5").resolve() == given
    assert sorted(path.name for path in data.iterdir()) == ["manifest.csv", "store"]
    assert "| severe_as |" in said
