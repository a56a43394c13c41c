"""Every statistic beside its reference, with the largest difference seen over random samples.

    .venv/bin/python experiments/benchmarks/statistics_table.py --out experiments/results/statistics

The reference is another library where one has the figure, else the definition in plain loops.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import probability_pairs
import ranking_pairs
from statistics_samples import Comparison, samples

COMPARISONS = (*ranking_pairs.COMPARISONS, *probability_pairs.COMPARISONS)


def largest_differences(number: int, comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """One row per comparison over so many samples."""
    rows = []
    for one in comparisons:
        pairs = [one.both(sample) for sample in samples(number)]
        largest = max(np.max(np.abs(np.subtract(found, expected))) for found, expected in pairs)
        rows.append(
            {"statistic": one.statistic, "reference": one.reference, "bar": one.bar, "largest": largest}
        )
    return rows


def as_markdown(rows: list[dict[str, object]]) -> str:
    lines = ["| statistic | reference | largest difference seen |", "|---|---|---|"]
    lines += [f"| {row['statistic']} | {row['reference']} | {row['largest']:.0e} |" for row in rows]
    return "\n".join(lines) + "\n"


def as_page(rows: list[dict[str, object]]) -> str:
    """``REFERENCE.md``: the table with what was allowed, and how it is made."""
    lines = [
        "# Every statistic beside its reference",
        "",
        "The largest absolute difference over random studies of 30 patients with one to three studies each,",
        "every second one with tied scores. The reference is another library where one has the figure, else",
        "the definition in plain loops. `bar` is the largest difference that the tests allow: rounding, or",
        "the tolerance of an optimiser. Coverage and false findings of intervals and tests, on 1,000",
        "simulated data sets each, are in [coverage.md](coverage.md).",
        "",
        "Made by `experiments/benchmarks/statistics_table.py --out experiments/results/statistics`.",
        "",
        "| statistic | reference | largest difference seen | bar |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['statistic']} | {row['reference']} | {row['largest']:.0e} | {row['bar']:.0e} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for statistics.json, statistics.md, REFERENCE.md")
    parser.add_argument("--samples", type=int, default=20)
    options = parser.parse_args()
    rows = largest_differences(options.samples, COMPARISONS)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "statistics.json").write_text(json.dumps(rows, indent=2) + "\n")
        (options.out / "statistics.md").write_text(as_markdown(rows))
        (options.out / "REFERENCE.md").write_text(as_page(rows))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
