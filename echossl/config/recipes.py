"""Settings of the recipes of adaptation: how the labels of the budget are used."""

from typing import Annotated, Literal

from pydantic import Field

from echossl.config.base import Config


class FrozenRecipe(Config):
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


class FullRecipe(Config):
    """All layers are trained, the encoder at a rate of its own."""

    name: Literal["full"] = "full"
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


class PixelRecipe(Config):
    """Control: logistic regression on 16 x 16 pixels, their mean and deviation over the clip."""

    name: Literal["pixels"] = "pixels"
    inverse_regularisation: float = Field(0.1, gt=0, description="C of scikit-learn's LogisticRegression.")


Recipe = Annotated[FrozenRecipe | FullRecipe | PixelRecipe, Field(discriminator="name")]
