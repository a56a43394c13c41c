"""Every task from labels to predictions, on videos whose square is brighter from grade to grade."""

import json

import numpy as np
import pandas as pd
import pytest

from echossl.adapt import finetune, load_classifier
from echossl.config.adapt import FrozenRecipe, FullRecipe, LabelBudget, PixelRecipe
from echossl.config.data import DataConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.evaluation.auc import auroc

GRADES = ("none", "mild", "moderate", "severe")
FULL = FullRecipe(steps=8, evaluate_every=4, learning_rate=2e-3, head_learning_rate=1e-2, warmup_steps=2)
RECIPES = {"frozen": FrozenRecipe(steps=30, evaluate_every=10, augmented_views=2), "full": FULL}
RECIPES["pixels"] = PixelRecipe()
TASKS = {
    "ordinal": LabelBudget(column="as_grade", fraction=0.9),
    "multiclass": LabelBudget(column="kind", classes=("dim", "middle", "bright"), fraction=0.9),
    "multilabel": LabelBudget(columns=("severe_as", "any_as"), fraction=0.9),
    "regression": LabelBudget(column="brightness", task="regression", fraction=0.9),
}


@pytest.fixture(scope="module")
def graded(toy, tmp_path_factory) -> DataConfig:
    """The toy's videos with labels made from how bright each study's brightest place is."""
    folder = tmp_path_factory.mktemp("graded")
    table = toy.table.drop(columns=["severe_as"])
    seen = [float(np.quantile(toy.store.frames(row), 0.97)) for row in table["row"]]
    table["brightness"] = (
        pd.Series(seen, index=table.index).groupby(table["study_id"]).transform("mean").round(2)
    )
    ranks = table.groupby("study_id")["brightness"].first().rank(pct=True)
    rank = table["study_id"].map(ranks)
    table["as_grade"] = np.array(GRADES)[np.minimum((rank * 4).astype(int), 3)]
    table["kind"] = np.array(["dim", "middle", "bright"])[np.minimum((rank * 3).astype(int), 2)]
    table["severe_as"] = (rank > 0.7).astype(float)
    table["any_as"] = (rank > 0.4).astype(float)
    empty = table["study_id"].isin(["s003", "s040"])
    table.loc[empty, ["as_grade", "kind", "any_as", "brightness"]] = np.nan
    write_manifest(table.drop(columns="row"), folder / "manifest.csv")
    return DataConfig(manifest=folder / "manifest.csv", store=toy.data.store)


