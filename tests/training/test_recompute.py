"""Activations that are computed again leave values, gradients and statistics as they were."""

import copy

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from echossl.config.encoder import Compact3DConfig, EncoderConfig
from echossl.config.objective import MoCoConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import ENCODERS, Encoder, EncoderMetadata, build_encoder
from echossl.encoders.picture_networks import PICTURE_NETWORKS
from echossl.encoders.pytorchvideo_networks import HUB
from echossl.errors import UserError
from echossl.objectives import build_objectives
from echossl.training.learner import Learner
from echossl.training.recompute import recompute_activations

FRAMES, SIZE = 8, 32
SMALL: dict[str, dict[str, object]] = {
    "compact3d": {"width": 8},
    "r3d_18": {"width": 4},
    "mvit_v2_s": {"stochastic_depth": 0.5},
    "swin3d_t": {"stochastic_depth": 0.5},
    "swin_v2_t": {"stochastic_depth": 0.5},
    "vit": {"width": 32, "heads": 2, "depth": 3, "stochastic_depth": 0.5},
}


def make(name: str) -> Encoder:
    if name in HUB:
        pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    settings = TypeAdapter(EncoderConfig).validate_python({"name": name, **SMALL.get(name, {})})
    torch.manual_seed(0)
    clip = ClipConfig(num_frames=1 if name in PICTURE_NETWORKS else FRAMES)
    return build_encoder(EncoderMetadata(architecture=settings, clip=clip, size=SIZE)).train()


def result(encoder: Encoder) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Vectors, then gradients and buffers by name, then what the random stream gives afterwards."""
    torch.manual_seed(1)
    clips = torch.rand(2, 1, encoder.metadata.clip.num_frames, SIZE, SIZE)
    vectors = encoder(clips)
    (vectors * torch.linspace(-1, 1, vectors.numel()).view_as(vectors)).sum().backward()
    found = {name: value.grad for name, value in encoder.named_parameters() if value.grad is not None}
    return vectors.detach(), found | dict(encoder.named_buffers()), torch.rand(2)


# of networks that differ in nothing but their depth or their numbers one is tried
@pytest.mark.parametrize(
    "name", sorted(set(ENCODERS) - {"x3d_s", "x3d_m", "csn_r101", "swin_v2_s", "swin_v2_b"})
)
def test_values_gradients_and_statistics_are_bit_equal(name: str) -> None:
    first = make(name)
    second = copy.deepcopy(first)
    recompute_activations(second)
    assert list(second.state_dict()) == list(first.state_dict())
    expected, found = result(first), result(second)
    assert torch.equal(found[0], expected[0])
    assert found[1].keys() == expected[1].keys()
    for key, value in expected[1].items():
        assert torch.equal(found[1][key], value), key
    assert torch.equal(found[2], expected[2])


def kept(encoder: nn.Module, clips: Tensor) -> int:
    """Values of activations that autograd keeps until the backward pass."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    sizes: dict[int, int] = {}
    tensors = []

    def keep(tensor: Tensor) -> Tensor:
        tensors.append(tensor)  # so that no address is used twice
        if tensor.untyped_storage().data_ptr() not in weights:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder(clips)
    return sum(sizes.values())


@pytest.mark.parametrize(
    "name", sorted(set(ENCODERS) - {"x3d_s", "x3d_m", "csn_r101", "swin_v2_s", "swin_v2_b"})
)
def test_little_is_kept(name: str) -> None:
    encoder = make(name)
    clips = torch.rand(2, 1, encoder.metadata.clip.num_frames, SIZE, SIZE)
    before = kept(make(name), clips)
    recompute_activations(encoder)
    assert kept(encoder, clips) < 0.4 * before


def test_every_encoder_of_the_package_has_known_blocks() -> None:
    for name in ("x3d_s", "x3d_m", "csn_r101"):
        encoder = make(name)
        recompute_activations(encoder)
        in_blocks = sum(
            parameter.numel()
            for block in encoder.modules()
            if any(kind.__name__ == "_Recomputed" for kind in type(block).__mro__)
            for parameter in block.parameters()
        )
        assert in_blocks > 0.8 * sum(parameter.numel() for parameter in encoder.parameters())


def test_twice_is_once_and_copies_are_their_own() -> None:
    encoder = make("compact3d")
    recompute_activations(encoder)
    kinds = [type(module) for module in encoder.modules()]
    recompute_activations(encoder)
    assert [type(module) for module in encoder.modules()] == kinds
    twin = copy.deepcopy(encoder)
    twin.layer1[0].conv1[0].weight.data.zero_()
    assert not torch.equal(result(twin)[0], result(encoder)[0])


def test_without_gradient_nothing_is_different() -> None:
    encoder = make("compact3d").eval()
    clips = torch.rand(2, 1, FRAMES, SIZE, SIZE)
    with torch.inference_mode():
        expected = encoder(clips)
        recompute_activations(encoder)
        assert torch.equal(encoder(clips), expected)


def test_an_objective_that_copies_the_encoder_trains_as_before() -> None:
    batch = Batch(torch.rand(4, 2, 1, FRAMES, SIZE, SIZE), torch.arange(4), torch.zeros(4, 2).long())
    losses = []
    for wanted in (False, True):
        encoder = make("compact3d")
        objective = build_objectives((MoCoConfig(queue_size=8),), encoder.dim)
        objective.attach(encoder)
        learner = Learner(encoder, objective)
        if wanted:
            recompute_activations(learner)
        loss, _ = learner(batch)
        loss.backward()
        losses.append((loss.detach(), encoder.stem[0].weight.grad))
    assert torch.equal(losses[0][0], losses[1][0])
    assert torch.equal(losses[0][1], losses[1][1])


class Unknown(Encoder):
    """A network of no known block."""

    def trunk(self, clips: Tensor) -> Tensor:
        return clips


def test_an_encoder_of_unknown_blocks_is_refused() -> None:
    metadata = EncoderMetadata(architecture=Compact3DConfig(), clip=ClipConfig(), size=SIZE)
    with pytest.raises(UserError, match="checkpoint_activations: the blocks of compact3d are not known"):
        recompute_activations(Unknown(metadata, dim=1))
