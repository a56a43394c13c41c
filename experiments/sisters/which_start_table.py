"""The page of ``which_start.sh``: mean AUROC of every arm, differences with adjusted p, what was chosen.

Usage: which_start_table.py OUT --results RESULTS
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from echossl.config.evaluation import CompareConfig
from echossl.evaluation.findings import FindingsComparison, findings_lines
from echossl.evaluation.findings_paired import compare_findings
from echossl.evaluation.results import format_p_value
from echossl.files import write_text

TITLES = {"probe": "linear probe", "full": "all layers trained"}
NULL = frozenset(("self", "self_again"))


def means(comparisons: list[FindingsComparison]) -> Iterator[str]:
    """A line of mean AUROCs for each data set."""
    arms = list(dict.fromkeys(name for one in comparisons for name in one.arms))
    yield f"| data set | findings | patients | {' | '.join(arms)} |"
    yield f"|{'---|' * (3 + len(arms))}"
    for data_set in dict.fromkeys(one.data_set for one in comparisons):
        own = [one for one in comparisons if one.data_set == data_set]
        figures = {}
        for one in own:
            figures |= {one.arms[0]: one.mean.first, one.arms[1]: one.mean.second}
        cells = " | ".join(f"{figures[arm]:.3f}" for arm in arms)
        yield f"| {data_set} | {len(own[0].findings)} | {own[0].mean.patients} | {cells} |"


def differences(comparisons: list[FindingsComparison]) -> Iterator[str]:
    """A line for each pair and data set; the planted null is marked."""
    yield "| data set | difference | of mean AUROC (95 %) | p | adjusted p | findings, adjusted p < 0.05 |"
    yield "|---|---|---|---|---|---|"
    for one in comparisons:
        null = " (planted null)" if set(one.arms) == NULL else ""
        mean = one.mean
        adjusted = "" if mean.adjusted_p is None else format_p_value(mean.adjusted_p)
        found = [row.name for row in one.findings if row.adjusted_p is not None and row.adjusted_p < 0.05]
        yield (
            f"| {one.data_set} | {one.arms[0]} - {one.arms[1]}{null} "
            f"| {mean.value:+.3f} ({mean.low:+.3f} to {mean.high:+.3f}) | {format_p_value(mean.p_value)} "
            f"| {adjusted} | {len(found)} of {len(one.findings)} |"
        )


def chosen(out: Path, recipe: str) -> Iterator[str]:
    """How often each setting was chosen on validation patients, arm by arm."""
    counts: dict[str, Counter[str]] = {}
    for path in sorted((out / recipe).glob("*/*-seed*/result.json")):
        arm = path.parent.name.rpartition("-seed")[0]
        settings = json.loads(path.read_text(encoding="utf-8")).get("chosen_settings", {})
        said = ", ".join(f"{value:g}" for value in settings.values())
        counts.setdefault(arm, Counter())[said] += 1
    for arm, own in counts.items():
        yield f"- {arm}: " + "; ".join(f"{value} in {count} runs" for value, count in own.most_common())


def main() -> None:
    """Print the page and write it to ``summary.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipes", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--results", type=Path, required=True)
    words = parser.parse_args()
    lines = ["# Which start", ""]
    for recipe in words.recipes:
        title = TITLES[recipe]
        settings = yaml.safe_load((words.out / f"compare_{recipe}.yaml").read_text(encoding="utf-8"))
        comparisons = compare_findings([], CompareConfig(**settings))
        printed = [*(one.as_text() for one in comparisons), *findings_lines(comparisons)]
        write_text(words.results / f"{recipe}.txt", "\n".join(printed) + "\n")
        lines += [f"## {title.capitalize()}", "", *means(comparisons), "", *differences(comparisons), ""]
        lines += ["Chosen on validation patients:", "", *chosen(words.out, recipe), ""]
        lines += [f"Every finding: `{recipe}.txt`; the same as a table: `{recipe}.csv`.", ""]
    text = "\n".join(lines)
    write_text(words.results / "summary.md", text)
    print(text)


if __name__ == "__main__":
    main()
