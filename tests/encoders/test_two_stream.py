"""Two streams behind the one face: vectors, maps, statistics, files and what is refused."""

from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from echossl import load
from echossl.config.encoder import Compact3DConfig, EncoderConfig, MViTConfig, R3D18Config, TwoStreamConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.base import StreamMetadata
from echossl.encoders.files import save_encoder
from echossl.encoders.join import join_encoders
from echossl.encoders.start import load_start
from echossl.encoders.two_stream import TwoStream, pool
from echossl.errors import UserError
from echossl.saliency.methods import grad_cam

ALIKE = TwoStreamConfig(appearance=Compact3DConfig(width=4), motion=Compact3DConfig(width=6, motion="only"))
UNLIKE = TwoStreamConfig(appearance=R3D18Config(width=4), motion=Compact3DConfig(width=4, motion="beside"))


def make(architecture: EncoderConfig, **changes: object) -> Encoder:
    torch.manual_seed(0)
    values = {"clip": ClipConfig(num_frames=16), "size": 48, "mean": 0.3, "std": 0.2} | changes
    return build_encoder(EncoderMetadata.model_validate({"architecture": architecture, **values}))


def trained(architecture: EncoderConfig, path: Path, *, seed: int = 0, **changes: object) -> Encoder:
    """An encoder as after a run: statistics and weights of its own, and its file."""
    encoder = make(architecture, **changes).eval()
    generator = torch.Generator().manual_seed(seed)
    for value in encoder.state_dict().values():
        if value.is_floating_point():
            value.add_(0.1 * torch.rand(value.shape, generator=generator))
    save_encoder(encoder, path)
    return encoder


