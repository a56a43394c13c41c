"""Settings that save memory: what they save, and that a whole run with them is as it should be."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peak_memory import PeakMemory
from torch import Tensor, nn

import echossl
from echossl.config.base import load_config
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig, R3D18Config
from echossl.config.objective import ContrastiveConfig
from echossl.config.training import PretrainConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import ConfigError
from echossl.objectives import build_objectives
from echossl.training.dry_run import dry_run
from echossl.training.learner import Learner, update
from echossl.training.pretrain import pretrain
from echossl.training.recompute import recompute_activations

MIB = 2**20
SMALL: dict[str, Any] = {
    "clip": {"num_frames": 4},
    "encoder": {"name": "compact3d", "width": 4},
    "objectives": [{"name": "contrastive", "hidden_dim": 8, "projection_dim": 4}, {"name": "frame_order"}],
    "optimiser": {"steps": 3, "warmup_steps": 1},
    "batch_size": 8,
    "log_every": 1,
}
CPU = {"device": "cpu", "precision": "fp32"}


def run(store: DataConfig, out: Path, **changes: object) -> Path:
    values = {"data": store, "out": out, **SMALL, "hardware": CPU, **changes}
    return pretrain(PretrainConfig.model_validate(values))


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (path.parent / "metrics.jsonl").read_text().splitlines()]


def test_the_probe_counts_what_is_alive() -> None:
    with PeakMemory() as memory:
        first = torch.zeros(1000)  # 4,000 bytes
        second = first + 1
        second.add_(1).view(10, 100)
        del first
        third = second * 2
        del second, third
        torch.zeros(500)
    assert memory.peak_bytes == 8000


def test_a_run_that_computes_activations_again_ends_bit_equal(store: DataConfig, tmp_path: Path) -> None:
    plain = run(store, tmp_path / "plain")
    again = run(store, tmp_path / "again", hardware={**CPU, "checkpoint_activations": True})
    expected, found = echossl.load(plain).state_dict(), echossl.load(again).state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_run_in_micro_batches_logs_what_other_runs_log(store: DataConfig, tmp_path: Path) -> None:
    plain = lines(run(store, tmp_path / "plain"))
    parts = lines(run(store, tmp_path / "parts", micro_batch=4))
    assert [line.keys() for line in parts] == [line.keys() for line in plain]
    assert parts[0]["loss"] == pytest.approx(plain[0]["loss"], rel=0.2)  # batch norms see fewer clips
    assert parts[-1]["bad_steps"] == 0
    assert parts[0]["loss"] != plain[0]["loss"]


def test_a_dry_run_makes_steps_of_micro_batches(store: DataConfig, tmp_path: Path) -> None:
    values = {"data": store, "out": tmp_path / "run", **SMALL, "micro_batch": 3}
    assert dry_run(PretrainConfig.model_validate({**values, "hardware": CPU})).step_seconds > 0


def test_a_micro_batch_without_effect_is_refused() -> None:
    words = ["data.manifest=m.csv", "data.store=s", "out=o", "batch_size=8", "micro_batch=8"]
    with pytest.raises(ConfigError, match="micro_batch is 8, but batch_size only 8; set micro_batch lower"):
        load_config(PretrainConfig, None, words)


def batch_of(items: int, *, frames: int = 4, size: int = 16) -> Batch:
    clips = torch.rand(items, 2, 1, frames, size, size, generator=torch.Generator().manual_seed(1))
    return Batch(clips, torch.arange(items), torch.zeros(items, 2, dtype=torch.int64))


def peak(learner: Learner, batch: Batch, micro_batch: int | None) -> int:
    """Bytes of one update."""
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.01)
    with PeakMemory() as memory:
        update(
            learner,
            optimiser,
            batch,
            autocast=torch.autocast("cpu", enabled=False),
            max_gradient_norm=None,
            micro_batch=micro_batch,
        )
    return memory.peak_bytes


def contrastive_learner(encoder: Encoder, **settings: object) -> Learner:
    values = {"hidden_dim": 8, "projection_dim": 8, **settings}
    return Learner(encoder, build_objectives((ContrastiveConfig.model_validate(values),), encoder.dim))


def test_memory_is_that_of_a_micro_batch_and_less_with_both() -> None:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=R3D18Config(width=4), clip=ClipConfig(num_frames=4), size=32)
    batch = batch_of(12, size=32)
    whole = peak(contrastive_learner(build_encoder(metadata)), batch, None)
    parts = peak(contrastive_learner(build_encoder(metadata)), batch, 2)
    again = contrastive_learner(build_encoder(metadata))
    recompute_activations(again)
    recomputed, both = peak(again, batch, None), peak(again, batch, 2)
    assert parts < 0.3 * whole  # weights and their gradients stay
    assert recomputed < 0.7 * whole
    assert both < parts


class Tiny(Encoder):
    """Vectors of length 128 from next to no computation."""

    def __init__(self) -> None:
        architecture = Compact3DConfig(width=4)
        super().__init__(
            EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=4), size=16), dim=128
        )
        self.layer = nn.Conv3d(1, 128, (1, 4, 4), stride=(4, 4, 4))

    def trunk(self, clips: Tensor) -> Tensor:
        return self.layer(clips)


@pytest.mark.parametrize(("items", "dense_grid"), [(2048, 0), (512, 2)])
def test_a_contrastive_batch_of_4096_clips_takes_less_than_1_gb(items: int, dense_grid: int) -> None:
    """Memory grows with the square of the clips, so that a quarter of them may take a 16th."""
    torch.manual_seed(0)
    learner = contrastive_learner(Tiny(), projection_dim=128, dense_grid=dense_grid)
    assert peak(learner, batch_of(items), 128) < 1e9 * (items / 2048) ** 2
