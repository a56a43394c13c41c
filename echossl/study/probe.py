"""The probe with the phantom's truth at hand, which the rooms that learn cannot reach."""

from functools import partial
from pathlib import Path

from echossl.adapt.probe import probe
from echossl.config.probe import ProbeConfig
from echossl.study.truth import read_latents


def run_probe(config: ProbeConfig) -> Path:
    """Probe every arm; see :func:`echossl.adapt.probe.probe`.

    Returns:
        ``summary.md`` in the run folder.
    """
    latents = partial(read_latents, config.truth, config.latents) if config.truth else None
    return probe(config, latents)
