"""``echossl sweep`` in parts: one run, one fraction, the table alone, jobs of a cluster, progress."""

import io
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from small_study import DRAWS, FRACTIONS, stamps, write_study
from typer.testing import CliRunner

from echossl.cli import app
from echossl.config.data import DataConfig
from echossl.config.study import StudyConfig
from echossl.errors import EchosslError, UserError
from echossl.study.slurm import MOST_ARRAY_TASKS, write_slurm
from echossl.study.sweep import require_complete, run_chosen
from echossl.study.tasks import do_alone, find_task, plan_tasks
from echossl.study.watch import Standing, study_table

CELL = "pixels/fraction1-draw0-seed0"
# what SLURM does with a job, one task after the other: reads --array, runs the script, prints a number
SBATCH = """#!/usr/bin/env bash
script="${@: -1}"
echo "$@" >> "$CALLS"
range="$(sed -n 's/^#SBATCH --array=1-//p' "$script")"
for task in $(seq 1 "${range:-1}"); do
    SLURM_ARRAY_TASK_ID=$task bash "$script" >> "$CALLS.out" 2>&1 || echo "failed $script $task" >> "$CALLS"
done
echo "$RANDOM;cluster"
"""
# in the place of the program: notes how it was called
PROGRAM = """#!/usr/bin/env bash
echo "$@" >> "$CALLS.program"
[[ "$*" != *draw1* ]]
"""


def command(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["sweep", *words])
    error = found.exception
    return (error.exit_code if isinstance(error, EchosslError) else found.exit_code), found.output or str(
        error
    )


def study_file(config: StudyConfig) -> Path:
    return config.out.parent / "study.yaml"


def test_one_cell_by_name(data: DataConfig, tmp_path: Path) -> None:
    path, config = write_study(data, tmp_path)
    code, output = command(str(path), "--cell", CELL)
    assert (code, output.strip()) == (0, str(config.out / "cells" / CELL / "predictions.csv"))
    assert [task.name for task in plan_tasks(config) if task.is_finished] == [CELL]


def test_a_cell_says_what_it_waits_for(data: DataConfig, tmp_path: Path) -> None:
    _, config = write_study(data, tmp_path)
    with pytest.raises(
        UserError, match=r"its pre-training is not finished; run .* --pretraining pairs-seed0"
    ):
        do_alone(config, "pairs/fraction1-draw0-seed0", is_cell=True)
    with pytest.raises(UserError, match="cell 'x': the study has none of this name; names look like pairs/"):
        do_alone(config, "x", is_cell=True)
    with pytest.raises(UserError, match=r"pretraining 'x': .* names look like pairs-seed0"):
        do_alone(config, "x", is_cell=False)


def test_one_fraction(study: StudyConfig) -> None:
    for name in ("pixels/fraction1-draw0-seed0", "pixels/fraction0.4-draw0-seed0"):
        (find_task(study, name, is_cell=True).config.out / "predictions.csv").unlink()
    assert run_chosen(study, pretrain_only=False, fraction=0.4) == []
    left = [task.name for task in plan_tasks(study) if not task.is_finished]
    assert left == ["pixels/fraction1-draw0-seed0"]
    assert run_chosen(study, pretrain_only=True, fraction=None) == []
    with pytest.raises(UserError, match=r"--fraction 0.3: the study has 0.4, 1"):
        run_chosen(study, pretrain_only=False, fraction=0.3)
    with pytest.raises(EchosslError, match="1 cells are not finished, the first is pixels/fraction1"):
        require_complete(study)


def test_the_table_alone(study: StudyConfig) -> None:
    before = stamps(study.out)
    code, output = command(str(study_file(study)), "--collect")
    assert code == 0
    assert "| labelled patients | arm |" in output
    assert stamps(study.out) == before
    (study.out / "cells" / CELL / "predictions.csv").unlink()
    code, output = command(str(study_file(study)), "--collect")
    assert code == 1
    assert "1 of 12 cells are missing" in output


def test_options_that_exclude_each_other(study: StudyConfig) -> None:
    code, output = command(str(study_file(study)), "--plan", "--cell", CELL)
    assert code == 2
    assert "--plan and --cell exclude each other" in output


