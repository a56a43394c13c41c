"""A study runs to its end whatever happens to one of its runs; nothing that is finished is done again."""

import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from small_study import DRAWS, FRACTIONS, read_result, stamps, write_study

from echossl.config.data import DataConfig
from echossl.config.study import StudyConfig
from echossl.errors import EchosslError, RunFolderError, UserError
from echossl.study import collect, require_all, run_study, summarise
from echossl.study.plan import plan_text
from echossl.study.slots import Attempt, Slots
from echossl.study.tasks import do_task, find_task, plan_tasks

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
BROKEN = "pixels/fraction0.4-draw0-seed0"


def sweep(*words: str, **options) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "echossl", "sweep", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True, **options)


def break_cell(config: StudyConfig) -> Path:
    """Put something into the folder of a cell that has not begun, so that it cannot begin."""
    folder = config.out / "cells" / BROKEN
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    (folder / "notes.txt").write_text("somebody's")
    return folder


def test_every_run_is_done_and_only_once(study: StudyConfig) -> None:
    assert all(task.is_finished for task in plan_tasks(study))
    before = stamps(study.out)
    assert run_study(study) == []
    assert stamps(study.out) == before


def test_a_failed_cell_is_listed_and_all_others_go_on(study: StudyConfig) -> None:
    folder = break_cell(study)
    failures = run_study(study)
    assert [failure.name for failure in failures] == [BROKEN]
    with (study.out / "failed.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"cell": BROKEN, "message": failures[0].message}]
    assert "the folder is not empty and holds no run.json" in rows[0]["message"]
    assert "RunFolderError" in (study.out / "failed.log").read_text()
    with pytest.raises(EchosslError, match="1 runs failed, the first is pixels") as error:
        require_all(failures, study.out)
    assert error.value.exit_code == 1

    text = summarise(study, collect(study)).read_text()
    assert f"**1 of {3 * len(FRACTIONS) * DRAWS} cells are missing.**" in text
    assert f"Missing: {BROKEN}." in text
    table = pd.read_csv(study.out / "results.csv")
    of_pixels = table.query("arm == 'pixels' and fraction == 0.4 and draw != 'all'")
    assert list(of_pixels["draw"]) == ["1"]

    (folder / "notes.txt").unlink()
    assert run_study(study) == []
    assert not (study.out / "failed.csv").exists()
    assert "missing" not in summarise(study, collect(study)).read_text()


def test_a_failed_pretraining_costs_its_cells_only(data: DataConfig, tmp_path: Path) -> None:
    _, config = write_study(data, tmp_path, fractions=[1.0], draws=1)
    folder = config.out / "pretrain" / "pairs-seed0"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("somebody's")
    failures = {failure.name: failure.message for failure in run_study(config)}
    assert set(failures) == {"pairs-seed0", "pairs/fraction1-draw0-seed0"}
    assert failures["pairs/fraction1-draw0-seed0"] == "its pre-training pairs-seed0 failed"
    results = collect(config)
    assert [result.arm.name for result in results] == ["fresh", "pixels"]
    assert all(result.against == {} for result in results)  # the default arm is not there to compare with


def test_nothing_finished_is_said(data: DataConfig, tmp_path: Path) -> None:
    _, config = write_study(data, tmp_path)
    with pytest.raises(EchosslError, match="no cell is finished"):
        collect(config)


def test_wrong_input_is_said_before_anything_runs(
    data: DataConfig, tmp_path: Path, study: StudyConfig
) -> None:
    gone = data.model_copy(update={"manifest": tmp_path / "gone.csv"})
    _, config = write_study(gone, tmp_path)
    with pytest.raises(UserError, match=r"gone\.csv: no such file or folder; make it with echossl index"):
        run_study(config)
    other = study.model_copy(update={"batch_size": 6})
    with pytest.raises(RunFolderError, match="batch_size: 4 there, 6 asked for"):
        run_study(other)


def test_a_killed_worker_costs_one_attempt(data: DataConfig, tmp_path: Path) -> None:
    path, config = write_study(data, tmp_path, fractions=[1.0], draws=1, optimiser={"steps": 60})
    process = sweep(str(path))
    metrics = config.out / "pretrain" / "pairs-seed0" / "metrics.jsonl"
    while not metrics.is_file() or not metrics.stat().st_size:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    [server] = [child for child in psutil.Process(process.pid).children() if child.children()]
    [worker] = server.children()
    worker.kill()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert all(task.is_finished for task in plan_tasks(config))


def test_a_full_disk_fails_cells_and_a_restart_finishes_them(data: DataConfig, tmp_path: Path) -> None:
    path, config = write_study(data, tmp_path, fractions=[1.0], draws=1)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))  # too small for any weights

    process = sweep(str(path), preexec_fn=limit)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "failed.csv: 3 runs failed, the first is pairs-seed0" in errors
    # what needs no weights is finished and summed up
    assert find_task(config, "pixels/fraction1-draw0-seed0", is_cell=True).is_finished
    assert "2 of 3 cells are missing" in (config.out / "summary.md").read_text()
    assert run_study(config) == []
    assert not [path for path in config.out.rglob(".*") if path.is_file()]


