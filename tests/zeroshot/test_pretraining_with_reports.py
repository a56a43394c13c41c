"""Pre-training on studies with reports: from the manifest to the two files that are kept."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from aligned_samples import FAST, SMALL_TEXT, pretraining

import echossl
from echossl.errors import ConfigError, UserError
from echossl.objectives.alignment import read_alignments
from echossl.training.compilation import why_not_compiled
from echossl.training.dry_run import dry_run
from echossl.training.parts import build_parts
from echossl.training.pretrain import pretrain


def figures(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if "second" not in name} for line in lines]


def test_sister_trap_10_a_run_that_was_stopped_ends_like_one_that_was_not(
    pictures: dict[str, Path], run: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "tripartite"
    shutil.copytree(run, stopped)
    for name in ("result.json", "encoder.safetensors", "alignment.safetensors"):
        (stopped / name).unlink()
    (stopped / "checkpoints" / "step_000000006.pt").unlink()
    pretrain(pretraining(pictures, stopped))
    assert figures(stopped) == figures(run)
    assert [line["step"] for line in figures(run)] == list(range(1, 7))
    for expected, found in (
        (echossl.load(run).state_dict(), echossl.load(stopped).state_dict()),
        (read_alignments(run)["tripartite"].state, read_alignments(stopped)["tripartite"].state),
    ):
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_run_tells_each_part_of_its_loss(run: Path) -> None:
    last = figures(run)[-1]
    parts = [last[f"tripartite/{name}_loss"] for name in ("plax", "a4c", "study")]
    assert last["loss"] == pytest.approx(sum(parts), rel=1e-4)
    assert all(0 <= last[f"tripartite/{name}_accuracy"] <= 1 for name in ("plax", "a4c", "study"))


def test_a_dry_run_and_a_micro_batch_take_studies(pictures: dict[str, Path], tmp_path: Path) -> None:
    assert dry_run(pretraining(pictures, tmp_path / "a", micro_batch=4)).num_parameters > 0
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_learned_from_is_refused(
    pictures: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError, match="patients with reports cannot be drawn from 11"):
        pretrain(pretraining(pictures, tmp_path / "a", batch_size=12))
    assert "1 of 12 studies have no report and are left out" in caplog.text
    objective = {"name": "tripartite", "slots": ["plax", "a2c"]}
    with pytest.raises(UserError, match="no video whose view is 'a2c', found a4c, plax"):
        pretrain(pretraining(pictures, tmp_path / "b", objectives=[objective]))
    with pytest.raises(UserError, match="no column 'befund'"):
        pretrain(pretraining(pictures, tmp_path / "c", report_column="befund"))
    assert not list(tmp_path.iterdir())


def test_encoders_are_not_compiled_anew_for_every_number_of_pictures(
    pictures: dict[str, Path], tmp_path: Path
) -> None:
    if why_not_compiled(torch.device("cpu")) is not None:
        pytest.skip("nothing compiles here")
    config = pretraining(pictures, tmp_path / "a", hardware=FAST | {"compile": "on"})
    with pytest.raises(ConfigError, match="the number of clips varies with the slots that studies lack"):
        pretrain(config)
    one = {"name": "tripartite", "slots": ["plax"], "text": SMALL_TEXT, "projection_dim": 8}
    whole = pretraining(pictures, tmp_path / "b", objectives=[one], hardware=FAST | {"compile": "on"})
    assert build_parts(whole).hardware.compile


def test_half_precision_learns_too(pictures: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "a"
    pretrain(pretraining(pictures, out, hardware={"device": "cpu", "precision": "bf16"}))
    assert 0 < figures(out)[-1]["loss"] < 20
