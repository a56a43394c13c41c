"""The probe against a plain loop over clips and scikit-learn; whose labels it reads; when it starts over."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression, RidgeCV

from echossl.adapt import finetune
from echossl.adapt.probe import probe
from echossl.adapt.probe_scores import RIDGE_STRENGTHS
from echossl.adapt.start import start_encoder, with_clip
from echossl.config.adapt import LabelBudget, PixelRecipe
from echossl.config.evaluation import BootstrapConfig
from echossl.config.probe import ProbeConfig
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import read_clip, video_requests
from echossl.data.manifest import read_manifest
from echossl.encoders.files import save_encoder
from echossl.errors import RunFolderError, UserError
from echossl.evaluation.auc import auroc

PIXELS = {"name": "pixels", "title": "Pixels", "start": "pixels"}
RANDOM = {"name": "random", "title": "Random", "start": "random"}
FRACTIONS = (0.2, 0.34, 1.0)


def config_of(toy, out, **changes) -> ProbeConfig:
    shared = toy.config(out)
    settings = {
        "data": toy.data,
        "out": out,
        "arms": [PIXELS],
        "fractions": FRACTIONS,
        "draws": 2,
        "bootstrap": BootstrapConfig(resamples=100),
        "hardware": HardwareConfig(device="cpu", precision="fp32"),
    }
    starts = {arm["start"] for arm in changes.get("arms", [])}
    if "random" in starts:
        settings |= {"encoder": shared.encoder, "clip": shared.clip}
    return ProbeConfig(**(settings | changes))


def scores_of(out, metric="auroc", arm="pixels", seed=0) -> pd.DataFrame:
    path = out / "predictions" / metric / f"{arm}-seed{seed}.csv"
    return pd.read_csv(path, dtype={"patient_id": str, "unit": str})


def labelled_of(out, fraction: float, draw: int) -> set[str]:
    table = pd.read_csv(out / "labelled.csv", dtype={"patient_id": str})
    return set(table[(table["fraction"] == fraction) & (table["draw"] == draw)]["patient_id"])


def plain_features(toy, encoder) -> dict[int, np.ndarray]:
    """One clip at a time, in evaluation mode."""
    features = {}
    for row in toy.table["row"]:
        requests = video_requests(toy.store, row, encoder.metadata.clip, count=2)
        frames = [read_clip(toy.store, request, encoder.metadata.clip) for request in requests]
        clips = torch.from_numpy(np.stack(frames) / np.float32(255))[:, None]
        with torch.inference_mode():
            features[row] = encoder.eval()(clips).mean(dim=0).numpy()
    return features


def by_study(table: pd.DataFrame, features: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        study: np.mean([features[row] for row in own["row"]], axis=0)
        for study, own in table.groupby("study_id")
    }


def test_trap_24_scores_equal_a_plain_loop_over_frozen_clips(toy, tmp_path) -> None:
    config = config_of(toy, tmp_path / "run", arms=[RANDOM])
    probe(config)
    encoder = start_encoder(toy.config(tmp_path), toy.store, toy.table[toy.table["split"] == "train"])
    assessed = toy.table[toy.table["severe_as"].notna()]
    studies = by_study(assessed, plain_features(toy, encoder))
    label = dict(zip(assessed["study_id"], assessed["severe_as"], strict=True))
    table = scores_of(config.out, arm="random")
    for fraction, draw in [(0.2, 0), (0.34, 1), (1.0, 0)]:
        patients = labelled_of(config.out, fraction, draw)
        names = [f"s{patient}" for patient in sorted(patients)]
        train = np.stack([studies[name] for name in names]).astype(np.float64)
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        deviation[deviation == 0] = 1
        model = LogisticRegression(C=0.1, max_iter=1000)
        model.fit((train - mean) / deviation, [label[name] for name in names])
        test = np.stack([studies[name] for name in table["unit"]])
        expected = model.decision_function((test - mean) / deviation)
        assert table[f"fraction{fraction:g}-draw{draw}"].to_numpy() == pytest.approx(expected, abs=1e-3)
    assert table["truth"].tolist() == [label[name] for name in table["unit"]]
    assert set(table["split"]) == {"test"}


def test_trap_14_the_labelled_patients_are_those_of_finetune(toy, tmp_path) -> None:
    config = config_of(toy, tmp_path / "probe", fractions=(0.34, 0.5), draws=2)
    probe(config)
    for draw in range(2):
        labels = LabelBudget(fraction=0.34, draw=draw)
        finetune(toy.config(tmp_path / f"run{draw}", recipe=PixelRecipe(), labels=labels))
        budget = pd.read_csv(tmp_path / f"run{draw}" / "budget.csv", dtype={"patient_id": str})
        assert labelled_of(config.out, 0.34, draw) == set(budget["patient_id"])
        assert labelled_of(config.out, 0.34, draw) < labelled_of(config.out, 0.5, draw)


def test_trap_14_no_label_outside_the_budget_is_read(toy, tmp_path) -> None:
    first = config_of(toy, tmp_path / "first", fractions=(0.34,), draws=1)
    probe(first)
    patients = labelled_of(first.out, 0.34, 0)

    def forget(table: pd.DataFrame) -> pd.DataFrame:
        outside = (table["split"] == "train") & ~table["patient_id"].isin(patients)
        return table.assign(severe_as=table["severe_as"].mask(outside))

    data = toy.with_labels(tmp_path / "forgotten.csv", forget)
    second = config_of(toy, tmp_path / "second", data=data, fractions=(1.0,))
    probe(second)
    found = [scores_of(first.out)["fraction0.34-draw0"], scores_of(second.out)["fraction1-draw0"]]
    assert found[0].tolist() == found[1].tolist()


def test_trap_27_nothing_is_chosen_on_the_test_split(toy, tmp_path) -> None:
    def turn_around(table: pd.DataFrame) -> pd.DataFrame:
        turned = table["severe_as"].where(table["split"] != "test", 1 - table["severe_as"])
        return table.assign(severe_as=turned)

    probe(config_of(toy, tmp_path / "first"))
    probe(config_of(toy, tmp_path / "second", data=toy.with_labels(tmp_path / "poisoned.csv", turn_around)))
    first, second = scores_of(tmp_path / "first"), scores_of(tmp_path / "second")
    assert first["truth"].tolist() == (1 - second["truth"]).tolist()
    pd.testing.assert_frame_equal(first.drop(columns="truth"), second.drop(columns="truth"))


def with_numbers(toy, path):
    """A number of the study and one of the video, both of which can be seen."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        grey = [float(toy.store.frames(row).mean()) for row in toy.store.rows_for(table)["row"]]
        table = table.assign(grey=grey)
        return table.assign(of_study=table.groupby("study_id")["grey"].transform("mean").round(3))

    return toy.with_labels(path, add)