def test_a_deleted_encoder_is_made_again_for_who_needs_it(study: StudyConfig) -> None:
    training = study.out / "pretrain" / "pairs-seed0"
    encoder, before = training / "encoder.safetensors", stamps(study.out)
    weights = encoder.read_bytes()
    encoder.unlink()
    assert run_study(study) == []  # every cell is finished: nobody needs it
    assert not encoder.exists()

    cell = find_task(study, "pairs/fraction1-draw1-seed0", is_cell=True).config.out / "predictions.csv"
    predictions = cell.read_bytes()
    cell.unlink()
    assert run_study(study) == []
    assert encoder.read_bytes() == weights
    assert cell.read_bytes() == predictions
    changed = {path.parent for path, stamp in stamps(study.out).items() if before.get(path) != stamp}
    assert changed == {training, cell.parent}


def test_a_deleted_checkpoint_is_survived(study: StudyConfig) -> None:
    training = study.out / "pretrain" / "pairs-seed0"
    weights = (training / "encoder.safetensors").read_bytes()
    for path in [*training.glob("checkpoints/*"), training / "result.json"]:
        path.unlink()
    do_task(find_task(study, "pairs-seed0", is_cell=False))
    assert (training / "encoder.safetensors").read_bytes() == weights


def test_the_table_shows_the_labelled_patients_of_each_cell(study: StudyConfig) -> None:
    """Nothing but the patients of ``budget.csv`` is behind ``num_labelled_patients``."""
    summarise(study, collect(study))
    table = pd.read_csv(study.out / "results.csv")
    for task in plan_tasks(study):
        if task.cell is None:
            continue
        budget = pd.read_csv(task.config.out / "budget.csv")
        place = {"fraction": task.cell.fraction, "draw": str(task.cell.draw), "seed": str(task.cell.seed)}
        row = table[
            (table["arm"] == task.cell.arm.name) & (table[list(place)] == pd.Series(place)).all(axis=1)
        ]
        assert list(row["num_labelled_patients"]) == [len(budget)]
        assert set(budget["role"]) == {"train", "validation"}
        assert read_result(task.config.out)["num_labelled_patients"] == len(budget)


def test_plan_of_a_study_that_has_not_begun(data: DataConfig, tmp_path: Path) -> None:
    _, config = write_study(data, tmp_path)
    text = plan_text(config)
    assert text.count("to do") == 1 + 3 * len(FRACTIONS) * DRAWS
    assert "pre-trainings: 1, 0 finished" in text
    assert f"time left:     unknown for {1 + 12} runs, none of their kind has been done" in text
    assert not config.out.exists()


def test_plan_counts_what_is_left(study: StudyConfig) -> None:
    assert "time left:     nothing" in plan_text(study)
    task = find_task(study, "fresh/fraction1-draw1-seed0", is_cell=True)
    (task.config.out / "predictions.csv").unlink()
    text = plan_text(study)
    assert [line.split() for line in text.splitlines() if "begun" in line] == [[task.name, "begun"]]
    seconds = read_result(study.out / "cells" / "fresh" / "fraction1-draw0-seed0")["seconds"]
    assert f"time left:     about {seconds:.0f} s with 1 at a time" in text
    assert "cells:         12, 11 finished" in text
    assert "MiB" in text


def test_plan_knows_the_rate_of_a_pretraining(study: StudyConfig) -> None:
    longer = study.model_copy(update={"seeds": 2})
    text = plan_text(longer)
    assert "pairs-seed1" in text
    assert "time left:     about" in text
    assert "unknown" not in text


def test_attempts_keep_any_error_as_text() -> None:
    with Attempt() as attempt:
        raise ValueError("two\nlines")
    assert attempt.message == "ValueError: two lines"
    assert "test_attempts_keep_any_error" in attempt.trace


def test_slots_tell_which_job_died() -> None:
    with Slots(os._exit, 2) as slots:
        slots.start(3)
        assert slots.free == 1
        [(job, attempt)] = slots.ended(60)
        assert (job, slots.free) == (3, 2)
        assert "was killed" in attempt.message
