"""The table of refine.sh: what each way of going on gained on each task, paired with the encoder before.

    .venv/bin/python experiments/sisters/refine_table.py runs/sisters/refine/probe --out DIR

Writes summary.md and results.csv. Gains are paired by patient, label draw and seed; p-values of the tasks are
adjusted by Benjamini-Hochberg, and one Wilcoxon signed-rank test is made over the task x seed means.
"""

import argparse
import sys
from pathlib import Path

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import EchosslError
from echossl.evaluation.before_after import measure_gains, write_gains
from echossl.evaluation.panel_files import read_panels

# before, after; the first pair is the claim, the others say what it may be due to
PAIRS = (
    ("start", "refined"),
    ("start", "contrast"),
    ("start", "longer"),
    ("longer", "refined"),
    ("contrast", "refined"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("probe", type=Path, help="finished folder of echossl probe")
    parser.add_argument("--out", type=Path, required=True, help="folder that is written to")
    parser.add_argument("--note", action="append", default=[], help="a line about data and runs, for the top")
    parser.add_argument("--resamples", type=int, default=2000)
    given = parser.parse_args()
    config = BootstrapConfig(resamples=given.resamples)
    made = f"{config.confidence:.0%}, {config.resamples} resamples"
    told = f"Intervals: {made} of patients, label draws and seeds."
    notes = ["# Refinement: before and after", "", *given.note, told]
    try:
        panels = read_panels(given.probe)
        fractions = sorted({question.fraction for question in panels}, reverse=True)
        found = [
            measure_gains(panels, before, after, config, fraction=fraction)
            for fraction in fractions
            for before, after in PAIRS
        ]
        print(write_gains(found, given.out, notes=notes))
    except EchosslError as error:
        sys.exit(f"refine_table.py: {error}")


if __name__ == "__main__":
    main()
