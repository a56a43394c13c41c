"""The view of every video of a manifest, filled in by a run that learned views."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.adapt.saved import SavedRun
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.store import ClipStore
from echossl.errors import UserError

VIEW, CONFIDENCE = "view", "view_confidence"
CONFIDENCE_DIGITS = 4


@dataclass(frozen=True)
class Filled:
    """What was filled in.

    Attributes:
        out: the new manifest.
        views: videos of each view that were filled in now.
        below: videos whose view stays empty, because the confidence is below ``at_least``.
        at_least: smallest confidence.
        kept: videos that had a view before.
        rejected: videos without a view that are not stored, because ``prepare`` could not read them.
    """

    out: Path
    views: Mapping[str, int]
    below: int
    at_least: float
    kept: int
    rejected: int

    def as_text(self) -> str:
        """One line for a person."""
        total = sum(self.views.values()) + self.below + self.kept + self.rejected
        parts = [f"{count} {name}" for name, count in self.views.items()]
        parts.append(f"{self.below} below {self.at_least:g} stay empty")
        if self.kept:
            parts.append(f"{self.kept} had a view and keep it")
        if self.rejected:
            parts.append(f"{self.rejected} are not in the store and stay empty")
        return f"{self.out}: {total} videos: {', '.join(parts)}"


def fill_views(
    run: Path,
    manifest: Path,
    *,
    store: Path,
    out: Path,
    at_least: float = 0.8,
    only_empty: bool = False,
    device: str = "auto",
) -> Filled:
    """Write a manifest with columns ``view`` and ``view_confidence``.

    The confidence is the largest softmax probability of the mean output over a video's clips, as many and of
    the same policy as in the run; it is no share of right answers unless the run is calibrated.

    Args:
        run: a run of ``echossl finetune`` with ``labels: {column: view, task: multiclass, unit: video}``.
        manifest: the videos; their study and patient play no part.
        store: their clip store, made with the settings of the run's own.
        out: the new manifest. The view of a video stays empty below ``at_least``, its confidence is written.
        at_least: smallest confidence of a view that is written, above 0 and at most 1.
        only_empty: keep views that are there, without a confidence unless they have one.
        device: where it is computed, whatever the run was made on: auto, cpu, cuda or cuda:N.

    Raises:
        UserError: if ``out`` is there already, the run learned something else, videos have a view and
            ``only_empty`` is not set, or run, manifest and store do not fit together.
    """
    if not 0 < at_least <= 1:
        raise UserError(f"--at-least: found {at_least:g}, expected a probability above 0 and at most 1")
    if out.exists():
        raise UserError(f"{out}: is there already; give another -o, or remove it")
    classifier = _view_classifier(run, device)
    table = read_manifest(manifest, files_needed=False)
    table = _with_columns(table)
    is_empty = (table[VIEW] == "").to_numpy()
    _refuse_views(manifest, int((~is_empty).sum()), len(table), only_empty=only_empty)
    stored = ClipStore.open(store).rows_for(table[is_empty])
    views, confidence = _predicted(classifier, ClipStore.open(store), stored)
    # as written, so that none is below what stands beside an empty view
    confidence = confidence.round(CONFIDENCE_DIGITS)
    sure = confidence >= at_least
    places = pd.Index(table["path"]).get_indexer(pd.Index(stored["path"]))
    table.loc[places, CONFIDENCE] = confidence
    table.loc[places[sure], VIEW] = views[sure]
    write_manifest(table, out)
    counts = pd.Series(views[sure]).value_counts()
    return Filled(
        out,
        views={name: int(counts.get(name, 0)) for name in classifier.task.settings.classes},
        below=int((~sure).sum()),
        at_least=at_least,
        kept=int((~is_empty).sum()),
        rejected=int(is_empty.sum()) - len(stored),
    )


def _view_classifier(run: Path, device: str) -> SavedRun:
    saved = SavedRun(run, device)
    task = saved.task.settings
    if (task.name, task.unit, task.columns) != ("multiclass", "video", (VIEW,)):
        raise UserError(
            f"{run}: learned {', '.join(task.columns)} ({task.name}, by {task.unit}), expected view "
            "(multiclass, by video); fine-tune with labels.column=view labels.task=multiclass "
            "labels.unit=video"
        )
    return saved


def _with_columns(table: pd.DataFrame) -> pd.DataFrame:
    """With columns for view and confidence behind the study, unless they are there."""
    if VIEW not in table:
        table.insert(list(table.columns).index("study_id") + 1, VIEW, "")
    if CONFIDENCE not in table:
        table.insert(list(table.columns).index(VIEW) + 1, CONFIDENCE, np.nan)
    return table


def _refuse_views(manifest: Path, num_known: int, num_videos: int, *, only_empty: bool) -> None:
    if num_known and not only_empty:
        raise UserError(
            f"{manifest}: {num_known} of {num_videos} videos have a view already; add --only-empty to fill "
            "the others, or empty the column"
        )
    if num_known == num_videos:
        raise UserError(f"{manifest}: every video has a view already; nothing is left to fill")


def _predicted(
    classifier: SavedRun, store: ClipStore, videos: pd.DataFrame
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    """View and confidence of each video, in their order."""
    if videos.empty:
        return np.empty(0, dtype=np.str_), np.empty(0)
    # a video alone is what the run learned to answer
    alone = videos[["row", "patient_id"]].assign(study_id=videos["path"])
    answered, outputs = classifier.outputs(store, alone)
    probabilities = pd.DataFrame(classifier.task.scores(outputs), index=answered["study_id"])
    own = probabilities.loc[videos["path"]].to_numpy()
    classes = np.array(classifier.task.settings.classes)
    return classes[own.argmax(axis=1)], own.max(axis=1)
