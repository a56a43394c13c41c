"""A look at the encoder: embed a few videos, ask every monitor, keep the best."""

import logging
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echossl.config.training import PretrainConfig
from echossl.data.clips import video_requests
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.errors import DecodeError
from echossl.training.encoding import encode
from echossl.training.hardware import Hardware
from echossl.training.monitors import build_monitors
from echossl.training.monitors.base import Embeddings, Floats, Monitor
from echossl.training.monitors.best import BestEncoder
from echossl.training.monitors.videos import choose_videos

PREFIX = "monitor/"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """What is looked at, and how.

    Attributes:
        config: settings of the run.
        store: the clip store.
        videos: as :func:`echossl.training.monitors.videos.choose_videos` gives them.
        monitors: what is asked.
    """

    config: PretrainConfig
    store: ClipStore
    videos: pd.DataFrame
    monitors: tuple[Monitor, ...]

    @classmethod
    def build(cls, config: PretrainConfig, store: ClipStore) -> "Watched | None":
        """Make everything that can fail because of the settings; None without monitors.

        Raises:
            UserError: if the manifest does not hold what the settings name.
        """
        if not config.monitor.every:
            return None
        videos = choose_videos(config.monitor, config.data.manifest, store)
        return cls(config, store, videos, build_monitors(config.monitor, videos))


class Looks:
    """Looks at an encoder that is being trained, which is left as it was.

    Args:
        watched: what is looked at.
        encoder: on the device.
        hardware: device and precision.
        writes: whether this process keeps the best encoder; it is the one that looks.
    """

    def __init__(
        self, watched: Watched, encoder: Encoder, hardware: Hardware, *, writes: bool = True
    ) -> None:
        self._watched, self._encoder, self._hardware = watched, encoder, hardware
        self._settings = watched.config.monitor
        self._videos = watched.videos
        self._best = self._keeper() if writes else None

    def is_due(self, step: int) -> bool:
        """Whether the encoder is to be looked at after ``step`` updates."""
        return step % self._settings.every == 0 or step == self._watched.config.optimiser.steps

    def take(self, step: int) -> dict[str, float]:
        """Look, and keep the encoder if it is the best so far.

        Returns:
            The figures of all monitors and ``seconds``, each name behind ``monitor/``.
        """
        started = time.perf_counter()
        figures = self._figures(Embeddings(*self._embed()))
        if self._best is not None:
            self._best.offer(self._encoder, step, figures)
        figures["seconds"] = round(time.perf_counter() - started, 3)
        return {f"{PREFIX}{name}": value for name, value in figures.items()}

    def _figures(self, embeddings: Embeddings) -> dict[str, float]:
        if not np.isfinite(embeddings.features).all():
            logger.warning("embeddings are not finite: this look says nothing")
            return {"not_finite": 1.0}
        return {name: value for monitor in self._watched.monitors for name, value in monitor.run(embeddings)}

    def _embed(self) -> tuple[pd.DataFrame, Floats]:
        """The videos that can be read, and the mean vector of the clips of each: (videos, dim)."""
        count, store, clip = self._settings.clips_per_video, self._watched.store, self._encoder.metadata.clip
        while True:
            rows = self._videos["row"].tolist()
            requests = [request for row in rows for request in video_requests(store, row, clip, count=count)]
            try:
                features = encode(self._encoder, store, requests, hardware=self._hardware)
            except DecodeError as error:
                self._leave_out(error)
                continue
            return self._videos, features.astype(np.float64).reshape(len(rows), count, -1).mean(axis=1)

    def _leave_out(self, error: DecodeError) -> None:
        """Go on without a video; one of the many that are looked at must not end a training.

        Raises:
            DecodeError: if fewer than half would be left.
        """
        paths = self._watched.store.paths[self._videos["row"].to_numpy()]
        kept = self._videos[paths != str(error.path)]
        if len(kept) == len(self._videos) or len(kept) < len(self._watched.videos) / 2:
            raise error
        logger.warning("monitors go on without a video: %s", error)
        self._videos = kept

    def _keeper(self) -> BestEncoder | None:
        settings = self._settings
        if settings.keep_best is None:
            return None
        looks = self._watched.monitors
        by_labels = any(monitor.uses_labels and settings.keep_best in monitor.chooses for monitor in looks)
        labels = settings.column if by_labels and settings.column else "none"
        notes = {"best_split": settings.split, "best_labels": labels}
        return BestEncoder(self._watched.config.out, settings.keep_best, notes)
