"""The residual block that the 3-D networks share, with the parameter names of torchvision."""

from torch import Tensor, nn

from echossl.encoders.convolution import Conv3d


class ResidualBlock(nn.Module):
    """Two 3 x 3 x 3 convolutions beside a shortcut (He et al., arXiv 1512.03385, inflated to 3-D).

    Args:
        channels_in: channels of the input.
        channels: channels of the output.
        stride: in time, height and width alike.
    """

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            Conv3d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(
            Conv3d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm3d(channels)
        )
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                Conv3d(channels_in, channels, 1, stride=stride, bias=False), nn.BatchNorm3d(channels)
            )

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, channels_in, frames, height, width) → (batch, channels, frames', height', width')."""
        shortcut: Tensor = self.downsample(clips)
        features: Tensor = self.relu(self.conv2(self.conv1(clips)) + shortcut)
        return features


def stage(channels_in: int, channels: int, *, blocks: int, stride: int) -> nn.Sequential:
    """Residual blocks in a row, the first of which may shrink the map."""
    first = ResidualBlock(channels_in, channels, stride=stride)
    rest = [ResidualBlock(channels, channels, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)
