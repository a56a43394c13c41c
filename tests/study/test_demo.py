"""The demo on a small phantom: every stage for real, one page at the end, nothing done twice."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from echossl.config import load_config
from echossl.config.report import ReportConfig
from echossl.config.study import QUICK, DemoConfig
from echossl.study.demo import study_config
from echossl.study.pictures import saliency_checks
from echossl.study.report import report_of
from echossl.study.watch import read_metrics

SMALL = [
    "phantom.patients=40",
    "phantom.seed=5",
    "phantom.videos_per_study=[2,2]",
    "phantom.beats=[1.0,1.2]",
    "phantom.frames_per_second=[25,26]",
    "phantom.image_height=[64,72]",
    "train_share=0.5",
    "size=48",
    "study.fractions=[0.5]",
    "study.draws=2",
    "study.optimiser.steps=12",
    "study.batch_size=8",
    "study.bootstrap.resamples=200",
    "saliency.studies=2",
]
ARMS = """study.arms=[
{name: default, title: Default, start: dense, recipe: {name: frozen, steps: 10}},
{name: random_start, title: Random start, seeds: 1, recipe: {name: full, steps: 4, evaluate_every: 2}},
{name: pixels, title: <Pixels>, seeds: 1, recipe: {name: pixels}}]"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "echossl", "demo", "--out", str(folder), *SMALL, ARMS]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo that was killed in the middle of its study and started again."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    first = start(folder)
    waiting_since = time.monotonic()
    while not list(folder.glob("pretrain/*/run.json")) and time.monotonic() - waiting_since < 240:
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.2)
    first.kill()  # not its workers: they must notice by themselves, or they would write beside the next run
    first.communicate()
    second = start(folder)
    output, errors = second.communicate(timeout=400)
    assert second.returncode == 0, errors
    assert output.strip() == f"report: {folder / 'report.html'}"
    return folder


def test_a_killed_demo_ends_with_everything(demo: Path) -> None:
    names = ("manifest.csv", "store", "results.csv", "summary.md", "report.html", "saliency/saliency.csv")
    assert [name for name in names if not (demo / name).exists()] == []
    assert len(list(demo.glob("cells/*/*/predictions.csv"))) == 3 * 2


def test_a_second_run_does_nothing_again(demo: Path) -> None:
    def stamps() -> dict[Path, int]:
        made = [*demo.glob("cells/*/*/*"), *demo.glob("pretrain/*/*"), *demo.glob("store/*")]
        return {path: path.stat().st_mtime_ns for path in made if path.is_file()}

    before = stamps()
    again = start(demo)
    _, errors = again.communicate(timeout=200)
    assert again.returncode == 0, errors
    assert stamps() == before


def test_no_pretraining_step_is_logged_twice(demo: Path) -> None:
    for run in demo.glob("pretrain/*"):
        steps = [line["step"] for line in read_metrics(run)]
        assert steps == sorted(set(steps))
        assert steps[-1] == 12


def test_trap_14_every_arm_had_the_same_labels_and_no_other(demo: Path) -> None:
    for draw in (0, 1):
        budgets = [pd.read_csv(path) for path in sorted(demo.glob(f"cells/*/*draw{draw}*/budget.csv"))]
        assert len(budgets) == 3
        assert all(budget.equals(budgets[0]) for budget in budgets)
        manifest = pd.read_csv(demo / "manifest.csv")
        assert set(budgets[0]["patient_id"]) < set(manifest.loc[manifest["split"] == "train", "patient_id"])
        assert len(budgets[0]) == round(0.5 * manifest.query("split == 'train'")["patient_id"].nunique())


def test_the_page_holds_the_figures_and_is_safe(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    table = pd.read_csv(demo / "results.csv")
    pooled = table[(table["arm"] == "default") & (table["draw"] == "all") & (table["metric"] == "auroc")]
    assert f"{pooled['value'].iloc[0]:.3f}" in page
    assert "&lt;Pixels&gt;" in page
    assert "<Pixels>" not in page
    assert "not that it works on patients" in page
    assert page.count("data:video/mp4;base64,") == len(pd.read_csv(demo / "saliency" / "saliency.csv"))


def test_saliency_is_held_against_its_controls(demo: Path) -> None:
    lines = saliency_checks(demo / "saliency")
    groups = {line.studies for line in lines}
    assert groups <= {"all", "positive", "negative"}
    for group in groups:
        maps = [line for line in lines if line.studies == group]
        assert [line.map_name for line in maps] == [
            "Trained model",
            "Middle of the picture",
            "Random weights",
        ]
        assert [line.difference is None for line in maps] == [True, False, False]


def test_the_page_can_be_written_anew(demo: Path) -> None:
    before = (demo / "report.html").read_text()
    (demo / "report.html").unlink()
    assert report_of(demo, ReportConfig()) == demo / "report.html"
    assert (demo / "report.html").read_text() == before


def test_quick_is_a_smaller_demo() -> None:
    quick = load_config(DemoConfig, None, [*QUICK, "out=a"])
    whole = load_config(DemoConfig, None, ["out=a"])
    assert quick.phantom.patients < whole.phantom.patients
    assert quick.study.optimiser.steps < whole.study.optimiser.steps
    assert quick.study.arms == whole.study.arms
    assert study_config(quick).data.manifest == Path("a/manifest.csv")


def test_the_record_says_how_to_repeat(demo: Path) -> None:
    record = json.loads((demo / "run.json").read_text())
    assert DemoConfig.model_validate(record["config"]).phantom.patients == 40
