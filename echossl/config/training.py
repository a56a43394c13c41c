"""Settings of pre-training, and what it shares with adaptation."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from echossl.config.base import Config
from echossl.config.data import DataConfig, FusionConfig
from echossl.config.encoder import Compact3DConfig, EncoderConfig
from echossl.config.logging import WandbConfig
from echossl.config.monitors import MonitorConfig
from echossl.config.objective import ContrastiveConfig, ObjectiveConfig
from echossl.config.video import ClipConfig, GreyValues

Share = Annotated[float, Field(ge=0, lt=1)]


class AugmentConfig(Config):
    """One random draw per clip, the same for all its frames. No flip by default: laterality is diagnostic.

    Whatever says "up to" is drawn uniformly. The probe is the middle of the picture's top edge; depth is the
    distance from it in picture heights.
    """

    scale: float = Field(0.1, ge=0, lt=1, description="Zoom by up to this share, in or out.")
    shift: float = Field(0.08, ge=0, description="Move by up to this share of the half width.")
    crop_pixels: int = Field(
        0,
        ge=0,
        description="Move by up to this many whole pixels, before all else that moves: padded with as many "
        "zeros on all sides, and cropped anywhere.",
    )
    rotation_degrees: float = Field(8.0, ge=0, description="Rotate by up to this angle.")
    rotation_about: Literal["centre", "probe"] = Field(
        "centre", description="What rotation and zoom leave in place: centre of the picture, or the probe."
    )
    gamma: float = Field(0.5, ge=0, description="Grey-value exponent exp(u) with u uniform within +- this.")
    gain: float = Field(0.3, ge=0, lt=1, description="Brightness factor within 1 +- this.")
    noise: float = Field(0.0, ge=0, description="Standard deviation of added noise, of the range 0-1.")
    time_gain: float = Field(
        0.0, ge=0, description="Smooth random brightness curve over depth, factor within exp(+- this)."
    )
    attenuation: float = Field(
        0.0, ge=0, description="Exponential loss over depth: factor exp(-u x depth), u up to this."
    )
    speckle: float = Field(
        0.0, ge=0, description="Multiplicative low-pass noise, same in all frames; deviation up to this."
    )
    speckle_grain_pixels: float = Field(
        1.0, gt=0, description="Grain of the speckle: standard deviation of its low-pass filter."
    )
    shadow: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Dark band along the beam from the probe; darkness up to this, 1 is black.",
    )
    blur: float = Field(0.0, ge=0, description="Gaussian blur, standard deviation in pixels up to this.")
    narrow: float = Field(
        0.0, ge=0, lt=0.5, description="Cut up to this share of the sector's opening off either side."
    )
    remask: bool = Field(
        False, description="Pixels outside the moved sector stay black, whatever noise and blur put there."
    )
    flip: float = Field(
        0.0, ge=0, le=1, description="Share of clips mirrored left to right; laterality is diagnostic."
    )

    @property
    def without_effect(self) -> dict[str, str]:
        """Settings that shape an effect which is off, and what to set; a preview shows it all the same."""
        found = {}
        grain = type(self).model_fields["speckle_grain_pixels"].default
        if not self.speckle and self.speckle_grain_pixels != grain:
            found["speckle_grain_pixels"] = "speckle"
        if self.rotation_about == "probe" and not self.rotation_degrees and not self.scale:
            found["rotation_about"] = "rotation_degrees or scale"
        return found


class OptimiserConfig(Config):
    """AdamW with linear warm-up and cosine decay to zero, or what is set in their place."""

    algorithm: Literal["adamw", "adam"] = Field(
        "adamw", description="Weight decay apart from the gradient (AdamW), or added to it (Adam)."
    )
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="After the warm-up, half a cosine to zero, or the same rate to the end."
    )
    steps: int = Field(450, ge=1, description="Number of updates.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.05, ge=0, description="Weight decay; not on biases and norms.")
    warmup_steps: int = Field(30, ge=0, description="Updates over which the learning rate rises from 0.")
    betas: tuple[Share, Share] = Field(
        (0.9, 0.999),
        description="How much of the running means of the gradient and of its square stays at each update; "
        "published for masked pre-training: 0.9 and 0.95.",
    )


class HardwareConfig(Config):
    """Where and how the arithmetic is done; does not change what is computed beyond rounding."""

    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto",
        description="auto takes bf16 autocast where the device has it; fp16, with a scaled loss, is for GPUs "
        "that lack it.",
    )
    workers: int = Field(0, ge=0, description="Processes that read batches; 0 reads in the main one.")
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="torch.compile of the encoder while it trains; auto does so on GPUs where Triton works.",
    )
    sync_batch_norm: bool = Field(
        True, description="Batch norm over the batches of all training processes, as if there were one."
    )
    checkpoint_activations: bool = Field(
        False,
        description="While training, compute activations of the encoder's blocks again in the backward pass "
        "instead of keeping them: same results, less memory, about a third more time.",
    )


class PretrainConfig(Config):
    """``echossl pretrain``: learn an encoder from unlabelled videos."""

    data: DataConfig = Field(description="Manifest and clip store.")
    fusion: FusionConfig = Field(FusionConfig(), description="Further sources of videos; none by default.")
    out: Path = Field(description="Run folder.")
    split: str = Field(
        "train", description="Split whose patients are used; all videos if the manifest has none."
    )
    clip: ClipConfig = Field(ClipConfig(), description="Which frames make a clip.")
    grey: GreyValues = Field(
        "standardised",
        description="Grey values: with mean and deviation of the training videos taken off, or each clip "
        "stretched to 0-1 (clip_min_max), as published for EchoCLR.",
    )
    encoder: EncoderConfig = Field(Compact3DConfig(), description="The network.")
    start: str = Field(
        "random",
        description="random, torchvision:NAME, pytorchvideo:NAME, a file of weights, or a run folder.",
    )
    objectives: tuple[ObjectiveConfig, ...] = Field(
        (ContrastiveConfig(),),
        min_length=1,
        description="Losses that are added up; dense_grid wins where the feature map is large enough for it.",
    )
    augment: AugmentConfig = Field(AugmentConfig(), description="Clip augmentation.")
    optimiser: OptimiserConfig = Field(OptimiserConfig(), description="Optimiser and schedule.")
    pairs: Literal["patients", "all_pairs"] = Field(
        "patients",
        description="What a batch holds: different patients, each with the clips that the objectives want; "
        "or, with positives two_videos, pairs out of all pairs of videos of a study.",
    )
    report_column: str = Field(
        "report", description="Column of the manifest with the reports, for objectives that read them."
    )
    batch_size: int = Field(
        32, ge=2, description="Patients (pairs, with all_pairs) per update, over all processes."
    )
    micro_batch: int | None = Field(
        None,
        ge=2,
        description="Most items that a process encodes at once, for batches that are larger than its memory; "
        "the gradient is that of the whole batch (GradCache), but batch norms see these items only. null "
        "encodes all at once.",
    )
    seed: int = Field(0, ge=0, description="Seed of weights, batches and augmentation.")
    max_gradient_norm: float | None = Field(
        None, gt=0, description="Gradients of a larger norm are scaled down to it; null leaves them."
    )
    max_bad_steps: int = Field(
        10, ge=0, description="Steps in a row that may be skipped because loss or gradient is not finite."
    )
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="Newest checkpoints that are kept.")
    log_every: int = Field(10, ge=1, description="Steps between lines of metrics.jsonl.")
    monitor: MonitorConfig = Field(
        MonitorConfig(), description="Looks at the encoder while it is trained; none by default."
    )
    hardware: HardwareConfig = Field(HardwareConfig(), description="Device, precision, readers.")
    wandb: WandbConfig = Field(WandbConfig(), description="Weights & Biases logging.")
    tensorboard: bool = Field(False, description="Figures for TensorBoard, below the run folder.")

    @model_validator(mode="after")
    def _pairs_have_effect(self) -> "PretrainConfig":
        wanted = {getattr(objective, "positives", None) for objective in self.objectives}
        if self.pairs == "all_pairs" and "two_videos" not in wanted:
            raise ValueError("pairs is all_pairs, but no objective has positives two_videos; set one of them")
        kept = {getattr(objective, "same_patient", "excluded") for objective in self.objectives}
        if self.pairs == "patients" and "negatives" in kept:
            raise ValueError(
                "same_patient is negatives, but a batch holds each patient once; set pairs all_pairs"
            )
        return self

    @model_validator(mode="after")
    def _fusion_has_effect(self) -> "PretrainConfig":
        if self.fusion.sources and self.pairs == "all_pairs":
            raise ValueError("pairs is all_pairs, which is for one source; set pairs patients")
        if self.fusion.grey == "matched" and self.grey == "clip_min_max":
            raise ValueError(
                "fusion.grey is matched, but grey clip_min_max stretches each clip by itself; leave one out"
            )
        return self

    @property
    def reads_reports(self) -> bool:
        """Whether reports are learned from."""
        return any(getattr(objective, "reads_reports", False) for objective in self.objectives)

    @model_validator(mode="after")
    def _reports_have_effect(self) -> "PretrainConfig":
        names = [objective.name for objective in self.objectives]
        reading = [getattr(objective, "reads_reports", False) for objective in self.objectives]
        if not any(reading):
            if self.report_column != type(self).model_fields["report_column"].default:
                raise ValueError("report_column is set, but no objective reads reports; leave it out")
            return self
        name = names[reading.index(True)]
        if not all(reading):
            raise ValueError(
                f"objectives: {name} learns from studies with reports, {names[reading.index(False)]} from "
                "clips of patients; leave one out"
            )
        if len({getattr(objective, "slots", ()) for objective in self.objectives}) > 1:
            raise ValueError(
                f"objectives: a batch has one kind of studies; give {' and '.join(names)} the same slots"
            )
        if self.fusion.sources:
            raise ValueError(f"fusion has further sources, but {name} reads the reports of one; leave it out")
        if self.augment.flip and any(
            getattr(objective, "slot_column", "") == "side" for objective in self.objectives
        ):
            raise ValueError(
                f"augment.flip mirrors sides, which slots and reports of {name} tell apart; set flip to 0"
            )
        return self

    @model_validator(mode="after")
    def _micro_batch_has_effect(self) -> "PretrainConfig":
        if self.micro_batch is not None and self.micro_batch >= self.batch_size:
            raise ValueError(
                f"micro_batch is {self.micro_batch}, but batch_size only {self.batch_size}; "
                "set micro_batch lower, or to null"
            )
        return self
