"""The script of pictures of two views and their report, at its smallest: every stage, and the table."""

import os
import subprocess
from pathlib import Path

import pandas as pd

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LABELS = {"severe_as", "left_atrial_enlargement", "left_ventricular_hypertrophy", "pericardial_effusion"}


def test_the_script_runs_and_prints_its_table(warm_programs: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", str(EXPERIMENTS / "sisters" / "tripartite.sh")],
        env=os.environ | warm_programs | {"OUT": str(tmp_path / "out")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "out" / "results" / "summary.md").read_text(encoding="utf-8")
    assert done.stdout.strip().endswith(table.strip())
    results = pd.read_csv(tmp_path / "out" / "results" / "results.csv").set_index("metric")
    areas = results[results["arm"] == "zeroshot"]
    assert {name.removeprefix("auroc_") for name in areas.index} <= LABELS
    assert "auroc_severe_as" in areas.index
    assert f"| severe_as | {areas.loc['auroc_severe_as', 'value']:.3f} |" in table
    found = results.loc[[f"picture_to_report_r{most}" for most in (1, 5, 10)], "value"]
    assert found.is_monotonic_increasing
    assert (results["low"].dropna() <= results["value"][results["low"].notna()]).all()
    assert "| Pictures and reports |" in table
    assert "| Random start |" in table
