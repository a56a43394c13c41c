"""``summary.md`` of a study of several sources: unseen sources first, then who learned from whom."""

from collections.abc import Sequence
from pathlib import Path

from echossl.adapt.search import candidates
from echossl.config.study import ArmConfig, StudyConfig
from echossl.errors import first_names
from echossl.evaluation import format_difference, format_interval
from echossl.evaluation.shared_classes import SHARED_FIGURES
from echossl.files import write_text
from echossl.study.across_pooled import PairResult, collect_pairs, mean_interval, penalty_interval
from echossl.study.across_table import (
    Compared,
    all_rows,
    by_arm,
    comparisons,
    declared,
    reference_of,
    rows_learned,
    unseen,
    write_rows,
)
from echossl.study.cells import plan_cells
from echossl.study.family import CORRECTIONS
from echossl.study.labels_saved import percent
from echossl.study.places import classes_of
from echossl.study.record import write_record
from echossl.study.summary import missing_cells

HEADINGS = {"auroc": "AUROC", "auprc": "AUPRC", "f1": "F1", "balanced_accuracy": "balanced accuracy"}


def summarise_sources(config: StudyConfig) -> Path:
    """Write ``results.csv``, ``study.json`` and ``summary.md`` of a study of several sources.

    Returns:
        The path of ``summary.md``.
    """
    results = collect_pairs(config)
    write_rows(list(all_rows(config, results)), config.out / "results.csv")
    write_record(config)
    path = config.out / "summary.md"
    write_text(path, summary_text(config, results))
    return path


def summary_text(config: StudyConfig, results: Sequence[PairResult]) -> str:
    """All tables as Markdown, with what a reader must know to believe them."""
    lines = [*_introduction(config, results), "", *_unseen_table(config, results)]
    for (_, fraction), own in by_arm(results).items():
        lines += ["", *_pairs_table(config, own, fraction)]
    missing = missing_cells(config)
    if missing:
        total = sum(1 for _ in plan_cells(config))
        lines += ["", f"**{len(missing)} of {total} cells are missing**: {first_names(missing)}."]
        lines += ["", "An arm stands on the label draws that are finished everywhere."]
    return "\n".join(lines) + "\n"


def _introduction(config: StudyConfig, results: Sequence[PairResult]) -> list[str]:
    classes = classes_of(config)
    each = [f"{source.name} ({', '.join(source.assessed or classes)})" for source in config.sources]
    resampling = f"{config.bootstrap.confidence:.0%}, {config.bootstrap.resamples} resamples"
    tested = {source.name: _tested_text(source.name, results) for source in config.sources}
    patients = ", ".join(f"{name} {count}" for name, count in tested.items() if count)
    lines = f"""
{config.column}: {", ".join(classes)}. Sources and what they assess: {"; ".join(each)}.
Tested patients: {patients}. Figures are means over the classes that both sides assess (macro average);
probabilities of other classes are left out.
Label draws {config.draws}, seeds {config.seeds}. Intervals: {resampling} of test patients, label draws and
seeds together; the sources themselves are no sample of sources.
{_choice_text(config)}
Penalty index: 100 x mean(1 - AUROC) over all tested sources, lower is better.
"""
    return lines.strip().splitlines()


def _choice_text(config: StudyConfig) -> str:
    """What is held out of the labels; nothing where every recipe is fixed beforehand."""
    recipes = [arm.recipe for arm in config.arms if arm.recipe.name != "pixels"]
    if all(one.evaluate_every >= one.steps and len(candidates(one)) == 1 for one in recipes):
        return "All labelled patients are trained on: recipes are fixed, nothing is chosen."
    return f"Of the labelled patients, {config.validation_share:.0%} are held out to choose settings on."


def _tested_text(source: str, results: Sequence[PairResult]) -> str:
    """How many patients of a source are tested; it depends on the classes that are shared."""
    counts = sorted({result.num_patients for result in results if result.tested == source})
    return " to ".join(str(count) for count in dict.fromkeys([*counts[:1], *counts[-1:]]))


def _unseen_table(config: StudyConfig, results: Sequence[PairResult]) -> list[str]:
    found = {(one.arm.name, one.fraction): one for one in comparisons(config, results)}
    headings = " | ".join(HEADINGS[name] for name in SHARED_FIGURES)
    lines = [
        "## On sources that were not learned from",
        "",
        f"| labels | arm | {headings} | first arm minus this, AUROC | adjusted p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, fraction), own in by_arm(results).items():
        chosen = unseen(own)
        if not chosen:
            continue
        figures = [
            format_interval(mean_interval(chosen, place, config.bootstrap))
            for place in range(len(SHARED_FIGURES))
        ]
        cells = [percent(fraction), _title(own[0].arm), *figures, *_against(found.get((name, fraction)))]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *_family_lines(config, list(found.values()))]


def _against(compared: Compared | None) -> tuple[str, str]:
    if compared is None:
        return "", ""
    adjusted = "" if compared.adjusted is None else f"{compared.adjusted:.3g}"
    return format_difference(compared.differences["auroc"]), adjusted


def _family_lines(config: StudyConfig, found: Sequence[Compared]) -> list[str]:
    names = [
        f"{reference_of(config, arm).name} against {arm.name} at {percent(fraction)}"
        for arm, fraction in declared(config)
    ]
    if not names:
        return []
    text = f"Compared: {'; '.join(names)}, each on the pairs of sources that both have"
    if len(names) < 2:
        return [f"{text}; one comparison, nothing to adjust."]
    if not all(one.adjusted is not None for one in found) or not found:
        return [f"{text}; not adjusted, because comparisons are missing."]
    correction = CORRECTIONS[config.family.correction]
    return [f"{text}; {len(names)} comparisons of AUROC, adjusted together by {correction}."]


def _pairs_table(config: StudyConfig, results: Sequence[PairResult], fraction: float) -> list[str]:
    """AUROC of one arm: a row for what was learned from, a column for each tested source."""
    penalties = rows_learned(config, results)
    tested = [source.name for source in config.sources]
    figure = SHARED_FIGURES.index("auroc")
    lines = [
        f"## {_title(results[0].arm)}, {percent(fraction)} of the labels: AUROC",
        "",
        f"| learned from | labelled patients | {' | '.join(tested)} | penalty index |",
        f"|---|---|{'---|' * len(tested)}---|",
    ]
    for learned in dict.fromkeys(result.adapted for result in results):
        row = {result.tested: result for result in results if result.adapted == learned}
        cells = [
            format_interval(mean_interval([row[name]], figure, config.bootstrap)) if name in row else ""
            for name in tested
        ]
        penalty = ""
        if learned in penalties:
            penalty = format_interval(penalty_interval(penalties[learned], figure, config.bootstrap), 1)
        labelled = next(iter(row.values())).num_labelled_patients
        lines.append(f"| {learned} | {labelled} | {' | '.join(cells)} | {penalty} |")
    return lines


def _title(arm: ArmConfig) -> str:
    return arm.title if arm.adapt_on == "each" else f"{arm.title} (all but the tested source)"