def test_numbers_are_predicted_by_study_or_by_video(toy, tmp_path) -> None:
    data = with_numbers(toy, tmp_path / "numbers.csv")
    config = config_of(toy, tmp_path / "run", data=data, targets=("of_study", "grey"), columns=())
    probe(config)
    videos = toy.table[toy.table["split"] == "test"]
    assert sorted(scores_of(config.out, "r2_of_study")["unit"]) == sorted(set(videos["study_id"]))
    assert sorted(scores_of(config.out, "r2_grey")["unit"]) == sorted(videos["path"])
    results = pd.read_csv(config.out / "results.csv").set_index("metric")
    assert results[results["draw"] == "all"].loc["r2_of_study", "value"] > 0.9
    assert results["num_labelled_patients"].tolist() == [32] * len(results)
    assert results["num_positive"].isna().all()


def test_ridge_scores_equal_plain_scikit_learn(toy, tmp_path) -> None:
    data = with_numbers(toy, tmp_path / "numbers.csv")
    config = config_of(toy, tmp_path / "run", data=data, targets=("grey",), columns=())
    probe(config)
    with np.load(config.out / "features" / "pixels-seed0.npz") as stored:
        features = dict(zip(stored["path"].tolist(), stored["features"].astype(np.float64), strict=True))
    manifest = read_manifest(data.manifest).set_index("path")
    own = manifest[manifest["split"] == "train"]
    train = np.stack([features[path] for path in own.index])
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    model = RidgeCV(RIDGE_STRENGTHS).fit((train - mean) / deviation, own["grey"])
    table = scores_of(config.out, "r2_grey")
    test = np.stack([features[path] for path in table["unit"]])
    assert table["fraction1-draw0"].to_numpy() == pytest.approx(
        model.predict((test - mean) / deviation), abs=1e-6
    )
    assert table["truth"].tolist() == [manifest.loc[path, "grey"] for path in table["unit"]]


