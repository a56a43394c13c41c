"""What an encoder that stays as it is says of videos, computed once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from echossl.adapt.embed import embed
from echossl.config.adapt import FinetuneConfig
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.training.hardware import Hardware


class VideoFeatures:
    """Vectors of the clips of videos, not augmented, by an encoder in evaluation mode.

    Args:
        encoder: on the device; it must not change as long as this is used.
        store: the clip store.
        config: which clips of a video, and the seed of random ones.
        hardware: device and precision.
    """

    def __init__(
        self, encoder: Encoder, store: ClipStore, *, config: FinetuneConfig, hardware: Hardware
    ) -> None:
        self.encoder = encoder
        self.store = store
        self.config = config
        self.hardware = hardware
        self._known: dict[int, npt.NDArray[np.float32]] = {}

    def clips(self, rows: Sequence[int]) -> list[npt.NDArray[np.float32]]:
        """For each store row (clips, dim)."""
        missing = [row for row in dict.fromkeys(rows) if row not in self._known]
        found = embed(
            self.encoder,
            self.store,
            missing,
            clips_per_video=self.config.clips_per_video,
            hardware=self.hardware,
            policy=self.config.clip_policy,
            seed=self.config.seed,
        )
        self._known.update(zip(missing, found, strict=True))
        return [self._known[row] for row in rows]

    def means(self, rows: Sequence[int]) -> npt.NDArray[np.float64]:
        """The mean over the clips of each video: (videos, dim)."""
        return np.stack([own.mean(axis=0, dtype=np.float64) for own in self.clips(rows)])
