"""What ``echossl sweep`` does: a study as a whole, in parts, as jobs of a cluster, or only its table."""

from echossl.config.study import StudyConfig
from echossl.errors import EchosslError, UserError
from echossl.study.across_summary import summarise_sources
from echossl.study.plan import plan_text
from echossl.study.pooled import collect
from echossl.study.run import Failure, require_all, run_study
from echossl.study.slurm import write_slurm
from echossl.study.summary import missing_cells, summarise
from echossl.study.tasks import Task, do_alone

__all__ = [
    "do_alone",
    "plan_text",
    "require_all",
    "require_complete",
    "run_chosen",
    "write_slurm",
    "write_table",
]


def run_chosen(config: StudyConfig, *, pretrain_only: bool, fraction: float | None) -> list[Failure]:
    """Run all of a study, its pre-trainings, or the cells of one fraction and what they start from.

    Raises:
        UserError: if the study does not hold the fraction.
    """
    if fraction is not None and fraction not in config.fractions:
        known = ", ".join(f"{one:g}" for one in config.fractions)
        raise UserError(f"--fraction {fraction:g}: the study has {known}")

    def is_chosen(task: Task) -> bool:
        if task.cell is None:
            return True
        return not pretrain_only and fraction in {None, task.cell.fraction}

    return run_study(config, chosen=is_chosen)


def write_table(config: StudyConfig) -> str:
    """Pool what is finished, write it into the study's folder, and return the table for a person."""
    if config.sources:
        return summarise_sources(config).read_text(encoding="utf-8")
    return summarise(config, collect(config)).read_text(encoding="utf-8")


def require_complete(config: StudyConfig) -> None:
    """Raise EchosslError if a cell is not finished."""
    missing = missing_cells(config)
    if missing:
        raise EchosslError(
            f"{config.out}: {len(missing)} cells are not finished, the first is {missing[0]}; "
            "the table stands on the others"
        )
