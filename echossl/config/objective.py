"""Settings of the pre-training objectives. One class per objective; a run adds several with weights."""

from typing import Annotated, Literal

from pydantic import Field

from echossl.config.base import Config


class ContrastiveConfig(Config):
    """NT-Xent (Chen et al., arXiv 2002.05709) with patient-aware negatives."""

    name: Literal["contrastive"] = "contrastive"
    weight: float = Field(1.0, gt=0, description="Factor of this loss in the sum.")
    positives: Literal["two_videos", "two_clips"] = Field(
        "two_videos",
        description="A positive pair is two different videos of one patient (two clips apart in time where a "
        "patient has one video), or two clips apart in time of one video (SimCLR).",
    )
    temperature: float = Field(0.1, gt=0, description="Temperature of the softmax.")
    hidden_dim: int = Field(128, ge=1, description="Width of the projection head's hidden layer.")
    projection_dim: int = Field(64, ge=1, description="Dimension in which clips are compared.")


class FrameOrderConfig(Config):
    """Which of the 24 orders are the four parts of the clip in? (Holste et al., arXiv 2207.11581)."""

    name: Literal["frame_order"] = "frame_order"
    weight: float = Field(0.5, gt=0, description="Factor of this loss in the sum.")
    num_segments: int = Field(4, ge=2, le=5, description="Parts of the clip that are put out of order.")


ObjectiveConfig = Annotated[ContrastiveConfig | FrameOrderConfig, Field(discriminator="name")]
