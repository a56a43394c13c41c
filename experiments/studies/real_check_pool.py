"""One table from the folds: everybody is tested once in each repeat, by an encoder that has not seen them.

    .venv/bin/python experiments/studies/real_check_pool.py runs/real_check/camus_a4c/5folds \
        --study experiments/studies/real_check_camus_a4c.yaml --out experiments/results/real_camus_a4c

The scores of a repeat's folds are put together, and its AUROC is that of all of them; the figure is the mean
over the repeats. Every resample draws whole patients, with all that any repeat says of them, and repeats.
Writes results.csv and summary.md, and joined/ beside the folds: the scores of each repeat as those of a label
draw of a sweep, for pool.py and echossl compare.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import EchosslError, UserError
from echossl.evaluation.bootstrap import Difference
from echossl.evaluation.folds import within_folds
from echossl.evaluation.multiplicity import Family
from echossl.evaluation.panel_answers import Answer, answer_rows, join_panels
from echossl.evaluation.panel_files import read_panels
from echossl.evaluation.resampling import Clusters, Figures, of_sample, resampled
from echossl.evaluation.results import (
    ResultRow,
    format_difference,
    format_interval,
    format_p_value,
    write_results,
)
from echossl.files import atomic_path, write_text

RUN = re.compile(r"repeat(?P<repeat>\d+)-fold(?P<fold>\d+)")
CELL = re.compile(r"fraction(?P<fraction>.+)-draw0-seed\d+")
# declared before any fold was looked at: at every fraction, all of a data set adjusted together
COMPARISONS = (
    ("probe", "frozen_random"),
    ("probe", "pixels"),
    ("full", "random_start"),
    ("full", "pixels"),
)
# arm, fraction, repeat
Key = tuple[str, float, int]
# first arm, second arm, fraction
Member = tuple[str, str, float]


def join_folds(folder: Path, arms: Sequence[str]) -> Path:
    """Write the predictions of each repeat as those of a label draw of a sweep.

    Args:
        folder: holds the study of each fold, ``repeatR-foldF``, with one label draw and one seed.
        arms: in their order.

    Returns:
        The folder of the joined predictions, which have ``fold`` as a further column.

    Raises:
        UserError: if there is nothing, or a fold lacks what another has.
    """
    parts: dict[Key, dict[int, Path]] = {}
    for path in sorted(folder.glob("repeat*-fold*/cells/*/*/predictions.csv")):
        run, cell = RUN.fullmatch(path.parents[3].name), CELL.fullmatch(path.parent.name)
        arm = path.parents[1].name
        if run is None or cell is None or arm not in arms:
            raise UserError(f"{path.parent}: expected cells of the study's arms, fraction…-draw0-seed…")
        own = parts.setdefault((arm, float(cell["fraction"]), int(run["repeat"])), {})
        if int(run["fold"]) in own:
            raise UserError(f"{path.parent}: a second seed; folds are joined of one, set seeds=1")
        own[int(run["fold"])] = path
    _refuse_holes(folder, parts, arms)
    joined = folder / "joined"
    for (arm, fraction, repeat), paths in parts.items():
        _write_joined(joined / "cells" / arm / f"fraction{fraction:g}-draw{repeat}-seed0", paths)
    with atomic_path(joined / "results.csv") as temporary:
        pd.DataFrame({"arm": list(arms)}).to_csv(temporary, index=False)
    return joined


def _refuse_holes(folder: Path, parts: Mapping[Key, Mapping[int, Path]], arms: Sequence[str]) -> None:
    folds = sorted({fold for own in parts.values() for fold in own})
    if not folds:
        raise UserError(f"{folder}: no predictions of any fold; run real_check.sh first")
    places = sorted({(fraction, repeat) for _, fraction, repeat in parts})
    for arm in arms:
        for fraction, repeat in places:
            missing = [fold for fold in folds if fold not in parts.get((arm, fraction, repeat), {})]
            if missing:
                raise UserError(
                    f"{folder / f'repeat{repeat}-fold{missing[0]}'}: lacks {arm} at {fraction:g}; run "
                    "real_check.sh again, it goes on where it was"
                )


def _write_joined(out: Path, paths: Mapping[int, Path]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tables = [pd.read_csv(path, dtype=str).assign(fold=fold) for fold, path in sorted(paths.items())]
    with atomic_path(out / "predictions.csv") as temporary:
        pd.concat(tables).to_csv(temporary, index=False)
    results = [json.loads(path.with_name("result.json").read_text()) for path in paths.values()]
    labelled = np.mean([result["num_labelled_patients"] for result in results])
    write_text(out / "result.json", json.dumps({"num_labelled_patients": round(float(labelled))}))


def level_free(joined: Path, arm: str, fraction: float) -> tuple[Clusters, Figures]:
    """The patients of an arm's joined predictions, and how well it ranks within single folds."""
    paths = sorted(joined.glob(f"cells/{arm}/fraction{fraction:g}-draw*/predictions.csv"))
    names = {"patient_id": str, "study_id": str}
    tables = [pd.read_csv(path, dtype=names).sort_values(list(names)) for path in paths]
    label, score = tables[0].columns[3:5]
    scores, folds = (np.stack([table[name] for table in tables]) for name in (score, "fold"))
    return Clusters.of(tables[0]["patient_id"]), within_folds(tables[0][label], scores, folds)


