import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from echossl.config.evaluation import BootstrapConfig
from echossl.config.explain import ExplainConfig
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.saliency.explain import explain
from echossl.study.explain import explain_run, shuffled_head


def _config(study, out: str, **changes) -> ExplainConfig:
    settings = {"run": study / "run", "studies": 4, "bootstrap": BootstrapConfig(resamples=200)}
    return ExplainConfig(out=study / out, **(settings | changes))


def _table(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "saliency.csv", dtype={"patient_id": str, "study_id": str})


@pytest.fixture(scope="module")
def checked(study):
    """Two methods with every check, on all clips of the score."""
    config = _config(
        study,
        "checked",
        region=study / "phantom",
        methods=["grad_cam", {"name": "occlusion", "stretches": 2, "squares": 2}],
        clips="score",
        checks={
            "which": ["model_randomisation", "label_randomisation", "deletion_insertion"],
            "cascade": 2,
            "fractions": 3,
        },
    )
    return explain_run(config)


def test_one_table_says_which_method_may_be_believed(checked) -> None:
    table = pd.read_csv(checked / "checks.csv", keep_default_na=False)
    assert set(table["method"]) == {"grad_cam", "occlusion"}
    assert {"random_weights_head", "random_weights_all", "shuffled_labels", "faithfulness"} < set(
        table["check"]
    )
    assert {"", "valve", "walls"} == set(table["region"])
    assert {"all", "positive", "negative"} == set(table["studies"])
    verdicts = json.loads((checked / "result.json").read_text())["may_be_believed"]
    assert set(verdicts) == {"grad_cam", "occlusion"}
    assert set(verdicts.values()) <= {"yes", "no", "undecided"}
    text = (checked / "checks.md").read_text()
    for method, title in (("grad_cam", "Grad-CAM"), ("occlusion", "Occlusion")):
        assert f"| {title} | **{verdicts[method]}** |" in text


def test_figures_of_the_region_are_those_of_the_table_of_videos(checked) -> None:
    videos = _table(checked)
    enrichment = (videos["inside_share"] / videos["area_share"]).groupby(videos["study_id"]).mean()
    table = pd.read_csv(checked / "checks.csv", keep_default_na=False)
    keys = ("grad_cam", "enrichment", "valve", "all")
    found = table.set_index(["method", "check", "region", "studies"]).loc[keys]
    assert found["value"] == pytest.approx(enrichment.mean(), rel=1e-6)


def test_all_clips_of_the_score_are_explained_on_the_scale_of_their_study(study, checked) -> None:
    from echossl.encoders.classifier import load_classifier

    encoder, head, _ = load_classifier(study / "run")
    videos = _table(checked)
    for _, own in videos.groupby("study_id"):
        largest, logits = [], []
        for name in own["folder"]:
            with np.load(checked / name / "maps.npz", allow_pickle=False) as maps:
                assert maps["frames"].shape == maps["saliency_occlusion"].shape == (16, 32, 32)
                largest.append(maps["saliency"].max())
                clips = torch.from_numpy(maps["frames"].reshape(2, 1, 8, 32, 32)).float() / 255
            with torch.no_grad():
                logits.append(float(head(encoder(clips)).mean()))
            assert (checked / name / "methods.png").is_file()
            with Image.open(checked / name / "overlay.gif") as film:
                assert film.n_frames == 16
        assert max(largest) in {0.0, 1.0}
        assert logits == pytest.approx(own["clip_logit"].tolist(), abs=1e-5)
        # the study's score is the mean of what was explained
        score = own["score"].iloc[0]
        mean = float(np.mean(logits))
        assert any(np.isclose(score, value, atol=1e-4) for value in (mean, 1 / (1 + np.exp(-mean))))


def test_time_curve_holds_every_frame_and_its_share_of_the_saliency(checked) -> None:
    frames = pd.read_csv(checked / "time_curve.csv")
    videos = _table(checked)
    assert len(frames) == 2 * 2 * 8 * len(videos)
    means = frames.groupby(["folder", "method", "clip"])["share"].mean().dropna()
    assert np.allclose(means, 1)
    row = frames[frames["method"] == "occlusion"].iloc[5]
    with np.load(checked / row["folder"] / "maps.npz", allow_pickle=False) as maps:
        saliency = maps["saliency_occlusion"][:8].astype(float) * maps["sector"]
        totals = saliency.sum(axis=(1, 2))
        assert row["phase"] == pytest.approx(maps["phase"][5], abs=1e-4)
        if totals[5]:
            inside = (saliency[5] * maps["region_walls"][5]).sum() / totals[5]
            assert row["inside_walls"] == pytest.approx(inside, rel=1e-5)
            assert row["share"] == pytest.approx(totals[5] / totals.mean(), rel=1e-5)
    with Image.open(checked / "time_curve.png") as picture:
        assert picture.size[0] > 1000


def test_shuffled_labels_teach_another_head_the_same_way(study) -> None:
    first, again, other = (shuffled_head(study / "run", seed=seed) for seed in (0, 0, 5))
    assert torch.equal(first.weight, again.weight)
    assert first.weight.shape == other.weight.shape == (1, 32)
    from echossl.encoders.classifier import load_classifier

    assert not torch.equal(first.weight, load_classifier(study / "run")[1].weight)


def test_label_randomisation_without_a_head_says_what_to_do(study) -> None:
    config = _config(study, "no-head", checks={"which": ["label_randomisation"]})
    with pytest.raises(UserError, match="run echossl explain, which trains it"):
        explain(config)


def test_a_table_of_boxes_serves_as_region_and_must_name_the_videos(study) -> None:
    videos = ClipStore.open(study / "store").paths
    boxes = pd.DataFrame({"path": videos, "x0": 20, "y0": 20, "x1": 50, "y1": 50})
    boxes.to_csv(study / "valve.csv", index=False)
    folder = explain(_config(study, "boxes", region=study / "valve.csv"))
    assert _table(folder)["area_share"].between(0.05, 0.9).all()
    assert "phase" not in pd.read_csv(folder / "time_curve.csv").dropna(axis=1, how="all")
    boxes.assign(path="elsewhere.avi").to_csv(study / "other.csv", index=False)
    with pytest.raises(UserError, match=r"other\.csv: no row is of a video that is explained"):
        explain(_config(study, "elsewhere", region=study / "other.csv"))
