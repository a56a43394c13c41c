"""Vision transformer: equal to timm's, and files of timm, MAE, RETFound and DINOv2 find their place."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from echossl.config.encoder import Compact3DConfig, TwoStreamConfig, ViTConfig
from echossl.config.video import ClipConfig
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.files import load_encoder, save_encoder
from echossl.encoders.start import load_start
from echossl.encoders.transformer import resized_positions, sine_positions
from echossl.encoders.vit import VisionTransformer
from echossl.errors import UserError

WIDTH, DEPTH, SIZE, PATCH = 24, 2, 32, 8
PICTURE = {"width": WIDTH, "depth": DEPTH, "heads": 3, "patch": PATCH, "patch_frames": 1}


def vit(*, frames: int = 1, size: int = SIZE, channels: int = 3, **changes: object) -> VisionTransformer:
    torch.manual_seed(0)
    encoder = build_encoder(
        EncoderMetadata(
            architecture=ViTConfig.model_validate({**PICTURE, **changes}),
            clip=ClipConfig(num_frames=frames),
            size=size,
            channels=channels,
            mean=0.4,
            std=0.2,
        )
    ).eval()
    assert isinstance(encoder, VisionTransformer)
    return encoder


def timm_vit(**changes: object):
    module = pytest.importorskip("timm.models.vision_transformer", reason="timm is what this is held to")
    torch.manual_seed(1)
    settings = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": 3}
    network = module.VisionTransformer(**settings | {"num_classes": 5} | changes)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return network.eval()


def block_names(*, layer_scale: bool = False) -> dict[str, Tensor]:
    """Names and shapes of the trunk that timm, MAE and DINOv2 have in common, written out."""
    state = {
        "cls_token": (1, 1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    for number in range(DEPTH):
        block = {
            "norm1.weight": (WIDTH,),
            "norm1.bias": (WIDTH,),
            "attn.qkv.weight": (3 * WIDTH, WIDTH),
            "attn.qkv.bias": (3 * WIDTH,),
            "attn.proj.weight": (WIDTH, WIDTH),
            "attn.proj.bias": (WIDTH,),
            "norm2.weight": (WIDTH,),
            "norm2.bias": (WIDTH,),
            "mlp.fc1.weight": (4 * WIDTH, WIDTH),
            "mlp.fc1.bias": (4 * WIDTH,),
            "mlp.fc2.weight": (WIDTH, 4 * WIDTH),
            "mlp.fc2.bias": (WIDTH,),
        }
        block |= {"ls1.gamma": (WIDTH,), "ls2.gamma": (WIDTH,)} if layer_scale else {}
        state |= {f"blocks.{number}.{name}": shape for name, shape in block.items()}
    return {name: torch.randn(shape) * 0.1 for name, shape in state.items()}


def positions(count: int) -> dict[str, Tensor]:
    return {"pos_embed": torch.randn(1, count, WIDTH)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"layer_scale": 1e-5}, {"init_values": 1e-5}),
        ({"registers": 4}, {"reg_tokens": 4, "no_embed_class": True}),
        ({}, {"no_embed_class": True}),
    ],
)
def test_tokens_are_those_of_timm_from_its_own_file(ours, theirs, tmp_path: Path) -> None:
    network, encoder = timm_vit(**theirs), vit(**ours)
    torch.save(network.state_dict(), tmp_path / "timm.pth")
    report = load_start(encoder, tmp_path / "timm.pth")
    assert report.match is not None
    assert (report.match.share, report.match.missing) == (1.0, ())
    assert set(report.match.head) == {"head.weight", "head.bias"}
    encoder.describe(mean=0.0, std=1.0)
    pictures = torch.rand(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        wanted = network.forward_features(pictures)
        tokens = encoder.tokens(pictures[:, :, None])
        torch.testing.assert_close(tokens, wanted[:, network.num_prefix_tokens :], rtol=1e-4, atol=1e-5)
        encoder.class_token = True
        torch.testing.assert_close(encoder(pictures[:, :, None]), wanted[:, 0], rtol=1e-4, atol=1e-5)


def test_timm_reads_what_this_writes() -> None:
    network, encoder = timm_vit(), vit()
    found = network.load_state_dict(encoder.state_dict(), strict=False)
    assert (found.unexpected_keys, sorted(found.missing_keys)) == ([], ["head.bias", "head.weight"])


def test_positions_are_resized_as_in_timm() -> None:
    theirs = pytest.importorskip("timm.layers.pos_embed", reason="timm is what this is held to")
    old = torch.randn(1, 1 + 37 * 37, 8)
    wanted = theirs.resample_abs_pos_embed(old, (16, 9), (37, 37))
    torch.testing.assert_close(resized_positions(old, 16, 9), wanted)
    assert resized_positions(old, 37, 37) is old


@pytest.mark.parametrize(
    ("name", "changes", "state"),
    [
        ("timm", {}, {"head.weight": (9, WIDTH), "head.bias": (9,), "pos_embed": (1, 17, WIDTH)}),
        (
            "DINOv2",
            {"layer_scale": 1.0},
            {"mask_token": (1, WIDTH), "pos_embed": (1, 1 + 37 * 37, WIDTH)},
        ),
        (
            "DINOv2 with registers",
            {"layer_scale": 1.0, "registers": 4},
            {"mask_token": (1, WIDTH), "register_tokens": (1, 4, WIDTH), "pos_embed": (1, 50, WIDTH)},
        ),
        (
            "MAE",
            {},
            {
                "mask_token": (1, 1, 16),
                "pos_embed": (1, 197, WIDTH),
                "decoder_pos_embed": (1, 197, 16),
                "decoder_embed.weight": (16, WIDTH),
                "decoder_blocks.0.attn.qkv.weight": (48, 16),
                "decoder_norm.weight": (16,),
                "decoder_pred.weight": (192, 16),
            },
        ),
    ],
)
@pytest.mark.parametrize(("frames", "channels"), [(1, 3), (4, 1)])
def test_public_layouts_find_their_place(name, changes, state, frames, channels, tmp_path: Path) -> None:
    more = {key: torch.randn(shape) for key, shape in state.items()}
    content = block_names(layer_scale="layer_scale" in changes) | more
    layout = {"MAE": "model", "DINOv2": "teacher"}.get(name)
    nested = content if layout is None else {layout: content}
    torch.save(nested, tmp_path / "weights.pth")
    encoder = vit(frames=frames, channels=channels, patch_frames=min(frames, 2), **changes)
    report = load_start(encoder, tmp_path / "weights.pth")
    assert report.match is not None
    assert report.match.share >= 0.9
    assert report.match.missing == (() if frames == 1 else ("time_embed",))
    assert torch.equal(encoder.blocks[1].mlp.fc2.weight, content["blocks.1.mlp.fc2.weight"])
    if "mask_token" in state:  # of pictures in the colours of ImageNet
        assert encoder.metadata.mean == pytest.approx(0.449)
        assert encoder.metadata.std == pytest.approx(0.226)
    else:
        assert encoder.metadata.mean == 0.4


def test_a_still_clip_looks_as_the_picture_did(tmp_path: Path) -> None:
    torch.save(vit(layer_scale=0.5).state_dict(), tmp_path / "picture.pth")
    picture, clips = vit(layer_scale=0.5), vit(layer_scale=0.5, frames=2, patch_frames=2, channels=1)
    for encoder in (picture, clips):
        assert load_start(encoder, tmp_path / "picture.pth").match is not None
    still = torch.rand(2, 1, 1, SIZE, SIZE)
    with torch.inference_mode():
        wanted = picture(still.expand(-1, 3, -1, -1, -1))
        torch.testing.assert_close(clips(still.expand(-1, -1, 2, -1, -1)), wanted, rtol=1e-4, atol=1e-5)


def test_another_size_and_length_than_trained_on(tmp_path: Path) -> None:
    encoder = vit(frames=4, patch_frames=2)
    with torch.no_grad():
        encoder.time_embed.normal_()
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    clips = torch.rand(1, 3, 8, 48, 40)
    assert encoder.feature_map(clips).shape == (1, WIDTH, 4, 6, 5)
    larger = vit(frames=8, size=48, patch_frames=2)
    report = load_start(larger, tmp_path / "encoder.safetensors")
    assert report.match is not None
    assert report.match.share == 1.0
    assert set(report.match.reshaped) == {"pos_embed", "time_embed"}
    square = torch.rand(1, 3, 8, 48, 48)
    with torch.inference_mode():
        torch.testing.assert_close(larger(square), encoder(square))
        again = load_encoder(tmp_path / "encoder.safetensors")
        assert torch.equal(again(clips), encoder(clips))


def test_the_order_of_frames_matters_once_times_are_learned() -> None:
    encoder, clips = vit(frames=4, patch_frames=2), torch.rand(1, 3, 4, SIZE, SIZE)
    turned = clips[:, :, [2, 3, 0, 1]]
    torch.testing.assert_close(encoder(clips), encoder(turned), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        encoder.time_embed.normal_()
    assert not torch.allclose(encoder(clips), encoder(turned), atol=1e-3)


@pytest.mark.parametrize("frames", [1, 4])
def test_dropped_patches_are_never_seen_and_the_rest_is_in_place(frames: int) -> None:
    encoder = vit(frames=frames, patch_frames=min(frames, 2))
    clips = torch.rand(2, 3, frames, SIZE, SIZE)
    count = encoder.tokens(clips).shape[1]
    everything = torch.arange(count).expand(2, -1)
    torch.testing.assert_close(encoder.visible_tokens(clips, everything), encoder.tokens(clips))
    kept = torch.stack([torch.randperm(count)[: count // 4].sort().values for _ in range(2)])
    is_kept = torch.zeros(2, count, dtype=torch.bool).scatter(1, kept, value=True)
    times, rows, columns = encoder.grid(clips.shape[2:])
    hidden = ~is_kept.reshape(2, 1, times, rows, columns)
    for axis, side in zip((2, 3, 4), encoder.patch, strict=True):
        hidden = hidden.repeat_interleave(side, axis)
    changed = torch.where(hidden, torch.rand_like(clips), clips)
    assert torch.equal(encoder.visible_tokens(changed, kept), encoder.visible_tokens(clips, kept))
    assert not torch.allclose(encoder.visible_tokens(clips, kept), encoder.tokens(clips)[:, : count // 4])


def test_sines_tell_all_places_apart() -> None:
    for grid in [(1, 4, 4), (2, 3, 5), (4, 1, 1)]:
        table = sine_positions(grid, 24)
        assert table.shape == (grid[0] * grid[1] * grid[2], 24)
        distances = torch.cdist(table, table) + torch.eye(len(table))
        assert distances.min() > 1e-3


def test_paths_are_left_out_in_training_only() -> None:
    encoder = vit(stochastic_depth=0.9, layer_scale=1.0)
    clips = torch.rand(8, 3, 1, SIZE, SIZE)
    assert torch.equal(encoder(clips), encoder(clips))
    encoder.train()
    assert not torch.equal(encoder(clips), encoder(clips))
    block = encoder.blocks[1]
    added = block._sometimes(torch.ones(2000, 1, 1))
    assert added.unique().tolist() == pytest.approx([0.0, 10.0])
    assert added.mean().item() == pytest.approx(1.0, abs=0.25)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UserError, match=r"1 frames of 32 x 32 .*patch_frames"):
        vit(patch_frames=2)
    with pytest.raises(UserError, match="found clips of 1 frames of 30 x 32"):
        vit()(torch.rand(1, 3, 1, 30, 32))
    with pytest.raises(ValidationError, match="width 24 is not a multiple of heads 5"):
        vit(heads=5)
    with pytest.raises(ValidationError, match="set its pooling to mean"):
        TwoStreamConfig(appearance=ViTConfig(pooling="class_token"), motion=Compact3DConfig(motion="only"))


def test_a_file_of_another_depth_is_refused(tmp_path: Path) -> None:
    torch.save(block_names() | positions(17), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"fits .* of the weights of the encoder vit"):
        load_start(vit(depth=4), tmp_path / "weights.pth")
