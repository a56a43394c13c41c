import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from echossl.config.encoder import Compact3DConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.explain import ExplainConfig, words_of
from echossl.config.saliency import CamSettings, ChecksSettings
from echossl.config.video import ClipConfig
from echossl.encoders import build_encoder
from echossl.encoders.base import EncoderMetadata
from echossl.evaluation.bootstrap import Interval
from echossl.saliency.believe import Rule, as_markdown, summarise_checks, verdicts
from echossl.saliency.controls import Classifier, cascade, random_weights
from echossl.saliency.curves import deletion_insertion
from echossl.saliency.figures import enrichment, outside_share, pointing
from echossl.saliency.methods.baseline import baseline
from echossl.saliency.time_curve import draw_curves

BOOTSTRAP = BootstrapConfig(resamples=200)
ALL_CHECKS = ("model_randomisation", "label_randomisation", "deletion_insertion")
SECTOR = np.ones((8, 8), dtype=bool)


def _classifier() -> Classifier:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=4), size=16)
    encoder = build_encoder(metadata).eval()
    return Classifier(encoder, nn.Linear(encoder.dim, 1))


def test_cascade_makes_the_head_random_first_and_everything_last() -> None:
    trained = _classifier()
    fresh = Classifier(*random_weights(trained.encoder, seed=3))
    networks = list(cascade(trained, fresh, 3))
    assert [name for name, _ in networks] == ["head", "2 of 5 stages", "all"]
    before = {name: value.clone() for name, value in trained.encoder.state_dict().items()}
    for count, (_, network) in zip((0, 2, 5), networks, strict=True):
        assert network.head is fresh.head
        random = {"stem", "layer1", "layer2", "layer3", "layer4"}
        random = set(
            sorted(random)[:0] if not count else ["stem", "layer1", "layer2", "layer3", "layer4"][5 - count :]
        )
        for name, value in network.encoder.state_dict().items():
            source = fresh.encoder if name.partition(".")[0] in random else trained.encoder
            assert torch.equal(value, source.state_dict()[name]), name
    assert all(torch.equal(value, before[name]) for name, value in trained.encoder.state_dict().items())


def test_a_map_of_random_weights_is_of_the_sign_that_finds_anything() -> None:
    network = _classifier()
    clips = torch.rand(1, 1, 4, 16, 16)
    nn.init.constant_(network.head.weight, -1.0)  # after the last ReLU everything speaks against
    assert not network.map(clips, CamSettings(), None).any()
    assert network.map_of_either_sign(clips, CamSettings(), None).any()


def _brightness(clips: torch.Tensor) -> torch.Tensor:
    return clips[:, 0, :, 2:4, 2:4].sum(dim=(1, 2, 3)) * 3 + clips.sum(dim=(1, 2, 3, 4)) * 0.01


def test_deletion_and_insertion_equal_a_loop_over_pixels() -> None:
    generator = np.random.default_rng(0)
    clips = torch.rand(1, 1, 2, 8, 8)
    saliency = generator.random((2, 8, 8))
    sector = generator.random((8, 8)) > 0.3
    curves = deletion_insertion(_brightness, clips, saliency, sector, steps=4, name="mean")
    places = [place for place in np.ndindex(2, 8, 8) if sector[place[1:]]]
    places.sort(key=lambda place: -saliency[place])
    empty = baseline(clips, "mean")
    for step in range(5):
        deleted, inserted = clips.clone(), empty.clone()
        for place in places[: round(step / 4 * len(places))]:
            deleted[0, 0, *place] = empty[0, 0, *place]
            inserted[0, 0, *place] = clips[0, 0, *place]
        assert curves.deletion[step] == pytest.approx(float(_brightness(deleted)), rel=1e-6)
        assert curves.insertion[step] == pytest.approx(float(_brightness(inserted)), rel=1e-6)
    gap = curves.insertion - curves.deletion
    expected = sum((gap[step] + gap[step + 1]) / 2 / 4 for step in range(4))
    assert curves.faithfulness == pytest.approx(expected)


