"""Figures that keep their resamples: against the pooling of cells, and against the slow way for data sets."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import r2_score

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation import Cell, Predictions, pool, pool_difference, weighted_auroc
from echossl.evaluation.bootstrap import DRAWS, OTHER_SEEDS, PATIENTS, SEEDS, two_sided_p_value
from echossl.evaluation.panel_answers import join_panels
from echossl.evaluation.panel_files import Question
from echossl.evaluation.panels import Panel, Resampled, refuse_unpaired_panels
from echossl.evaluation.regression import weighted_r2

CONFIG = BootstrapConfig(resamples=150, seed=3)


def panel_of(num_draws=3, num_seeds=2, *, patients=25, effect=1.0, seed=0, numbers=False) -> Panel:
    """Two studies of some patients, one of the others; the same rows for every effect and seed."""
    generator = np.random.default_rng(1)
    names = np.concatenate([np.arange(patients), np.arange(patients // 2)])
    truth = (names % 3 == 0).astype(np.float64)
    if numbers:
        truth = generator.normal(size=names.size)
    noise = np.random.default_rng([seed, 7]).normal(size=(num_draws, num_seeds, names.size))
    return Panel(
        source="made up",
        patients=np.sort(np.array([f"p{name:02d}" for name in names])),
        units=np.array([f"s{number:02d}" for number in range(names.size)]),
        truth=truth[np.argsort(names, kind="stable")],
        draws=tuple(range(num_draws)),
        seeds=tuple(range(10, 10 + num_seeds)),
        scores=effect * truth[np.argsort(names, kind="stable")] + noise,
        num_labelled_patients=8,
    )


def cells_of(panel: Panel) -> list[Cell]:
    splits = np.full(panel.units.size, "test")
    labels = panel.truth.astype(np.int64)
    return [
        Cell(draw, seed, Predictions("c", "as", panel.patients, panel.units, splits, labels, scores))
        for draw, by_seed in zip(panel.draws, panel.scores, strict=True)
        for seed, scores in zip(panel.seeds, by_seed, strict=True)
    ]


def pairwise_auroc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Every positive against every negative, a tie counting half."""
    gaps = scores[truth == 1][:, None] - scores[truth == 0]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def slow_samples(panel: Panel, reference, config: BootstrapConfig, stream: int) -> np.ndarray:
    """Draw patients, label draws and seeds, copy rows, score every cell: one resample at a time."""
    num_draws, num_seeds, _ = panel.scores.shape
    names = np.unique(panel.patients)
    shape = (config.resamples, names.size)
    drawn = np.random.default_rng([config.seed, PATIENTS]).integers(names.size, size=shape)
    draws = np.random.default_rng([config.seed, DRAWS]).integers(num_draws, size=(shape[0], num_draws))
    seeds = np.random.default_rng([config.seed, stream]).integers(num_seeds, size=(shape[0], num_seeds))
    samples = []
    for patients, some_draws, some_seeds in zip(drawn, draws, seeds, strict=True):
        rows = np.concatenate([np.flatnonzero(panel.patients == names[number]) for number in patients])
        cells = [
            reference(panel.truth[rows], panel.scores[draw, seed][rows])
            for draw in some_draws
            for seed in some_seeds
        ]
        samples.append(np.mean(cells))
    return np.array(samples)


def test_a_panel_equals_the_pooling_of_its_cells() -> None:
    one, other = panel_of(), panel_of(effect=0.3, seed=5)
    figures = [Resampled.of(panel, weighted_auroc, CONFIG) for panel in (one, other)]
    assert figures[0].interval == pool(cells_of(one), CONFIG)["auroc"]
    assert figures[0].minus(figures[1]) == pool_difference(cells_of(one), cells_of(other), CONFIG)["auroc"]


def test_r2_of_a_panel_equals_the_slow_way() -> None:
    panel = panel_of(2, 3, numbers=True)
    found = Resampled.of(panel, weighted_r2, CONFIG)
    assert found.samples == pytest.approx(slow_samples(panel, r2_score, CONFIG, SEEDS), abs=1e-10)
    assert found.as_rival == pytest.approx(slow_samples(panel, r2_score, CONFIG, OTHER_SEEDS), abs=1e-10)
    expected = np.mean([r2_score(panel.truth, scores) for scores in panel.scores.reshape(6, -1)])
    assert found.value == pytest.approx(expected, abs=1e-12)


def answers_of(*pairs: tuple[Panel, Panel]):
    question = Question("test", "auroc", 0.01)
    return join_panels([{question: {"first": one, "second": other}} for one, other in pairs], CONFIG)