def test_plan_of_the_command(study: StudyConfig) -> None:
    code, output = command(str(study_file(study)), "--plan", "--jobs", "2")
    assert code == 0
    assert output.count(" finished\n") >= 1 + 12
    assert "time left:     nothing" in output


def submit(script: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Run ``submit.sh`` where ``sbatch`` is a plain loop; gives how it and the program were called."""
    for name, text in (("sbatch", SBATCH), ("program", PROGRAM)):
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    calls = folder / "calls"
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "ECHOSSL": str(folder / "bin" / "program"),
    }
    subprocess.run(["bash", str(script), "--partition", "gpu"], env=environment, check=True, timeout=60)
    return calls.read_text().splitlines(), Path(f"{calls}.program").read_text().splitlines()


def test_slurm_runs_every_run_by_its_own_command(data: DataConfig, tmp_path: Path) -> None:
    path, config = write_study(data, tmp_path)
    folder = tmp_path / "a folder"
    code, output = command(str(path), "draws=3", "--slurm", str(folder))
    assert (code, output) == (0, f"submit with: bash {folder / 'submit.sh'}\n")
    written = StudyConfig.model_validate(yaml.safe_load((folder / "study.yaml").read_text()))
    assert written == config.model_copy(update={"draws": 3})

    jobs, runs = submit(folder / "submit.sh", tmp_path)
    handed = [line for line in jobs if not line.startswith("failed")]
    assert [line.split()[-1] for line in handed] == ["pretraining.sh", "cell.sh", "collect.sh"]
    assert all("--parsable --partition gpu" in line for line in handed)
    assert ["--dependency afterany:" in line for line in handed] == [False, True, True]
    # the program fails in every cell of draw 1: each is tried once more, and the others go on
    study = f"sweep {folder / 'study.yaml'}"
    names = [task.name for task in plan_tasks(written) if task.cell]
    expected = [f"{study} --cell {name}" for name in names for _ in range(1 + ("draw1" in name))]
    assert runs == [f"{study} --pretraining pairs-seed0", *expected, f"{study} --collect"]
    assert sum(line.startswith("failed cell.sh") for line in jobs) == sum("draw1" in name for name in names)


def test_slurm_writes_what_is_left(study: StudyConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="every cell is finished; echossl sweep --collect"):
        write_slurm(study, tmp_path / "jobs")
    (study.out / "cells" / CELL / "predictions.csv").unlink()
    script = write_slurm(study, tmp_path / "jobs")
    assert (script.parent / "cells.txt").read_text() == f"{CELL}\n"
    assert not (script.parent / "pretraining.sh").exists()
    _, runs = submit(script, tmp_path)
    assert [line.split()[-1] for line in runs] == [CELL, "--collect"]


def test_slurm_arrays_are_not_longer_than_clusters_allow(data: DataConfig, tmp_path: Path) -> None:
    draws = 400
    _, config = write_study(data, tmp_path, draws=draws)
    script = write_slurm(config, tmp_path / "jobs").parent / "cell.sh"
    assert f"#SBATCH --array=1-{MOST_ARRAY_TASKS}\n" in script.read_text()
    names = (script.parent / "cells.txt").read_text().splitlines()
    assert len(names) == 3 * len(FRACTIONS) * draws
    environment = {**os.environ, "ECHOSSL": "echo", "SLURM_ARRAY_TASK_ID": "400"}
    output = subprocess.run(
        ["bash", str(script)], env=environment, capture_output=True, text=True, check=True
    )
    done = [line.split()[-1] for line in output.stdout.splitlines()]
    assert done == [names[399], names[1399], names[2399]]


def test_progress_table(study: StudyConfig) -> None:
    (find_task(study, CELL, is_cell=True).config.out / "predictions.csv").unlink()
    other = "pixels/fraction1-draw1-seed0"
    (find_task(study, other, is_cell=True).config.out / "predictions.csv").unlink()
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(study_table(plan_tasks(study), Standing({CELL}, {other})))
    text = console.export_text()
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if "│" in line}
    assert f"{DRAWS}/{DRAWS}" in rows["pairs"]
    assert "0/2, 1 running, 1 failed" in rows["pixels"]
    assert "pairs-seed0" not in rows  # a finished pre-training needs no row
    assert "0.4" in text
