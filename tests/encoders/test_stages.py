"""Every encoder says which parts clips pass one after another, and forgets no weight."""

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from echossl.config.encoder import Compact3DConfig, EncoderConfig, MViTConfig, R3D18Config, TwoStreamConfig
from echossl.config.video import ClipConfig
from echossl.encoders import ENCODERS, Encoder, EncoderMetadata, build_encoder
from echossl.encoders.picture_networks import PICTURE_NETWORKS
from echossl.encoders.pytorchvideo_networks import HUB

NUM_STAGES = {
    "r3d_18": 5,
    "compact3d": 5,
    "mc3_18": 5,
    "r2plus1d_18": 5,
    "s3d": 12,
    "mvit_v2_s": 17,
    "swin3d_t": 13,
    "vit": 13,
    "resnet50": 5,
    "swin_v2_t": 13,
    "swin_v2_s": 25,
    "swin_v2_b": 25,
    "x3d_xs": 6,
    "x3d_s": 6,
    "x3d_m": 6,
    "slow_r50": 5,
    "csn_r101": 5,
    "slowfast_r50": 5,
}


def frames_of(name: str) -> int:
    return 1 if name in PICTURE_NETWORKS else 16


def make(architecture: EncoderConfig) -> Encoder:
    clip = ClipConfig(num_frames=frames_of(architecture.name))
    return build_encoder(EncoderMetadata(architecture=architecture, clip=clip, size=32))


def named(name: str) -> Encoder:
    if name in HUB:
        pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    return make(TypeAdapter(EncoderConfig).validate_python({"name": name}))


def weights_of(stages: list[list[nn.Module]]) -> list[int]:
    return [id(weight) for stage in stages for part in stage for weight in part.parameters()]


def test_every_network_but_joined_ones_is_listed() -> None:
    assert NUM_STAGES.keys() == ENCODERS.keys() - {"two_stream"}


@pytest.mark.parametrize("name", list(NUM_STAGES))
def test_every_weight_lies_in_one_stage(name: str) -> None:
    with torch.device("meta"):  # no weights are needed
        encoder = named(name)
    stages = encoder.stages()
    assert len(stages) == NUM_STAGES[name]
    found = weights_of(stages)
    assert len(set(found)) == len(found)
    assert set(found) == {id(weight) for weight in encoder.parameters()}


@pytest.mark.parametrize(
    "name", ["compact3d", "mc3_18", "s3d", "mvit_v2_s", "swin3d_t", "vit", "x3d_xs", "resnet50", "swin_v2_t"]
)
def test_clips_pass_the_stages_in_their_order(name: str) -> None:
    encoder = named(name).eval()
    order = []
    for number, stage in enumerate(encoder.stages()):
        leaves = [leaf for part in stage for leaf in part.modules() if not list(leaf.children())]
        for leaf in leaves:
            leaf.register_forward_hook(lambda *_, number=number: order.append(number))
    with torch.inference_mode():
        encoder(torch.rand(1, 1, frames_of(name), 32, 32))
    assert order == sorted(order)
    assert set(order) == set(range(NUM_STAGES[name]))


def test_streams_are_counted_from_the_end() -> None:
    small, large = Compact3DConfig(width=4, motion="only"), R3D18Config(width=4)
    alike = make(TwoStreamConfig(appearance=large, motion=small))
    assert [len(stage) for stage in alike.stages()] == [2] * 5
    unlike = make(TwoStreamConfig(appearance=MViTConfig(), motion=small))
    stages = unlike.stages()
    assert [len(stage) for stage in stages[:12]] == [2, *[1] * 11]  # the patches and their positions
    assert stages[12][-1] is unlike.get_submodule("motion.stem")
    assert set(weights_of(stages)) == {id(weight) for weight in unlike.parameters()}
