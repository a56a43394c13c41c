"""Is a saliency map better than looking at the middle of the picture? Numbers instead of chosen examples.

The figure is the *enrichment*: the share of the saliency inside a region divided by the region's share of
the sector. 1 is what a uniform map reaches. Two controls stand beside it: a Gaussian in the middle of the
picture, and the same network with fresh random weights (Adebayo et al., arXiv 1810.03292).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.bootstrap import Difference, Interval, bootstrap_interval, paired_difference

Mask = npt.NDArray[np.bool_]
# True or False, or the covered share of each pixel, 0..1
Region = npt.NDArray[np.bool_] | npt.NDArray[np.floating]
# name of a map in the summary: its column in the table of videos
SHARE_COLUMNS = {
    "model": "inside_share",
    "centre_prior": "centre_prior_share",
    "random_weights": "random_weights_share",
}


def inside_share(saliency: npt.NDArray[np.floating], region: Region, sector: Mask) -> float:
    """Share of a clip's saliency that lies inside the region; only pixels of the sector count.

    Args:
        saliency: (frames, height, width) or (height, width), at least 0.
        region: (frames, height, width), True or False; or the share of each pixel that is covered, 0..1,
            which keeps the area of what is thinner than a pixel.
        sector: (height, width) or (frames, height, width).

    Returns:
        0..1, or nan if the map is zero all over the sector: no evidence was found, which is neither inside
        nor outside.
    """
    seen = np.broadcast_to(np.where(sector, saliency.astype(np.float64), 0.0), region.shape)
    total = float(seen.sum())
    return float((seen * region).sum()) / total if total > 0 else float("nan")


def area_share(region: Region, sector: Mask) -> float:
    """Share of the sector's pixels, over all frames, that lie inside the region; 0..1, nan without sector."""
    return inside_share(np.ones(region.shape), region, sector)


def centre_prior(height: int, width: int, *, deviation: float = 0.25) -> npt.NDArray[np.float64]:
    """A Gaussian in the middle of the picture: the guess of somebody who never looks at it.

    Args:
        height: pixels.
        width: pixels.
        deviation: standard deviation as a share of each side.

    Returns:
        (height, width), 0..1.
    """
    sides = [np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / deviation) ** 2) for n in (height, width)]
    return np.outer(*sides)


def rank_correlation(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Spearman correlation of two maps of one clip; nan if one is flat.

    Near 1 between a trained and a random network, the map shows the picture and not what was learned.
    """
    from scipy.stats import rankdata

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


@dataclass(frozen=True)
class RegionCheck:
    """Mean enrichment over studies, with controls.

    Attributes:
        studies: studies that enter the means.
        without_evidence: studies left out because one of the maps is zero all over the sector.
        enrichment: by name of the map (model, centre_prior, random_weights).
        difference: model minus each control, paired by study.
    """

    studies: int
    without_evidence: int
    enrichment: dict[str, Interval]
    difference: dict[str, Difference]


def region_checks(videos: pd.DataFrame, config: BootstrapConfig) -> Iterator[tuple[str, RegionCheck]]:
    """Check all studies, then the positive and the negative ones alone.

    Args:
        videos: one row per video: ``patient_id, study_id, label, area_share`` and the three maps' shares.
        config: resamples, confidence and seed of the intervals.

    Yields:
        "all", "positive" or "negative", and the check; a class without a usable study is left out.
    """
    for name, chosen in (("all", (0, 1)), ("positive", (1,)), ("negative", (0,))):
        table = study_enrichment(videos[videos["label"].isin(chosen)])
        if len(table.dropna()):
            yield name, _check(table, config)


def study_enrichment(videos: pd.DataFrame) -> pd.DataFrame:
    """Enrichment per study, mean over its videos: one row per study, a column per map and ``patient_id``."""
    table = videos[["patient_id", "study_id"]].copy()
    for name, column in SHARE_COLUMNS.items():
        # a region that is out of the picture has no area to compare with
        table[name] = videos[column] / videos["area_share"].replace(0.0, np.nan)
    return table.groupby(["patient_id", "study_id"], as_index=False).mean()


def _check(table: pd.DataFrame, config: BootstrapConfig) -> RegionCheck:
    usable = table.dropna()
    rows = {"labels": np.zeros(len(usable)), "patients": usable["patient_id"].to_numpy()}
    enrichment = {
        name: patient_mean(usable[name].to_numpy(), rows["patients"], config) for name in SHARE_COLUMNS
    }
    difference = {
        name: paired_difference(
            scores_a=usable["model"], scores_b=usable[name], metric=weighted_mean, config=config, **rows
        )
        for name in SHARE_COLUMNS
        if name != "model"
    }
    return RegionCheck(len(usable), len(table) - len(usable), enrichment, difference)


def patient_mean(
    values: npt.NDArray[np.floating], patients: npt.ArrayLike, config: BootstrapConfig
) -> Interval:
    """Mean of finite values (n,) with the interval of resampled patients (n,)."""
    # the mean has no use for labels, which the bootstrap of a metric asks for
    return bootstrap_interval(np.zeros(len(values)), values, patients, weighted_mean, config)


def weighted_mean(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Mean of the scores (n,) for each row of weights (resamples, n)."""
    del labels
    counts = np.asarray(weights, dtype=np.float64)
    means: npt.NDArray[np.float64] = counts @ np.asarray(scores, dtype=np.float64) / counts.sum(axis=1)
    return means
