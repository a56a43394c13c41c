"""Two networks, one of which sees motion, as one encoder whose features are those of both."""

import torch
from torch import Tensor, nn

from echossl.config.encoder import StreamConfig, TwoStreamConfig
from echossl.encoders.base import Encoder, EncoderMetadata, StreamMetadata, settings_of


class TwoStream(Encoder):
    """Appearance and motion in networks of their own, joined at the end (arXiv 1406.2199, section 2).

    The feature map holds the channels of the first stream, then those of the second; where one map has more
    frames, rows or columns, it is averaged over the places of the other. Each stream normalises the clips
    with its own mean and deviation, sees every ``every``-th frame, and its features are divided by its
    ``scale``, all of ``metadata.streams``; without them, both take the statistics of the encoder, all frames,
    and 1. A clip's vector is the vectors of the two, one after the other, each over its scale.

    Args:
        metadata: of the whole.
        appearance: the first stream, as :func:`stream_metadata` describes it.
        motion: the second stream.
    """

    def __init__(self, metadata: EncoderMetadata, appearance: Encoder, motion: Encoder) -> None:
        super().__init__(metadata, dim=appearance.dim + motion.dim)
        self.appearance = appearance
        self.motion = motion

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w) in 0..1 → (batch, dim, frames', height', width'), the smaller."""
        streams, parts = streams_of(self.metadata), (self.appearance, self.motion)
        maps = [
            part.feature_map(clips[:, :, :: stream.every])
            for part, stream in zip(parts, streams, strict=True)
        ]
        size = torch.Size(min(sizes) for sizes in zip(*(one.shape[2:] for one in maps), strict=True))
        pooled = [pool(one, size) / stream.scale for one, stream in zip(maps, streams, strict=True)]
        return torch.cat(pooled, dim=1)

    def normalised(self, clips: Tensor) -> Tensor:
        """The clips as they are: each stream normalises them for itself."""
        return clips

    def stages(self) -> list[list[nn.Module]]:
        """Those of both streams side by side, counted from the end; the deeper stream begins alone."""
        first, second = self.appearance.stages(), self.motion.stages()
        depth = max(len(first), len(second))
        first, second = ([[]] * (depth - len(own)) + own for own in (first, second))
        return [one + other for one, other in zip(first, second, strict=True)]

    def describe(self, **changes: object) -> None:
        """Change the metadata, also those of the streams."""
        super().describe(**changes)
        parts = (self.appearance, self.motion)
        for part, stream in zip(parts, stream_metadata(self.metadata), strict=True):
            part.describe(grey=stream.grey, mean=stream.mean, std=stream.std)


def streams_of(metadata: EncoderMetadata) -> tuple[StreamMetadata, StreamMetadata]:
    """What differs between the streams; nothing, where they were not trained apart."""
    if metadata.streams is not None:
        return metadata.streams
    alike = StreamMetadata(mean=metadata.mean, std=metadata.std)
    return alike, alike


def stream_metadata(metadata: EncoderMetadata) -> tuple[EncoderMetadata, EncoderMetadata]:
    """The metadata that each stream is built with."""
    settings = settings_of(metadata, TwoStreamConfig)
    first, second = streams_of(metadata)
    return (
        _of_stream(metadata, first, settings.appearance),
        _of_stream(metadata, second, settings.motion),
    )


def _of_stream(
    metadata: EncoderMetadata, stream: StreamMetadata, architecture: StreamConfig
) -> EncoderMetadata:
    num_frames = -(-metadata.clip.num_frames // stream.every)  # rounded up
    own = {
        "architecture": architecture,
        "mean": stream.mean,
        "std": stream.std,
        "clip": metadata.clip.model_copy(update={"num_frames": num_frames}),
    }
    return metadata.model_copy(update={**own, "streams": None, "provenance": {}})


def pool(features: Tensor, size: torch.Size) -> Tensor:
    """Average a map over the cells of a coarser grid; its mean over all cells stays what it was.

    A cell that lies across a border of the coarser grid counts on both sides by its share, so that no cell
    counts more than another, as in adaptive pooling.

    Args:
        features: (batch, channels, frames, height, width).
        size: frames', height', width', none larger than those of the map.

    Returns:
        (batch, channels, frames', height', width').
    """
    for axis, length in zip((2, 3, 4), size, strict=True):
        if features.shape[axis] != length:
            shares = _shares(features.shape[axis], length).to(features)
            features = torch.movedim(torch.movedim(features, axis, -1) @ shares, -1, axis)
    return features


def _shares(length: int, coarser: int) -> Tensor:
    """How much of each coarse cell is each fine cell: (length, coarser), columns sum to 1."""
    fine = torch.linspace(0, 1, length + 1, dtype=torch.float64)
    coarse = torch.linspace(0, 1, coarser + 1, dtype=torch.float64)
    ends = torch.minimum(fine[1:, None], coarse[None, 1:])
    begins = torch.maximum(fine[:-1, None], coarse[None, :-1])
    return (ends - begins).clamp_min(0) * coarser
