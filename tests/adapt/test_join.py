"""Joined encoders on a store: their scales, and adaptation from them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from echossl import load
from echossl.adapt import finetune
from echossl.augment import to_float
from echossl.cli import app
from echossl.config.encoder import Compact3DConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import read_clip, video_requests
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.files import save_encoder
from echossl.encoders.join import feature_scale, join_encoders
from echossl.errors import UserError


def encoder_for(toy, *, size: int | None = None, seed: int = 0, **network) -> Encoder:
    torch.manual_seed(seed)
    clip = toy.config(Path("unused")).clip
    return build_encoder(
        EncoderMetadata(
            architecture=Compact3DConfig(width=4, **network),
            clip=clip,
            size=size or toy.store.size,
            mean=0.3,
            std=0.2,
        )
    ).eval()


def files_of(toy, folder: Path) -> tuple[Path, Path]:
    paths = folder / "a.safetensors", folder / "b.safetensors"
    save_encoder(encoder_for(toy), paths[0])
    save_encoder(encoder_for(toy, seed=1, motion="only"), paths[1])
    return paths


def slow_scale(toy, encoder: Encoder) -> float:
    """The root of the mean of the variances, one video after the other."""
    vectors = []
    for row in range(len(toy.store)):
        (request,) = video_requests(toy.store, row, encoder.metadata.clip, count=1, policy="centre")
        frames = torch.from_numpy(read_clip(toy.store, request, encoder.metadata.clip))
        vectors.append(encoder(to_float(frames)[None, None])[0].tolist())
    return math.sqrt(np.mean([np.var(values, ddof=1) for values in zip(*vectors, strict=True)]))


def test_scales_are_the_deviations_of_the_vectors(toy, tmp_path: Path) -> None:
    first, second = files_of(toy, tmp_path)
    metadata = join_encoders(first, second, tmp_path / "c.safetensors", store=toy.store.path).metadata
    assert metadata.streams is not None
    for path, stream in zip((first, second), metadata.streams, strict=True):
        assert stream.scale == pytest.approx(slow_scale(toy, load(path)), rel=1e-4)
    joined = load(tmp_path / "c.safetensors")
    for part, stream in zip((first, second), metadata.streams, strict=True):
        assert stream.scale != 1
        clips = torch.rand(2, 1, 8, 32, 32)
        own = load(part)(clips) / stream.scale
        place = slice(0, own.shape[1]) if part == first else slice(-own.shape[1], None)
        torch.testing.assert_close(joined(clips)[:, place], own)


def test_both_streams_vary_alike_after_joining(toy, tmp_path: Path) -> None:
    first, second = files_of(toy, tmp_path)
    join_encoders(first, second, tmp_path / "c.safetensors", store=toy.store.path)
    assert feature_scale(load(tmp_path / "c.safetensors"), toy.store.path) == pytest.approx(1, rel=1e-4)


def test_a_store_that_does_not_fit_is_refused(toy) -> None:
    with pytest.raises(UserError, match="holds frames of 32 pixels, the encoders were trained on 48"):
        feature_scale(encoder_for(toy, size=48), toy.store.path)
    blind = encoder_for(toy)
    torch.nn.init.zeros_(blind.layer4[0].conv2[1].weight)
    torch.nn.init.zeros_(blind.layer4[0].downsample[1].weight)
    with pytest.raises(UserError, match="the compact3d gives one vector for all of"):
        feature_scale(blind, toy.store.path)


def test_the_command_joins_and_finetuning_starts_from_it(toy, tmp_path: Path) -> None:
    first, second = files_of(toy, tmp_path)
    out = tmp_path / "joined.safetensors"
    words = ["join", str(first), str(second), "--out", str(out), "--store", str(toy.store.path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "64 numbers" in result.output
    assert load(out).dim == 64
    predictions = finetune(toy.config(tmp_path / "run", start=out))
    assert predictions.is_file()
    head = load(out)
    assert head.metadata.clip == ClipConfig(clip_seconds=0.4, num_frames=8)
