"""The demo: every stage in a row on synthetic patients, ending in one page. Each stage resumes by itself."""

from pathlib import Path

from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.explain import ExplainConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.report import ReportConfig
from echossl.config.study import DemoConfig, StudyConfig
from echossl.data.prepare import prepare
from echossl.data.sources import index_source
from echossl.phantom import generate
from echossl.report import ReportPage, write_report
from echossl.runs import RunFolder
from echossl.saliency.explain import explain
from echossl.study.cells import plan_cells
from echossl.study.page import study_page
from echossl.study.pooled import collect
from echossl.study.run import require_all, run_study
from echossl.study.summary import summarise


def run_demo(config: DemoConfig) -> Path:
    """Run every stage that is not finished yet.

    Returns:
        The report page.

    Raises:
        echossl.errors.RunFolderError: if the folder holds a demo with other settings.
        echossl.errors.EchosslError: if a run has failed twice; all others are finished then.
    """
    RunFolder.open(config.out, config, command="demo")
    generate(PhantomConfig(out=config.out / "phantom", **config.phantom.model_dump()))
    study = study_config(config)
    if not study.data.manifest.is_file():
        shares = {"train": config.train_share, "test": 1 - config.train_share}
        index_source(
            "phantom",
            config.out / "phantom",
            out=study.data.manifest,
            split_shares=shares,
            stratify=study.column,
            seed=config.phantom.seed,
        )
    prepare(PrepareConfig(manifest=study.data.manifest, out=study.data.store, size=config.size))
    require_all(run_study(study), study.out)
    results = collect(study)
    summarise(study, results)
    explain(_explain_config(config, study))
    path = config.out / "report.html"
    page = study_page(config, study, results, _with_study(ReportConfig(), study))
    write_report(page, path)
    return path


def demo_page(folder: Path, page: ReportConfig) -> ReportPage:
    """The page of a demo folder, from what it holds."""
    config = DemoConfig.model_validate(RunFolder(folder).record["config"] | {"out": folder})
    study = study_config(config)
    results = collect(study)
    summarise(study, results)
    return study_page(config, study, results, _with_study(page, study))


def _with_study(page: ReportConfig, study: StudyConfig) -> ReportConfig:
    """Resamples, confidence and seed of the study, where the page's settings do not say others."""
    unsaid = {name: value for name, value in study.bootstrap if name not in page.model_fields_set}
    return page.model_copy(update=unsaid)


def study_config(config: DemoConfig) -> StudyConfig:
    """The demo's study with its paths filled in."""
    data = DataConfig(manifest=config.out / "manifest.csv", store=config.out / "store")
    return StudyConfig(data=data, out=config.out, **config.study.model_dump())


def _explain_config(config: DemoConfig, study: StudyConfig) -> ExplainConfig:
    """Explain the first cell of the default arm: chosen before anything is known of its result."""
    return ExplainConfig(
        run=next(plan_cells(study)).config.out,
        out=config.out / "saliency",
        studies=config.saliency.studies,
        region=config.out / "phantom",
    )
