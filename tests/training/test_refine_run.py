"""Refinement as a run: from an encoder file and reports to an encoder file of the same layout."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import echossl
from echossl.adapt.embed import embed
from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.store import ClipStore
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.files import read_metadata, save_encoder
from echossl.errors import UserError
from echossl.objectives.alignment import read_alignments
from echossl.text import Tokenizer
from echossl.training.hardware import Hardware
from echossl.training.pretrain import pretrain

TEXTS = ("Severe aortic stenosis, Vmax 4.6 m/s.", "No aortic stenosis.", "Keine Aortenklappenstenose.")
VIT = {"name": "vit", "width": 16, "depth": 2, "heads": 2, "patch": 8, "stochastic_depth": 0.3}


@pytest.fixture(scope="module")
def data(store: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Every study of the store with a report."""
    table = read_manifest(store.manifest)
    table["report"] = [TEXTS[int(patient[1:]) % 3] for patient in table["patient_id"]]
    path = tmp_path_factory.mktemp("reported") / "manifest.csv"
    write_manifest(table, path)
    return DataConfig(manifest=path, store=store.store)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder file, as another run left it."""
    torch.manual_seed(7)
    settings = PretrainConfig.model_validate(
        {"data": {"manifest": "m", "store": "s"}, "out": "o", "encoder": VIT}
    )
    metadata = EncoderMetadata(
        architecture=settings.encoder, clip=ClipConfig(num_frames=4), size=16, mean=0.31, std=0.22
    )
    path = tmp_path_factory.mktemp("given") / "encoder.safetensors"
    save_encoder(build_encoder(metadata), path)
    return path


def config_of(data: DataConfig, given: Path, out: Path, **more: object) -> PretrainConfig:
    return PretrainConfig.model_validate(
        {
            "data": data,
            "out": out,
            "clip": {"num_frames": 4},
            "encoder": VIT,
            "start": str(given),
            "objectives": [
                {
                    "name": "refine",
                    "projection_dim": 8,
                    "text": {"width": 16, "depth": 1, "heads": 2, "length": 8, "vocabulary_size": 200},
                }
            ],
            "optimiser": {"steps": 4, "warmup_steps": 1},
            "batch_size": 4,
            "checkpoint_every": 2,
            "log_every": 1,
            "hardware": {"device": "cpu", "precision": "fp32"},
        }
        | more
    )


@pytest.fixture(scope="module")
def refined(data: DataConfig, given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("refined") / "run"
    return pretrain(config_of(data, given, out))


def test_the_layout_is_that_of_the_given_encoder_and_the_weights_are_not(refined: Path, given: Path) -> None:
    before, after = load_file(given), load_file(refined)
    assert {name: value.shape for name, value in after.items()} == {
        name: value.shape for name, value in before.items()
    }
    changed = [name for name, value in after.items() if not torch.equal(value, before[name])]
    assert len(changed) > 0.9 * len(before)
    one, other = (json.loads(read_metadata(path)["echossl"]) for path in (given, refined))
    for key in ("architecture", "size", "channels", "mean", "std", "grey"):
        assert one[key] == other[key]
    assert other["provenance"]["start_matched"] == "100.0%"


def test_the_figures_of_every_loss_are_logged(refined: Path) -> None:
    lines = [json.loads(line) for line in (refined.parent / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    for name in ("contrast", "matching", "masked_words", "generation"):
        assert all(f"refine/{name}" in line and f"refine/{name}_accuracy" in line for line in lines)
    cut = [line["refine/cut_share"] for line in lines]  # TEXTS[0] has more than 8 pieces
    assert all(share in {0, 0.25, 0.5, 0.75} for share in cut)
    assert max(cut) > 0


def test_sister_trap_10_a_run_that_was_stopped_ends_with_the_same_weights(
    refined: Path, data: DataConfig, given: Path
) -> None:
    weights, run = load_file(refined), refined.parent
    texts = read_alignments(run)["refine"].state
    newest = max((run / "checkpoints").iterdir(), key=lambda path: path.name)
    for path in (newest, refined, run / "result.json"):
        path.unlink()
    again = load_file(pretrain(config_of(data, given, run)))
    assert all(torch.equal(again[name], value) for name, value in weights.items())
    found = read_alignments(run)["refine"].state
    assert all(torch.equal(found[name], value) for name, value in texts.items())


def test_the_text_side_is_kept_beside_the_encoder(refined: Path) -> None:
    kept = read_alignments(refined.parent)["refine"]
    tokenizer = Tokenizer.from_json(kept.metadata["tokenizer"])
    assert kept.state["text.word_embed.weight"].shape == (len(tokenizer), 16)
    assert json.loads(kept.metadata["settings"])["projection_dim"] == 8
    assert "log_scale" in kept.state


def test_sister_trap_08_features_for_the_probe_are_those_of_evaluation(
    refined: Path, data: DataConfig
) -> None:
    """Blocks that are left out in training are all there, whatever mode the encoder was in."""
    encoder, store = echossl.load(refined), ClipStore.open(data.store)
    hardware = Hardware.resolve(config_of(data, refined, refined.parent).hardware)
    found = [
        embed(encoder.train(mode), store, [0, 1], clips_per_video=1, hardware=hardware)
        for mode in (True, False, True)
    ]
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert (one == two).all()


def test_sister_trap_11_a_start_of_another_network_is_refused(
    data: DataConfig, given: Path, tmp_path: Path
) -> None:
    config = config_of(data, given, tmp_path / "run", encoder=VIT | {"width": 32})
    with pytest.raises(UserError, match="fits 0% of the weights of the encoder vit, expected 90% or more"):
        pretrain(config)
    assert not (tmp_path / "run").exists()


def test_a_manifest_without_reports_is_refused(store: DataConfig, given: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column 'report'|no report in"):
        pretrain(config_of(store, given, tmp_path / "run"))


def test_micro_batches_are_refused(data: DataConfig, given: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Refine needs the whole batch at once"):
        pretrain(config_of(data, given, tmp_path / "run", micro_batch=2))
