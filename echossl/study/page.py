"""The report page of a study: its folder's files turned into what the report room draws."""

import shlex
from collections.abc import Iterator, Mapping

from echossl.config.report import ReportConfig
from echossl.config.study import DemoConfig, StudyConfig
from echossl.data.labels import describe
from echossl.evaluation import pooled_roc
from echossl.report import (
    BudgetLine,
    DifferenceLine,
    ReportPage,
    ResultLine,
    RocLine,
    TestSet,
)
from echossl.runs import RunFolder
from echossl.study.cells import plan_pretrainings
from echossl.study.curves import pretraining_curves
from echossl.study.family import CORRECTIONS, adjusted_p_values
from echossl.study.one_model import budget_line, environment, one_model
from echossl.study.pooled import ArmResult

TARGETS = {"severe_as": "severe aortic stenosis"}
NOTES = [
    "The patients are synthetic: a gain here shows that the code works, not that it works on patients.",
    "Validation patients come out of the label budget. Nothing was chosen on the test patients.",
]
LIMITS = [
    "Research use only; not a medical device.",
    "Severity is one number behind a few image features here: a leading part of what tells patients apart.",
    "A pre-training seed can move an AUROC by 0.05: with one seed, do not rank arms that lie closer.",
    "Saliency maps are exploratory; believe them as far as the controls beside them allow.",
]


def study_page(
    config: DemoConfig, study: StudyConfig, results: list[ArmResult], page: ReportConfig
) -> ReportPage:
    """The page of a demo, from what its folder holds.

    Args:
        config: of the demo.
        study: with its paths filled in.
        results: pooled, by arm and fraction.
        page: what stands on the page, and how single models are judged.
    """
    first = [result for result in results if result.fraction == study.fractions[0]]
    cell = results[0].cells[0]
    test, adjusted = cell.predictions, adjusted_p_values(study, results)
    model = one_model(
        test,
        page,
        manifest=study.data.manifest,
        saliency=config.out / "saliency",
        note=f"{results[0].arm.title}, {results[0].num_labelled_patients} labelled patients, label draw "
        f"{cell.draw}, seed {cell.seed}: the first model of the study, chosen before its result was known.",
    )
    return ReportPage(
        title=page.title or config.title,
        lead=_lead(config, results),
        test_set=TestSet(
            TARGETS.get(study.evaluated, study.evaluated),
            test.num_patients,
            test.num_positive,
            test.prevalence,
        ),
        default_arm=study.arms[0].title,
        results=[_result_line(result) for result in results],
        what_was_run=_what_was_run(config, study),
        notes=_notes(study),
        differences=[_difference_line(result, adjusted) for result in results if result.against],
        correction=CORRECTIONS[study.family.correction] if adjusted else "",
        roc_fraction=study.fractions[0],
        roc=[RocLine(result.arm.title, pooled_roc(result.cells)) for result in first],
        judged=[model.judged],
        training=list(pretraining_curves([run.out for run in plan_pretrainings(study)])),
        budget=list(_budget(results)),
        saliency=model.saliency,
        saliency_rule=model.rule,
        saliency_checks=model.checks,
        belief=model.belief,
        missing=model.missing,
        limits=LIMITS,
        environment=environment(config.out),
    )


def _result_line(result: ArmResult) -> ResultLine:
    return ResultLine(
        arm=result.arm.title,
        fraction=result.fraction,
        num_labelled_patients=result.num_labelled_patients,
        auroc=result.intervals["auroc"],
        auprc=result.intervals["auprc"],
    )


def _difference_line(result: ArmResult, adjusted: Mapping[tuple[str, float], float]) -> DifferenceLine:
    return DifferenceLine(
        arm=result.arm.title,
        fraction=result.fraction,
        num_labelled_patients=result.num_labelled_patients,
        auroc=result.against["auroc"],
        auprc=result.against["auprc"],
        adjusted_p_value=adjusted.get((result.arm.name, result.fraction)),
    )


def _what_was_run(config: DemoConfig, study: StudyConfig) -> list[tuple[str, str]]:
    phantom, clip = config.phantom, study.clip
    view = "valve-centred, 9-11 cm" if phantom.view == "valve" else "whole 15 cm sector"
    return [
        (
            "Patients",
            f"{phantom.patients} synthetic, seed {phantom.seed}, {config.train_share:.0%} for training",
        ),
        ("View", f"parasternal long axis, {view}"),
        ("Variance shared by a patient's videos", f"{phantom.share:.0%} of view and scanner"),
        (
            "Clips",
            f"{clip.num_frames} frames over {clip.clip_seconds:g} s, {config.size} x {config.size} pixels",
        ),
        ("Network", study.encoder.name),
        ("Pre-training", _pretraining_text(study)),
        *([("Classes", classes)] if (classes := describe(study.column)) else []),
        ("Label draws", f"{study.draws} per fraction, the same for every arm"),
        ("Pre-training seeds", str(study.seeds)),
        ("Command", shlex.join(["echossl", *RunFolder(config.out).record["argv"][1:]])),
    ]


def _pretraining_text(study: StudyConfig) -> str:
    shared = {"name", "objectives"}
    own = [one.name for one in study.pretrainings if one.model_dump(exclude=shared, exclude_defaults=True)]
    who = f"settings of their own: {', '.join(own)}" if own else "every arm alike"
    return f"{study.optimiser.steps} updates of {study.batch_size} patients, {who}"


def _lead(config: DemoConfig, results: list[ArmResult]) -> str:
    patients = round(config.phantom.patients * config.train_share)
    counts = sorted({result.num_labelled_patients for result in results})
    labelled = " or ".join(str(count) for count in counts)
    pretrained = f"A 3-D CNN was pre-trained on the unlabelled videos of {patients} patients"
    return f"{pretrained}, then adapted with the labels of {labelled} of them."


def _notes(study: StudyConfig) -> list[str]:
    seeds = "one pre-training seed" if study.seeds == 1 else f"{study.seeds} pre-training seeds"
    fewer = [arm.title for arm in study.arms if (arm.seeds or study.seeds) < study.seeds]
    single = f" With fewer seeds: {'; '.join(fewer)}." if fewer else ""
    repeats = f"{study.draws} label draws, the same for every arm, and {seeds}.{single}"
    return [*NOTES, f"{repeats} Intervals resample test patients, draws and seeds together."]


def _budget(results: list[ArmResult]) -> Iterator[BudgetLine]:
    """One line per fraction and draw, from the default arm; the other arms had the same."""
    seen = set()
    for result in results:
        for cell, budget in zip(result.cells, result.budgets, strict=True):
            if (result.fraction, cell.draw) not in seen:
                seen.add((result.fraction, cell.draw))
                yield budget_line(result.fraction, str(cell.draw), budget)
