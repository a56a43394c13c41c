"""Settings of what shows the figures of a run, beside ``metrics.jsonl``, which is always written."""

from typing import Literal

from pydantic import Field

from echossl.config.base import Config


class WandbConfig(Config):
    """Weights & Biases. Nothing leaves the machine but with ``online``, or by ``wandb sync``."""

    mode: Literal["auto", "disabled", "offline", "online"] = Field(
        "auto",
        description="Never asks for a login. auto: what WANDB_MODE says, else offline; disabled where the "
        "package is missing.",
    )
    project: str = Field("echossl", min_length=1, description="Project name.")
    group: str | None = Field(None, description="Runs that belong together, such as the seeds of one arm.")
    job_type: str = Field("pretrain", description="What kind of run it is, within its group.")
    tags: tuple[str, ...] = Field((), description="Words that runs can be found by.")
    example_clips: int = Field(
        4,
        ge=0,
        description="Training clips shown at the start, augmented; they are pictures of patients. 0: none.",
    )
