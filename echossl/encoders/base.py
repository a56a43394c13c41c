"""Encoders: one interface for every network that turns a clip into a vector."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from echossl.config.base import Config
from echossl.config.encoder import EncoderConfig
from echossl.config.video import ClipConfig, GreyValues
from echossl.encoders.motion import require_frames, with_motion

Settings = TypeVar("Settings", bound=Config)
# less than a tenth of a grey level is rounding
LEAST_CONTRAST = 1 / 2550


class StreamMetadata(Config):
    """What has to be known of one stream of a joined encoder besides its weights."""

    mean: float = Field(description="Mean of its training clips' grey values, of the range 0-1.")
    std: float = Field(gt=0, description="Their standard deviation.")
    scale: float = Field(1.0, gt=0, description="Its features are divided by this before they are joined.")
    every: int = Field(1, ge=1, description="It sees every so many-th frame of a clip, from the first on.")


class EncoderMetadata(Config):
    """What has to be known of an encoder besides its weights."""

    architecture: EncoderConfig = Field(description="The network.")
    clip: ClipConfig = Field(description="The clips it expects.")
    size: int = Field(ge=1, description="Height and width it was trained on, in pixels.")
    channels: int = Field(1, ge=1, le=3, description="1 for grey, 3 for colour.")
    grey: GreyValues = Field(
        "standardised",
        description="Each clip is stretched to 0-1 first (clip_min_max), or not; mean and std come after.",
    )
    mean: float = Field(0.0, description="Mean of the training clips' grey values, of the range 0-1.")
    std: float = Field(1.0, gt=0, description="Their standard deviation.")
    provenance: dict[str, str] = Field({}, description="Where the weights come from.")
    streams: tuple[StreamMetadata, StreamMetadata] | None = Field(
        None, description="Of an encoder that was joined of two: what differs between its streams."
    )


class Encoder(nn.Module, ABC):
    """A video network behind one face; networks add only :meth:`trunk`.

    Attributes:
        dim: length of a clip's vector.
        metadata: what input the network expects and where its weights come from.
    """

    mean: Tensor
    std: Tensor
    # own name of a weight → its name in files of another tool
    other_names: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, metadata: EncoderMetadata, *, dim: int) -> None:
        require_frames(metadata.architecture, metadata.clip.num_frames)
        super().__init__()
        self.metadata = metadata
        self.dim = dim
        # the metadata is the one place where these are kept, so they are no part of the state
        self.register_buffer("mean", torch.tensor(metadata.mean), persistent=False)
        self.register_buffer("std", torch.tensor(metadata.std), persistent=False)

    @abstractmethod
    def trunk(self, clips: Tensor) -> Tensor:
        """What :meth:`normalised` gives → (batch, dim, frames', height', width')."""

    def feature_map(self, clips: Tensor) -> Tensor:
        """The last layer's features before pooling.

        Args:
            clips: float in 0..1, (batch, channels, frames, height, width).

        Returns:
            float32 (batch, dim, frames', height', width').

        Raises:
            TypeError: if the clips are integers, 0..255.
        """
        return self.trunk(self.normalised(clips)).float()

    def normalised(self, clips: Tensor) -> Tensor:
        """Clips in 0..1 → what the trunk gets: stretched or not, less the mean, over the deviation; motion.

        Raises:
            TypeError: if the clips are integers, 0..255.
        """
        if not clips.is_floating_point():
            raise TypeError(f"clips must be float in 0..1, found {clips.dtype}; see echossl.augment.to_float")
        if self.metadata.grey == "clip_min_max":
            clips = stretched(clips)
        return with_motion(clips, (clips - self.mean) / self.std, self.metadata.architecture)

    def describe(self, **changes: object) -> None:
        """Change the metadata, and what of them is computed with."""
        self.metadata = self.metadata.model_copy(update=changes)
        self.mean.fill_(self.metadata.mean)
        self.std.fill_(self.metadata.std)

    def refit(self, name: str, found: Tensor) -> Tensor:
        """A weight of a file, made to fit where networks of another size can be read; else as it is.

        Args:
            name: this network's name of it.
            found: the tensor of the file.
        """
        del name
        return found

    def refit_back(self, name: str, change: Tensor, shape: torch.Size) -> Tensor:
        """What to add to a weight of a file for :meth:`refit` to give ``change`` more than it did.

        Args:
            name: this network's name of it.
            change: in this network's shape.
            shape: of the tensor of the file.

        Returns:
            In the file's shape, but for the channels of a first convolution.
        """
        del name, shape
        return change

    def state_for(self, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """The weights for a file that lacks some: what can be is added to others, with the same effect.

        Args:
            shapes: of the file's tensors, by this network's names.
        """
        del shapes
        return self.state_dict()

    def stages(self) -> list[list[nn.Module]]:
        """The parts that clips pass one after another, the stem first; every weight lies in one of them."""
        return parts_with_weights(self)

    def tokens(self, clips: Tensor) -> Tensor:
        """The cells of the feature map, time first, then rows: float32 (batch, tokens, dim)."""
        return self.feature_map(clips).flatten(2).transpose(1, 2)

    def vectors_and_tokens(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` and :meth:`tokens` give, of one pass: (batch, dim), (batch, tokens, dim)."""
        tokens = self.tokens(clips)
        return tokens.mean(dim=1), tokens

    def forward(self, clips: Tensor) -> Tensor:
        """The mean of the feature map over time and space: float32 (batch, dim)."""
        return self.feature_map(clips).mean(dim=(2, 3, 4))


def stretched(clips: Tensor) -> Tensor:
    """Each clip's darkest pixel becomes 0 and its brightest 1; clips without contrast become 0.

    Args:
        clips: float (batch, channels, frames, height, width), 0..1.
    """
    axes = (1, 2, 3, 4)
    darkest, brightest = clips.amin(axes, keepdim=True), clips.amax(axes, keepdim=True)
    return (clips - darkest) / (brightest - darkest).clamp_min(LEAST_CONTRAST)


def parts_with_weights(module: nn.Module) -> list[list[nn.Module]]:
    """Each child that has weights as a stage of its own, in order."""
    return [[part] for part in module.children() if any(True for _ in part.parameters())]


def settings_of(metadata: EncoderMetadata, kind: type[Settings]) -> Settings:
    """The network's own settings.

    Raises:
        TypeError: if the metadata are those of another network.
    """
    settings = metadata.architecture
    if not isinstance(settings, kind):
        raise TypeError(f"found the settings of {settings.name}, expected {kind.__name__}")
    return settings


def initialise(network: nn.Module) -> None:
    """Weights as in the residual networks' paper (He et al., arXiv 1502.01852), from torch's generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
