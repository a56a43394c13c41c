"""The script of pictures of two views and their report, at its smallest: every stage, and the table."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LABELS = {"severe_as", "left_atrial_enlargement", "left_ventricular_hypertrophy", "pericardial_effusion"}


@pytest.mark.slow
def test_the_script_runs_and_prints_its_table(tmp_path: Path) -> None:
    program = tmp_path / "echossl"
    program.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -m echossl "$@"\n')
    program.chmod(0o755)
    own = {"SMALL": "1", "NPROC": "2", "OUT": str(tmp_path / "out"), "ECHOSSL": str(program)}
    done = subprocess.run(
        ["bash", str(EXPERIMENTS / "sisters" / "tripartite.sh")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHON": sys.executable} | own,
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
