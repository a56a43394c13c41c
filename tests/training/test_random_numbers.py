"""What networks draw in training, as for stochastic depth, belongs to the step and not to the process."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.training.pretrain import pretrain


def config_of(store: DataConfig, out: Path) -> PretrainConfig:
    return PretrainConfig.model_validate(
        {
            "data": store,
            "out": out,
            "clip": {"num_frames": 2},
            "encoder": {"name": "swin3d_t", "stochastic_depth": 0.5},
            "objectives": [{"name": "contrastive", "hidden_dim": 8, "projection_dim": 4}],
            "optimiser": {"steps": 3, "warmup_steps": 1},
            "batch_size": 2,
            "checkpoint_every": 1,
            "keep_checkpoints": 5,
            "hardware": {"device": "cpu", "precision": "fp32"},
        }
    )


def test_a_resumed_run_draws_what_the_other_would_have(store: DataConfig, tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = pretrain(config_of(store, tmp_path / "run"))
    own = torch.rand(3)
    weights = load_file(whole)
    checkpoints = sorted((tmp_path / "run" / "checkpoints").iterdir())
    for path in [checkpoints[-1], checkpoints[-2], whole, tmp_path / "run" / "result.json"]:
        path.unlink()
    torch.manual_seed(12345)
    resumed = load_file(pretrain(config_of(store, tmp_path / "run")))
    assert all(torch.equal(resumed[name], value) for name, value in weights.items())
    # the caller's random numbers go on as if nothing had been
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), own)
