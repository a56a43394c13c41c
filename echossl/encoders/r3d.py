"""3-D ResNet-18 (Tran et al., arXiv 1711.11248), of any width and number of input channels."""

from torch import Tensor, nn

from echossl.config.encoder import R3D18Config
from echossl.encoders.base import Encoder, EncoderMetadata, initialise, settings_of
from echossl.encoders.convolution import Conv3d
from echossl.encoders.motion import input_channels
from echossl.encoders.residual import stage


class R3D18(Encoder):
    """The body of torchvision's ``r3d_18``; at width 64 it is the same network with the same state keys.

    Works on clips of any number of frames, also one. At 16 x 112 x 112 the feature map is 2 x 7 x 7.
    """

    def __init__(self, metadata: EncoderMetadata) -> None:
        width = settings_of(metadata, R3D18Config).width
        super().__init__(metadata, dim=8 * width)
        channels = input_channels(metadata.architecture, metadata.channels)
        self.stem = nn.Sequential(
            Conv3d(channels, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        self.layer1 = stage(width, width, blocks=2, stride=1)
        self.layer2 = stage(width, 2 * width, blocks=2, stride=2)
        self.layer3 = stage(2 * width, 4 * width, blocks=2, stride=2)
        self.layer4 = stage(4 * width, 8 * width, blocks=2, stride=2)
        initialise(self)

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, dim, t/8, h/16, w/16), each rounded up."""
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(clips)))))
        return features