def test_results_are_figures_of_the_written_scores(toy, tmp_path) -> None:
    config = config_of(toy, tmp_path / "run", arms=[PIXELS, RANDOM], seeds=(3, 4))
    text = probe(config).read_text()
    results = pd.read_csv(config.out / "results.csv")
    cells = results[(results["arm"] == "random") & (results["draw"] != "all") & (results["fraction"] == 0.34)]
    assert sorted(zip(cells["draw"], cells["seed"], strict=True)) == [
        ("0", "3"),
        ("0", "4"),
        ("1", "3"),
        ("1", "4"),
    ]
    for _, row in cells.iterrows():
        table = scores_of(config.out, arm="random", seed=row["seed"])
        expected = auroc(table["truth"], table[f"fraction0.34-draw{row['draw']}"])
        assert row["value"] == pytest.approx(expected, abs=1e-5)
    pooled = results[(results["draw"] == "all") & (results["fraction"] == 0.34)].set_index(["arm", "metric"])
    assert pooled.loc[("random", "auroc"), "value"] == pytest.approx(cells["value"].mean(), abs=1e-5)
    assert {("pixels", "auroc"), ("pixels - random", "auroc"), ("pixels - random", "auroc_p_value")} <= set(
        pooled.index
    )
    assert "| Pixels | " in text
    assert "Pixels minus this, AUROC" in text
    assert "13 test patients, 4 positive; 2 paired label draws (1 of all labels), 2 seeds" in text


def test_an_interrupted_probe_continues_and_a_finished_one_returns_at_once(toy, tmp_path) -> None:
    config = config_of(toy, tmp_path / "run", arms=[RANDOM, PIXELS])
    path = probe(config)
    before = (config.out / "results.csv").read_text()
    assert json.loads((config.out / "result.json").read_text())["num_videos"] > 0
    stamp = path.stat().st_mtime_ns
    assert probe(config).stat().st_mtime_ns == stamp
    with pytest.raises(RunFolderError, match="draws"):
        probe(config.model_copy(update={"draws": 3}))
    # as after a kill: one arm's features are there, the rest is not
    kept = config.out / "features" / "random-seed0.npz"
    age = kept.stat().st_mtime_ns
    for name in (
        "result.json",
        "results.csv",
        "features/pixels-seed0.npz",
        "predictions/auroc/pixels-seed0.csv",
    ):
        (config.out / name).unlink()
    probe(config)
    assert kept.stat().st_mtime_ns == age
    assert (config.out / "results.csv").read_text() == before


def test_clips_of_the_settings_take_the_place_of_those_of_the_start(toy, tmp_path) -> None:
    short = toy.config(tmp_path, clip=ClipConfig(clip_seconds=0.1, num_frames=4))
    encoder = start_encoder(short, toy.store, toy.table)
    save_encoder(encoder, tmp_path / "starts" / "short-2.safetensors")
    arms = [{"name": "short", "title": "Short", "start": "short-{seed}.safetensors"}]
    long = ClipConfig(clip_seconds=0.4, num_frames=8)
    shared = {"arms": arms, "folder": tmp_path / "starts", "seeds": (2,)}
    for clip in (None, long):
        config = config_of(toy, tmp_path / f"run{clip is None}", clip=clip, **shared)
        probe(config)
        expected = plain_features(toy, encoder if clip is None else with_clip(encoder, long))
        with np.load(config.out / "features" / "short-seed2.npz") as stored:
            found = dict(zip(stored["path"].tolist(), stored["features"], strict=True))
        rows = dict(zip(toy.table["path"], toy.table["row"], strict=True))
        assert all(np.allclose(own, expected[rows[path]], atol=1e-4) for path, own in found.items())


def test_what_is_not_in_the_manifest_is_named(toy, tmp_path) -> None:
    with pytest.raises(UserError, match="no column 'grey', which targets asks for"):
        probe(config_of(toy, tmp_path / "a", targets=("grey",)))
    with pytest.raises(UserError, match="no stored video in split 'val'; found test, train"):
        probe(config_of(toy, tmp_path / "b", splits=("val",)))
    with pytest.raises(UserError, match=r"labels\.fraction: 0\.01 of 31"):
        probe(config_of(toy, tmp_path / "c", fractions=(0.01,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"name": "r3d_18"}}, "encoder has no effect"),
        ({"latents": ("severity",)}, "latents have no effect"),
        ({"seeds": (0, 1)}, "seeds have no effect"),
        ({"columns": ()}, "nothing to predict"),
        ({"fractions": (0.1, 1.5)}, "fractions are shares"),
        ({"arms": [PIXELS, PIXELS]}, "arms repeat: pixels, pixels"),
        ({"columns": ("a", "b"), "targets": ("a",)}, "repeat: a, b, a"),
    ],
)
def test_settings_without_effect_are_refused(toy, tmp_path, changes, message) -> None:
    with pytest.raises(ValidationError, match=message):
        config_of(toy, tmp_path, **changes)
