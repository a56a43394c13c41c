"""What a study says in the end: adjusted p-values, labels saved, the figure."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from echossl.config.adapt import FrozenRecipe, FullRecipe, PixelRecipe
from echossl.config.data import DataConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.objective import ContrastiveConfig
from echossl.config.study import ArmConfig, FamilyConfig, PretrainingConfig, StudyConfig
from echossl.evaluation import auroc
from echossl.study.cells import plan_cells
from echossl.study.efficiency import draw_efficiency, draw_means, write_efficiency
from echossl.study.family import adjusted_p_values, declared_members, family_text
from echossl.study.labels_saved import LabelsSaved, crossings, labels_saved
from echossl.study.pooled import ArmResult, collect
from echossl.study.summary import summarise

ARMS = (
    ArmConfig(name="pairs", title="Pairs", start="pairs", recipe=FrozenRecipe()),
    ArmConfig(name="fresh", title="Random $start$", recipe=FullRecipe()),
    ArmConfig(name="pixels", title="Pixels", recipe=PixelRecipe(), seeds=1),
)
FRACTIONS = (0.01, 0.1, 1.0)
# distance of the two classes' scores, in standard deviations
SIGNAL = {"pairs": (1.2, 1.6, 2.0), "fresh": (0.1, 0.9, 2.0), "pixels": (0.0, 0.1, 0.2)}
LABELS = (np.arange(150) % 3 == 0).astype(int)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    folder = tmp_path_factory.mktemp("study")
    config = StudyConfig(
        data=DataConfig(manifest=folder / "manifest.csv", store=folder / "store"),
        out=folder,
        pretrainings=(PretrainingConfig(name="pairs", objectives=(ContrastiveConfig(),)),),
        arms=ARMS,
        fractions=FRACTIONS,
        draws=3,
        seeds=2,
        bootstrap=BootstrapConfig(resamples=300),
    )
    names = [f"P{number:03d}" for number in range(LABELS.size)]
    for cell in plan_cells(config):
        place = FRACTIONS.index(cell.fraction)
        generator = np.random.default_rng([cell.draw, cell.seed, place, len(cell.arm.name)])
        scores = SIGNAL[cell.arm.name][place] * LABELS + generator.normal(size=LABELS.size)
        table = pd.DataFrame({"patient_id": names, "study_id": names, "split": "test", "severe_as": LABELS})
        cell.config.out.mkdir(parents=True)
        table.assign(severe_as_score=scores).to_csv(cell.config.out / "predictions.csv", index=False)
        labelled = {"num_labelled_patients": round(800 * cell.fraction)}
        (cell.config.out / "result.json").write_text(json.dumps(labelled))
    return config


@pytest.fixture(scope="module")
def results(study: StudyConfig) -> list[ArmResult]:
    return collect(study)


def with_family(study: StudyConfig, **family: object) -> StudyConfig:
    return StudyConfig.model_validate(study.model_dump() | {"family": family})


def plain_holm(p_values: list[float]) -> list[float]:
    """Step by step: the smallest times the number of all, the next times one less, never falling."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted


def test_trap_28_all_comparisons_are_one_family(study: StudyConfig, results: list[ArmResult]) -> None:
    adjusted = adjusted_p_values(study, results)
    assert list(adjusted) == declared_members(study)
    assert len(adjusted) == 2 * 3
    raw = {(one.arm.name, one.fraction): one.against["auroc"].p_value for one in results if one.against}
    assert list(adjusted.values()) == pytest.approx(plain_holm([raw[member] for member in adjusted]))
    text = family_text(study, results)
    assert "pairs against fresh, pixels at 1 %, 10 %, 100 % of the patients" in text
    assert "6 comparisons of AUROC, adjusted together by Holm" in text


def test_a_declared_family_is_smaller(study: StudyConfig, results: list[ArmResult]) -> None:
    config = with_family(study, arms=["fresh"], fractions=[0.01, 0.1], correction="benjamini_hochberg")
    adjusted = adjusted_p_values(config, results)
    assert list(adjusted) == [("fresh", 0.01), ("fresh", 0.1)]
    raw = sorted(
        one.against["auroc"].p_value
        for one in results
        if one.arm.name == "fresh" and one.fraction in {0.01, 0.1}
    )
    assert sorted(adjusted.values()) == pytest.approx([min(2 * raw[0], raw[1]), raw[1]])
    assert "Benjamini and Hochberg" in family_text(config, results)


def test_one_comparison_needs_no_adjustment(study: StudyConfig, results: list[ArmResult]) -> None:
    config = with_family(study, arms=["fresh"], fractions=[0.01])
    assert adjusted_p_values(config, results) == {}
    assert "one comparison, nothing to adjust" in family_text(config, results)


def test_part_of_a_family_is_not_adjusted(study: StudyConfig, results: list[ArmResult]) -> None:
    some = [one for one in results if (one.arm.name, one.fraction) != ("pixels", 0.1)]
    assert adjusted_p_values(study, some) == {}
    assert "not adjusted, because comparisons are missing" in family_text(study, some)


def test_a_family_that_the_study_does_not_hold_is_refused(study: StudyConfig) -> None:
    with pytest.raises(ValidationError, match=r"family.arms: 'pairs' is not compared with the first arm"):
        with_family(study, arms=["pairs"])
    with pytest.raises(ValidationError, match=r"family.fractions: 0.2 is none of the study's"):
        with_family(study, fractions=[0.2])
    assert FamilyConfig().correction == "holm"


