"""Labels and scores by video: views differ within a study, budget and splits stay by patient."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from view_samples import TEST, TRAIN, make_views, prepared

from echossl.adapt import finetune, load_classifier
from echossl.adapt.budget import draw_budget
from echossl.adapt.found_classes import draw_with_classes
from echossl.adapt.tasks import resolve_task
from echossl.adapt.units import by_unit, found_classes, rarest_classes
from echossl.config.adapt import FinetuneConfig, FrozenRecipe, LabelBudget, PixelRecipe
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.training import HardwareConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.store import ClipStore
from echossl.encoders.files import read_metadata
from echossl.errors import UserError

VIEWS = LabelBudget(column="view", task="multiclass", unit="video", fraction=1.0)
FROZEN = FrozenRecipe(steps=30, evaluate_every=10, augmented_views=2, learning_rate=0.03)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataConfig:
    """The last training patient has no view at all, and one test video has none."""
    folder = tmp_path_factory.mktemp("views")
    table = make_views(folder, patients=TRAIN + TEST)
    number = table["patient_id"].astype(int)
    table["split"] = np.where(number < TRAIN, "train", "test")
    table.loc[number == TRAIN - 1, "view"] = ""
    table.loc[table.index[-1], "view"] = ""
    return prepared(table, folder)


def _config(data: DataConfig, out, **changes) -> FinetuneConfig:
    settings = {
        "data": data,
        "out": out,
        "encoder": Compact3DConfig(width=4),
        "clip": {"clip_seconds": 0.4, "num_frames": 8},
        "labels": VIEWS,
        "recipe": PixelRecipe(),
        "patients_per_class": 4,
        "clips_per_video": 1,
        "hardware": HardwareConfig(device="cpu", precision="fp32"),
    }
    return FinetuneConfig(**(settings | changes))


def _table(data: DataConfig, labels: LabelBudget = VIEWS) -> pd.DataFrame:
    return by_unit(ClipStore.open(data.store).rows_for(read_manifest(data.manifest)), labels)


def _changed(data: DataConfig, path, change) -> DataConfig:
    write_manifest(change(read_manifest(data.manifest)), path)
    return DataConfig(manifest=path, store=data.store)


@pytest.mark.parametrize("recipe", [PixelRecipe(), FROZEN], ids=lambda recipe: recipe.name)
def test_every_video_of_the_test_split_with_a_view_is_predicted(data, tmp_path, recipe) -> None:
    path = finetune(_config(data, tmp_path, recipe=recipe))
    found = pd.read_csv(path, dtype={"patient_id": str})
    names = ["patient_id", "study_id", "path", "split", "view", "view_score_A4C", "view_score_PLAX"]
    assert list(found.columns) == names
    manifest = read_manifest(data.manifest)
    wanted = manifest[(manifest["split"] == "test") & (manifest["view"] != "")]
    keys = ["patient_id", "study_id", "path", "view"]
    pd.testing.assert_frame_equal(found[keys], wanted[keys].reset_index(drop=True), check_dtype=False)
    said = np.where(found["view_score_PLAX"] > 0.5, "PLAX", "A4C")
    assert np.mean(said == found["view"]) > 0.85
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["unit"], result["classes"]) == ("video", "view: A4C, PLAX")
    assert (result["num_labelled_patients"], result["num_labelled_studies"]) == (TRAIN - 1, TRAIN - 1)
    assert (result["num_labelled_videos"], result["num_test_videos"]) == (3 * (TRAIN - 1), 3 * TEST - 1)
    assert (result["num_test_patients"], result["num_test_studies"]) == (TEST, TEST)


def test_file_of_the_model_says_that_it_answers_videos(data, tmp_path) -> None:
    finetune(_config(data, tmp_path / "views", recipe=FROZEN))
    _, _, task = load_classifier(tmp_path / "views")
    assert (task.unit, task.name, task.classes) == ("video", "multiclass", ("A4C", "PLAX"))
    by_study = LabelBudget(column="severe_as", fraction=1.0)
    finetune(_config(data, tmp_path / "study", recipe=FROZEN, labels=by_study))
    assert load_classifier(tmp_path / "study")[2].unit == "study"
    # a file by study is the one that earlier versions wrote and read
    said = read_metadata(tmp_path / "study" / "model.safetensors")["echossl_task"]
    assert "unit" not in json.loads(said)


@pytest.mark.parametrize("fraction", [0.2, 0.5, 1.0])
def test_trap_11_budget_is_drawn_and_held_out_by_patient(data, fraction: float) -> None:
    labels, budget = draw_with_classes(
        _table(data), VIEWS.model_copy(update={"fraction": fraction}), split="train"
    )
    assert labels.classes == ("A4C", "PLAX")
    assert set(budget.train_patients).isdisjoint(budget.validation_patients)
    chosen = {*budget.train_patients, *budget.validation_patients}
    assert len(chosen) == max(2, round(fraction * (TRAIN - 1)))
    assert set(budget.videos["patient_id"]) == chosen
    assert (budget.videos.groupby("patient_id").size() == 3).all()
    assert budget.assessed == TRAIN - 1


def test_trap_14_no_view_outside_the_budget_is_read(data, tmp_path) -> None:
    few = VIEWS.model_copy(update={"fraction": 0.4})
    first = finetune(_config(data, tmp_path / "first", labels=few))
    budget = pd.read_csv(tmp_path / "first" / "budget.csv", dtype=str)

    def forget(table: pd.DataFrame) -> pd.DataFrame:
        outside = (table["split"] == "train") & ~table["patient_id"].isin(budget["patient_id"])
        return table.assign(view=table["view"].mask(outside, ""))

    second = finetune(_config(_changed(data, tmp_path / "forgotten.csv", forget), tmp_path / "second"))
    assert first.read_bytes() == second.read_bytes()
    pd.testing.assert_frame_equal(budget, pd.read_csv(tmp_path / "second" / "budget.csv", dtype=str))


def test_trap_15_classes_are_those_of_the_drawn_patients_in_alphabetical_order(data, tmp_path) -> None:
    def rare(table: pd.DataFrame) -> pd.DataFrame:
        view = table["view"].where(table["patient_id"] != "003", "SUBC").replace({"PLAX": "plax "})
        return table.assign(view=view.mask(table["patient_id"] == "004", "unknown"))

    table = _table(_changed(data, tmp_path / "rare.csv", rare))
    labels, budget = draw_with_classes(table, VIEWS, split="train")
    assert labels.classes == ("A4C", "plax", "SUBC")
    assert "004" not in set(budget.videos["patient_id"])
    codes = budget.videos.drop_duplicates("study_id").set_index("study_id")["label"]
    named = table.set_index("study_id").loc[codes.index, "view"].str.strip()
    assert [labels.classes[int(code)] for code in codes] == named.tolist()
    # the rarest class decides the stratum
    assert budget.strata["003"] == 2
    assert budget.counts(labels.classes) == {"A4C": 9, "plax": 0, "SUBC": 1}
    without = VIEWS.model_copy(update={"fraction": 0.3, "draw": 1})
    labels, budget = draw_with_classes(table, without, split="train")
    assert ("SUBC" in labels.classes) == ("003" in set(budget.videos["patient_id"]))
    assert budget.videos["label"].max() == len(labels.classes) - 1


def test_declared_classes_draw_the_same_patients(data) -> None:
    given = VIEWS.model_copy(update={"classes": ("A4C", "PLAX")})
    budget = draw_budget(_table(data, given), given, split="train")
    _, found = draw_with_classes(_table(data), VIEWS, split="train")
    pd.testing.assert_frame_equal(budget.videos, found.videos)
    assert budget.strata == found.strata


def test_binary_labels_may_differ_within_a_study_too(data, tmp_path) -> None:
    def parasternal(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(parasternal=(table["view"] == "PLAX").astype(float).mask(table["view"] == ""))

    labels = LabelBudget(column="parasternal", unit="video", fraction=1.0)
    changed = _changed(data, tmp_path / "binary.csv", parasternal)
    found = pd.read_csv(finetune(_config(changed, tmp_path / "run", labels=labels)))
    assert list(found.columns[3:]) == ["split", "parasternal", "parasternal_score"]
    assert np.mean((found["parasternal_score"] > 0) == found["parasternal"]) > 0.85


def test_a_view_of_the_test_split_that_nobody_taught_is_refused_before_training(data, tmp_path) -> None:
    def other(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(view=table["view"].mask(table["patient_id"] == "013", "SUBC"))

    changed = _changed(data, tmp_path / "other.csv", other)
    with pytest.raises(UserError, match=r"split 'test' holds view SUBC, which no labelled patient has"):
        finetune(_config(changed, tmp_path / "run"))
    assert not (tmp_path / "run" / "budget.csv").exists()
    given = VIEWS.model_copy(update={"classes": ("PLAX", "A4C", "SUBC")})
    found = pd.read_csv(finetune(_config(changed, tmp_path / "given", labels=given)))
    assert list(found.columns[-3:]) == ["view_score_PLAX", "view_score_A4C", "view_score_SUBC"]


def test_one_view_alone_is_refused(data, tmp_path) -> None:
    changed = _changed(data, tmp_path / "one.csv", lambda table: table.assign(view="PLAX"))
    with pytest.raises(UserError, match="holds PLAX in view; two classes or more"):
        finetune(_config(changed, tmp_path / "run"))
    with pytest.raises(UserError, match="no label column 'pose'"):
        finetune(
            _config(data, tmp_path / "pose", labels=VIEWS.model_copy(update={"column": "pose"})),
        )


def test_by_study_views_that_differ_are_still_refused(data, tmp_path) -> None:
    labels = LabelBudget(column="view", classes=("A4C", "PLAX"), fraction=1.0)
    with pytest.raises(UserError, match="the videos of study s000 differ in view"):
        finetune(_config(data, tmp_path / "run", labels=labels))
    with pytest.raises(UserError, match="not the name of a class map"):
        resolve_task(LabelBudget(column="view", task="multiclass"))


def test_pooling_of_videos_that_stand_alone_is_refused(data, tmp_path) -> None:
    with pytest.raises(ValidationError, match=r"pooling has no effect with labels\.unit video"):
        _config(data, tmp_path, recipe=FrozenRecipe(pooling="max"))


def test_names_are_found_once_whatever_their_case() -> None:
    cells = pd.Series(["plax", "PLAX", " A4C", np.nan, "", "unknown", "NA", "Uncertain"])
    assert found_classes(cells) == ("A4C", "PLAX")


def test_rarest_class_against_a_slow_reference() -> None:
    generator = np.random.default_rng(0)
    patients = pd.Series([f"p{number}" for number in generator.integers(12, size=60)])
    codes = generator.integers(5, size=60).astype(float)
    found = rarest_classes(patients, codes)
    assert list(found) == sorted(set(patients))
    for name, code in found.items():
        own = sorted({int(value) for value in codes[patients == name]})
        holders = [len(set(patients[codes == value])) for value in own]
        assert code == own[holders.index(min(holders))]
