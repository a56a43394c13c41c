"""Two encoders that were pre-trained apart, one of them on motion, become one."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from echossl.augment import to_float
from echossl.config.encoder import TwoStreamConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import read_clips, video_requests
from echossl.data.store import ClipStore
from echossl.encoders.base import Encoder, EncoderMetadata, StreamMetadata
from echossl.encoders.card import write_card
from echossl.encoders.files import load_encoder, save_encoder
from echossl.encoders.two_stream import TwoStream, streams_of
from echossl.errors import EchosslError, UserError

MOST_VIDEOS = 256


@dataclass(frozen=True)
class Joined:
    """A joined encoder.

    Attributes:
        metadata: what is in its file; ``streams`` has mean, deviation and scale of each.
        dims: length of the vectors of each stream.
    """

    metadata: EncoderMetadata
    dims: tuple[int, int]

    def as_text(self) -> str:
        """One line for a person."""
        first, second = streams_of(self.metadata)
        return (
            f"{sum(self.dims)} numbers a clip: {self.dims[0]} of the first over {first.scale:.4g}, "
            f"{self.dims[1]} of the second over {second.scale:.4g}"
        )


def join_encoders(appearance: Path, motion: Path, out: Path, *, store: Path | None = None) -> Joined:
    """Write one encoder file of two, and its model card; its vectors are theirs, one after the other.

    Their clips are as long in seconds. Where one sees more frames of them, a multiple of the other's, the
    joined encoder takes the clips of the former, and the latter sees every so many-th frame.

    What shrinks all directions alike (a ridge or logistic probe, the frozen recipe, which divides by one
    number) listens most to the stream whose vectors vary most. With a store, each stream's features are
    divided by the deviation of its vectors over up to 256 of the videos, the root of the mean of their
    values' variances, so that both are heard; no labels are looked at. Without one they stay as they are.

    Args:
        appearance: encoder file or pre-training run of the first stream.
        motion: that of the second, whose ``motion`` is ``only`` or ``beside``.
        out: the file to be written.
        store: clip store of the videos that the scales are measured on.

    Returns:
        What was written.

    Raises:
        UserError: if the two do not see the same clips, or cannot be joined, the store does not fit, or there
            is a file at ``out``.
    """
    if out.exists():
        raise UserError(f"{out}: is there already; choose another file, or remove it")
    first, second = load_encoder(appearance), load_encoder(motion)
    clip = _shared_clip(first.metadata, second.metadata)
    scales = (1.0, 1.0) if store is None else tuple(feature_scale(part, store) for part in (first, second))
    streams = [
        StreamMetadata(
            mean=part.metadata.mean,
            std=part.metadata.std,
            scale=scale,
            every=clip.num_frames // part.metadata.clip.num_frames,
        )
        for part, scale in zip((first, second), scales, strict=True)
    ]
    metadata = first.metadata.model_copy(
        update={
            "clip": clip,
            "architecture": _architecture(first.metadata, second.metadata),
            "provenance": _provenance(first.metadata, second.metadata),
            "streams": (streams[0], streams[1]),
        }
    )
    save_encoder(TwoStream(metadata, first, second), out)
    write_card(out, metadata, dim=first.dim + second.dim)
    return Joined(metadata, (first.dim, second.dim))


def feature_scale(encoder: Encoder, path: Path) -> float:
    """How far an encoder's vectors of different videos are from their mean, per value.

    Args:
        encoder: on the CPU, in evaluation mode.
        path: clip store; the middle clip of up to 256 of its videos, evenly spread, is looked at.

    Raises:
        UserError: if the store has frames of another size, or all vectors are alike.
    """
    store, wanted = ClipStore.open(path), encoder.metadata
    if store.size != wanted.size:
        raise UserError(
            f"{path}: holds frames of {store.size} pixels, the encoders were trained on {wanted.size}; "
            f"run echossl prepare with size={wanted.size}"
        )
    rows = torch.linspace(0, len(store) - 1, min(len(store), MOST_VIDEOS)).long().tolist()
    found = [vector for vector in (_vector(encoder, store, row) for row in rows) if vector is not None]
    scale = float(torch.stack(found).double().var(dim=0).mean().sqrt()) if len(found) > 1 else 0.0
    if not scale > 0:
        raise UserError(
            f"{path}: the {wanted.architecture.name} gives one vector for all of {len(found)} videos that "
            "can be read; take another store, or join without one"
        )
    return scale


def _vector(encoder: Encoder, store: ClipStore, row: int) -> Tensor | None:
    clip = encoder.metadata.clip
    try:
        frames = read_clips(store, [video_requests(store, row, clip, count=1, policy="centre")], clip)
    except EchosslError:
        return None  # whoever trains or scores with the store is told of it
    with torch.inference_mode():
        vector: Tensor = encoder(to_float(torch.from_numpy(frames)[0]))[0]
    return vector


def _architecture(first: EncoderMetadata, second: EncoderMetadata) -> TwoStreamConfig:
    try:
        return TwoStreamConfig.model_validate(
            {"appearance": first.architecture.model_dump(), "motion": second.architecture.model_dump()}
        )
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise UserError(
            f"join: {place + ': ' if place else ''}{fault['msg'].removeprefix('Value error, ')}"
        ) from error


def _shared_clip(first: EncoderMetadata, second: EncoderMetadata) -> ClipConfig:
    """The clip of the stream that sees more frames."""
    fewer, more = sorted((first.clip, second.clip), key=lambda clip: clip.num_frames)
    faults = [
        f"{name} is {there} in the first, {here} in the second"
        for name, there, here in (
            ("size", first.size, second.size),
            ("channels", first.channels, second.channels),
            ("grey", first.grey, second.grey),
            ("clip.clip_seconds", first.clip.clip_seconds, second.clip.clip_seconds),
            ("clip.too_short", first.clip.too_short, second.clip.too_short),
        )
        if there != here
    ]
    if more.num_frames % fewer.num_frames:
        faults.append(f"clip.num_frames are {more.num_frames} and {fewer.num_frames}, no multiple")
    if faults:
        raise UserError(
            f"join: the encoders were trained on clips that differ: {'; '.join(faults)}; pre-train both alike"
        )
    return more


def _provenance(first: EncoderMetadata, second: EncoderMetadata) -> dict[str, str]:
    """That of both, each with its stream's name before it."""
    parts = {"appearance": first.provenance, "motion": second.provenance}
    named = {f"{role}.{key}": text for role, texts in parts.items() for key, text in texts.items()}
    return {"command": "join"} | named
