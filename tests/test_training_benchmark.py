"""What the benchmark of pre-training compares with is right: its loss, its reading, its tables."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from echossl.encoders import EncoderMetadata
from echossl.objectives import nt_xent

BENCHMARKS = Path(__file__).parents[1] / "experiments" / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as a benchmark sets it; other tests do without
    names = ("tables", "plain_training", "clip_files", "training_runs", "decoding")
    found = {name: importlib.import_module(name) for name in names}
    yield found
    for name in (*names, "plain_readers"):
        sys.modules.pop(name, None)


def test_the_plain_loss_is_that_of_the_objective(modules: dict[str, ModuleType]) -> None:
    projections = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    plain = modules["plain_training"]
    expected, _ = nt_xent(projections.view(6, 2, 5), torch.arange(6), temperature=plain.TEMPERATURE)
    assert plain.contrast(projections).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_plain_loop_learns_its_batch(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    plain, files = modules["plain_training"], modules["clip_files"]
    videos = []
    for patient in range(4):
        frames = np.full((9, 32, 32), 60 * patient, dtype=np.uint8)
        frames[:, 4 : 8 + 5 * patient, 6:20] += 40
        path = tmp_path / f"{patient}.avi"
        files.write_video(path, frames, "mjpeg", "yuvj420p", {"q:v": "3"})
        videos.append([path])
        found = plain.read_whole(path)
        assert found.shape == frames.shape
        assert np.abs(found.astype(int) - frames).mean() < 4
    pairs = plain.Pairs(videos, num_frames=4, length=4)
    assert pairs[0].shape == (2, 1, 4, 32, 32)
    (batch,) = plain.plain_loader(pairs, batch_size=4, workers=0)
    metadata = EncoderMetadata.model_validate(
        {"architecture": {"name": "compact3d", "width": 4}, "clip": {"num_frames": 4}, "size": 32}
    )
    loop = plain.PlainLoop(metadata, torch.device("cpu"))
    losses = [loop.step(batch) for _ in range(12)]
    assert losses[-1] < losses[0]


def test_a_clip_longer_than_its_video_is_filled(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    path = tmp_path / "short.avi"
    modules["clip_files"].write_video(
        path, np.zeros((3, 32, 32), np.uint8), "mjpeg", "yuvj420p", {"q:v": "3"}
    )
    assert modules["plain_training"].Pairs([[path]], num_frames=8, length=1)[0].shape == (2, 1, 8, 32, 32)


def test_tables_have_every_column_of_every_row(
    modules: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = modules["tables"]
    rows = {"first": {"a": 1.0, "b": "x"}, "second": {"c": 12345.678, "a": None}}
    assert tables.markdown_table(rows) == [
        "| | a | b | c |",
        "|---|---|---|---|",
        "| first | 1.00 | x |  |",
        "| second |  |  | 12,345.7 |",
    ]
    facts = tables.machine_facts(["numpy", "no-such-package"], device="cpu")
    assert list(facts["versions"]) == ["numpy"]
    tables.write_report("Title", {"Table": rows}, facts, tmp_path / "new" / "name", notes=["A note."])
    text = (tmp_path / "new" / "name.md").read_text()
    assert text.startswith("# Title\n\nA note.\n\n## Table\n\n| | a | b | c |\n")
    assert "12345.678" in (tmp_path / "new" / "name.json").read_text()
    assert "A note." in capsys.readouterr().out


def test_decoding_shares_are_of_the_fastest(modules: dict[str, ModuleType]) -> None:
    rows = modules["decoding"].with_shares({"slow": 1.0, "fast": 4.0})
    assert rows["slow"] == {"clips/s": 1.0, "of the fastest": 0.25}
