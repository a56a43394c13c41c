"""Settings of the report page."""

from pathlib import Path

from pydantic import Field

from echossl.config.evaluation import EvaluationConfig


class ReportConfig(EvaluationConfig):
    """What stands on ``report.html``, and how its scores are judged."""

    title: str | None = Field(None, description="Heading of the page; empty takes one that fits.")
    manifest: Path | None = Field(
        None,
        description="Table with columns for subgroups, grades and measurements; the run's unless given.",
    )
    saliency: Path | None = Field(
        None, description="Folder of echossl explain; the folder saliency of the run unless given."
    )
    videos: int = Field(48, ge=0, description="Most videos in the gallery, in the order of its table.")
    film_kilobytes: int = Field(
        300, ge=10, description="Largest film inside the page, in 1,000 bytes; a larger one is encoded again."
    )
