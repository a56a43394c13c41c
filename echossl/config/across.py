"""Settings of adaptation and tests across several sources, with one list of classes for all of them."""

from typing import Literal

from pydantic import Field, model_validator

from echossl.config.adapt import FinetuneConfig, LabelBudget
from echossl.config.base import Config
from echossl.config.data import FusionConfig, SourceConfig


class LabelledSource(SourceConfig):
    """Videos from one place, with the classes that its readers tell apart."""

    assessed: tuple[str, ...] = Field(
        (),
        description="Classes that this source tells apart, of the study's; empty takes all. The others never "
        "enter the loss of its patients, and nothing is tested on them here.",
    )

    @model_validator(mode="after")
    def _are_classes(self) -> "LabelledSource":
        if self.assessed and len(set(self.assessed)) < max(2, len(self.assessed)):
            raise ValueError(f"assessed of {self.name}: give two different classes or more, each once")
        return self


class PretrainingSources(Config):
    """Which sources of a study of several a pre-training sees, and how it mixes them."""

    which: Literal["all", "adapted", "all_but_tested"] = Field(
        "all",
        description="All sources, those that are adapted to afterwards, or all but the one that is tested, "
        "a pre-training for each. Of those that are not adapted to, no label is read.",
    )
    sampling: Literal["proportional", "uniform", "temperature"] = Field(
        "proportional", description="Share of a source in every batch; as in fusion."
    )
    temperature: float | None = Field(None, gt=0, description="Of sampling temperature; as in fusion.")
    grey: Literal["as_is", "matched"] = Field(
        "as_is", description="Grey values of the sources beside the first; as in fusion."
    )

    def fused(self, sources: tuple[SourceConfig, ...]) -> FusionConfig:
        """What a pre-training on these sources is told; of one source there is nothing to be said."""
        if len(sources) == 1:
            return FusionConfig()
        plain = tuple(SourceConfig(name=one.name, manifest=one.manifest, store=one.store) for one in sources)
        return FusionConfig(
            sources=plain[1:],
            name=plain[0].name,
            sampling=self.sampling,
            temperature=self.temperature,
            grey=self.grey,
        )

    @model_validator(mode="after")
    def _temperature_has_effect(self) -> "PretrainingSources":
        if (self.temperature is not None) != (self.sampling == "temperature"):
            raise ValueError("sampling temperature and a temperature belong together; set both or none")
        return self


class AssessedLabels(LabelBudget):
    """A share of the labels of every source; each source says which of the classes it assesses."""

    task: Literal["multiclass"] = Field("multiclass", description="One of several classes.")
    unit: Literal["study"] = Field("study", description="What has a label and a score.")


class AcrossConfig(FinetuneConfig):
    """One cell of a study of several sources: adapted to some of them, tested on some."""

    labels: AssessedLabels = Field(description="Which labels may be read, of each source that is adapted to.")
    adapted: tuple[LabelledSource, ...] = Field(
        min_length=1, description="Sources whose labels are learned from; data is the first of them."
    )
    tested: tuple[LabelledSource, ...] = Field(
        min_length=1, description="Sources whose test split is predicted, a table each."
    )
