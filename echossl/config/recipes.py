"""Settings of the recipes of adaptation: how the labels of the budget are used."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from echossl.config.base import Config

Rates = tuple[float, ...]


class Search(Config):
    """Lists of values; every combination is tried on the validation patients. An empty list is not searched.

    Of settings that do equally well the ones listed first are taken.
    """

    @field_validator("*")
    @classmethod
    def _positive_and_different(cls, values: Rates | str) -> Rates | str:
        if isinstance(values, str):  # the name of a recipe
            return values
        if any(value <= 0 for value in values) or len(set(values)) < len(values):
            raise ValueError("give different numbers above 0")
        return values


class FrozenSearch(Search):
    """What may be searched of the recipe frozen."""

    learning_rates: Rates = Field((), description="Peak learning rates of the head.")
    weight_decays: Rates = Field((), description="Weight decays of the head.")

    def lists(self) -> dict[str, Rates]:
        """The lists that are not empty, by the name of the setting that takes their values."""
        return _filled(learning_rate=self.learning_rates, weight_decay=self.weight_decays)


class FullSearch(Search):
    """What may be searched of the recipes full and lpft."""

    learning_rates: Rates = Field((), description="Peak learning rates of the encoder.")
    head_learning_rates: Rates = Field((), description="Peak learning rates of the head.")
    weight_decays: Rates = Field((), description="Weight decays.")
    layer_decays: Rates = Field((), description="Factors of the rate per stage, at most 1.")

    @field_validator("layer_decays")
    @classmethod
    def _at_most_one(cls, values: Rates) -> Rates:
        if any(value > 1 for value in values):
            raise ValueError("give numbers of at most 1")
        return values

    def lists(self) -> dict[str, Rates]:
        """The lists that are not empty, by the name of the setting that takes their values."""
        return _filled(
            learning_rate=self.learning_rates,
            head_learning_rate=self.head_learning_rates,
            weight_decay=self.weight_decays,
            layer_decay=self.layer_decays,
        )


def _filled(**lists: Rates) -> dict[str, Rates]:
    return {name: values for name, values in lists.items() if values}


class Pooled(Config):
    """How the videos of a study become one answer."""

    pooling: Literal["mean", "max", "attention"] = Field(
        "mean",
        description="Mean or maximum of what is said of a study's videos, trained video by video; or gated "
        "attention, trained with studies as items (frozen: all videos; full and lpft: those of the batch).",
    )
    attention_width: int = Field(32, ge=1, description="Hidden units of the attention.")

    @model_validator(mode="after")
    def _width_has_an_effect(self) -> Self:
        if self.attention_width != type(self).model_fields["attention_width"].default and not self.attends:
            raise ValueError("attention_width has no effect without pooling attention")
        return self

    @property
    def attends(self) -> bool:
        """Whether there is attention to be trained."""
        return self.pooling == "attention"


class FrozenRecipe(Pooled):
    """Encoder frozen in evaluation mode; a linear head is trained on features of augmented clips."""

    name: Literal["frozen"] = "frozen"
    steps: int = Field(80, ge=1, description="Most updates; the number is chosen on the validation patients.")
    evaluate_every: int = Field(10, ge=1, description="Updates between looks at the validation patients.")
    learning_rate: float = Field(1e-2, gt=0, description="Peak learning rate of the head.")
    weight_decay: float = Field(0.05, ge=0, description="Decoupled weight decay of the head.")
    warmup_steps: int = Field(10, ge=0, description="Updates over which the learning rate rises from 0.")
    augmented_views: int = Field(
        32, ge=1, description="Augmented clips of each video that features are cut from."
    )
    search: FrozenSearch = Field(FrozenSearch(), description="Settings chosen on the validation patients.")

    def grid(self) -> dict[str, Rates]:
        """The lists of values that are tried, by the name of the setting."""
        return self.search.lists()


class FullSettings(Pooled):
    """How all layers are trained."""

    steps: int = Field(80, ge=1, description="Most updates; the number is chosen on the validation patients.")
    evaluate_every: int = Field(20, ge=1, description="Updates between looks at the validation patients.")
    learning_rate: float = Field(1e-4, gt=0, description="Peak learning rate of the encoder.")
    head_learning_rate: float = Field(3e-3, gt=0, description="Peak learning rate of the head.")
    weight_decay: float = Field(0.05, ge=0, description="Decoupled weight decay.")
    warmup_steps: int = Field(10, ge=0, description="Updates over which the learning rate rises from 0.")
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor of the encoder's learning rate per stage, counted from the head; the stem is the "
        "slowest.",
    )
    freeze_stages: int = Field(
        0, ge=0, description="Stages, from the stem on, that stay as they are, in evaluation mode."
    )
    batch_norm: Literal["train", "frozen"] = Field(
        "train",
        description="Batch norm with the statistics of the batch, or with its running ones, which then stay "
        "as they are; its weight and bias are trained in any case.",
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of the features that is dropped before the linear layer."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each label that is spread evenly over all classes."
    )
    balance: Literal["sampler", "loss"] = Field(
        "sampler",
        description="Batches with as many patients of each class, or of all patients alike, each class "
        "weighted in the loss by its rareness in the budget.",
    )
    most_balance: float | None = Field(
        None,
        gt=1,
        description="With balance loss: the most that a label of the rarer class weighs, in labels of the "
        "commonest; of a column of 0 and 1 the cap of negatives / positives. Empty sets none.",
    )
    search: FullSearch = Field(FullSearch(), description="Settings chosen on the validation patients.")

    @model_validator(mode="after")
    def _cap_has_an_effect(self) -> Self:
        if self.most_balance is not None and self.balance != "loss":
            raise ValueError("most_balance has no effect without balance loss; leave it out")
        return self

    def grid(self) -> dict[str, Rates]:
        """The lists of values that are tried, by the name of the setting."""
        return self.search.lists()


class FullRecipe(FullSettings):
    """All layers are trained, the encoder at a rate of its own."""

    name: Literal["full"] = "full"


class ProbeSettings(Search):
    """A linear model of standardised features, with a penalty on its weights."""

    inverse_regularisations: Rates = Field(
        (0.001, 0.01, 0.1, 1.0, 10.0),
        min_length=1,
        description="Values of C: penalty 1 / C, as of scikit-learn's LogisticRegression. Of several the "
        "best on the validation patients is taken, of equal ones the first.",
    )


class ProbeRecipe(ProbeSettings):
    """Logistic or ridge regression on the mean features of a study's videos, in evaluation mode."""

    name: Literal["probe"] = "probe"
    pooling: Literal["mean", "max"] = Field(
        "mean", description="Mean or maximum of what is said of a study's videos; fitted to mean features."
    )

    @property
    def steps(self) -> int:
        """It is fitted at once."""
        return 1

    @property
    def evaluate_every(self) -> int:
        """It is fitted at once."""
        return 1

    def grid(self) -> dict[str, Rates]:
        """The values of C."""
        return {"inverse_regularisation": self.inverse_regularisations}


class ProbeThenFullRecipe(FullSettings):
    """A probe first, then all layers are trained from its head on (Kumar et al., arXiv 2202.10054)."""

    name: Literal["lpft"] = "lpft"
    probe: ProbeSettings = Field(ProbeSettings(), description="The linear model that is fitted first.")


class PixelRecipe(Config):
    """Control: logistic regression on 16 x 16 pixels, their mean and deviation over the clip."""

    name: Literal["pixels"] = "pixels"
    inverse_regularisation: float = Field(0.1, gt=0, description="C of scikit-learn's LogisticRegression.")


TrainedRecipe = FrozenRecipe | FullRecipe | ProbeRecipe | ProbeThenFullRecipe
Recipe = Annotated[TrainedRecipe | PixelRecipe, Field(discriminator="name")]
