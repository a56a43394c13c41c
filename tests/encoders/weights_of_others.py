"""Encoders to start, and weights such as other tools leave."""

import torch
from pydantic import TypeAdapter
from torch import Tensor

from echossl.config.encoder import EncoderConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder

State = dict[str, Tensor]


def make(name: str = "r3d_18", *, channels: int = 3, width: int | None = 4) -> Encoder:
    more = {"width": width} if name in {"r3d_18", "compact3d"} and width else {}
    settings = TypeAdapter(EncoderConfig).validate_python({"name": name, **more})
    return build_encoder(
        EncoderMetadata(
            architecture=settings,
            clip=ClipConfig(num_frames=4),
            size=32,
            channels=channels,
            mean=0.2,
            std=0.3,
            provenance={"run": "here"},
        )
    )


def other_tool() -> State:
    """A small r3d_18 with a classifier of two classes, as torchvision names its parts."""
    torch.manual_seed(3)
    state = {name: torch.randn_like(value.float()) * 0.1 for name, value in make().state_dict().items()}
    state = {name: value.abs() + 1 if name.endswith("var") else value for name, value in state.items()}
    state = {name: value.long() if name.endswith("tracked") else value for name, value in state.items()}
    return state | {"fc.weight": torch.zeros(2, 32), "fc.bias": torch.zeros(2)}


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: value for name, value in state.items()}


def numbered(state: State) -> State:
    """As of nn.Sequential over the parts of the network."""
    places = {"stem": "0", "layer1": "1", "layer2": "2", "layer3": "3", "layer4": "4", "fc": "6"}
    return {
        f"{places[first]}.{rest}": value
        for first, _, rest, value in ((*name.partition("."), value) for name, value in state.items())
    }


def wrong(state: State) -> State:
    return {name: value + 1 for name, value in state.items()}
