"""What is written of a finished run for a person: its summary and the model card of its weights."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from echossl.config.encoder import Compact3DConfig
from echossl.config.task import TaskSettings
from echossl.config.video import ClipConfig
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.card import CARD_NAME, write_card
from echossl.encoders.classifier import save_classifier
from echossl.encoders.export import export_encoder
from echossl.encoders.files import save_encoder
from echossl.encoders.join import join_encoders
from echossl.errors import RunFolderError, UserError
from echossl.report.run_papers import write_papers

SURNAME = "Jane_Doe_1953"
PROVENANCE = {
    "command": "pretrain",
    "manifest": f"{SURNAME}.csv",
    "patients": "41",
    "start": f"/{SURNAME}/w.pt",
}
RECORD = {
    "command": "pretrain",
    "argv": ["/bin/echossl", "pretrain", "my file.yaml"],
    "config": {
        "data": {"manifest": f"/{SURNAME}/m.csv"},
        "fusion": {"sources": [{"manifest": f"/{SURNAME}/a.csv", "store": f"/{SURNAME}/a", "share": 0.5}]},
        "out": f"/{SURNAME}",
        "batch_size": 8,
        "seed": 3,
    },
    "versions": {"echossl": "0.1.0", "torch": "2"},
    "git": "abc-dirty",
}


def encoder_of(**changes):
    settings = {
        "architecture": Compact3DConfig(width=4),
        "clip": ClipConfig(clip_seconds=0.5, num_frames=8),
        "size": 16,
        "provenance": PROVENANCE,
    }
    torch.manual_seed(0)
    return build_encoder(EncoderMetadata(**(settings | changes))).eval()


def write_run(folder: Path, result: dict, record: dict = RECORD) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.fixture
def pretrained(tmp_path) -> Path:
    folder = write_run(
        tmp_path / "run", {"num_patients": 41, "num_videos": 90, "last": {"step": 9, "loss": 2.5}}
    )
    save_encoder(encoder_of(), folder / "encoder.safetensors")
    looks = [{"step": 4, "monitor/collapsed": 1.0}, {"step": 9, "loss": 2.5, "bad_steps": 2, "bad_videos": 0}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(look) + "\n" for look in looks))
    (folder / "bad_videos.csv").write_text("path,reason\na.avi,cut\nb.avi,cut\nc.avi,cut\n")
    return folder


def test_the_summary_says_what_was_run_and_what_went_wrong(pretrained) -> None:
    text = write_papers(pretrained).read_text()
    assert text.startswith("# pretrain: run\n")
    assert "echossl pretrain 'my file.yaml'" in text
    assert "41 patients, 90 videos" in text
    assert "step 9: loss 2.5" in text
    warnings = text.partition("## Warnings")[2].partition("## Files")[0]
    assert "3 videos could not be read" in warnings
    assert "2 steps were skipped" in warnings
    assert "collapsed at 1 looks, first at step 4" in warnings
    assert "changes that no version holds" in warnings
    assert "| `encoder.safetensors` |" in text
    assert "| `model.safetensors` |" not in text


def test_the_card_holds_counts_and_settings_and_no_names(pretrained) -> None:
    write_papers(pretrained)
    text = (pretrained / CARD_NAME).read_text()
    assert text.startswith("# Model card: encoder.safetensors\n\n**Research use only.**")
    assert SURNAME not in text
    assert "Patients: 41." in text
    assert "Clips of 8 frames over 0.5 s, 16 x 16 pixels, grey" in text
    assert yaml.safe_load(text.partition("```yaml\n")[2].partition("\n```")[0]) == {
        "batch_size": 8,
        "seed": 3,
    }
    assert 'echossl.load("encoder.safetensors")' in text
    for heading in ("Data", "How it was made", "Figures", "Intended use", "Limits", "Licence", "How to load"):
        assert f"\n## {heading}\n" in text


def test_a_finished_run_does_not_change(pretrained) -> None:
    path = write_papers(pretrained)
    path.write_text("mine")
    assert write_papers(pretrained).read_text() == "mine"


def test_a_classifier_gets_its_figures_with_intervals(tmp_path) -> None:
    folder = write_run(
        tmp_path / "run", {"task": "binary", "column": "severe_as", "classes": None, "seconds": 7}
    )
    encoder = encoder_of()
    task = TaskSettings(name="binary", columns=("severe_as",))
    save_classifier(encoder, torch.nn.Linear(encoder.dim, 1), task, folder / "model.safetensors")
    labels = np.arange(20) % 2
    names = [f"p{number}" for number in range(20)]
    table = {"patient_id": names, "study_id": names, "split": "test", "severe_as": labels}
    frame = pd.DataFrame(table | {"severe_as_score": labels + np.linspace(0, 1.2, 20)})
    frame.to_csv(folder / "predictions.csv", index=False)
    summary = write_papers(folder).read_text()
    card = (folder / CARD_NAME).read_text()
    for text in (summary, card):
        assert "severe_as, split test: AUROC 0." in text
        assert "95% by 2000 resamples of 20 patients, 10 positive" in text
    assert "- Time: 7 s" in summary
    assert "head for the binary task of `severe_as`" in card


def test_why_predictions_are_not_evaluated_stands_in_the_summary_alone(tmp_path) -> None:
    folder = write_run(tmp_path / "run", {"task": "binary", "column": "severe_as", "classes": None})
    encoder = encoder_of()
    task = TaskSettings(name="binary", columns=("severe_as",))
    save_classifier(encoder, torch.nn.Linear(encoder.dim, 1), task, folder / "model.safetensors")
    twice = {"patient_id": [SURNAME] * 2, "study_id": [SURNAME] * 2, "split": "test", "severe_as": [0, 1]}
    pd.DataFrame(twice | {"severe_as_score": [0.1, 0.2]}).to_csv(folder / "predictions.csv", index=False)
    warnings = write_papers(folder).read_text().partition("## Warnings")[2].partition("## Files")[0]
    assert f"predictions are not evaluated: {folder / 'predictions.csv'}" in warnings
    card = (folder / CARD_NAME).read_text()
    assert str(tmp_path) not in card
    assert SURNAME not in card
    assert "None known" in card


def test_a_run_that_is_not_finished_gets_none(tmp_path) -> None:
    with pytest.raises(RunFolderError, match=r"no run\.json here"):
        write_papers(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    with pytest.raises(UserError, match="the run is not finished"):
        write_papers(tmp_path)


def test_exported_and_joined_encoders_have_a_card_each(tmp_path) -> None:
    save_encoder(encoder_of(), tmp_path / "a.safetensors")
    motion = encoder_of(architecture=Compact3DConfig(width=4, motion="only"))
    save_encoder(motion, tmp_path / "b.safetensors")
    export_encoder(tmp_path / "a.safetensors", tmp_path / "out" / "plain.safetensors")
    join_encoders(
        tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "out" / "two.safetensors"
    )
    first = (tmp_path / "out" / CARD_NAME).read_text()
    second = (tmp_path / "out" / f"two.safetensors.{CARD_NAME}").read_text()
    assert first.startswith("# Model card: plain.safetensors\n")
    assert "strict=False" in first
    assert second.startswith("# Model card: two.safetensors\n")
    assert "`two_stream`" in second
    assert SURNAME not in first + second


def test_an_onnx_file_says_how_it_is_run(tmp_path) -> None:
    metadata = encoder_of().metadata
    path = write_card(tmp_path / "encoder.onnx", metadata, dim=16, figures=("Checked.",))
    text = path.read_text()
    assert 'onnxruntime.InferenceSession("encoder.onnx")  # clips (batch, 1, 8, 16, 16) in 0..1' in text
    assert "- Checked." in text
    # written again with the file, not beside it
    assert write_card(tmp_path / "encoder.onnx", metadata) == path
    assert "None known" in path.read_text()
