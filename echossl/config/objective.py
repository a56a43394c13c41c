"""Settings of the pre-training objectives. One class per objective; a run adds several with weights."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from echossl.config.base import Config
from echossl.config.refine import RefineConfig
from echossl.config.text import OwnTextConfig, TextConfig


class ContrastiveConfig(Config):
    """NT-Xent (Chen et al., arXiv 2002.05709) with patient-aware negatives."""

    name: Literal["contrastive"] = "contrastive"
    weight: float = Field(1.0, gt=0, description="Factor of this loss in the sum.")
    positives: Literal["two_videos", "two_clips", "patient"] = Field(
        "two_videos",
        description="A positive pair is two different videos of one patient (two clips apart in time where a "
        "patient has one video), two clips apart in time of one video (SimCLR), or any two of num_clips "
        "clips of all videos of a patient.",
    )
    num_clips: int = Field(
        2, ge=2, le=32, description="Clips of each patient; more than two with positives patient."
    )
    same_patient: Literal["excluded", "negatives"] = Field(
        "excluded",
        description="Other items of the same patient, which a batch may hold with pairs all_pairs: no "
        "negatives, or negatives like those of other patients, as published for EchoCLR.",
    )
    temperature: float = Field(0.1, gt=0, description="Temperature of the softmax; its start if learned.")
    learn_temperature: bool = Field(
        False, description="Learn the temperature, between 0.01 and 1, from its start."
    )
    dense_grid: int = Field(
        0,
        ge=0,
        le=32,
        description="Compare clips cell by cell, on a grid of this many cells along each side of the feature "
        "map; 0 compares whole clips. For clips of one view in a common frame, moved by less than a cell.",
    )
    dense_match: Literal["same", "best"] = Field(
        "same",
        description="With which cell of another clip a cell is compared: the one at the same place, or the "
        "one whose features are the most similar, for views that are moved by a cell or more.",
    )
    skip_blank_cells: bool = Field(
        False,
        description="Leave out cells beyond the sector, all of whose pixels are 0: with dense_match same "
        "those that are blank in both clips. With augment.noise, augment.remask keeps them blank.",
    )
    global_weight: float = Field(
        0.0, ge=0, description="Factor of the comparison of whole clips beside that of the cells."
    )
    hidden_dim: int = Field(128, ge=1, description="Width of the projection head's hidden layer.")
    projection_dim: int = Field(64, ge=1, description="Dimension in which clips are compared.")
    batch_norm: bool = Field(True, description="Batch normalisation in the projection head.")

    @model_validator(mode="after")
    def _has_effect(self) -> "ContrastiveConfig":
        if self.num_clips > 2 and self.positives != "patient":
            raise ValueError(
                f"num_clips is {self.num_clips}, but {self.positives} are two; set positives patient"
            )
        if self.global_weight and not self.dense_grid:
            raise ValueError("global_weight stands beside dense_grid, which is 0; set both or use weight")
        if not self.dense_grid and (self.dense_match != "same" or self.skip_blank_cells):
            raise ValueError("dense_match and skip_blank_cells are about cells; set dense_grid")
        if self.learn_temperature and not 0.01 <= self.temperature <= 1:
            raise ValueError(f"temperature starts at {self.temperature}; learned, it starts within 0.01..1")
        return self


class FrameOrderConfig(Config):
    """Which of the 24 orders are the four parts of the clip in? (Holste et al., arXiv 2207.11581)."""

    name: Literal["frame_order"] = "frame_order"
    weight: float = Field(0.5, gt=0, description="Factor of this loss in the sum.")
    own_pass: bool = Field(
        True,
        description="The shuffled clip makes a pass of its own. Else all clips are shuffled and contrastive, "
        "the only other objective, sees them so, as published for EchoCLR.",
    )
    num_segments: int = Field(4, ge=2, le=5, description="Parts of the clip that are put out of order.")


class MoCoConfig(Config):
    """Momentum contrast (He et al., arXiv 1911.05722): a slow copy of the encoder and a queue of its keys."""

    name: Literal["moco"] = "moco"
    weight: float = Field(1.0, gt=0, description="Factor of this loss in the sum.")
    positives: Literal["two_videos", "two_clips"] = Field(
        "two_videos", description="What a positive pair is; as in contrastive."
    )
    temperature: float = Field(0.1, gt=0, description="Temperature of the softmax.")
    momentum: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="Share of the slow weights that stays at each update; 0.999 for long runs.",
    )
    queue_size: int = Field(
        1024, ge=1, description="Keys of earlier batches that serve as negatives, over all processes."
    )
    key_groups: int = Field(
        2,
        ge=1,
        description="Random groups of keys that are normalised apart, so that norms give nothing away.",
    )
    hidden_dim: int = Field(128, ge=1, description="Width of the projection head's hidden layer.")
    projection_dim: int = Field(64, ge=1, description="Dimension in which clips are compared.")
    batch_norm: bool = Field(
        False, description="Batch normalisation in the projection head; without it short runs do not begin."
    )


class VICRegConfig(Config):
    """Variance-invariance-covariance regularisation (Bardes et al., arXiv 2105.04906); no negatives."""

    name: Literal["vicreg"] = "vicreg"
    weight: float = Field(1.0, gt=0, description="Factor of this loss in the sum.")
    positives: Literal["two_videos", "two_clips"] = Field(
        "two_videos", description="What a positive pair is; as in contrastive."
    )
    invariance: float = Field(25.0, ge=0, description="Factor of the distance between the clips of a pair.")
    variance: float = Field(25.0, ge=0, description="Factor of the term that keeps embeddings spread.")
    covariance: float = Field(1.0, ge=0, description="Factor of the term that decorrelates their values.")
    hidden_dim: int = Field(256, ge=1, description="Width of the expander's two hidden layers.")
    projection_dim: int = Field(256, ge=2, description="Length of the embeddings.")


class SegmentOrderConfig(Config):
    """In which order are the parts of the clip, each seen alone? (Xu et al., CVPR 2019)."""

    name: Literal["segment_order"] = "segment_order"
    weight: float = Field(0.5, gt=0, description="Factor of this loss in the sum.")
    num_segments: int = Field(
        3, ge=2, le=5, description="Parts of the clip; the encoder has to take clips as short as they are."
    )
    hidden_dim: int = Field(128, ge=1, description="Width of the layer that compares two parts.")


class PlaybackSpeedConfig(Config):
    """How fast is the clip played? (SpeedNet, Benaim et al., arXiv 2004.06130)."""

    name: Literal["playback_speed"] = "playback_speed"
    weight: float = Field(0.5, gt=0, description="Factor of this loss in the sum.")
    speeds: tuple[int, ...] = Field(
        (1, 2), min_length=2, description="Speeds to tell apart, rising; the last is that of the clip itself."
    )

    @model_validator(mode="after")
    def _rising(self) -> "PlaybackSpeedConfig":
        if self.speeds[0] < 1 or list(self.speeds) != sorted(set(self.speeds)):
            raise ValueError(
                f"speeds are {list(self.speeds)}; give rising whole numbers from 1, as in [1, 2, 4]"
            )
        return self


class RelativeSpeedConfig(Config):
    """By how much is one stretch of a clip played faster than another? After arXiv 2004.06130."""

    name: Literal["relative_speed"] = "relative_speed"
    weight: float = Field(1.0, gt=0, description="Factor of this loss in the sum; chance is 1.")
    slowest: float = Field(
        0.5,
        ge=0.1,
        le=0.9,
        description="Speeds are drawn from this to 1; this share of a clip's frames is shown at a time.",
    )


PATCH_FRAMES = 2


class MaskedConfig(Config):
    """What was hidden of a clip or a picture is painted (arXiv 2111.09886, 2203.12602, 2409.11375)."""

    name: Literal["masked"] = "masked"
    weight: float = Field(1.0, gt=0, description="Factor of this loss in the sum.")
    ratio: float = Field(
        0.75,
        gt=0,
        lt=1,
        description="Share of the patches that is hidden; published: 0.7 of pictures, 0.9 of clips.",
    )
    patch: int = Field(
        8, ge=1, description="Side of a patch in pixels; the size of the store is a multiple of it."
    )
    mask: Literal["tube", "random"] = Field(
        "tube",
        description="The same places are hidden in all frames, or others every patch_frames frames; all the "
        "same for still pictures.",
    )
    patch_frames: int = Field(
        PATCH_FRAMES, ge=1, description="Frames for which random masks hide the same places."
    )
    normalise_patches: bool = Field(
        False,
        description="Paint each patch less its own mean, over its own deviation; not for speckle that hardly "
        "anything but noise is left of then.",
    )
    decoder_width: int | None = Field(
        None,
        ge=32,
        multiple_of=32,
        description="Of the encoder vit, which is not shown what is hidden: length of the tokens of what "
        "paints it; null takes half the encoder's.",
    )
    decoder_depth: int | None = Field(
        None,
        ge=1,
        description="Of the encoder vit: blocks of what paints; null takes 2, published are 4 and 8.",
    )

    @model_validator(mode="after")
    def _frames_have_effect(self) -> "MaskedConfig":
        if self.mask == "tube" and self.patch_frames != PATCH_FRAMES:
            raise ValueError("patch_frames is about random masks; leave it out, or set mask to random")
        return self


# all slots together
STUDY = "study"


class TripartiteConfig(Config):
    """Pictures of each view or side, and of the study, agree with its report (RET-CLIP, arXiv 2405.14137)."""

    reads_reports: ClassVar[bool] = True
    name: Literal["tripartite"] = "tripartite"
    weight: float = Field(1.0, gt=0, description="Factor of this loss in the sum.")
    slots: tuple[str, ...] = Field(
        ("plax", "a4c"),
        min_length=1,
        description="Views or sides of a study, as they stand in the manifest; a study may lack some.",
    )
    slot_column: Literal["view", "side"] = Field(
        "view", description="Column of the manifest that says which slot a video belongs to."
    )
    text: TextConfig = Field(OwnTextConfig(), description="What reads the reports.")
    projection_dim: int = Field(
        128, ge=1, description="Dimension in which pictures and reports are compared; published: 512."
    )
    temperature: float = Field(
        0.07,
        ge=0.01,
        le=1,
        description="Where the learned temperatures start; published: 1 / 90, from weights that knew texts.",
    )

    @model_validator(mode="after")
    def _slots_differ(self) -> "TripartiteConfig":
        plain = {slot.strip().casefold() for slot in self.slots}
        if len(plain) < len(self.slots) or "" in plain:
            raise ValueError(f"slots are {list(self.slots)}; give different ones, as in [L, R]")
        if STUDY in plain:
            raise ValueError(f"slots: {STUDY} is the name of all of them together; call this one otherwise")
        return self


ObjectiveConfig = Annotated[
    ContrastiveConfig
    | MoCoConfig
    | VICRegConfig
    | FrameOrderConfig
    | SegmentOrderConfig
    | PlaybackSpeedConfig
    | RelativeSpeedConfig
    | MaskedConfig
    | TripartiteConfig
    | RefineConfig,
    Field(discriminator="name"),
]
