"""A small 3-D residual network that can be trained on one CPU core."""

import itertools

import torch
from torch import Tensor, nn

from echossl.config.encoder import Compact3DConfig
from echossl.encoders.base import Encoder, EncoderMetadata, initialise, settings_of
from echossl.encoders.convolution import Conv3d
from echossl.encoders.motion import input_channels
from echossl.encoders.residual import stage
from echossl.errors import UserError

# every cube of 2 frames x 2 x 2 pixels becomes one place with 8 values per channel
CUBE = 2


class Compact3D(Encoder):
    """Space-time-to-depth stem, then four residual stages of one block.

    The stem quarters the picture and halves the frames without losing a value, so that no convolution runs
    over the full clip with a single channel, which is what CPUs are slowest at. 0.90 M parameters at width
    16; at 12 x 48 x 48 the feature map is 1 x 3 x 3. Frames, height and width must be even.
    """

    def __init__(self, metadata: EncoderMetadata) -> None:
        width = settings_of(metadata, Compact3DConfig).width
        _require_even(metadata.clip.num_frames, metadata.size, metadata.size)
        super().__init__(metadata, dim=8 * width)
        channels = input_channels(metadata.architecture, metadata.channels)
        self.stem = nn.Sequential(
            Conv3d(channels * CUBE**3, width, 3, padding=1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        self.layer1 = stage(width, width, blocks=1, stride=1)
        self.layer2 = stage(width, 2 * width, blocks=1, stride=2)
        self.layer3 = stage(2 * width, 4 * width, blocks=1, stride=2)
        self.layer4 = stage(4 * width, 8 * width, blocks=1, stride=2)
        initialise(self)

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, dim, t/16, h/16, w/16), each rounded up.

        Raises:
            UserError: if frames, height or width is odd.
        """
        _require_even(*clips.shape[2:])
        cubes = self.stem(space_time_to_depth(clips))
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(cubes))))
        return features


def space_time_to_depth(clips: Tensor) -> Tensor:
    """(batch, c, t, h, w) → (batch, 8c, t/2, h/2, w/2), laid out channels-last; no value is lost."""
    corners = itertools.product(range(CUBE), repeat=3)
    # eight strided copies are three times faster on a CPU than one permutation of eight axes
    cubes = torch.stack([clips[:, :, t::CUBE, h::CUBE, w::CUBE] for t, h, w in corners], dim=-1)
    places = cubes.permute(0, 2, 3, 4, 1, 5).flatten(4)  # (batch, t/2, h/2, w/2, 8c)
    return places.permute(0, 4, 1, 2, 3)


def _require_even(num_frames: int, height: int, width: int) -> None:
    if num_frames % CUBE or height % CUBE or width % CUBE:
        raise UserError(
            f"encoder compact3d: found clips of {num_frames} frames of {height} x {width} pixels, "
            "expected even numbers; change clip.num_frames or the size of the clip store, or take "
            "encoder.name=r3d_18"
        )
