"""Cells on disk become one table: pooled figures, paired differences."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.config.adapt import FrozenRecipe, PixelRecipe
from echossl.config.data import DataConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.objective import ContrastiveConfig
from echossl.config.study import ArmConfig, PretrainingConfig, StudyConfig
from echossl.evaluation import auroc
from echossl.study.cells import Cell, plan_cells
from echossl.study.pooled import collect
from echossl.study.summary import summarise

ARMS = (
    ArmConfig(name="pairs", title="Pairs", start="pairs", recipe=FrozenRecipe()),
    ArmConfig(name="pixels", title="Pixels", recipe=PixelRecipe(), seeds=1),
)
SIGNAL = {"pairs": 2.0, "pixels": 0.2}
LABELS = (np.arange(120) % 5 == 0).astype(int)


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    """A study whose cells are tables with a known signal."""
    config = StudyConfig(
        data=DataConfig(manifest=tmp_path / "manifest.csv", store=tmp_path / "store"),
        out=tmp_path,
        pretrainings=(PretrainingConfig(name="pairs", objectives=(ContrastiveConfig(),)),),
        arms=ARMS,
        fractions=(0.01,),
        draws=3,
        seeds=2,
        bootstrap=BootstrapConfig(resamples=300),
    )
    for cell in plan_cells(config):
        write_cell(cell)
    return config


def write_cell(cell: Cell) -> None:
    generator = np.random.default_rng([cell.draw, cell.seed, len(cell.arm.name)])
    names = [f"P{number:03d}" for number in range(LABELS.size)]
    table = pd.DataFrame({"patient_id": names, "study_id": names, "split": "test", "severe_as": LABELS})
    table["severe_as_score"] = SIGNAL[cell.arm.name] * LABELS + generator.normal(size=LABELS.size)
    cell.config.out.mkdir(parents=True)
    table.to_csv(cell.config.out / "predictions.csv", index=False)
    (cell.config.out / "result.json").write_text(json.dumps({"num_labelled_patients": 8}))


def test_figures_are_means_over_the_cells(study: StudyConfig) -> None:
    for result in collect(study):
        plain = [auroc(cell.predictions.labels, cell.predictions.scores) for cell in result.cells]
        assert result.intervals["auroc"].value == pytest.approx(np.mean(plain))
        assert result.intervals["auroc"].low < np.mean(plain) < result.intervals["auroc"].high
        assert result.num_labelled_patients == 8


def test_the_first_arm_is_compared_with_every_other(study: StudyConfig) -> None:
    default, pixels = collect(study)
    assert default.against == {}
    expected = default.intervals["auroc"].value - pixels.intervals["auroc"].value
    assert pixels.against["auroc"].value == pytest.approx(expected)
    assert pixels.against["auroc"].low > 0


def test_results_csv_has_a_row_per_figure(study: StudyConfig) -> None:
    summarise(study, collect(study))
    table = pd.read_csv(study.out / "results.csv")
    cells = table[(table["draw"] != "all") & (table["metric"] == "auroc")]
    assert len(cells) == 3 * 2 + 3
    pooled = table[(table["draw"] == "all") & (table["metric"] == "auroc")].set_index("arm")
    assert set(pooled.index) == {"pairs", "pixels", "pairs - pixels"}
    assert pooled.loc["pairs", "value"] == pytest.approx(
        cells[cells["arm"] == "pairs"]["value"].mean(), abs=1e-5
    )
    assert (table["num_patients"] == 120).all()
    assert (table["num_positive"] == 24).all()


def test_summary_says_how_it_was_made(study: StudyConfig) -> None:
    text = summarise(study, collect(study)).read_text()
    assert "120 test patients, severe_as in 24; 2 pre-training seeds, 3 paired label draws." in text
    assert "95%, 300 resamples of test patients, label draws and seeds together" in text
    rows = [line for line in text.splitlines() if line.startswith("| 8")]
    assert len(rows) == 2
    assert "Pixels" in rows[1]
    assert "p < " in rows[1] or "p = " in rows[1]