def test_a_map_of_what_the_score_reads_is_faithful_and_others_are_not() -> None:
    clips = torch.ones(1, 1, 2, 8, 8)
    right = np.zeros((2, 8, 8))
    right[:, 2:4, 2:4] = 1
    areas = [
        deletion_insertion(_brightness, clips, one, SECTOR, steps=8, name="black").faithfulness
        for one in (right, np.zeros((2, 8, 8)), 1 - right)
    ]
    assert areas[0] > 10
    assert abs(areas[1]) < 10
    assert areas[2] < -10


def test_ties_are_broken_by_chance_and_not_from_the_top() -> None:
    clips = torch.ones(1, 1, 2, 8, 8)
    flat = np.zeros((2, 8, 8))
    runs = [
        deletion_insertion(_brightness, clips, flat, SECTOR, steps=4, name="black", seed=seed).deletion
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_pointing_counts_frames_whose_largest_value_is_in_the_region() -> None:
    region = np.zeros((4, 8, 8))
    region[:, 2:4, 2:4] = 1
    saliency = np.zeros((4, 8, 8))
    saliency[0, 3, 3] = 1.0  # inside
    saliency[1, 4, 3] = 0.5  # beside it, within the tolerance of a pixel
    saliency[2, 7, 7] = 0.5  # elsewhere
    assert pointing(saliency, region, SECTOR) == pytest.approx(2 / 3)  # the fourth frame says nothing
    blind = SECTOR.copy()
    blind[7] = False
    saliency[2, 3, 3] = 0.1
    assert pointing(saliency, region, blind) == 1  # what is outside of the sector is no guess
    assert np.isnan(pointing(np.zeros((4, 8, 8)), region, SECTOR))
    assert pointing(np.ones((4, 8, 8)), region, SECTOR) < 0.3


def test_enrichment_and_outside_share() -> None:
    region = np.zeros((1, 8, 8))
    region[:, :2] = 1
    saliency = np.ones((1, 8, 8))
    assert enrichment(saliency, region, SECTOR) == pytest.approx(1)
    assert enrichment(region, region, SECTOR) == pytest.approx(4)
    assert np.isnan(enrichment(saliency, np.zeros((1, 8, 8)), SECTOR))
    sector = SECTOR.copy()
    sector[:, :2] = False
    assert outside_share(saliency, sector) == pytest.approx(0.25)
    assert np.isnan(outside_share(np.zeros((1, 8, 8)), sector))


def _interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 100, 0, 0.95)


def test_verdicts_look_at_the_whole_interval() -> None:
    rule = Rule(ALL_CHECKS, 0.5)
    for check in ("random_weights_all", "shuffled_labels"):
        assert rule.verdict(check, _interval(0.1, 0.4), 10) == "yes"
        assert rule.verdict(check, _interval(0.4, 0.6), 10) == "undecided"
        assert rule.verdict(check, _interval(0.6, 0.9), 10) == "no"
    assert rule.verdict("faithfulness_over_centre_prior", _interval(0.1, 2), 10) == "yes"
    assert rule.verdict("faithfulness_over_centre_prior", _interval(-1, 2), 10) == "undecided"
    assert rule.verdict("faithfulness_over_centre_prior", _interval(-1, -0.1), 10) == "no"
    assert rule.verdict("shuffled_labels", _interval(0.6, 0.9), 9) == "undecided"  # too few to say
    assert rule.verdict("enrichment", _interval(5, 6), 10) == ""
    assert rule.verdict("random_weights_head", _interval(0.9, 1), 10) == ""


def test_every_criterion_has_to_be_passed() -> None:
    checks = (
        *("random_weights_all", "shuffled_labels"),
        *("faithfulness_over_centre_prior", "faithfulness_over_random_weights"),
    )
    for words in itertools.product(("yes", "no", "undecided"), repeat=4):
        expected = "no" if "no" in words else "undecided" if "undecided" in words else "yes"
        assert Rule(ALL_CHECKS, 0.5).overall(dict(zip(checks, words, strict=True))) == expected
    assert Rule(ALL_CHECKS, 0.5).overall({"random_weights_all": "yes"}) == "undecided"  # figures are missing
    assert Rule(ALL_CHECKS[:1], 0.5).overall({"random_weights_all": "yes"}) == "not tested"
    assert Rule(ALL_CHECKS[:1], 0.5).overall({"random_weights_all": "no"}) == "no"
    assert Rule((), 0.5).overall({}) == "not tested"


