"""Views learned on one manifest and filled into another that names none."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from view_samples import TEST, TRAIN, make_views, prepared

from echossl.adapt import finetune
from echossl.adapt.saved import SavedRun
from echossl.adapt.views import fill_views
from echossl.cli import main
from echossl.config.adapt import FinetuneConfig, FrozenRecipe, LabelBudget, PixelRecipe
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.training import HardwareConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.store import ClipStore
from echossl.errors import UserError

CLIPS = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of views; its manifest and store lie beside it."""
    folder = tmp_path_factory.mktemp("named")
    table = make_views(folder, patients=TRAIN + TEST)
    table["split"] = np.where(table["patient_id"].astype(int) < TRAIN, "train", "test")
    data = prepared(table, folder)
    finetune(_config(data, folder / "run"))
    return folder / "run"


def _config(data: DataConfig, out: Path, **changes: object) -> FinetuneConfig:
    settings = {
        "data": data,
        "out": out,
        "encoder": Compact3DConfig(width=4),
        "clip": {"clip_seconds": 0.4, "num_frames": 8},
        "labels": LabelBudget(column="view", task="multiclass", unit="video", fraction=1.0),
        "recipe": FrozenRecipe(steps=30, evaluate_every=30, augmented_views=2, learning_rate=0.1),
        "patients_per_class": 4,
        "clips_per_video": CLIPS,
        "hardware": HardwareConfig(device="cpu", precision="fp32"),
    }
    return FinetuneConfig(**(settings | changes))


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Other patients, prepared with their views, which the manifest then forgets; one file is no video."""
    folder = tmp_path_factory.mktemp("unnamed")
    table = make_views(folder, patients=6, first=50)
    broken = table.iloc[[0]].assign(path=str(folder / "broken.avi"))
    (folder / "broken.avi").write_bytes(b"no video at all")
    data = prepared(pd.concat([table, broken], ignore_index=True), folder)
    write_manifest(read_manifest(data.manifest).drop(columns="view"), folder / "without.csv")
    return DataConfig(manifest=folder / "without.csv", store=data.store)


def _fill(run: Path, data: DataConfig, out: Path, **options: object) -> tuple[pd.DataFrame, str]:
    said = fill_views(run, data.manifest, store=data.store, out=out, **options).as_text()
    return pd.read_csv(out, dtype={"patient_id": str}, keep_default_na=False), said


def _truth(data: DataConfig) -> pd.Series:
    return read_manifest(data.manifest.parent / "manifest.csv")["view"]


def test_other_manifest_gets_its_views_with_a_confidence(run, unnamed, tmp_path) -> None:
    before = read_manifest(unnamed.manifest)
    table, said = _fill(run, unnamed, tmp_path / "views.csv", at_least=0.5)
    assert list(table.columns[:5]) == ["path", "patient_id", "study_id", "view", "view_confidence"]
    after = read_manifest(tmp_path / "views.csv")
    pd.testing.assert_frame_equal(after[before.columns], before)
    stored = table[:-1]
    assert np.mean(stored["view"] == _truth(unnamed)[:-1]) > 0.8
    assert stored["view_confidence"].astype(float).between(0.5, 1).all()
    # what prepare could not read has no view, and no invented confidence
    assert table.iloc[-1][["view", "view_confidence"]].tolist() == ["", ""]
    counts = stored["view"].value_counts()
    assert said == (
        f"{tmp_path / 'views.csv'}: 19 videos: {counts['A4C']} A4C, {counts['PLAX']} PLAX, "
        "0 below 0.5 stay empty, 1 are not in the store and stay empty"
    )


def test_confidence_is_the_softmax_of_the_mean_output_over_the_clips(run, unnamed, tmp_path) -> None:
    table, _ = _fill(run, unnamed, tmp_path / "views.csv", at_least=0.5)
    saved, store = SavedRun(run), ClipStore.open(unnamed.store)
    video = store.rows_for(read_manifest(unnamed.manifest)).iloc[[3]]
    _, outputs = saved.outputs(store, video)
    assert outputs.shape == (1, 2)
    found = table[table["path"].str.endswith(Path(video["path"].item()).name)].iloc[0]
    expected = softmax(outputs[0])
    assert float(found["view_confidence"]) == pytest.approx(expected.max(), abs=1e-4)
    assert found["view"] == ("A4C", "PLAX")[int(expected.argmax())]


def test_filled_confidences_are_the_scores_of_the_run(run, tmp_path) -> None:
    data = DataConfig(manifest=run.parent / "without.csv", store=run.parent / "store")
    write_manifest(read_manifest(run.parent / "manifest.csv").drop(columns="view"), data.manifest)
    _fill(run, data, tmp_path / "views.csv", at_least=0.01)
    table = read_manifest(tmp_path / "views.csv").set_index("path")
    scores = pd.read_csv(run / "predictions.csv").set_index("path")
    columns = ["view_score_A4C", "view_score_PLAX"]
    found = table.loc[scores.index, "view_confidence"]
    assert np.allclose(found, scores[columns].max(axis=1), atol=1e-4)
    assert (table.loc[scores.index, "view"] == np.where(scores[columns[1]] > 0.5, "PLAX", "A4C")).all()


def test_below_the_threshold_the_view_stays_empty(run, unnamed, tmp_path) -> None:
    everything, _ = _fill(run, unnamed, tmp_path / "all.csv", at_least=0.01)
    confidence = pd.to_numeric(everything["view_confidence"][:-1])
    at_least = float(confidence.median())
    table, said = _fill(run, unnamed, tmp_path / "views.csv", at_least=at_least)
    assert ((table["view"][:-1] != "") == (confidence >= at_least)).all()
    pd.testing.assert_series_equal(table["view_confidence"], everything["view_confidence"])
    assert f"{int((confidence < at_least).sum())} below {at_least:g} stay empty" in said


def test_a_view_is_written_by_the_confidence_that_stands_beside_it(run, unnamed, tmp_path) -> None:
    everything, _ = _fill(run, unnamed, tmp_path / "all.csv", at_least=0.01)
    for number, written in enumerate(everything["view_confidence"][:3]):
        table, _ = _fill(run, unnamed, tmp_path / f"{number}.csv", at_least=float(written))
        assert table["view"][number] == everything["view"][number]


def test_a_run_made_on_a_gpu_fills_views_where_there_is_none(run, unnamed, tmp_path) -> None:
    moved = shutil.copytree(run, tmp_path / "run")
    record = json.loads((moved / "run.json").read_text())
    record["config"]["hardware"]["device"] = "cuda:7"
    (moved / "run.json").write_text(json.dumps(record))
    there, _ = _fill(run, unnamed, tmp_path / "there.csv", device="cpu")
    here, _ = _fill(moved, unnamed, tmp_path / "here.csv", device="cpu")
    pd.testing.assert_frame_equal(here, there)
    with pytest.raises(UserError, match="cuda:7"):
        _fill(run, unnamed, tmp_path / "no.csv", device="cuda:7")


def test_a_view_that_is_there_is_never_overwritten(run, unnamed, tmp_path) -> None:
    table = read_manifest(unnamed.manifest)
    table["view"] = ["", "MINE", *[""] * (len(table) - 2)]
    write_manifest(table, tmp_path / "partly.csv")
    data = DataConfig(manifest=tmp_path / "partly.csv", store=unnamed.store)
    with pytest.raises(UserError, match="1 of 19 videos have a view already; add --only-empty"):
        _fill(run, data, tmp_path / "views.csv")
    found, said = _fill(run, data, tmp_path / "views.csv", only_empty=True, at_least=0.5)
    assert found.loc[1, ["view", "view_confidence"]].tolist() == ["MINE", ""]
    assert set(found["view"]) == {"A4C", "PLAX", "MINE", ""}
    assert "1 had a view and keep it" in said
    with pytest.raises(UserError, match="is there already"):
        _fill(run, data, tmp_path / "views.csv", only_empty=True)
    # filled a second time: what stayed empty is tried again, what is there stays
    again = DataConfig(manifest=tmp_path / "views.csv", store=unnamed.store)
    second, _ = _fill(run, again, tmp_path / "second.csv", only_empty=True, at_least=0.5)
    pd.testing.assert_frame_equal(second, found)
    write_manifest(table.assign(view="PLAX"), tmp_path / "full.csv")
    full = DataConfig(manifest=tmp_path / "full.csv", store=unnamed.store)
    with pytest.raises(UserError, match="every video has a view already"):
        _fill(run, full, tmp_path / "third.csv", only_empty=True)


@pytest.mark.parametrize("at_least", [0.0, 1.2])
def test_threshold_that_is_no_probability_is_refused(run, unnamed, tmp_path, at_least: float) -> None:
    with pytest.raises(UserError, match="expected a probability"):
        _fill(run, unnamed, tmp_path / "views.csv", at_least=at_least)


def test_run_that_did_not_learn_views_by_video_is_refused(run, unnamed, tmp_path) -> None:
    data = DataConfig(manifest=run.parent / "manifest.csv", store=run.parent / "store")
    by_study = LabelBudget(column="severe_as", fraction=1.0)
    quick = FrozenRecipe(steps=1, evaluate_every=1, augmented_views=1)
    finetune(_config(data, tmp_path / "severe", labels=by_study, recipe=quick, clips_per_video=1))
    with pytest.raises(UserError, match=r"learned severe_as \(binary, by study\), expected view"):
        _fill(tmp_path / "severe", unnamed, tmp_path / "views.csv")
    finetune(_config(data, tmp_path / "pixels", recipe=PixelRecipe()))
    with pytest.raises(UserError, match=r"no model\.safetensors here"):
        _fill(tmp_path / "pixels", unnamed, tmp_path / "views.csv")
    with pytest.raises(UserError, match=r"no run\.json here"):
        _fill(tmp_path, unnamed, tmp_path / "views.csv")


def test_manifest_of_another_store_is_refused(run, unnamed, tmp_path) -> None:
    data = DataConfig(manifest=unnamed.manifest, store=run.parent / "store")
    with pytest.raises(UserError, match="videos of the manifest are not in the store"):
        _fill(run, data, tmp_path / "views.csv")


def test_command_fills_and_says_one_line(run, unnamed, tmp_path, monkeypatch, capsys) -> None:
    words = [*map(str, ("views", run, unnamed.manifest, "--store", unnamed.store)), "--at-least", "0.5"]
    monkeypatch.setattr(sys, "argv", ["echossl", *words, "-o", str(tmp_path / "views.csv")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "19 videos: " in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        f"echossl: {tmp_path / 'views.csv'}: is there already; give another -o, or remove it"
    ]
