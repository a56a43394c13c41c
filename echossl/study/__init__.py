"""A study: pre-trainings × arms × label fractions × draws × seeds, each cell a run folder of its own."""

from echossl.study.pooled import collect
from echossl.study.run import require_all, run_study
from echossl.study.summary import summarise

__all__ = ["collect", "require_all", "run_study", "summarise"]
