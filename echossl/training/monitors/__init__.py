"""Monitors: what the encoder has learned so far, grouped by patient; no update depends on what they see.

A monitor is an object whose ``run(embeddings)`` yields pairs of name and value. A new one is a file beside
these, and a line in ``MONITORS``.
"""

import pandas as pd

from echossl.config.monitors import MonitorConfig
from echossl.errors import UserError
from echossl.training.monitors.base import Embeddings, Monitor
from echossl.training.monitors.collapse import Collapse
from echossl.training.monitors.leak import Leak
from echossl.training.monitors.neighbours import NearestNeighbours
from echossl.training.monitors.probe import LinearProbe
from echossl.training.monitors.rank import EffectiveRank
from echossl.training.monitors.spread import Spread

__all__ = ["MONITORS", "Embeddings", "Monitor", "build_monitors"]

MONITORS: tuple[type[Monitor], ...] = (
    NearestNeighbours,
    LinearProbe,
    EffectiveRank,
    Spread,
    Collapse,
    Leak,
)


def build_monitors(config: MonitorConfig, videos: pd.DataFrame) -> tuple[Monitor, ...]:
    """The monitors that the settings ask for.

    Args:
        config: settings.
        videos: what will be looked at, as in :class:`Embeddings`.

    Raises:
        UserError: if one cannot say anything of these videos, or none has the figure that is to choose.
    """
    monitors = tuple(kind(config, videos) for kind in MONITORS if kind.is_wanted(config))
    known = [name for monitor in monitors for name in monitor.chooses]
    if config.keep_best is not None and config.keep_best not in known:
        others = {name for kind in MONITORS for name in kind.chooses} - set(known)
        hint = "set monitor.column" if config.keep_best in others else f"take one of {', '.join(known)}"
        raise UserError(f"monitor.keep_best: found {config.keep_best!r}, which is not measured here; {hint}")
    return monitors