@dataclass(frozen=True)
class Judged:
    """What all arms score, and the declared comparisons.

    Attributes:
        joined: the folder of the joined predictions.
        answers: for each first arm of a comparison the answers of all arms, against it.
        holm: adjusted p-value of every comparison.
        config: how the intervals were made.
    """

    joined: Path
    answers: Mapping[str, Sequence[Answer]]
    holm: Mapping[Member, float]
    config: BootstrapConfig

    @classmethod
    def of(cls, joined: Path, config: BootstrapConfig) -> "Judged":
        """Read, resample, adjust."""
        panels = read_panels(joined)
        answers = {first: join_panels([panels], config, first=first) for first, _ in COMPARISONS}
        raw = {
            (answer.first, answer.arm, answer.question.fraction): answer.against.p_value
            for own in answers.values()
            for answer in own
            if answer.against and (answer.first, answer.arm) in COMPARISONS
        }
        names = {" ".join(map(str, member)): member for member in raw}
        family = Family("declared comparisons", tuple(names))
        found = family.adjust({name: raw[member] for name, member in names.items()})
        return cls(joined, answers, {names[name]: value for name, value in found.items()}, config)

    @property
    def of_all(self) -> Sequence[Answer]:
        """One answer of every arm at every fraction."""
        return self.answers[COMPARISONS[0][0]]

    @property
    def fractions(self) -> list[float]:
        """Those of the study, rising."""
        return sorted({answer.question.fraction for answer in self.of_all})

    def answer(self, first: str, arm: str, fraction: float) -> Answer:
        """Of an arm at a fraction, against a first arm."""
        return next(one for one in self.answers[first] if (one.arm, one.question.fraction) == (arm, fraction))

    def rows(self) -> Iterator[ResultRow]:
        """``results.csv``: figures of every arm, then each comparison; ``draw`` is the repeat."""
        for answer in self.of_all:
            yield from (row for row in answer_rows(answer) if " - " not in row.arm)
        for member, value in self.holm.items():
            difference, p_value = list(answer_rows(self.answer(*member)))[-2:]
            yield from (difference, p_value, replace(p_value, metric=f"{p_value.metric}_holm", value=value))


def summary(judged: Judged, titles: Mapping[str, str]) -> str:
    """The tables as Markdown."""
    first = COMPARISONS[0][0]
    labelled = {one: judged.answer(first, first, one).num_labelled_patients for one in judged.fractions}
    columns = " | ".join(f"{count} patients labelled ({one:.0%})" for one, count in labelled.items())
    rule = "|---" * (len(labelled) + 1) + "|"
    lines = [_counts(judged), "", f"| AUROC | {columns} |", rule]
    lines += [f"| {title} | {_figures(judged, arm)} |" for arm, title in titles.items()]
    declared = (
        "Paired differences, declared before any fold was looked at; p-values adjusted together (Holm)."
    )
    lines += ["", declared, "", f"| first minus second | {columns} |", rule]
    for pair in COMPARISONS:
        names = " - ".join(titles[arm] for arm in pair)
        lines.append(f"| {names} | {' | '.join(_gap(judged, *pair, one) for one in labelled)} |")
    return "\n".join(lines) + "\n"


def _counts(judged: Judged) -> str:
    panel, config = judged.of_all[0].panels[0], judged.config
    folds = pd.read_csv(next(judged.joined.glob("cells/*/*/predictions.csv")))["fold"].nunique()
    return (
        f"{panel.num_patients} patients are tested, {panel.num_positive} of them positive "
        f"({panel.truth.size} studies, {int(panel.truth.sum())} positive): {folds} folds, {len(panel.draws)} "
        "repeats. The pre-training of a fold sees its training patients alone.\n\n"
        f"AUROC of all studies, mean over the repeats, with {config.confidence:.0%} intervals "
        f"({config.resamples} resamples of whole patients, and of repeats). In brackets: of pairs of studies "
        "of one fold alone, so that levels of scores, which differ from fold to fold, do not matter."
    )


def _figures(judged: Judged, arm: str) -> str:
    cells = []
    for fraction in judged.fractions:
        interval = judged.answer(COMPARISONS[0][0], arm, fraction).figure.interval
        clusters, figures = level_free(judged.joined, arm, fraction)
        within = float(of_sample(figures, clusters)[0])
        cells.append(f"{format_interval(interval)} [{within:.3f}]")
    return " | ".join(cells)


def _gap(judged: Judged, first: str, second: str, fraction: float) -> str:
    found = judged.answer(first, second, fraction).against
    assert found is not None
    holm = format_p_value(judged.holm[first, second, fraction])
    parts = [level_free(judged.joined, arm, fraction) for arm in (first, second)]
    values = [of_sample(figures, clusters)[0] for clusters, figures in parts]
    samples = [resampled(figures, clusters, judged.config)[0] for clusters, figures in parts]
    within = Difference.of(values[0] - values[1], samples[0] - samples[1], judged.config.confidence)
    return f"{format_difference(found)}, adjusted {holm} [{format_difference(within)}]"


def pool_check(folder: Path, study: Path, out: Path, config: BootstrapConfig) -> str:
    """Join the folds, write both tables and return the summary."""
    arms = yaml.safe_load(study.read_text(encoding="utf-8"))["arms"]
    titles = {arm["name"]: arm["title"] for arm in arms}
    judged = Judged.of(join_folds(folder, list(titles)), config)
    text = summary(judged, titles)
    write_results(list(judged.rows()), out / "results.csv")
    write_text(out / "summary.md", text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds the study of each fold")
    parser.add_argument(
        "--study", type=Path, required=True, help="its settings, for the arms and their titles"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that is written to")
    parser.add_argument("--resamples", type=int, default=2000)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        print(pool_check(given.folder, given.study, given.out, BootstrapConfig(resamples=given.resamples)))
    except EchosslError as error:
        sys.exit(f"real_check_pool.py: {error}")


if __name__ == "__main__":
    main()
