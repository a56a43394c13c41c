"""A study: pre-trainings × arms × label fractions × draws × seeds, each cell a run folder of its own."""

from echossl.study.run import run_study
from echossl.study.summary import summarise

__all__ = ["run_study", "summarise"]