def test_crossings_by_hand() -> None:
    fractions = [0.01, 0.1, 1.0]
    curves = np.array(
        [
            [0.5, 0.7, 0.9],  # half-way between the first two
            [0.5, 0.7, 0.9],  # exactly at the second
            [0.8, 0.7, 0.9],  # there from the start, whatever comes after
            [0.5, 0.6, 0.7],  # never
            [0.5, 0.5, 0.9],  # a flat stretch first
            [0.5, np.nan, 0.9],
        ]
    )
    found = crossings(fractions, curves, np.array([0.6, 0.7, 0.75, 0.8, 0.6, 0.6]))
    expected = [10**-1.5, 0.1, 0.01, math.inf, 10**-0.75, math.nan]
    assert found == pytest.approx(expected, nan_ok=True)


def test_crossings_agree_with_a_search_along_the_curve() -> None:
    generator = np.random.default_rng(1)
    fractions = np.array([0.01, 0.05, 0.1, 0.25, 1.0])
    curves = generator.uniform(0.5, 0.9, (50, 5))
    targets = generator.uniform(0.5, 0.95, 50)
    fine = np.geomspace(0.01, 1, 20001)
    for curve, target, found in zip(curves, targets, crossings(fractions, curves, targets), strict=True):
        reached = np.interp(np.log(fine), np.log(fractions), curve) >= target
        plain = fine[reached.argmax()] if reached.any() else math.inf
        assert found == pytest.approx(plain, rel=5e-4)


def test_labels_saved_of_the_study(study: StudyConfig, results: list[ArmResult]) -> None:
    fresh, pixels = labels_saved(results, study.bootstrap)
    default = next(one for one in results if one.arm.name == "pairs")
    assert fresh.target == default.intervals["auroc"].value
    line = [one.intervals["auroc"].value for one in results if one.arm.name == "fresh"]
    share = (fresh.target - line[1]) / (line[2] - line[1])
    assert fresh.value == pytest.approx(0.1 ** (1 - share))  # between 10 and 100 %
    assert fresh.low <= fresh.value <= fresh.high
    assert fresh.low < fresh.high
    assert f"{fresh.value / 0.01:.3g} times as many" in str(fresh)
    assert math.isinf(pixels.value)
    assert math.isinf(pixels.high)
    assert "not reached at 100 %" in str(pixels)


def test_labels_saved_in_words() -> None:
    entry = LabelsSaved("Random", "Default", 0.8, (0.01, 1.0), 0.01, 0.01, math.inf)
    assert str(entry) == (
        "Random reaches the AUROC 0.800 that Default has at 1 % of the labels: at 1 % or fewer "
        "(interval: at 1 % or fewer to not reached at 100 %)."
    )


def test_one_fraction_has_no_curve(study: StudyConfig, results: list[ArmResult], tmp_path: Path) -> None:
    some = [one for one in results if one.fraction == 0.1]
    assert labels_saved(some, study.bootstrap) == []
    assert labels_saved([], study.bootstrap) == []
    assert all(path.is_file() for path in write_efficiency(some, tmp_path))


def test_draws_are_means_over_seeds(results: list[ArmResult]) -> None:
    for result in results:
        plain = []
        for draw in range(3):
            cells = [cell.predictions for cell in result.cells if cell.draw == draw]
            plain.append(sum(auroc(one.labels, one.scores) for one in cells) / len(cells))
        assert draw_means(result) == pytest.approx(plain)


def test_the_figure_shows_what_was_pooled(results: list[ArmResult]) -> None:
    axes = draw_efficiency(results).axes[0]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "1 %\n(8)",
        "10 %\n(80)",
        "100 %\n(800)",
    ]
    lines = {line.get_label(): line for line in axes.get_lines()}
    places = []
    for arm in ARMS:
        of_arm = [one for one in results if one.arm.name == arm.name]
        drawn = lines[arm.title]
        places.append(tuple(drawn.get_xdata()))
        # an arm stands a little beside the others, by the same factor everywhere
        assert list(drawn.get_xdata() / np.array(FRACTIONS)) == pytest.approx(
            [places[-1][0] / FRACTIONS[0]] * 3
        )
        assert list(drawn.get_xdata()) == pytest.approx(list(FRACTIONS), rel=0.1)
        assert list(drawn.get_ydata()) == [one.intervals["auroc"].value for one in of_arm]
    assert len(set(places)) == len(ARMS)
    dots = [line for line in axes.get_lines() if line.get_marker() == "."]
    assert len(dots) == len(results)
    assert all(len(line.get_xdata()) == 3 for line in dots)


def test_files_are_written_and_repeat(study: StudyConfig, results: list[ArmResult]) -> None:
    text = summarise(study, results).read_text()
    svg, png = study.out / "label_efficiency.svg", study.out / "label_efficiency.png"
    assert "Random $start$" in svg.read_text()
    assert png.read_bytes()[:4] == b"\x89PNG"
    before = svg.read_bytes()
    summarise(study, results)
    assert svg.read_bytes() == before
    assert "Labels saved:" in text
    assert "| adjusted p |" in text
    table = pd.read_csv(study.out / "results.csv")
    holm = table[table["metric"] == "auroc_p_value_holm"].set_index(["arm", "fraction"])["value"]
    for (arm, fraction), value in adjusted_p_values(study, results).items():
        assert holm[f"pairs - {arm}", fraction] == pytest.approx(value, rel=1e-4)
        assert f"{value:.3g} |" in text
