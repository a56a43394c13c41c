import json

import numpy as np
import pandas as pd
import pytest
import torch

from echossl.adapt import embed, finetune, load_classifier
from echossl.adapt.start import start_encoder, with_clip
from echossl.config.adapt import FullRecipe, LabelBudget, PixelRecipe
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import read_manifest
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.files import save_encoder
from echossl.errors import RunFolderError, UserError
from echossl.evaluation.auc import auroc
from echossl.evaluation.study import read_predictions
from echossl.training.hardware import Hardware

FULL = FullRecipe(steps=8, evaluate_every=4, learning_rate=2e-3, head_learning_rate=1e-2, warmup_steps=2)
RECIPES = {"frozen": None, "full": FULL, "pixels": PixelRecipe()}


def _config(toy, out, name: str = "frozen", **changes):
    recipe = {} if RECIPES[name] is None else {"recipe": RECIPES[name]}
    return toy.config(out, **recipe, **changes)


def _table(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"patient_id": str, "study_id": str})


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_predicts_the_assessed_studies_of_the_test_split(toy, tmp_path, name: str) -> None:
    path = finetune(_config(toy, tmp_path / "run", name))
    table = _table(path)
    assert list(table.columns) == ["patient_id", "study_id", "split", "severe_as", "severe_as_score"]
    manifest = read_manifest(toy.data.manifest)
    expected = manifest[(manifest["split"] == "test") & manifest["severe_as"].notna()].drop_duplicates(
        "study_id"
    )
    assert table["study_id"].tolist() == expected["study_id"].tolist()
    assert table["patient_id"].tolist() == expected["patient_id"].tolist()
    assert table["severe_as"].tolist() == expected["severe_as"].tolist()
    assert np.isfinite(table["severe_as_score"]).all()
    assert read_predictions(path, "severe_as").num_patients == len(expected)
    # a square that is twice as bright is no hard task
    assert auroc(table["severe_as"], table["severe_as_score"]) > 0.8


@pytest.mark.parametrize("name", list(RECIPES))
def test_trap_14_no_label_outside_the_budget_is_read(toy, tmp_path, name: str) -> None:
    first = finetune(_config(toy, tmp_path / "first", name))
    budget = pd.read_csv(tmp_path / "first" / "budget.csv", dtype={"patient_id": str})

    def forget(table: pd.DataFrame) -> pd.DataFrame:
        outside = (table["split"] == "train") & ~table["patient_id"].isin(budget["patient_id"])
        return table.assign(severe_as=table["severe_as"].mask(outside))

    # with every other training label gone, the whole of what is left is the same budget
    data = toy.with_labels(tmp_path / "forgotten.csv", forget)
    everything = LabelBudget(fraction=1.0)
    second = finetune(_config(toy, tmp_path / "second", name, data=data, labels=everything))
    written = pd.read_csv(tmp_path / "second" / "budget.csv", dtype={"patient_id": str})
    pd.testing.assert_frame_equal(budget, written)
    pd.testing.assert_frame_equal(_table(first), _table(second))


@pytest.mark.parametrize("name", list(RECIPES))
def test_trap_27_nothing_is_chosen_on_the_test_split(toy, tmp_path, name: str) -> None:
    first = finetune(_config(toy, tmp_path / "first", name))

    def turn_around(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            severe_as=table["severe_as"].where(table["split"] != "test", 1 - table["severe_as"])
        )

    data = toy.with_labels(tmp_path / "poisoned.csv", turn_around)
    second = finetune(_config(toy, tmp_path / "second", name, data=data))
    before, after = _table(first), _table(second)
    assert before["severe_as"].tolist() == (1 - after["severe_as"]).tolist()
    pd.testing.assert_series_equal(before["severe_as_score"], after["severe_as_score"])
    results = [json.loads((tmp_path / run / "result.json").read_text()) for run in ("first", "second")]
    assert results[0].get("chosen_steps") == results[1].get("chosen_steps")


def test_result_says_what_was_used_and_chosen(toy, tmp_path) -> None:
    finetune(_config(toy, tmp_path / "run"))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    budget = pd.read_csv(tmp_path / "run" / "budget.csv")
    assert result["num_labelled_patients"] == len(budget)
    assert result["num_positive_patients"] == budget["positive"].sum()
    assert result["num_validation_patients"] == (budget["role"] == "validation").sum()
    assert result["num_assessed_patients"] == 31
    assert [look["step"] for look in result["validation"]] == [5, 10, 15, 20]
    best = min(result["validation"], key=lambda look: (look["loss"], look["step"]))
    assert result["chosen_steps"] == best["step"]
    assert result["hardware"] == {"device": "cpu", "precision": "fp32"}
    assert result["num_test_patients"] == 13
    assert result["seconds"] > 0


