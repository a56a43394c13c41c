"""``echossl retrieve``: pictures look for their report, and reports for their pictures."""

from pathlib import Path

import numpy as np
import pandas as pd

from echossl.config.zeroshot import RetrieveConfig
from echossl.errors import UserError
from echossl.evaluation.results import ResultRow, write_results
from echossl.evaluation.retrieval import chance_at, first_ranks, recall_at
from echossl.files import atomic_path, write_text
from echossl.runs import RunFolder
from echossl.text import normalised
from echossl.training.fusion import stored_videos
from echossl.zeroshot.classify import NO_SPLIT
from echossl.zeroshot.studies import KEYS, Aligned

SUMMARY, RESULTS, RANKS = "summary.md", "results.csv", "ranks.csv"
# a title, its figure, and that of chance
Found = tuple[str, ResultRow, ResultRow]


def retrieve(config: RetrieveConfig) -> Path:
    """Measure retrieval in both directions. A finished run returns at once.

    Pictures look among the different reports of the split; equal reports are one answer. Reports look among
    the pictures of all studies, and those of every study with an equal report are right.

    Returns:
        ``summary.md`` in the run folder, beside ``results.csv`` and ``ranks.csv``, which has the rank of the
        first right answer to every study's picture and to its report.

    Raises:
        UserError: if the run, the manifest and the store do not fit together.
    """
    run = RunFolder.open(config.out, config, command="retrieve")
    path = config.out / SUMMARY
    if run.result is not None:
        return path
    store, videos = stored_videos(
        config.data.manifest, config.data.store, split=config.split, report_column=config.report_column
    )
    aligned = Aligned(config)
    studies = aligned.studies(videos, store)
    of_study = videos.groupby(KEYS)["report"].first()
    reports = [of_study[key] for key in studies.table[KEYS].itertuples(index=False, name=None)]
    plain = np.array([normalised(report) for report in reports])
    different, first, numbers = np.unique(plain, return_index=True, return_inverse=True)
    if len(different) < 2:
        raise UserError(
            f"{config.data.manifest}: found one report in split {config.split!r}, expected several"
        )
    words = aligned.words([reports[number] for number in first])
    similarities = (studies.pictures @ words.T).astype(np.float64)  # (studies, different reports)
    split = config.split if "split" in videos else NO_SPLIT
    own_report = numbers[:, None] == np.arange(len(different))[None, :]
    same_report = numbers[:, None] == numbers[None, :]
    directions = (
        Direction("picture_to_report", "a picture finds its report", similarities, own_report),
        Direction("report_to_picture", "a report finds its pictures", similarities.T[numbers], same_report),
    )
    rows = [row for one in directions for row in one.rows(config, split, studies.table["patient_id"])]
    with atomic_path(config.out / RANKS) as temporary:
        studies.table[KEYS].assign(**{one.name: one.ranks for one in directions}).to_csv(
            temporary, index=False
        )
    write_results([row for _, *own in rows for row in own], config.out / RESULTS)
    write_text(path, _summary(rows, len(reports), len(different)))
    run.finish({"num_studies": len(reports), "num_different_reports": len(different)})
    return path


class Direction:
    """What looks for what.

    Args:
        name: as it stands in tables.
        title: as a person reads it.
        similarities: (queries, answers).
        right: which answers are right.

    Attributes:
        ranks: of the first right answer to each query.
    """

    def __init__(self, name: str, title: str, similarities: np.ndarray, right: np.ndarray) -> None:
        self.name, self.title, self._right = name, title, right
        self.ranks = first_ranks(similarities, right)

    def rows(self, config: RetrieveConfig, split: str, patients: pd.Series) -> list[Found]:
        """A title, the figure with its interval, and that of chance, for every K."""
        rows = []
        for most in config.ranks:
            found = recall_at(self.ranks, most, patients, config.bootstrap)
            metric = f"{self.name}_r{most}"
            chance = ResultRow(
                split,
                f"{metric}_chance",
                chance_at(self._right, most),
                num_patients=patients.nunique(),
                num_positive=None,
            )
            rows.append((f"{self.title}, R@{most}", chance.with_interval(metric, found), chance))
        return rows


def _summary(rows: list[Found], num_studies: int, num_different: int) -> str:
    told = (
        f"{num_studies} studies of {rows[0][1].num_patients} patients with {num_different} different "
        "reports; equal reports are one. Intervals are over patients."
    )
    lines = [
        *("# Retrieval", "", told, "", "| what | figure | interval | chance |", "| --- | --- | --- | --- |"),
        *(
            f"| {title} | {row.value:.3f} | {row.low:.3f}-{row.high:.3f} | {chance.value:.3f} |"
            for title, row, chance in rows
        ),
    ]
    return "\n".join(lines) + "\n"
