"""A study: pre-trainings × arms × label fractions × draws × seeds, each cell a run folder of its own."""

from echossl.study.run import run_study
from echossl.study.summary import collect, summarise

__all__ = ["collect", "run_study", "summarise"]
