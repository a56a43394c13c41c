"""Settings of the monitors: how the encoder is looked at while it is trained."""

from pydantic import Field, model_validator

from echossl.config.base import Config


class MonitorConfig(Config):
    """Looks at the encoder while it is trained. Labels are only looked at: no update ever depends on them."""

    every: int = Field(
        0, ge=0, description="Steps between looks, and one after the last step; 0 takes no look at all."
    )
    split: str = Field("val", description="Split whose videos are looked at.")
    column: str | None = Field(
        None, description="Label column of 0 and 1: adds kNN and linear probe; null does without labels."
    )
    fit_split: str = Field(
        "train",
        description="Split whose labels kNN and probe know; that of `split` leaves patients out in turn.",
    )
    most_patients: int = Field(
        200, ge=2, description="Patients looked at of each split, spread evenly over those there are."
    )
    videos_per_patient: int = Field(4, ge=1, description="Videos looked at of each patient, spread evenly.")
    clips_per_video: int = Field(1, ge=1, description="Clips of each video, whose mean stands for it.")
    leak_columns: tuple[str, ...] = Field(
        (), description="Columns that embeddings should not tell, such as source or the scanner."
    )
    keep_best: str | None = Field(
        None,
        description="Figure, such as knn_auroc: the encoder of its largest value is kept as "
        "encoder_best.safetensors, chosen with the labels if the figure needs them.",
    )

    @model_validator(mode="after")
    def _has_effect(self) -> "MonitorConfig":
        """Refuse settings that do nothing."""
        fields = type(self).model_fields
        changed = [name for name in fields if getattr(self, name) != fields[name].default]
        if not self.every and changed:
            raise ValueError(
                f"every is 0, so {', '.join(changed)} would do nothing; set every, or leave it out"
            )
        if self.column is None and self.fit_split != fields["fit_split"].default:
            raise ValueError("fit_split does nothing without labels; set column, or leave it out")
        for key, split in (("split", self.split), ("fit_split", self.fit_split)):
            if self.keep_best is not None and split == "test":
                raise ValueError(f"keep_best would choose on the test split; set {key} to another one")
        return self
