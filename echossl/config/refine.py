"""Settings of refinement: a given encoder learns from the reports of its pictures."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from echossl.config.base import Config
from echossl.config.text import OwnTextConfig

# settings that are of no use without the loss whose weight comes first
OWNERS = {
    "contrast": ("projection_dim", "temperature", "label_smoothing"),
    "masked_words": ("mask_share",),
    "generation": ("generate", "generation_mask_share"),
}


class RefineConfig(Config):
    """Pictures and their reports by four losses, after RetFiner (arXiv 2506.22149); each can be left out."""

    reads_reports: ClassVar[bool] = True

    name: Literal["refine"] = "refine"
    weight: float = Field(1.0, gt=0, description="Factor of the sum of the four losses.")
    text: OwnTextConfig = Field(OwnTextConfig(), description="The network that reads the reports.")
    contrast: float = Field(
        1.0, ge=0, description="Factor of the contrast of pictures and reports; 0 leaves it out."
    )
    matching: float = Field(
        1.0,
        ge=0,
        description="Factor of telling whether a report is that of a picture, against the most similar "
        "others (without contrast, any others); 0 leaves it out.",
    )
    masked_words: float = Field(
        1.0, ge=0, description="Factor of filling in hidden words beside the picture; 0 leaves it out."
    )
    generation: float = Field(
        1.0, ge=0, description="Factor of writing the report from left to right; 0 leaves it out."
    )
    projection_dim: int = Field(
        128, ge=1, description="Dimension in which pictures and reports are compared; published: 512."
    )
    temperature: float = Field(
        0.07, ge=0.01, le=1, description="Start of the temperature of the contrast, which is learned."
    )
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="Share of the contrast's target that is spread over the whole batch."
    )
    mask_share: float = Field(0.15, gt=0, lt=1, description="Share of the words that masked_words hides.")
    generate: Literal["next_word", "hidden_words"] = Field(
        "next_word",
        description="Every next word is written, or, as published, hidden words are from what stands left.",
    )
    generation_mask_share: float = Field(
        0.6, gt=0, lt=1, description="Share of the words that hidden_words hides."
    )

    @model_validator(mode="after")
    def _has_effect(self) -> "RefineConfig":
        if not (self.contrast or self.matching or self.masked_words or self.generation):
            raise ValueError(
                "contrast, matching, masked_words and generation are all 0; give one of them a weight"
            )
        changed = {
            name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default
        }
        for owner, settings in OWNERS.items():
            lost = [name for name in settings if name in changed]
            if lost and not getattr(self, owner):
                raise ValueError(
                    f"{lost[0]} is about {owner}, which is 0; leave it out, or give {owner} a weight"
                )
        if self.generate == "next_word" and "generation_mask_share" in changed:
            raise ValueError(
                "generation_mask_share is about hidden_words; leave it out, or set generate to it"
            )
        return self