def test_finished_run_returns_at_once_and_other_settings_are_refused(toy, tmp_path) -> None:
    path = finetune(_config(toy, tmp_path / "run"))
    before = path.stat().st_mtime_ns
    assert finetune(_config(toy, tmp_path / "run")) == path
    assert path.stat().st_mtime_ns == before
    with pytest.raises(RunFolderError, match=r"labels\.draw"):
        finetune(_config(toy, tmp_path / "run", labels=LabelBudget(fraction=0.34, draw=1)))


@pytest.mark.parametrize("name", ["frozen", "full"])
def test_saved_classifier_gives_the_written_scores(toy, tmp_path, name: str) -> None:
    table = _table(finetune(_config(toy, tmp_path / "run", name))).set_index("study_id")
    encoder, head, _ = load_classifier(tmp_path / "run")
    assert not encoder.training
    hardware = Hardware.resolve(HardwareConfig(device="cpu", precision="fp32"))
    videos = toy.table[toy.table["study_id"] == "s034"]
    features = embed(encoder, toy.store, videos["row"].tolist(), clips_per_video=2, hardware=hardware)
    with torch.inference_mode():
        logits = [[float(head(torch.from_numpy(clip))) for clip in video] for video in features]
    # clips of a video first, then videos of the study
    expected = np.mean([np.mean(video) for video in logits])
    assert table.loc["s034", "severe_as_score"] == pytest.approx(expected, abs=1e-4)


def test_pixels_leave_no_classifier_and_say_so(toy, tmp_path) -> None:
    finetune(_config(toy, tmp_path / "run", "pixels"))
    with pytest.raises(UserError, match=r"no model\.safetensors here; give a finished run"):
        load_classifier(tmp_path / "run")


def test_start_file_brings_its_own_clips_and_network(toy, tmp_path) -> None:
    other = toy.config(tmp_path, seed=9, clip={"clip_seconds": 0.3, "num_frames": 4})
    save_encoder(start_encoder(other, toy.store, toy.table), tmp_path / "start.safetensors")
    config = _config(toy, tmp_path / "run", start=tmp_path / "start.safetensors", encoder={"name": "r3d_18"})
    finetune(config)
    encoder, _, _ = load_classifier(tmp_path / "run")
    assert encoder.metadata.clip.num_frames == 4
    assert encoder.metadata.architecture.name == "compact3d"


def test_clips_of_the_settings_may_take_the_place_of_those_of_the_start(toy, tmp_path) -> None:
    short = toy.config(tmp_path, clip={"clip_seconds": 0.1, "num_frames": 4})
    encoder = start_encoder(short, toy.store, toy.table)
    save_encoder(encoder, tmp_path / "start.safetensors")
    config = _config(toy, tmp_path / "run", start=tmp_path / "start.safetensors", clip_from="settings")
    finetune(config)
    found, _, _ = load_classifier(tmp_path / "run")
    assert found.metadata == encoder.metadata.model_copy(update={"clip": config.clip})
    # frozen: the weights are those of the start
    weights = encoder.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in found.state_dict().items())
    with pytest.raises(ValueError, match="clip_from has no effect without a start"):
        _config(toy, tmp_path / "other", clip_from="settings")


@pytest.mark.parametrize("name", ["mvit_v2_s", "swin3d_t", "s3d"])
def test_no_network_has_weights_that_belong_to_a_length_of_clip(name: str) -> None:
    clip = {"clip_seconds": 1.0, "num_frames": 16}
    encoder = build_encoder(EncoderMetadata(architecture={"name": name}, clip=clip, size=32))
    other = with_clip(encoder, ClipConfig(num_frames=32))
    assert other.metadata.clip.num_frames == 32
    assert other.state_dict().keys() == encoder.state_dict().keys()


def test_random_start_depends_on_the_seed_alone(toy, tmp_path) -> None:
    torch.manual_seed(5)
    first = start_encoder(toy.config(tmp_path), toy.store, toy.table).state_dict()
    torch.manual_seed(6)
    again = start_encoder(toy.config(tmp_path), toy.store, toy.table).state_dict()
    other = start_encoder(toy.config(tmp_path, seed=1), toy.store, toy.table).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.0.weight"], other["stem.0.weight"])


def test_random_start_leaves_the_random_numbers_alone(toy, tmp_path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    start_encoder(toy.config(tmp_path), toy.store, toy.table)
    assert torch.equal(torch.rand(3), expected)


def test_store_that_does_not_fit_the_start_is_refused(toy, tmp_path) -> None:
    encoder = start_encoder(toy.config(tmp_path), toy.store, toy.table)
    encoder.metadata = encoder.metadata.model_copy(update={"size": 64})
    save_encoder(encoder, tmp_path / "start.safetensors")
    with pytest.raises(UserError, match="size=64"):
        finetune(_config(toy, tmp_path / "run", start=tmp_path / "start.safetensors"))


def test_unknown_label_column_names_the_file(toy, tmp_path) -> None:
    with pytest.raises(UserError, match=r"manifest\.csv: row 1: the label column 'lvh' is missing"):
        finetune(_config(toy, tmp_path / "run", labels=LabelBudget(column="lvh", fraction=0.5)))