def _figures() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = []
    for study, video in itertools.product(range(20), range(2)):
        identity = {"patient_id": f"p{study // 2}", "study_id": f"s{study}", "label": study % 2}
        for method, agreement in (("grad_cam", 0.1), ("smooth_grad", 0.9)):
            values = {
                "random_weights_all": agreement + 0.05 * generator.standard_normal(),
                "shuffled_labels": 0.1 + 0.02 * video,
                "faithfulness_over_centre_prior": 1 + 0.1 * generator.standard_normal(),
                "faithfulness_over_random_weights": 1 + 0.1 * generator.standard_normal(),
            }
            rows += [
                {**identity, "method": method, "check": check, "region": "", "value": value}
                for check, value in values.items()
            ]
            enriched = np.nan if study == 3 else 2.0
            rows.append(
                {**identity, "method": method, "check": "enrichment", "region": "valve", "value": enriched}
            )
    return pd.DataFrame(rows)


def test_table_says_which_method_may_be_believed() -> None:
    rule = Rule(ALL_CHECKS, 0.5)
    table = summarise_checks(_figures(), rule, BOOTSTRAP)
    assert verdicts(table, rule) == {"grad_cam": "yes", "smooth_grad": "no"}
    found = table.set_index(["method", "check", "studies"]).loc[("grad_cam", "shuffled_labels", "all")]
    assert found["value"] == pytest.approx(0.11)
    assert (found["num_studies"], found["num_patients"]) == (20, 10)
    region = table[(table["method"] == "grad_cam") & (table["check"] == "enrichment")]
    assert region["num_without"].tolist() == [1, 1, 0]  # all, positive, negative: study 3 is positive
    text = as_markdown(table, rule, BOOTSTRAP)
    assert "| Grad-CAM | **yes** |" in text
    assert "| SmoothGrad | **no** |" in text
    assert "below\n   0.5;" in text
    assert "10 patients, 20 studies" in text


def test_settings_without_an_effect_are_refused() -> None:
    with pytest.raises(ValueError, match="cascade has no effect without model_randomisation"):
        ChecksSettings(cascade=2)
    assert ChecksSettings(which=("model_randomisation",), cascade=2).cascade == 2
    with pytest.raises(ValueError, match="each may be named once"):
        ExplainConfig(run="a", out="b", methods=["grad_cam", "grad_cam"])
    with pytest.raises(ValueError, match="attention_rollout goes through all layers"):
        ExplainConfig(run="a", out="b", methods=["attention_rollout"], layer="layer2")
    config = ExplainConfig(run="a", out="b", methods=["occlusion", {"name": "smooth_grad", "samples": 3}])
    assert [method.name for method in config.methods] == ["occlusion", "smooth_grad"]
    assert config.methods[1].samples == 3


def test_words_of_the_command_line(tmp_path) -> None:
    run = str(tmp_path)
    assert words_of([run, "seed=3"], {"split": "validate", "studies": None}, methods=None, checks=False) == [
        f"run={run}",
        f"out={run}/saliency",
        "split=validate",
        "seed=3",
    ]
    found = words_of(["settings.yaml"], {}, methods="all", checks=True)
    assert found[0] == "settings.yaml"
    assert "hires_cam" in found[1]
    assert "attention_rollout" not in found[1]
    assert found[2] == f"checks.which=[{','.join(ALL_CHECKS)}]"
    assert words_of([], {}, methods="grad_cam, occlusion", checks=False) == ["methods=[grad_cam,occlusion]"]


def test_maps_without_any_evidence_leave_tables_and_a_sentence(tmp_path) -> None:
    frames = pd.DataFrame({"patient_id": ["a", "b"], "study_id": ["a", "b"], "label": [0, 1]})
    frames = frames.assign(method="grad_cam", clip=0, frame=0, phase=0.5, share=np.nan)
    draw_curves(frames, tmp_path / "curves.png", BootstrapConfig(resamples=100))
    assert (tmp_path / "curves.png").stat().st_size > 1000
    figures = frames.assign(check="shuffled_labels", region="", value=np.nan)
    rule = Rule(("label_randomisation",), 0.5)
    table = summarise_checks(figures, rule, BootstrapConfig(resamples=100))
    assert table.empty
    assert verdicts(table, rule) == {}
    assert "nothing to check" in as_markdown(table, rule, BootstrapConfig())