def _run(toy, graded, out, name: str, recipe: str):
    config = toy.config(
        out, data=graded, labels=TASKS[name], recipe=RECIPES[recipe], patients_per_class=4, clips_per_video=1
    )
    path = finetune(config)
    return pd.read_csv(path, dtype={"patient_id": str, "study_id": str}, keep_default_na=False)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_grades_rank_every_cut(toy, graded, tmp_path, recipe) -> None:
    table = _run(toy, graded, tmp_path, "ordinal", recipe)
    names = [*GRADES, *(f"at_least_{name}" for name in GRADES[1:])]
    assert list(table.columns[3:]) == ["as_grade", *(f"as_grade_score_{name}" for name in names)]
    codes = table["as_grade"].map(dict(zip(GRADES, range(4), strict=True)))
    assert len(table) == 14 - 1  # one test study is not assessed
    for cut, name in enumerate(GRADES[1:], start=1):
        scores = table[f"as_grade_score_at_least_{name}"]
        assert auroc((codes >= cut).astype(int), scores) > 0.7
        assert np.allclose(scores, table[[f"as_grade_score_{own}" for own in GRADES[cut:]]].sum(axis=1))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["task"] == "ordinal"
    assert result["classes"].startswith("as_acc_aha_2020")
    assert sum(result["num_patients_of_stratum"].values()) == result["num_labelled_patients"]
    budget = pd.read_csv(tmp_path / "budget.csv", keep_default_na=False)
    assert set(budget["stratum"]) == set(GRADES)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_classes_rank_against_the_rest(toy, graded, tmp_path, recipe) -> None:
    table = _run(toy, graded, tmp_path, "multiclass", recipe)
    columns = ["kind_score_dim", "kind_score_middle", "kind_score_bright"]
    assert list(table.columns[3:]) == ["kind", *columns]
    assert np.allclose(table[columns].sum(axis=1), 1)
    for name in ("dim", "bright"):
        assert auroc((table["kind"] == name).astype(int), table[f"kind_score_{name}"]) > 0.7


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_findings_rank_side_by_side_and_empty_cells_stay_empty(toy, graded, tmp_path, recipe) -> None:
    table = _run(toy, graded, tmp_path, "multilabel", recipe)
    assert list(table.columns[3:]) == ["severe_as", "any_as", "severe_as_score", "any_as_score"]
    assert table.loc[table["study_id"] == "s040", "any_as"].tolist() == [""]
    for column in ("severe_as", "any_as"):
        known = table[table[column] != ""]
        assert auroc(known[column].astype(int), known[f"{column}_score"]) > 0.7


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_numbers_are_predicted_in_their_unit(toy, graded, tmp_path, recipe) -> None:
    table = _run(toy, graded, tmp_path, "regression", recipe)
    assert list(table.columns[3:]) == ["brightness", "brightness_score"]
    truth, said = table["brightness"].astype(float), table["brightness_score"]
    assert np.corrcoef(truth, said)[0, 1] > 0.5
    assert said.mean() == pytest.approx(truth.mean(), rel=0.2)


def test_trap_14_no_number_outside_the_budget_is_read(toy, graded, tmp_path) -> None:
    config = toy.config(tmp_path / "first", data=graded, recipe=PixelRecipe(), labels=TASKS["regression"])
    config = config.model_copy(update={"labels": config.labels.model_copy(update={"fraction": 0.5})})
    first = finetune(config)
    budget = pd.read_csv(tmp_path / "first" / "budget.csv", dtype=str)

    def forget(table: pd.DataFrame) -> pd.DataFrame:
        outside = (table["split"] == "train") & ~table["patient_id"].isin(budget["patient_id"])
        return table.assign(brightness=table["brightness"].mask(outside))

    table = ClipStore.open(graded.store).rows_for(_read(graded))
    write_manifest(forget(table).drop(columns="row"), tmp_path / "forgotten.csv")
    data = DataConfig(manifest=tmp_path / "forgotten.csv", store=graded.store)
    labels = TASKS["regression"].model_copy(update={"fraction": 1.0})
    second = finetune(config.model_copy(update={"out": tmp_path / "second", "data": data, "labels": labels}))
    assert first.read_bytes() == second.read_bytes()
    pd.testing.assert_frame_equal(budget, pd.read_csv(tmp_path / "second" / "budget.csv", dtype=str))


def _read(data: DataConfig) -> pd.DataFrame:
    return read_manifest(data.manifest)


def test_file_of_the_model_brings_its_task(toy, graded, tmp_path) -> None:
    _run(toy, graded, tmp_path, "ordinal", "frozen")
    _, head, task = load_classifier(tmp_path)
    assert (task.name, task.columns, task.classes) == ("ordinal", ("as_grade",), GRADES)
    assert (head.thresholds().diff() > 0).all()


def test_studies_whose_videos_are_of_several_classes_are_refused(toy, graded, tmp_path) -> None:
    table = _read(graded)
    several = table["study_id"] == "s004"
    table.loc[several, "kind"] = ["dim", "bright"]
    write_manifest(table, tmp_path / "manifest.csv")
    data = DataConfig(manifest=tmp_path / "manifest.csv", store=graded.store)
    with pytest.raises(UserError, match="the videos of study s004 differ in kind"):
        finetune(toy.config(tmp_path / "run", data=data, labels=TASKS["multiclass"], recipe=PixelRecipe()))
