"""One table of zero-shot, retrieval and probe over the seeds of tripartite.sh.

    .venv/bin/python experiments/sisters/tripartite_table.py runs/sisters/tripartite --seeds 0 1 2 --out DIR

Zero-shot and retrieval are means over the seeds; their intervals resample test patients, the same ones for
all seeds. Writes summary.md and results.csv.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import EchosslError, UserError
from echossl.evaluation.auc import weighted_auroc
from echossl.evaluation.bootstrap import Interval, patient_counts, resampled_metric
from echossl.evaluation.results import ResultRow, write_results
from echossl.files import write_text

KEYS = ["patient_id", "study_id"]
TITLES = {
    "picture_to_report": "a picture finds its report",
    "report_to_picture": "a report finds its pictures",
}


def tables_of(out: Path, stage: str, name: str, seeds: list[int]) -> list[pd.DataFrame]:
    """The table of a stage of every seed, of the same studies."""
    tables = [
        pd.read_csv(out / f"{stage}-seed{seed}" / name, dtype=dict.fromkeys(KEYS, str)) for seed in seeds
    ]
    if any(not table[KEYS].equals(tables[0][KEYS]) for table in tables):
        raise UserError(f"{out}: {stage}: the seeds have different studies; run tripartite.sh again")
    return tables


def zeroshot_rows(tables: list[pd.DataFrame], config: BootstrapConfig) -> list[ResultRow]:
    """The AUROC of every label that has both values."""
    rows = []
    for name in [column for column in tables[0] if f"{column}_score" in tables[0]]:
        known = tables[0][name].notna()
        labels, patients = tables[0].loc[known, name], tables[0].loc[known, "patient_id"]
        if labels.nunique() < 2:
            continue
        scores = np.stack([table.loc[known, f"{name}_score"] for table in tables])
        own = [float(weighted_auroc(labels, score, np.ones((1, len(labels))))[0]) for score in scores]
        samples = resampled_metric(labels, scores, patients, weighted_auroc, config).mean(axis=0)
        row = ResultRow(
            tables[0]["split"].iloc[0],
            "",
            0.0,
            num_patients=patients.nunique(),
            num_positive=patients[labels == 1].nunique(),
            arm="zeroshot",
            seed="all",
        )
        rows.append(
            row.with_interval(f"auroc_{name}", Interval.of(float(np.mean(own)), samples, config.confidence))
        )
    return rows


def retrieval_rows(out: Path, seeds: list[int], config: BootstrapConfig) -> list[ResultRow]:
    """R@K both ways, and that of chance, for the K of the runs."""
    tables = tables_of(out, "retrieve", "ranks.csv", seeds)
    figures = pd.read_csv(out / f"retrieve-seed{seeds[0]}" / "results.csv").set_index("metric")
    patients = tables[0]["patient_id"]
    codes = np.unique(patients, return_inverse=True)[1]
    counts = np.concatenate(list(patient_counts(patients.nunique(), config)))[:, codes]
    rows = []
    for metric in [name for name in figures.index if not name.endswith("_chance")]:
        direction, most = metric.rsplit("_r", 1)
        hits = np.mean([table[direction] <= int(most) for table in tables], axis=0)
        interval = Interval.of(float(hits.mean()), counts @ hits / counts.sum(axis=1), config.confidence)
        row = ResultRow(
            figures["split"].iloc[0],
            f"{metric}_chance",
            float(figures.loc[f"{metric}_chance", "value"]),
            num_patients=patients.nunique(),
            num_positive=None,
            arm="retrieval",
            seed="all",
        )
        rows += [row.with_interval(metric, interval), row]
    return rows


def summary_of(out: Path, zeroshot: list[ResultRow], retrieval: list[ResultRow], seeds: list[int]) -> str:
    """The three tables as Markdown."""
    chance = {row.metric: row.value for row in retrieval if row.low is None}
    lines = [
        "# Pictures of two views and their report",
        "",
        f"Pre-training seeds: {', '.join(map(str, seeds))}.",
    ]
    lines += ["", "## Without any label", "", "| label | AUROC | interval | patients | positive |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for row in zeroshot:
        what = row.metric.removeprefix("auroc_")
        lines.append(f"| {what} | {_figure(row)} | {row.num_patients} | {row.num_positive} |")
    lines += ["", "## Retrieval", "", "| what | R@K | interval | chance |", "| --- | --- | --- | --- |"]
    for row in retrieval:
        if row.low is not None:
            direction, most = row.metric.rsplit("_r", 1)
            lines.append(
                f"| {TITLES[direction]}, R@{most} | {_figure(row)} | {chance[row.metric + '_chance']:.3f} |"
            )
    probe = (out / "probe" / "summary.md").read_text(encoding="utf-8")
    lines += ["", "## With few labels and with all: linear probe of the pictures", ""]
    return "\n".join(lines) + "\n" + probe.replace("\n#", "\n##").partition("\n")[2]


def _figure(row: ResultRow) -> str:
    return f"{row.value:.3f} | {row.low:.3f}-{row.high:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="OUT of tripartite.sh")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder that is written to")
    given = parser.parse_args()
    config = BootstrapConfig()
    try:
        zeroshot = zeroshot_rows(tables_of(given.folder, "zeroshot", "predictions.csv", given.seeds), config)
        retrieval = retrieval_rows(given.folder, given.seeds, config)
        text = summary_of(given.folder, zeroshot, retrieval, given.seeds)
        given.out.mkdir(parents=True, exist_ok=True)
        write_results([*zeroshot, *retrieval], given.out / "results.csv")
        write_text(given.out / "summary.md", text)
    except EchosslError as error:
        sys.exit(f"tripartite_table.py: {error}")
    print(text)


if __name__ == "__main__":
    main()
