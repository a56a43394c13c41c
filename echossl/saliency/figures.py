"""The figures of one video that the table of checks is made of: each a number, each with its control."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from echossl.config.saliency import ChecksSettings
from echossl.saliency.checks import Mask, Region, area_share, centre_prior, inside_share, rank_correlation
from echossl.saliency.controls import Classifier
from echossl.saliency.curves import Curves, deletion_insertion
from echossl.saliency.maps import Explainer, Maps

Floats = npt.NDArray[np.floating]
# a largest value this share of the picture's side away from the region still points at it
TOLERANCE_SHARE = 1 / 16
HIT_COVERAGE = 0.25


@dataclass(frozen=True)
class Figure:
    """One number of one method on one video.

    Attributes:
        method: name of the method.
        check: what was measured, such as ``enrichment`` or ``random_weights_all``.
        region: name of the region, or empty.
        value: the number; nan where there is none.
    """

    method: str
    check: str
    region: str
    value: float


@dataclass(frozen=True)
class Controls:
    """The networks of the checks.

    Attributes:
        settings: which checks, and how.
        cascade: what is fresh, and the network; empty without this check.
        shuffled: the classifier that learned shuffled labels, or None.
    """

    settings: ChecksSettings
    cascade: list[tuple[str, Classifier]] = field(default_factory=list)
    shuffled: Classifier | None = None


def figures_of(explainer: Explainer, maps: Maps, controls: Controls) -> Iterator[Figure]:
    """Every figure of one video; those of the region first."""
    prior = centre_prior(*maps.sector.shape)
    for name, saliency in maps.saliency.items():
        yield Figure(name, "outside_share", "", outside_share(saliency, maps.sector))
        for region, covered in maps.regions.items():
            random = maps.random_weights[name]
            others: dict[str, Floats] = {"random_weights": random}
            others["centre_prior"] = np.broadcast_to(prior, saliency.shape)
            for check, measure in MEASURES.items():
                own = measure(saliency, covered, maps.sector)
                yield Figure(name, check, region, own)
                for control, values in others.items():
                    rest = own - measure(values, covered, maps.sector)
                    yield Figure(name, f"{check}_over_{control}", region, rest)
    yield from _correlations(explainer, maps, controls)
    if "deletion_insertion" in controls.settings.which:
        yield from _faithfulness(explainer, maps, controls.settings)


def shares(maps: Maps) -> dict[str, float]:
    """What the table of videos says of the first method.

    Its agreement with random weights, and the shares that ``region_checks`` reads, if there is a region.
    """
    (saliency, *_), (random, *_) = maps.saliency.values(), maps.random_weights.values()
    region = maps.region
    found = {"random_weights_correlation": rank_correlation(saliency, random)}
    if region is None:
        return found
    prior = centre_prior(*maps.sector.shape)
    return {
        **found,
        "area_share": area_share(region, maps.sector),
        "inside_share": inside_share(saliency, region, maps.sector),
        "centre_prior_share": inside_share(prior, region, maps.sector),
        "random_weights_share": inside_share(random, region, maps.sector),
    }


def outside_share(saliency: Floats, sector: Mask) -> float:
    """Share of the saliency where there is no ultrasound; nan for a map that is zero all over."""
    total = float(saliency.sum(dtype=np.float64))
    return float(saliency[:, ~sector].sum(dtype=np.float64)) / total if total > 0 else float("nan")


def enrichment(saliency: Floats, region: Region, sector: Mask) -> float:
    """Share of the saliency inside the region over the region's share of the sector; 1 is a uniform map."""
    area = area_share(region, sector)
    return inside_share(saliency, region, sector) / area if area > 0 else float("nan")


def pointing(saliency: Floats, region: Region, sector: Mask) -> float:
    """The pointing game (Zhang et al., arXiv 1608.00507), frame by frame.

    Returns:
        Share of the frames with saliency whose largest value within the sector lies in the region or within
        a 16th of the picture's side of it; nan if no frame has saliency or none a region.
    """
    radius = max(1, round(saliency.shape[-1] * TOLERANCE_SHARE))
    near = _disk(radius)
    hits = []
    for values, covered in zip(saliency, region, strict=True):
        seen = np.where(sector, values, 0.0)
        inside = (np.asarray(covered) >= HIT_COVERAGE) & sector
        if seen.any() and inside.any():
            largest = seen == seen.max()
            # several equal places count by their share: a flat map points nowhere
            hits.append(float(ndimage.binary_dilation(inside, near)[largest].mean()))
    return float(np.mean(hits)) if hits else float("nan")


MEASURES: dict[str, Callable[[Floats, Region, Mask], float]] = {
    "enrichment": enrichment,
    "pointing": pointing,
}


def _disk(radius: int) -> Mask:
    across, down = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(across**2 + down**2 <= radius**2)


def _correlations(explainer: Explainer, maps: Maps, controls: Controls) -> Iterator[Figure]:
    """How far the maps of other networks agree with the classifier's, within the sector."""
    networks = [(f"random_weights_{depth}", one, True) for depth, one in controls.cascade]
    if controls.shuffled is not None:
        networks.append(("shuffled_labels", controls.shuffled, True))
    for check, network, either_sign in networks:
        parts = [
            explainer.maps_of(network, explainer.tensor(maps.frames[clip]), either_sign=either_sign)
            for clip in maps.clips()
        ]
        for name, saliency in maps.saliency.items():
            other = np.concatenate([part[name] for part in parts])
            agreement = rank_correlation(saliency[:, maps.sector], other[:, maps.sector])
            yield Figure(name, check, "", agreement)


def _faithfulness(explainer: Explainer, maps: Maps, settings: ChecksSettings) -> Iterator[Figure]:
    """Area between insertion and deletion, mean over the clips, and the same less that of the controls."""
    of_prior = _area(explainer, maps, centre_prior(*maps.sector.shape), settings)
    for name, saliency in maps.saliency.items():
        own = _area(explainer, maps, saliency, settings)
        of_random = _area(explainer, maps, maps.random_weights[name], settings)
        yield Figure(name, "faithfulness", "", own)
        yield Figure(name, "faithfulness_over_centre_prior", "", own - of_prior)
        yield Figure(name, "faithfulness_over_random_weights", "", own - of_random)


def _area(explainer: Explainer, maps: Maps, saliency: Floats, settings: ChecksSettings) -> float:
    def curves(classifier: Classifier, clip: slice) -> Curves:
        return deletion_insertion(
            classifier.score,
            explainer.tensor(maps.frames[clip]),
            saliency[clip] if saliency.ndim == 3 else saliency,
            maps.sector,
            steps=settings.fractions,
            name=settings.baseline,
        )

    pairs = zip(maps.classifiers, maps.clips(), strict=True)
    return float(np.mean([curves(*pair).faithfulness for pair in pairs]))