def seed_of_dataset(number: int) -> BootstrapConfig:
    seed = np.random.SeedSequence([CONFIG.seed, number]).generate_state(1)[0] if number else CONFIG.seed
    return CONFIG.model_copy(update={"seed": int(seed)})


def test_data_sets_are_averaged_and_resampled_each_on_its_own() -> None:
    pairs = [
        (panel_of(patients=n, seed=n), panel_of(patients=n, effect=0.2, seed=n + 1)) for n in (25, 31, 40)
    ]
    first, second = answers_of(*pairs)
    samples = np.zeros((2, CONFIG.resamples))
    for number, pair in enumerate(pairs):
        config = seed_of_dataset(number)
        samples[0] += slow_samples(pair[0], pairwise_auroc, config, SEEDS) / 3
        samples[1] += slow_samples(pair[1], pairwise_auroc, config, OTHER_SEEDS) / 3
    plain = [
        np.mean(
            [
                pairwise_auroc(pair[arm].truth, scores)
                for pair in pairs
                for scores in pair[arm].scores.reshape(6, -1)
            ]
        )
        for arm in (0, 1)
    ]
    interval, difference = first.figure.interval, second.against
    assert interval.value == pytest.approx(plain[0], abs=1e-12)
    assert (interval.low, interval.high) == pytest.approx(np.percentile(samples[0], [2.5, 97.5]), abs=1e-10)
    assert difference.value == pytest.approx(plain[0] - plain[1], abs=1e-12)
    ends = np.percentile(samples[0] - samples[1], [2.5, 97.5])
    assert (difference.low, difference.high) == pytest.approx(ends, abs=1e-10)
    assert difference.p_value == two_sided_p_value(samples[0] - samples[1])
    assert first.against is None
    assert np.mean(second.gaps) == pytest.approx(difference.value)
    assert [part.value for part in first.parts] == pytest.approx(
        [
            np.mean([pairwise_auroc(pair[0].truth, own) for own in pair[0].scores.reshape(6, -1)])
            for pair in pairs
        ]
    )


def test_independent_data_sets_narrow_the_interval_by_their_square_root() -> None:
    pair = panel_of(1, 1, patients=200), panel_of(1, 1, patients=200, effect=0.2)
    config = BootstrapConfig(resamples=2000)
    question = Question("test", "auroc", 0.01)
    dataset = {question: {"first": pair[0], "second": pair[1]}}
    one, four = (join_panels([dataset] * count, config)[0].figure.interval for count in (1, 4))
    assert one.value == pytest.approx(four.value)
    assert (one.high - one.low) / (four.high - four.low) == pytest.approx(2, rel=0.1)


def test_trap_28_arms_of_other_rows_labels_or_draws_are_refused() -> None:
    panel = panel_of()
    refuse_unpaired_panels(panel, panel_of(seed=4))
    with pytest.raises(UserError, match="a paired comparison needs the same in both arms"):
        refuse_unpaired_panels(panel, replace(panel, truth=1 - panel.truth))
    with pytest.raises(UserError, match="other studies, videos or labels"):
        refuse_unpaired_panels(panel, replace(panel, units=panel.units[::-1]))
    with pytest.raises(UserError, match="draws 0, 1, but draws 0, 1, 2 in made up"):
        refuse_unpaired_panels(panel, panel_of(num_draws=2))


def test_data_sets_that_lack_an_arm_are_refused() -> None:
    question = Question("test", "auroc", 0.01)
    whole = {question: {"first": panel_of(), "second": panel_of(seed=2)}}
    part = {question: {"first": panel_of()}}
    with pytest.raises(UserError, match=r"folder 2: lacks auroc of the arm second .* which folder 1 has"):
        join_panels([whole, part], CONFIG)
    with pytest.raises(UserError, match=r"folder 1: lacks auroc of the arm second .* which folder 2 has"):
        join_panels([part, whole], CONFIG)
    with pytest.raises(UserError, match="no scores"):
        join_panels([], CONFIG)


def test_any_arm_may_be_the_one_that_others_are_compared_with() -> None:
    question = Question("test", "auroc", 0.01)
    dataset = {
        question: {"a": panel_of(), "b": panel_of(effect=0.2, seed=2), "c": panel_of(effect=0.5, seed=3)}
    }
    answers = {answer.arm: answer for answer in join_panels([dataset], CONFIG, first="b")}
    assert list(answers) == ["b", "a", "c"]
    assert answers["b"].against is None
    assert answers["c"].first == "b"
    turned = {answer.arm: answer for answer in join_panels([dataset], CONFIG)}["b"].against
    assert answers["a"].against.value == pytest.approx(-turned.value)
    with pytest.raises(UserError, match="no arm 'd' to compare with; there are a, b, c"):
        join_panels([dataset], CONFIG, first="d")
