"""Folds become one table: made-up scores, written as the studies of folds write them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from real_check_scripts import pool
from sklearn.metrics import roc_auc_score

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError


def write_fold(folder: Path, repeat: int, fold: int, *, shift: float = 0.0) -> None:
    """Patients of one fold have two studies; pre-trained arms know more."""
    knows = {"probe": 1.5, "full": 1.5, "random_start": 0.3, "frozen_random": 0.3, "pixels": 0.3}
    for arm, effect in knows.items():
        generator = np.random.default_rng([repeat, fold, len(arm)])
        names = [f"{number:02d}" for number in range(40) if (number + repeat) % 2 == fold]
        truth = np.repeat([int(name) // 2 % 2 for name in names], 2)
        table = pd.DataFrame({"patient_id": np.repeat(names, 2), "study_id": range(2 * len(names))})
        scores = effect * truth + generator.normal(size=truth.size) + shift * fold
        cell = folder / f"repeat{repeat}-fold{fold}" / "cells" / arm / f"fraction1-draw0-seed{repeat}"
        cell.mkdir(parents=True)
        table["study_id"] = table["patient_id"] + "-" + (table["study_id"] % 2).astype(str)
        table = table.assign(split="test", positive=truth, positive_score=scores)
        table.to_csv(cell / "predictions.csv", index=False)
        (cell / "result.json").write_text(json.dumps({"num_labelled_patients": 20 + fold}))


def write_titles(path: Path) -> Path:
    names = ["probe", "full", "random_start", "frozen_random", "pixels"]
    path.write_text(yaml.safe_dump({"arms": [{"name": name, "title": name.title()} for name in names]}))
    return path


def test_the_table_is_that_of_all_scores_of_each_repeat(tmp_path: Path) -> None:
    for repeat in range(2):
        for fold in range(2):
            write_fold(tmp_path, repeat, fold, shift=9.0)
    (tmp_path / "out").mkdir()
    study = write_titles(tmp_path / "study.yaml")
    text = pool.pool_check(tmp_path, study, tmp_path / "out", BootstrapConfig(resamples=400))
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    plain, inside = [], []
    for repeat in range(2):
        parts = [
            pd.read_csv(path)
            for path in sorted(tmp_path.glob(f"repeat{repeat}-*/cells/probe/*/predictions.csv"))
        ]
        both = pd.concat(parts)
        plain.append(roc_auc_score(both["positive"], both["positive_score"]))
        ordered = [
            float(high > low)
            for part in parts
            for high in part.loc[part["positive"] == 1, "positive_score"]
            for low in part.loc[part["positive"] == 0, "positive_score"]
        ]
        inside.append(np.mean(ordered))
    pooled = table.query("arm == 'probe' and metric == 'auroc' and draw == 'all'").iloc[0]
    assert pooled["value"] == pytest.approx(np.mean(plain), abs=1e-6)
    assert pooled["num_patients"] == 40
    assert pooled["low"] < pooled["value"] < pooled["high"]
    assert f"[{np.mean(inside):.3f}]" in text
    # the levels of the folds differ by far more than a study's score
    assert np.mean(inside) > np.mean(plain) + 0.1
    gaps = table[table["arm"].str.contains(" - ")]
    assert set(gaps["arm"]) == {" - ".join(pair) for pair in pool.COMPARISONS}
    raw = gaps.query("metric == 'auroc_p_value'").set_index("arm")["value"]
    holm = gaps.query("metric == 'auroc_p_value_holm'").set_index("arm")["value"]
    smallest = raw.idxmin()
    assert holm[smallest] == pytest.approx(min(1, 4 * raw[smallest]), abs=1e-5)
    assert (holm >= raw).all()
    assert "20 patients labelled (100%)" in text


def test_a_missing_fold_is_named(tmp_path: Path) -> None:
    study = write_titles(tmp_path / "study.yaml")
    with pytest.raises(UserError, match="no predictions of any fold"):
        pool.pool_check(tmp_path, study, tmp_path, BootstrapConfig())
    for fold in range(2):
        write_fold(tmp_path, 0, fold)
    (tmp_path / "repeat0-fold1/cells/pixels/fraction1-draw0-seed0/predictions.csv").unlink()
    with pytest.raises(UserError, match=r"repeat0-fold1: lacks pixels at 1; run real_check\.sh again"):
        pool.pool_check(tmp_path, study, tmp_path, BootstrapConfig())
