import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from echossl.config.evaluation import BootstrapConfig
from echossl.saliency.checks import (
    area_share,
    centre_prior,
    inside_share,
    rank_correlation,
    region_checks,
    study_enrichment,
)

BOOTSTRAP = BootstrapConfig(resamples=500, seed=3)


def _region() -> np.ndarray:
    region = np.zeros((3, 8, 8), dtype=bool)
    region[:, 2:4, 2:6] = True
    return region


def test_shares_equal_a_loop_over_pixels() -> None:
    generator = np.random.default_rng(0)
    saliency = generator.random((3, 8, 8))
    region = generator.random((3, 8, 8)) > 0.7
    sector = generator.random((8, 8)) > 0.3
    inside = total = area = pixels = 0.0
    for frame, row, column in np.ndindex(3, 8, 8):
        if sector[row, column]:
            total += saliency[frame, row, column]
            pixels += 1
            if region[frame, row, column]:
                inside += saliency[frame, row, column]
                area += 1
    assert inside_share(saliency, region, sector) == pytest.approx(inside / total, rel=1e-12)
    assert area_share(region, sector) == pytest.approx(area / pixels, rel=1e-12)


def test_black_corners_do_not_dilute_the_area() -> None:
    # half of the picture is no tissue: the region's share is that of the sector, twice that of the picture
    sector = np.zeros((8, 8), dtype=bool)
    sector[:, :4] = True
    region = np.zeros((1, 8, 8), dtype=bool)
    region[:, :2, :4] = True
    assert area_share(region, sector) == pytest.approx(0.25)


def test_saliency_outside_the_sector_is_not_counted() -> None:
    sector = np.ones((8, 8), dtype=bool)
    sector[0] = False
    saliency = np.ones((3, 8, 8))
    saliency[:, 0] = 1000.0
    assert inside_share(saliency, _region(), sector) == pytest.approx(8 / 56)


def test_map_without_evidence_is_neither_inside_nor_outside() -> None:
    assert np.isnan(inside_share(np.zeros((3, 8, 8)), _region(), np.ones((8, 8), dtype=bool)))


def test_uniform_map_has_enrichment_one() -> None:
    sector = np.ones((8, 8), dtype=bool)
    assert inside_share(np.full((3, 8, 8), 0.2), _region(), sector) == pytest.approx(
        area_share(_region(), sector)
    )


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 10), (48, 48)])
def test_centre_prior_is_symmetric_and_peaks_in_the_middle(height: int, width: int) -> None:
    prior = centre_prior(height, width)
    assert prior.shape == (height, width)
    assert np.allclose(prior, prior[::-1, ::-1])
    assert prior.max() == prior[height // 2, width // 2]
    row, column = 1, 2
    expected = np.exp(
        -((((row + 0.5) / height - 0.5) ** 2) + ((column + 0.5) / width - 0.5) ** 2) / (2 * 0.25**2)
    )
    assert prior[row, column] == pytest.approx(expected)


def test_centre_prior_scores_a_central_region_above_one() -> None:
    # the reason for the control: a valve in the middle of the picture is found without looking
    region = np.zeros((1, 48, 48), dtype=bool)
    region[:, 18:30, 18:30] = True
    sector = np.ones((48, 48), dtype=bool)
    assert inside_share(centre_prior(48, 48), region, sector) / area_share(region, sector) > 2


def test_rank_correlation_equals_scipy() -> None:
    generator = np.random.default_rng(0)
    first = generator.random((3, 4, 5)).round(1)  # with ties
    second = first + generator.random((3, 4, 5))
    expected = spearmanr(first.ravel(), second.ravel()).statistic
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert rank_correlation(first, first**3) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(first, np.zeros_like(first)))


def _videos(num_studies: int = 30, videos: int = 2) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = num_studies * videos
    studies = np.repeat(np.arange(num_studies), videos)
    return pd.DataFrame(
        {
            "patient_id": [f"p{study // 2:02d}" for study in studies],
            "study_id": [f"s{study:02d}" for study in studies],
            "label": (studies % 3 == 0).astype(int),
            "area_share": generator.uniform(0.1, 0.2, rows),
            "inside_share": generator.uniform(0.3, 0.6, rows),
            "centre_prior_share": generator.uniform(0.2, 0.4, rows),
            "random_weights_share": generator.uniform(0.1, 0.2, rows),
        }
    )


def test_enrichment_is_of_studies_not_of_videos() -> None:
    videos = _videos()
    table = study_enrichment(videos).set_index("study_id")
    assert len(table) == 30
    of_first = videos[videos["study_id"] == "s00"]
    expected = np.mean([row.inside_share / row.area_share for row in of_first.itertuples()])
    assert table.loc["s00", "model"] == pytest.approx(expected)


def test_interval_of_the_mean_resamples_patients_with_their_studies() -> None:
    table = study_enrichment(_videos())
    check = dict(region_checks(_videos(), BOOTSTRAP))["all"]
    values = table["model"].to_numpy()
    patients, codes = np.unique(table["patient_id"], return_inverse=True)
    assert check.enrichment["model"].value == pytest.approx(values.mean())
    generator = np.random.default_rng(9)
    members = [np.flatnonzero(codes == code) for code in range(len(patients))]
    means = []
    for _ in range(4000):
        drawn = generator.integers(len(patients), size=len(patients))
        means.append(values[np.concatenate([members[code] for code in drawn])].mean())
    low, high = np.percentile(means, [2.5, 97.5])
    width = high - low
    assert check.enrichment["model"].low == pytest.approx(low, abs=0.15 * width)
    assert check.enrichment["model"].high == pytest.approx(high, abs=0.15 * width)


def test_controls_stand_beside_and_are_subtracted_study_by_study() -> None:
    check = dict(region_checks(_videos(), BOOTSTRAP))["all"]
    assert set(check.enrichment) == {"model", "centre_prior", "random_weights"}
    for name, difference in check.difference.items():
        expected = check.enrichment["model"].value - check.enrichment[name].value
        assert difference.value == pytest.approx(expected)
        assert difference.low < difference.value < difference.high
        assert 0 < difference.p_value <= 1


def test_positives_and_negatives_are_checked_alike() -> None:
    checks = dict(region_checks(_videos(), BOOTSTRAP))
    assert list(checks) == ["all", "positive", "negative"]
    assert (checks["positive"].studies, checks["negative"].studies) == (10, 20)


def test_studies_without_evidence_are_counted() -> None:
    videos = _videos()
    videos.loc[videos["study_id"].isin(["s01", "s02"]), "inside_share"] = np.nan
    # one silent video of two leaves the study in
    videos.loc[videos.index[0], "inside_share"] = np.nan
    check = dict(region_checks(videos, BOOTSTRAP))["all"]
    assert (check.studies, check.without_evidence) == (28, 2)


def test_region_out_of_the_picture_is_no_division_by_zero() -> None:
    videos = _videos()
    videos.loc[videos["study_id"] == "s01", "area_share"] = 0.0
    check = dict(region_checks(videos, BOOTSTRAP))["all"]
    assert (check.studies, check.without_evidence) == (29, 1)
    assert np.isfinite(check.enrichment["model"].value)


def test_missing_class_is_left_out() -> None:
    videos = _videos()
    assert list(dict(region_checks(videos[videos["label"] == 1], BOOTSTRAP))) == ["all", "positive"]
