"""A study at Weights & Biases: grouped runs in offline files, and the report that is built from them."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError
from small_study import FRACTIONS, write_study

from echossl.config.data import DataConfig
from echossl.config.logging import WandbConfig
from echossl.config.study import StudyConfig
from echossl.evaluation import auroc, read_predictions
from echossl.study.cells import plan_cells, plan_pretrainings
from echossl.study.tasks import do_task, find_task

SCRIPT = Path(__file__).parents[2] / "experiments" / "wandb" / "build_report.py"
CELL = "fresh/fraction1-draw1-seed0"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_report", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_report"] = module
    spec.loader.exec_module(module)
    return module


def with_wandb(config: StudyConfig, **settings: object) -> StudyConfig:
    return config.model_copy(update={"wandb": WandbConfig(**settings)})


def test_cells_are_shown_where_the_study_says_so(study: StudyConfig) -> None:
    for mode, shown in (("auto", False), ("disabled", False), ("offline", True), ("online", True)):
        task = find_task(with_wandb(study, mode=mode, tags=("pilot",)), CELL, is_cell=True)
        assert (task.wandb is not None) == shown
    assert task.wandb is not None
    assert (task.wandb.group, task.wandb.job_type) == ("fresh", "adapt")
    assert task.wandb.tags == ("fraction1", "draw1", "seed0", "pilot")


def test_pretrainings_are_grouped_by_name(study: StudyConfig) -> None:
    [run] = plan_pretrainings(with_wandb(study, mode="offline", project="echo", tags=("pilot",)))
    assert (run.wandb.group, run.wandb.job_type, run.wandb.project) == ("pairs", "pretrain", "echo")
    assert run.wandb.tags == ("seed0", "pilot")
    assert all(cell.config.out.name for cell in plan_cells(study))


def test_pretrainings_do_not_start_wandb_unless_the_study_says_so(study: StudyConfig) -> None:
    for mode in ("auto", "disabled"):
        [run] = plan_pretrainings(with_wandb(study, mode=mode, tags=("pilot",)))
        assert run.wandb == WandbConfig(mode="disabled")
    assert study.wandb.mode == "auto"
    assert not list(study.out.glob("pretrain/*/wandb*"))


def test_a_group_of_ones_own_has_no_effect_and_is_refused(study: StudyConfig) -> None:
    with pytest.raises(ValidationError, match=r"wandb.group and wandb.job_type have no effect"):
        StudyConfig.model_validate(study.model_dump() | {"wandb": {"group": "mine"}})


def test_a_finished_cell_is_in_the_offline_file(study: StudyConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "training"))
    from wandb_file import finished_records

    config = with_wandb(study, mode="offline")
    task = find_task(config, CELL, is_cell=True)
    (task.config.out / "predictions.csv").unlink()
    predictions = read_predictions(do_task(task))
    do_task(task)  # what is finished is not sent again
    [path] = task.config.out.glob("wandb/offline-run-*/*.wandb")
    found = finished_records(path)
    run = next(record.run for record in found if record.HasField("run"))
    assert (run.run_group, run.job_type) == ("fresh", "adapt")
    assert list(run.tags) == ["fraction1", "draw1", "seed0"]
    figures: dict[str, float] = {}
    for record in found:
        for item in record.history.item:
            figures[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    assert figures["test/auroc"] == pytest.approx(auroc(predictions.labels, predictions.scores))
    assert figures["num_labelled_patients"] == 20


def test_the_report_has_the_arms_the_fractions_and_the_logged_curves(
    study: StudyConfig, script: ModuleType
) -> None:
    sections = script.report_sections(study)
    titles = [section.title for section in sections]
    percents = [f"{100 * fraction:.3g} % of the labels" for fraction in FRACTIONS]
    assert titles == ["Label efficiency", *percents, "Adaptation", "Pre-training"]
    assert all(arm.name in sections[0].text for arm in study.arms)
    for section, fraction in zip(sections[1:3], FRACTIONS, strict=True):
        assert f"'fraction{fraction:g}'" in section.filters
    logged = [panel.metric for panel in sections[-1].panels]
    assert "loss" in logged
    assert "contrastive/pair_accuracy" in logged
    assert any(panel.metric.startswith("validation/") for panel in sections[-2].panels)


def test_a_study_that_has_not_begun_has_a_report_too(
    data: DataConfig, tmp_path: Path, script: ModuleType
) -> None:
    _, config = write_study(data, tmp_path)
    assert len(script.report_sections(config)) == 1 + len(FRACTIONS)


def test_the_structure_is_printed_without_an_account(study: StudyConfig) -> None:
    path = study.out.parent / "study.yaml"
    command = [sys.executable, str(SCRIPT), str(path), "--print"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = json.loads(done.stdout)
    assert printed[0]["panels"] == [
        {
            "kind": "dots",
            "title": "AUROC against the share of labels",
            "metric": "test/auroc",
            "over": "labels.fraction",
        }
    ]


def test_the_report_in_the_words_of_wandb(study: StudyConfig, script: ModuleType) -> None:
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
    sections = script.report_sections(study)
    report = script.build_report(sections, project="echo", entity="team", title="Study")
    assert len(report.blocks) == 3 * len(sections)
    model = report.blocks[2].panels[0]._to_model()
    assert "fraction" in model.config.x_axis
    assert report.blocks[2].runsets[0].filters == "Metric('JobType') == 'adapt'"


def test_a_missing_package_is_said(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(script.UserError, match="pip install wandb wandb-workspaces"):
        script.build_report([], project="p", entity="e", title="t")
