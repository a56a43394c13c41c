import json

import av
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from echossl.adapt import finetune
from echossl.config.adapt import FinetuneConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.explain import ExplainConfig
from echossl.data.store import ClipStore
from echossl.errors import RunFolderError, UserError
from echossl.evaluation.study import read_predictions
from echossl.phantom.truth import read_truth
from echossl.saliency.checks import region_checks
from echossl.saliency.controls import random_weights
from echossl.saliency.explain import explain
from echossl.saliency.region import phantom_region
from echossl.saliency.studies import choose_studies


@pytest.fixture(scope="module")
def explained(study):
    return explain(_config(study, "saliency", region=study / "phantom"))


def _config(study, out: str, **changes) -> ExplainConfig:
    settings = {"run": study / "run", "studies": 4, "bootstrap": BootstrapConfig(resamples=200)}
    return ExplainConfig(out=study / out, **(settings | changes))


def _table(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "saliency.csv", dtype={"patient_id": str, "study_id": str})


def test_trap_31_studies_are_drawn_from_both_classes_without_looking_at_scores(study) -> None:
    predictions = read_predictions(study / "run" / "predictions.csv", "severe_as")
    chosen = choose_studies(predictions, 4, seed=0)
    assert chosen["label"].tolist() == [1, 1, 0, 0]
    turned = type(predictions)(**(vars(predictions) | {"scores": -predictions.scores}))
    assert choose_studies(turned, 4, seed=0)["study_id"].tolist() == chosen["study_id"].tolist()
    draws = {tuple(choose_studies(predictions, 4, seed=seed)["study_id"]) for seed in range(8)}
    assert len(draws) > 1
    assert set(chosen["study_id"]) < set(choose_studies(predictions, 6, seed=0)["study_id"])


def test_more_studies_than_there_are_takes_all_and_a_rare_class_is_filled_up(study) -> None:
    predictions = read_predictions(study / "run" / "predictions.csv", "severe_as")
    assert len(choose_studies(predictions, 100, seed=0)) == 8
    few = predictions.take(np.flatnonzero((predictions.labels == 0) | (predictions.scores.argsort() == 0)))
    assert len(choose_studies(few, 5, seed=0)) == 5


def test_every_video_of_the_studies_has_pictures_and_a_row(study, explained) -> None:
    table = _table(explained)
    assert table["study_id"].nunique() == 4
    predicted = pd.read_csv(study / "run" / "predictions.csv", dtype=str).set_index("study_id")
    for row in table.itertuples():
        assert row.label == int(predicted.loc[row.study_id, "severe_as"])
        assert row.score == pytest.approx(float(predicted.loc[row.study_id, "severe_as_score"]))
        folder = explained / row.folder
        with Image.open(folder / "strip.png") as strip:
            assert strip.size[0] == 8 * 256
        with av.open(str(folder / "overlay.mp4")) as film:
            assert film.streams.video[0].frames == 8
            # eight frames in half a second are shown in half a second
            assert float(film.streams.video[0].average_rate) == 16
        with np.load(folder / "maps.npz", allow_pickle=False) as maps:
            names = {"frames", "saliency", "random_weights", "sector", "region", "region_walls"}
            assert names | {"seconds", "phase"} == set(maps)
            assert maps["saliency"].shape == maps["frames"].shape == (8, 32, 32)


def test_shares_in_the_table_are_those_of_the_written_maps(explained) -> None:
    for row in _table(explained).itertuples():
        with np.load(explained / row.folder / "maps.npz", allow_pickle=False) as maps:
            sector, region = maps["sector"], maps["region"]
            assert row.area_share == pytest.approx((region * sector).sum() / (8 * sector.sum()), rel=1e-5)
            for column, name in (("inside_share", "saliency"), ("random_weights_share", "random_weights")):
                seen = maps[name].astype(float) * sector
                expected = (seen * region).sum() / seen.sum() if seen.any() else np.nan
                assert getattr(row, column) == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_result_holds_the_checks_with_intervals(explained) -> None:
    result = json.loads((explained / "result.json").read_text())
    table = _table(explained)
    assert result["num_studies"] == 4
    assert result["num_videos"] == len(table)
    assert result["cell_pixels"] == 16
    expected = dict(region_checks(table, BootstrapConfig(resamples=200)))
    assert set(result["region_checks"]) == set(expected)
    found = result["region_checks"]["all"]
    assert found["enrichment"]["centre_prior"]["value"] == pytest.approx(
        expected["all"].enrichment["centre_prior"].value
    )
    assert {"model", "centre_prior", "random_weights"} == set(found["enrichment"])
    assert found["studies"] + found["without_evidence"] == 4


