"""Settings of the statistics."""

from pydantic import Field

from echossl.config.base import Config


class BootstrapConfig(Config):
    """Percentile bootstrap over patients."""

    resamples: int = Field(2000, ge=100, description="Number of resamples of the patients.")
    confidence: float = Field(
        0.95, gt=0, lt=1, description="Coverage; 0.95 takes the 2.5th to 97.5th percentile."
    )
    seed: int = Field(0, ge=0, description="Seed of the resampling.")
