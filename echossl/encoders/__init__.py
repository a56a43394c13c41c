"""Encoders: one interface for every network that turns a clip into a vector, and their files.

A new network is one new file and one line in ``ENCODERS``.
"""

from echossl.encoders.base import Encoder, EncoderMetadata
from echossl.encoders.compact3d import Compact3D
from echossl.encoders.r3d import R3D18

ENCODERS: dict[str, type[R3D18] | type[Compact3D]] = {
    "r3d_18": R3D18,
    "compact3d": Compact3D,
}


def build_encoder(metadata: EncoderMetadata) -> Encoder:
    """Make the network that the metadata describe, with random weights from torch's global generator."""
    return ENCODERS[metadata.architecture.name](metadata)


__all__ = ["ENCODERS", "Encoder", "EncoderMetadata", "build_encoder"]
