"""Clips that are stretched one by one, as published for EchoCLR; the setting travels with the weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from echossl.config.encoder import Compact3DConfig, TwoStreamConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.files import load_encoder, save_encoder
from echossl.encoders.join import join_encoders
from echossl.encoders.start import is_own_start, load_start
from echossl.errors import UserError


def make(seed: int = 0, **changes: object) -> Encoder:
    torch.manual_seed(seed)
    settings = {"architecture": Compact3DConfig(width=4), "clip": ClipConfig(num_frames=4), "size": 16}
    return build_encoder(EncoderMetadata.model_validate(settings | changes)).eval()


def dim_clips() -> Tensor:
    """Three clips of different brightness and contrast, the last of one grey."""
    clips = torch.rand(3, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    clips[0] = 0.2 + 0.1 * clips[0]
    clips[2] = 0.4
    return clips


def slow_normalised(clips: Tensor, mean: float, std: float) -> Tensor:
    out = torch.zeros_like(clips)
    for number, clip in enumerate(clips):
        low, high = clip.min().item(), clip.max().item()
        out[number] = (((clip - low) / (high - low) if high > low else 0 * clip) - mean) / std
    return out


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.4, 0.2)])
def test_each_clip_is_stretched_by_itself_then_standardised(mean: float, std: float) -> None:
    encoder = make(grey="clip_min_max", mean=mean, std=std)
    clips = dim_clips()
    found = encoder.normalised(clips)
    torch.testing.assert_close(found, slow_normalised(clips, mean, std))
    torch.testing.assert_close(found[1:2], encoder.normalised(clips[1:2]))  # whatever is beside it
    plain = make(mean=mean, std=std)
    torch.testing.assert_close(plain.normalised(clips), (clips - mean) / std)


def test_brightness_and_contrast_of_a_clip_change_nothing() -> None:
    clips = dim_clips()[:2]
    for grey, is_blind in (("clip_min_max", True), ("standardised", False)):
        encoder = make(grey=grey, mean=0.1, std=0.2)
        first, second = encoder(clips), encoder(0.3 + 0.5 * clips)
        assert torch.allclose(first, second, atol=1e-4) == is_blind


def test_a_gradient_flows_to_the_pixels() -> None:
    clips = dim_clips().requires_grad_()
    make(grey="clip_min_max")(clips).square().sum().backward()
    assert clips.grad is not None
    assert clips.grad.isfinite().all()


def test_it_travels_with_the_weights(tmp_path: Path) -> None:
    encoder = make(grey="clip_min_max")
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    again = load_encoder(tmp_path)
    assert again.metadata.grey == "clip_min_max"
    assert torch.equal(again(dim_clips()), encoder(dim_clips()))
    assert is_own_start(tmp_path)
    assert not is_own_start("torchvision:KINETICS400_V1")
    assert not is_own_start(Path("pytorchvideo:slow_r50"))


@pytest.mark.parametrize(
    ("theirs", "ours"), [("clip_min_max", "standardised"), ("standardised", "clip_min_max")]
)
def test_a_start_of_other_grey_values_is_refused(tmp_path: Path, theirs: str, ours: str) -> None:
    save_encoder(make(grey=theirs), tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match=f"with grey {theirs}, found {ours}; set grey to {theirs}"):
        load_start(make(seed=1, grey=ours), tmp_path)
    report = load_start(make(seed=1, grey=theirs), tmp_path)
    assert report.match is not None


def test_weights_of_others_are_taken_with_the_grey_values_that_are_set(tmp_path: Path) -> None:
    """As published: stretched, then mean and deviation of the start, here unknown."""
    torch.save(make().state_dict(), tmp_path / "theirs.pt")
    encoder = make(seed=1, grey="clip_min_max", mean=0.0, std=1.0)
    load_start(encoder, tmp_path / "theirs.pt")
    torch.testing.assert_close(encoder.normalised(dim_clips()), slow_normalised(dim_clips(), 0.0, 1.0))


def test_both_streams_see_clips_alike(tmp_path: Path) -> None:
    streams = {"appearance": {"name": "compact3d", "width": 4}, "motion": {"name": "compact3d", "width": 4}}
    architecture = TwoStreamConfig.model_validate(
        streams | {"motion": streams["motion"] | {"motion": "only"}}
    )
    joined = make(architecture=architecture, grey="clip_min_max")
    torch.testing.assert_close(joined(0.3 + 0.5 * dim_clips()), joined(dim_clips()), atol=1e-4, rtol=1e-3)
    joined.describe(grey="standardised")
    assert not torch.allclose(joined(0.3 + 0.5 * dim_clips()), joined(dim_clips()), atol=1e-3)
    for number, grey in enumerate(("standardised", "clip_min_max")):
        motion = "only" if number else "none"
        network = Compact3DConfig(width=4, motion=motion)
        save_encoder(make(architecture=network, grey=grey), tmp_path / f"{number}.safetensors")
    with pytest.raises(UserError, match="grey is standardised in the first, clip_min_max in the second"):
        join_encoders(tmp_path / "0.safetensors", tmp_path / "1.safetensors", tmp_path / "out.safetensors")
