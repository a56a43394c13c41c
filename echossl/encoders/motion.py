"""Motion as input: what changes over a clip, as channels beside its grey values or in their place."""

import torch
from torch import Tensor, nn

from echossl.config.encoder import EncoderConfig, NetworkConfig, StreamConfig, TwoStreamConfig
from echossl.errors import UserError


def motion_of(architecture: EncoderConfig) -> NetworkConfig | None:
    """The network's settings if it sees motion, None if it sees grey values alone or has streams."""
    sees = isinstance(architecture, NetworkConfig) and architecture.motion != "none"
    return architecture if sees and isinstance(architecture, NetworkConfig) else None


def sees_motion(architecture: EncoderConfig) -> bool:
    """Whether motion is among what the encoder sees, as one of its streams or of its channels."""
    return any(network.motion != "none" for network in _networks(architecture))


def input_channels(architecture: EncoderConfig, channels: int) -> int:
    """How many channels the first convolution gets, for clips of ``channels``."""
    settings = motion_of(architecture)
    return 2 * channels if settings is not None and settings.motion == "beside" else channels


def require_frames(architecture: EncoderConfig, num_frames: int) -> None:
    """Refuse single pictures, in which nothing moves.

    Raises:
        UserError: if a network that sees motion is to see clips of one frame.
    """
    if motion_of(architecture) is not None and num_frames < 2:
        raise UserError(
            f"encoder {architecture.name}: motion is asked for, but clips of one frame have none; set "
            "clip.num_frames to 2 or more, or encoder.motion to none"
        )


def require_same_motion(source: str, theirs: EncoderConfig, ours: EncoderConfig) -> None:
    """Refuse weights that were trained on another motion than the encoder sees; those of grey values may do.

    Neither can one network start from two streams, whose names fit it twice, nor two from one.

    Raises:
        UserError: naming the file and what to set.
    """
    if len(_networks(theirs)) != len(_networks(ours)):
        raise UserError(
            f"start {source}: found a {theirs.name}, expected a {ours.name}; set encoder to that of the "
            "start, or start from the file of one stream"
        )
    for there, here in zip(_networks(theirs), _networks(ours), strict=True):
        if there.motion != "none" and (there.motion, there.motion_scale) != (here.motion, here.motion_scale):
            raise UserError(
                f"start {source}: found a {there.name} with motion {there.motion!r} and motion_scale "
                f"{there.motion_scale:g}, expected {here.motion!r} and {here.motion_scale:g}; set those of "
                "the encoder like the start's"
            )


def _networks(architecture: EncoderConfig) -> tuple[StreamConfig, ...]:
    if isinstance(architecture, TwoStreamConfig):
        return architecture.appearance, architecture.motion
    return (architecture,)


def motion(clips: Tensor, *, scale: float) -> Tensor:
    """Each pixel's difference from its own mean over the clip, times ``scale``.

    Of grey values in 0..1, before they are normalised, so that it means the same whatever mean and deviation
    come with the weights. What stands still, also the text and the edge of the sector, becomes zero.

    Args:
        clips: float (batch, channels, frames, height, width).
        scale: factor.

    Returns:
        The same shape; each pixel's mean over the frames is 0.
    """
    return (clips - clips.mean(dim=2, keepdim=True)) * scale


def with_motion(clips: Tensor, normalised: Tensor, architecture: EncoderConfig) -> Tensor:
    """What the network gets to see.

    Args:
        clips: (batch, channels, frames, height, width) in 0..1.
        normalised: the same, normalised.
        architecture: the network's settings.

    Returns:
        ``normalised`` itself without motion; with ``only`` the motion, with ``beside`` twice the channels,
        those of ``normalised`` first.
    """
    settings = motion_of(architecture)
    if settings is None:
        return normalised
    moving = motion(clips, scale=settings.motion_scale)
    return moving if settings.motion == "only" else torch.cat((normalised, moving), dim=1)


def take_motion(layer: nn.Conv3d | nn.Conv2d) -> None:
    """Give a first convolution as many channels again, in place, for motion beside what it sees already.

    The new weights are drawn from torch's generator with the deviation of those that are there.
    """
    seen = layer.weight.detach()
    layer.weight = nn.Parameter(torch.cat((seen, torch.randn_like(seen) * seen.std()), dim=1))
    layer.in_channels *= 2
