"""Settings of the video room."""

from typing import Literal

from pydantic import Field

from echossl.config.base import Config

Backend = Literal["auto", "pyav", "decord", "torchcodec"]
ClipPolicy = Literal["random", "uniform", "centre", "all"]
TooShort = Literal["loop", "hold", "error"]
GreyValues = Literal["standardised", "clip_min_max"]


class ClipConfig(Config):
    """Which frames make a clip, in seconds, so that videos of any frame rate give the same motion."""

    clip_seconds: float = Field(1.0, gt=0, description="Length of a clip in seconds; one beat or more.")
    num_frames: int = Field(12, ge=1, description="Frames of a clip, evenly spaced over its length.")
    too_short: TooShort = Field(
        "loop",
        description="A video shorter than a clip: repeat it, hold its last frame, or stop with an error.",
    )