def test_region_lies_on_the_brightened_valve_of_the_stored_frames(study) -> None:
    # the truth's own pixels, taken through the store's window, keep their area and their place
    store = ClipStore.open(study / "store")
    stored = store.table.iloc[0]
    mask = read_truth(study / "phantom", _path(stored)).valve_mask
    indices = np.arange(0, len(mask), 5)
    region = phantom_region(study / "phantom", _path(stored), stored, indices, store.size)
    assert region.shape == (len(indices), 32, 32)
    assert region.min() >= 0
    assert region.max() <= 1
    zoom = store.size / stored["height"]
    assert region.sum() == pytest.approx(mask[indices].sum() * zoom**2, rel=0.15)
    for found, source in zip(region, mask[indices], strict=True):
        rows, columns = np.nonzero(source)
        centre = ((rows.mean() + 0.5 - stored["top"]) * zoom, (columns.mean() + 0.5 - stored["left"]) * zoom)
        heights, widths = np.indices(found.shape) + 0.5
        place = ((heights * found).sum() / found.sum(), (widths * found).sum() / found.sum())
        assert place == pytest.approx(centre, abs=0.6)


def _path(stored: pd.Series):
    from pathlib import Path

    return Path(stored["path"])


def test_truth_of_other_videos_is_refused(study) -> None:
    store = ClipStore.open(study / "store")
    stored = store.table.iloc[0].copy()
    stored["num_frames"] += 1
    with pytest.raises(UserError, match="give the phantom that the videos are from"):
        phantom_region(study / "phantom", _path(stored), stored, np.arange(3), store.size)


def test_without_a_reference_there_are_maps_but_no_shares(study) -> None:
    folder = explain(_config(study, "plain", studies=2, layer="layer2"))
    table = _table(folder)
    assert "inside_share" not in table
    assert table["random_weights_correlation"].between(-1, 1).any()
    result = json.loads((folder / "result.json").read_text())
    assert "region_checks" not in result
    assert result["cell_pixels"] == 4


def test_finished_explanation_is_not_redone(study, explained) -> None:
    before = (explained / "saliency.csv").stat().st_mtime_ns
    assert explain(_config(study, "saliency", region=study / "phantom")) == explained
    assert (explained / "saliency.csv").stat().st_mtime_ns == before


def test_random_weights_are_other_weights_of_the_same_network(study) -> None:
    from echossl.encoders.classifier import load_classifier

    encoder, _, _ = load_classifier(study / "run")
    first, first_head = random_weights(encoder, seed=4)
    again, again_head = random_weights(encoder, seed=4)
    assert first.metadata == encoder.metadata
    assert not first.training
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert torch.equal(first_head.weight, again_head.weight)
    assert not torch.equal(first.state_dict()["stem.0.weight"], encoder.state_dict()["stem.0.weight"])


def test_runs_that_cannot_be_explained_say_why(study, explained) -> None:
    with pytest.raises(UserError, match="no labelled study in split 'validate'; found test"):
        explain(_config(study, "other-split", split="validate"))
    with pytest.raises(RunFolderError, match="holds a run of explain; give one of echossl finetune"):
        explain(_config(study, "itself", run=explained))
    settings = json.loads((study / "run" / "run.json").read_text())["config"]
    settings |= {"out": study / "pixels", "recipe": {"name": "pixels"}}
    finetune(FinetuneConfig.model_validate(settings))
    with pytest.raises(UserError, match="whose recipe has an encoder"):
        explain(_config(study, "of-pixels", run=study / "pixels"))
