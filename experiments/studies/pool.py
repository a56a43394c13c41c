"""One table from the probes, or the sweeps, of several independent data sets.

    .venv/bin/python experiments/studies/pool.py runs/objectives/valve-*/probe \
        --titles experiments/studies/probe_valve.yaml --out experiments/results/objectives_valve_probe

Every figure is the mean over the data sets, its interval comes from resampling each on its own, and
differences are paired within each. Writes summary.md and results.csv.
"""

import argparse
import sys
from pathlib import Path

import yaml

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import EchosslError
from echossl.evaluation.panel_answers import join_panels
from echossl.evaluation.panel_files import read_panels
from echossl.evaluation.panel_tables import write_tables


def pool_folders(
    folders: list[Path], out: Path, *, titles: Path | None, first: str | None, config: BootstrapConfig
) -> str:
    """Write the table of finished folders and return its text."""
    names = {}
    if titles:
        arms = yaml.safe_load(titles.read_text(encoding="utf-8"))["arms"]
        names = {arm["name"]: arm["title"] for arm in arms}
    answers = join_panels([read_panels(folder) for folder in folders], config, first=first)
    write_tables(answers, names, config, out)
    return (out / "summary.md").read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="finished folders of echossl probe or sweep")
    parser.add_argument("--out", type=Path, required=True, help="folder that is written to")
    parser.add_argument(
        "--titles", type=Path, help="file of the probe or the study, for the titles of its arms"
    )
    parser.add_argument("--first", help="arm that all others are compared with; else the folders' own")
    parser.add_argument("--resamples", type=int, default=2000)
    given = parser.parse_args()
    config = BootstrapConfig(resamples=given.resamples)
    try:
        print(pool_folders(given.folders, given.out, titles=given.titles, first=given.first, config=config))
    except EchosslError as error:
        sys.exit(f"pool.py: {error}")


if __name__ == "__main__":
    main()