def slow_pool(row: Tensor, coarser: int) -> list[float]:
    """One axis: each of many thin slices of a coarse cell takes the value of the fine cell it lies in."""
    slices = len(row) * coarser
    means = []
    for cell in range(coarser):
        values = [float(row[(cell * len(row) + k) // coarser]) for k in range(slices // coarser)]
        means.append(sum(values) / len(values))
    return means


@pytest.mark.parametrize(("length", "coarser"), [(6, 3), (6, 4), (5, 3), (7, 1), (4, 4)])
def test_pooling_equals_the_slow_loop(length: int, coarser: int) -> None:
    row = torch.rand(length)
    for axis in (2, 3, 4):
        shape = [1, 1, 1, 1, 1]
        shape[axis] = length
        size = [1, 1, 1]
        size[axis - 2] = coarser
        out = pool(row.view(shape), torch.Size(size))
        torch.testing.assert_close(out.flatten(), torch.tensor(slow_pool(row, coarser)))


def test_pooling_leaves_the_mean() -> None:
    features = torch.rand(2, 3, 5, 7, 4)
    out = pool(features, torch.Size((2, 3, 4)))
    assert out.shape == (2, 3, 2, 3, 4)
    torch.testing.assert_close(out.mean((2, 3, 4)), features.mean((2, 3, 4)))


@pytest.mark.parametrize("architecture", [ALIKE, UNLIKE], ids=["same maps", "other maps"])
def test_one_face(architecture: TwoStreamConfig) -> None:
    encoder = make(architecture).eval()
    assert isinstance(encoder, TwoStream)
    clips = torch.rand(3, 1, 16, 48, 48)
    first, second = encoder.appearance(clips), encoder.motion(clips)
    assert encoder.dim == first.shape[1] + second.shape[1]
    torch.testing.assert_close(encoder(clips), torch.cat((first, second), 1))
    maps = encoder.feature_map(clips)
    sizes = [encoder.appearance.feature_map(clips).shape[2:], encoder.motion.feature_map(clips).shape[2:]]
    assert maps.shape == (3, encoder.dim, *(min(pair) for pair in zip(*sizes, strict=True)))
    tokens = encoder.tokens(clips)
    assert tokens.shape == (3, maps[0, 0].numel(), encoder.dim)
    torch.testing.assert_close(tokens.mean(1), encoder(clips))
    assert (sizes[0] == sizes[1]) == (architecture is ALIKE)
    with pytest.raises(TypeError, match="to_float"):
        encoder(torch.zeros(1, 1, 16, 48, 48, dtype=torch.uint8))


@pytest.mark.parametrize("architecture", [ALIKE, UNLIKE])
def test_both_streams_are_trained_in_bfloat16_too(architecture: TwoStreamConfig) -> None:
    encoder = make(architecture)
    with torch.autocast("cpu", torch.bfloat16):
        out = encoder(torch.rand(2, 1, 16, 48, 48))
    assert out.dtype == torch.float32
    out.square().sum().backward()
    assert all(value.grad is not None for value in encoder.parameters())


def test_the_second_stream_sees_motion_alone() -> None:
    encoder = make(ALIKE).eval()
    still = torch.rand(1, 1, 1, 48, 48).expand(1, 1, 16, 48, 48)
    dim = encoder.appearance.dim
    black = encoder(torch.zeros(1, 1, 16, 48, 48))
    torch.testing.assert_close(encoder(still)[:, dim:], black[:, dim:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(encoder(still)[:, :dim], black[:, :dim], atol=1e-3)


def test_joined_is_both_encoders_with_their_own_statistics(tmp_path: Path) -> None:
    names = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    first = trained(R3D18Config(width=4), names[0], mean=0.1, std=0.3, provenance={"run": "a"})
    second = trained(
        Compact3DConfig(width=4, motion="beside"), names[1], mean=0.4, std=0.25, provenance={"run": "b"}
    )
    metadata = join_encoders(*names, tmp_path / "joined.safetensors").metadata
    joined = load(tmp_path / "joined.safetensors")
    clips = torch.rand(2, 1, 16, 48, 48)
    torch.testing.assert_close(joined(clips), torch.cat((first(clips), second(clips)), 1))
    assert joined.metadata == metadata
    assert metadata.architecture.name == "two_stream"
    assert metadata.provenance == {"command": "join", "appearance.run": "a", "motion.run": "b"}
    assert metadata.streams == (StreamMetadata(mean=0.1, std=0.3), StreamMetadata(mean=0.4, std=0.25))
    fresh = build_encoder(metadata)  # as saliency's control with random weights
    assert (fresh.appearance.mean.item(), fresh.motion.mean.item()) == pytest.approx((0.1, 0.4))


def test_the_scales_of_the_metadata_divide_the_features() -> None:
    streams = [{"mean": 0.3, "std": 0.2, "scale": scale} for scale in (2.0, 0.5)]
    plain, scaled = make(ALIKE).eval(), make(ALIKE, streams=streams).eval()
    clips = torch.rand(2, 1, 16, 48, 48)
    dim = plain.appearance.dim
    expected = torch.cat((plain(clips)[:, :dim] / 2, plain(clips)[:, dim:] * 2), 1)
    torch.testing.assert_close(scaled(clips), expected)


def test_a_joined_file_is_a_start_and_brings_the_statistics_of_its_streams(tmp_path: Path) -> None:
    names = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    trained(Compact3DConfig(width=4), names[0], mean=0.1, std=0.3)
    trained(Compact3DConfig(width=6, motion="only"), names[1], mean=0.4, std=0.25)
    join_encoders(*names, tmp_path / "encoder.safetensors")
    encoder = make(ALIKE).eval()
    report = load_start(encoder, tmp_path)
    assert report.match is not None
    assert report.match.share == 1
    clips = torch.rand(2, 1, 16, 48, 48)
    torch.testing.assert_close(encoder(clips), load(tmp_path)(clips))
    save_encoder(encoder, tmp_path / "again.safetensors")
    torch.testing.assert_close(load(tmp_path / "again.safetensors")(clips), encoder(clips))


@pytest.mark.parametrize("motion", ["none", "only"])
def test_one_network_does_not_start_from_two_streams(tmp_path: Path, motion: str) -> None:
    """The names of both fit it, and the first would be taken, also where the second is meant."""
    save_encoder(make(ALIKE), tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match=r"found a two_stream, expected a compact3d; set encoder"):
        load_start(make(Compact3DConfig(width=4, motion=motion)), tmp_path)


def test_a_start_of_one_stream_is_refused(tmp_path: Path) -> None:
    save_encoder(make(Compact3DConfig(width=4)), tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match="found a compact3d, expected a two_stream"):
        load_start(make(ALIKE), tmp_path)


@pytest.mark.parametrize("layer", [None, "motion.layer4", "appearance"])
def test_saliency_finds_both_streams_and_each_alone(layer: str | None) -> None:
    encoder = make(ALIKE).eval()
    head = torch.nn.Linear(encoder.dim, 1)
    clips = torch.rand(2, 1, 16, 48, 48)
    if layer == "appearance":  # an encoder, which is not called as a module
        with pytest.raises(UserError, match="forward does not go through it"):
            grad_cam(encoder, head, clips, layer=layer)
        return
    assert grad_cam(encoder, head, clips, layer=layer).shape == (2, 16, 48, 48)


@pytest.mark.parametrize(
    ("first", "second", "changes", "words"),
    [
        (Compact3DConfig(width=4), Compact3DConfig(width=4), {}, "this stream sees no motion"),
        (Compact3DConfig(width=4), Compact3DConfig(width=4, motion="only"), {"size": 32}, "size is 48"),
        (
            Compact3DConfig(width=4),
            Compact3DConfig(width=4, motion="only"),
            {"clip": ClipConfig(num_frames=12)},
            "clip.num_frames are 16 and 12, no multiple",
        ),
        (
            Compact3DConfig(width=4),
            Compact3DConfig(width=4, motion="only"),
            {"clip": ClipConfig(num_frames=16, clip_seconds=2.0)},
            r"clip_seconds is 1.0 in the first, 2.0 in the second",
        ),
        (ALIKE, Compact3DConfig(width=4, motion="only"), {}, "appearance: .*two_stream"),
    ],
)
def test_encoders_that_cannot_be_joined_are_refused(
    tmp_path: Path, first: EncoderConfig, second: EncoderConfig, changes: dict[str, object], words: str
) -> None:
    save_encoder(make(first), tmp_path / "a.safetensors")
    save_encoder(make(second, **changes), tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=words):
        join_encoders(tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "c.safetensors")
    assert not (tmp_path / "c.safetensors").exists()


@pytest.mark.parametrize("more_is_first", [True, False])
def test_a_stream_of_fewer_frames_sees_every_second(tmp_path: Path, more_is_first: bool) -> None:
    names = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    counts = (16, 8) if more_is_first else (8, 16)
    parts = [
        trained(Compact3DConfig(width=4, motion=how), name, clip=ClipConfig(num_frames=count))
        for name, how, count in zip(names, ("none", "only"), counts, strict=True)
    ]
    metadata = join_encoders(*names, tmp_path / "c.safetensors").metadata
    assert metadata.clip == ClipConfig(num_frames=16)
    clips = torch.rand(2, 1, 16, 48, 48)
    expected = [part(clips[:, :, :: 16 // count]) for part, count in zip(parts, counts, strict=True)]
    joined = load(tmp_path / "c.safetensors")
    torch.testing.assert_close(joined(clips), torch.cat(expected, 1))
    assert [joined.appearance.metadata.clip.num_frames, joined.motion.metadata.clip.num_frames] == [*counts]


def test_no_file_is_written_over(tmp_path: Path) -> None:
    names = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for name, how in zip(names, ("none", "only"), strict=True):
        save_encoder(make(Compact3DConfig(width=4, motion=how)), name)
    before = names[0].read_bytes()
    with pytest.raises(UserError, match="is there already"):
        join_encoders(*names, names[0])
    assert names[0].read_bytes() == before


def test_settings() -> None:
    read: EncoderConfig = TypeAdapter(EncoderConfig).validate_python({"name": "two_stream"})
    assert read == TwoStreamConfig(appearance=Compact3DConfig(), motion=Compact3DConfig(motion="only"))
    with pytest.raises(ValidationError, match="appearance: feature maps are joined, set its pooling to mean"):
        TwoStreamConfig(appearance=MViTConfig(pooling="class_token"))
