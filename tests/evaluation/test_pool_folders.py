"""Folders of probes and sweeps become one table: made-up scores, written as the commands write them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation import auroc
from echossl.evaluation.panel_files import Question, read_panels

SCRIPT = Path(__file__).parents[2] / "experiments" / "studies" / "pool.py"
CONFIG = BootstrapConfig(resamples=100)
EFFECT = {"pairs": 1.5, "fresh": 0.2}


@pytest.fixture(scope="module")
def pool_folders():
    specification = importlib.util.spec_from_file_location("pool", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.pool_folders


def scores_of(arm: str, *numbers: int, count: int = 40) -> pd.DataFrame:
    names = [f"{number:03d}" for number in range(count)]
    truth = (np.arange(count) % 4 == 0).astype(int)
    generator = np.random.default_rng([len(arm), *numbers])
    return pd.DataFrame(
        {"patient_id": names, "truth": truth, "score": EFFECT[arm] * truth + generator.normal(size=count)}
    )


def write_sweep(folder: Path, seed: int, arms=("pairs", "fresh")) -> Path:
    for arm in arms:
        for draw in range(2):
            table = scores_of(arm, draw, seed)
            cell = folder / "cells" / arm / f"fraction0.01-draw{draw}-seed{seed}"
            cell.mkdir(parents=True)
            own = table.rename(columns={"truth": "severe_as", "score": "severe_as_score"})
            own.assign(study_id=own["patient_id"], split="test").to_csv(cell / "predictions.csv", index=False)
            (cell / "result.json").write_text(json.dumps({"num_labelled_patients": 8}))
    rows = [*arms, *(f"{arms[0]} - {other}" for other in arms[1:])]
    pd.DataFrame({"arm": rows}).to_csv(folder / "results.csv", index=False)
    return folder


def write_probe(folder: Path, seed: int) -> Path:
    for arm in EFFECT:
        for metric in ("auroc", "r2_depth"):
            runs = {f"fraction{1 if metric == 'r2_depth' else 0.01:g}-draw{draw}": draw for draw in range(2)}
            if metric == "r2_depth":
                runs = {"fraction1-draw0": 0}
            table = scores_of(arm, 0, seed).drop(columns="score").assign(split="val")
            table.insert(1, "unit", table["patient_id"])
            scores = {name: scores_of(arm, draw, seed)["score"] for name, draw in runs.items()}
            path = folder / "predictions" / metric / f"{arm}-seed{seed}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            table.assign(**scores).to_csv(path, index=False)
    labelled = [("auroc", 0.01, draw, f"{name:03d}") for draw in range(2) for name in range(8)]
    labelled += [("r2_depth", 1.0, 0, f"{name:03d}") for name in range(30)]
    columns = ["metric", "fraction", "draw", "patient_id"]
    pd.DataFrame(labelled, columns=columns).to_csv(folder / "labelled.csv", index=False)
    pd.DataFrame({"arm": list(EFFECT)}).to_csv(folder / "results.csv", index=False)
    return folder


def test_a_sweep_is_read_with_every_cell_at_its_place(tmp_path: Path) -> None:
    panels = read_panels(write_sweep(tmp_path, 4))
    question = Question("test", "auroc", 0.01)
    assert list(panels) == [question]
    assert list(panels[question]) == ["pairs", "fresh"]
    panel = panels[question]["fresh"]
    assert (panel.draws, panel.seeds, panel.num_labelled_patients) == ((0, 1), (4,), 8)
    for draw in range(2):
        assert panel.scores[draw, 0] == pytest.approx(scores_of("fresh", draw, 4)["score"])


def test_a_probe_is_read_with_labels_and_numbers(tmp_path: Path) -> None:
    panels = read_panels(write_probe(tmp_path, 1))
    questions = [Question("val", "auroc", 0.01), Question("val", "r2_depth", 1.0)]
    assert list(panels) == questions
    labels, numbers = (panels[question]["pairs"] for question in questions)
    assert (labels.draws, numbers.draws) == ((0, 1), (0,))
    assert (labels.num_labelled_patients, numbers.num_labelled_patients) == (8, 30)
    assert labels.scores[1, 0] == pytest.approx(scores_of("pairs", 1, 1)["score"])
    assert labels.patients[3] == "003"


def test_the_table_holds_the_mean_and_each_data_set(tmp_path: Path, pool_folders) -> None:
    folders = [write_sweep(tmp_path / str(seed), seed) for seed in (0, 1, 2)]
    titles = tmp_path / "study.yaml"
    titles.write_text("arms: [{name: pairs, title: Two videos}]\n")
    text = pool_folders(folders, tmp_path / "out", titles=titles, first=None, config=CONFIG)
    each = {
        arm: [
            np.mean(
                [auroc(own["truth"], own["score"]) for own in (scores_of(arm, draw, seed) for draw in (0, 1))]
            )
            for seed in (0, 1, 2)
        ]
        for arm in EFFECT
    }
    table = pd.read_csv(tmp_path / "out" / "results.csv").set_index(["arm", "seed", "metric"])["value"]
    for arm, values in each.items():
        assert table[arm, "all", "auroc"] == pytest.approx(np.mean(values), abs=1e-5)
        for seed, value in enumerate(values):
            assert table[arm, str(seed), "auroc"] == pytest.approx(value, abs=1e-5)
    gap = np.mean(each["pairs"]) - np.mean(each["fresh"])
    assert table["pairs - fresh", "all", "auroc"] == pytest.approx(gap, abs=1e-5)
    assert "Means over 3 data sets" in text
    assert "120 test patients, 30 positive; 2 paired label draws, 1 seed in each data set." in text
    shown = ", ".join(f"{value:.2f}" for value in each["pairs"])
    line = next(line for line in text.splitlines() if line.startswith("| Two videos |"))
    assert f"[{shown}]" in line
    assert "| Two videos minus this, AUROC | 8 (1.0%) |" in text


def test_probes_and_another_arm_to_compare_with(tmp_path: Path, pool_folders) -> None:
    folders = [write_probe(tmp_path / str(seed), seed) for seed in (0, 1)]
    text = pool_folders(folders, tmp_path / "out", titles=None, first="fresh", config=CONFIG)
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert set(table["arm"]) == {"pairs", "fresh", "fresh - pairs"}
    assert set(table["metric"]) == {"auroc", "auroc_p_value", "r2_depth", "r2_depth_p_value"}
    assert "| R2 | depth |" in text
    assert "fresh minus this, R2" in text


def test_folders_that_do_not_fit_are_refused(tmp_path: Path, pool_folders) -> None:
    whole, part = write_sweep(tmp_path / "a", 0), write_sweep(tmp_path / "b", 1, arms=("pairs",))
    with pytest.raises(UserError, match="folder 2: lacks auroc of the arm fresh"):
        pool_folders([whole, part], tmp_path / "out", titles=None, first=None, config=CONFIG)
    with pytest.raises(UserError, match="no predictions or cells here"):
        read_panels(tmp_path)
    (whole / "results.csv").unlink()
    with pytest.raises(UserError, match=r"no results\.csv here; give the folder of a finished"):
        read_panels(whole)
    (part / "cells" / "pairs" / "fraction0.01-draw0-seed1").rename(part / "cells" / "pairs" / "copy")
    with pytest.raises(UserError, match="not a cell of a sweep"):
        read_panels(part)
