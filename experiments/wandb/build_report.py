"""A Weights & Biases report of a study: its runs by arm and by label fraction, for a user who is logged in.

    echossl sweep study.yaml wandb.mode=offline wandb.project=echo-study     # or online
    wandb sync runs/study/*/*/wandb/offline-run-* runs/study/cells/*/*/wandb/offline-run-*
    .venv/bin/python experiments/wandb/build_report.py study.yaml --entity my-team

What it shows is read from the study and its run folders; --print shows that as JSON and needs no account. The
report itself needs: pip install wandb wandb-workspaces
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from echossl.config import load_config
from echossl.config.study import StudyConfig
from echossl.errors import EchosslError, UserError
from echossl.study.cells import plan_cells, plan_pretrainings
from echossl.study.wandb_cells import JOB_TYPE
from echossl.study.watch import read_metrics

AUROC = "test/auroc"
FRACTION, GROUP = "labels.fraction", "group"  # where W&B keeps them: a setting of the run, and its group
LEAST_TOLD = {"step", "bad_videos", "bad_steps", "learning_rate"}


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        kind: lines over steps, bars of groups, or dots of runs.
        title: above it.
        metric: what is shown.
        over: settings that the horizontal axis shows, for dots.
    """

    kind: Literal["lines", "bars", "dots"]
    title: str
    metric: str
    over: str = ""


@dataclass(frozen=True)
class Section:
    """Charts of the same runs.

    Attributes:
        title: heading.
        text: what a reader is told.
        filters: which runs, as W&B writes it.
        group_by: how they are grouped.
        panels: the charts.
    """

    title: str
    text: str
    filters: str
    group_by: tuple[str, ...]
    panels: tuple[Panel, ...]


def report_sections(config: StudyConfig) -> list[Section]:
    """The report of a study: label efficiency, each fraction, adaptation, pre-training.

    Args:
        config: the study; which curves there are is read from the runs that have begun.
    """
    adapted = f"Metric('JobType') == '{JOB_TYPE}'"
    titles = "; ".join(f"{arm.name}: {arm.title}" for arm in config.arms)
    sections = [
        Section(
            "Label efficiency",
            f"Every dot is a run on the test patients. {titles}. Intervals and adjusted p-values stand in "
            "summary.md of the study: W&B averages over runs and knows no patients.",
            adapted,
            (GROUP, f"config.{FRACTION}"),
            (Panel("dots", "AUROC against the share of labels", AUROC, FRACTION),),
        )
    ]
    sections += [
        Section(
            f"{100 * fraction:.3g} % of the labels",
            f"{config.draws} label draws, the same for every arm; bars are means, whiskers all runs.",
            f"{adapted} and Metric('Tags') in ['fraction{fraction:g}']",
            (GROUP,),
            (Panel("bars", "AUROC on the test patients", AUROC),),
        )
        for fraction in config.fractions
    ]
    sections += _curves("Adaptation", "Looks at the validation patients.", adapted, _look_keys(config))
    trained = "Metric('JobType') == 'pretrain'"
    return sections + _curves("Pre-training", "Every seed, grouped by name.", trained, _metric_keys(config))


def _curves(title: str, text: str, filters: str, keys: Sequence[str]) -> list[Section]:
    panels = tuple(Panel("lines", key, key) for key in keys)
    return [Section(title, text, filters, (GROUP,), panels)] if panels else []


def _metric_keys(config: StudyConfig) -> list[str]:
    """What pre-trainings have logged, in order of appearance."""
    keys: dict[str, None] = {}
    for run in plan_pretrainings(config):
        for line in read_metrics(run.out)[:1]:
            keys |= dict.fromkeys(line)
    return [key for key in keys if key not in LEAST_TOLD]


def _look_keys(config: StudyConfig) -> list[str]:
    """What the cells' looks at validation patients hold."""
    keys: dict[str, None] = {}
    for cell in plan_cells(config):
        if cell.is_finished:
            result = json.loads((cell.config.out / "result.json").read_text(encoding="utf-8"))
            for look in result.get("validation", [])[:1]:
                keys |= dict.fromkeys(f"validation/{name}" for name in look if name != "step")
    return list(keys)


def build_report(sections: Sequence[Section], *, project: str, entity: str, title: str) -> Any:
    """The sections as a report of W&B, not saved yet.

    Raises:
        UserError: if the package is missing.
    """
    reports = _import_reports()
    blocks: list[Any] = []
    for section in sections:
        runs = reports.Runset(
            project=project,
            entity=entity,
            name=section.title,
            filters=section.filters,
            groupby=list(section.group_by),
        )
        panels = [_PANELS[panel.kind](reports, panel) for panel in section.panels]
        blocks += [
            reports.H2(section.title),
            reports.P(section.text),
            reports.PanelGrid(runsets=[runs], panels=panels),
        ]
    return reports.Report(project=project, entity=entity, title=title, blocks=blocks)


def _lines(reports: Any, panel: Panel) -> Any:
    return reports.LinePlot(
        title=panel.title,
        x="Step",
        y=[panel.metric],
        groupby=GROUP,
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )


def _bars(reports: Any, panel: Panel) -> Any:
    return reports.BarPlot(
        title=panel.title,
        metrics=[panel.metric],
        groupby=GROUP,
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )


def _dots(reports: Any, panel: Panel) -> Any:
    return reports.ScatterPlot(
        title=panel.title,
        x=reports.Config(panel.over),
        y=reports.SummaryMetric(panel.metric),
        log_x=True,
    )


_PANELS: dict[str, Callable[[Any, Panel], Any]] = {"lines": _lines, "bars": _bars, "dots": _dots}


def _import_reports() -> Any:
    try:
        import wandb_workspaces.reports.v2 as reports
    except ImportError as error:
        raise UserError(
            "the package of W&B reports is missing; pip install wandb wandb-workspaces, or take --print"
        ) from error
    return reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", type=Path, help="the study's YAML")
    parser.add_argument("words", nargs="*", help="KEY=VALUE, as they were given to echossl sweep")
    parser.add_argument("--entity", default="", help="user or team; empty takes that of the login")
    parser.add_argument("--title", default="Label efficiency")
    parser.add_argument("--print", action="store_true", help="print what would be shown, as JSON")
    given = parser.parse_args()
    try:
        config = load_config(StudyConfig, given.study, given.words)
        sections = report_sections(config)
        if given.print:
            print(json.dumps([asdict(section) for section in sections], indent=2))
            return
        project = config.wandb.project
        entity = {"entity": given.entity} if given.entity else {"entity": _own_entity()}
        report = build_report(sections, project=project, title=given.title, **entity)
        report.save()
        print(report.url)
    except EchosslError as error:
        sys.exit(f"build_report.py: {error}")


def _own_entity() -> str:
    """The user's own, from the login that W&B keeps.

    Raises:
        UserError: if nobody is logged in.
    """
    _import_reports()
    import wandb

    if not wandb.login(prompt=False):
        raise UserError("nobody is logged in; run wandb login, or set WANDB_API_KEY")
    return str(wandb.Api().default_entity)


if __name__ == "__main__":
    main()
