"""Figures over draws and seeds: against a resample-everything reference, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation import (
    Cell,
    Predictions,
    bootstrap_interval,
    difference_rows,
    paired_difference,
    pool,
    pool_difference,
    pooled_roc,
    pooled_rows,
    weighted_auroc,
)
from echossl.evaluation.bootstrap import DRAWS, OTHER_SEEDS, SEEDS, patient_counts

CONFIG = BootstrapConfig(resamples=200, seed=4)
NUM_STUDIES = 40


def cells_of(draws, seeds, *, effect=1.0, spread=0.0, seed=0):
    """Runs on the same 30 patients with 1 or 2 studies; ``spread`` is how much runs differ."""
    generator = np.random.default_rng(0)
    numbers = np.concatenate([np.arange(30), np.arange(NUM_STUDIES - 30)])
    patients = np.array([f"p{number:02d}" for number in numbers])
    studies = np.array(["first"] * 30 + ["second"] * (NUM_STUDIES - 30))
    labels = (numbers % 3 == 0).astype(np.int64)
    base = generator.normal(size=NUM_STUDIES) + effect * labels
    generator = np.random.default_rng(seed + 1)
    found = []
    for draw in draws:
        for one in seeds:
            scores = base + spread * generator.normal(size=NUM_STUDIES)
            table = Predictions(
                f"{draw}-{one}.csv", "as", patients, studies, np.full(NUM_STUDIES, "test"), labels, scores
            )
            found.append(Cell(draw, one, table.take(generator.permutation(NUM_STUDIES))))
    return found


def slow_samples(cells, reference, seed_stream):
    """Draw patients, draws and seeds, copy their rows, score every cell, average: one resample at a time."""
    draws, seeds = sorted({cell.draw for cell in cells}), sorted({cell.seed for cell in cells})
    tables = {(cell.draw, cell.seed): cell.predictions for cell in cells}
    names = np.unique(cells[0].predictions.patients)
    counts = np.concatenate(list(patient_counts(len(names), CONFIG)))
    size = CONFIG.resamples
    drawn_draws = np.random.default_rng([CONFIG.seed, DRAWS]).integers(len(draws), size=(size, len(draws)))
    drawn_seeds = np.random.default_rng([CONFIG.seed, seed_stream]).integers(
        len(seeds), size=(size, len(seeds))
    )
    figures = []
    for patients, some_draws, some_seeds in zip(counts, drawn_draws, drawn_seeds, strict=True):
        of_cells = []
        for draw in some_draws:
            for seed in some_seeds:
                table = tables[draws[draw], seeds[seed]]
                repeats = patients[np.searchsorted(names, table.patients)]
                rows = np.repeat(np.arange(NUM_STUDIES), repeats)
                of_cells.append(reference(table.labels[rows], table.scores[rows]))
        figures.append(np.mean(of_cells))
    return np.array(figures)


@pytest.mark.parametrize(
    ("name", "reference"), [("auroc", metrics.roc_auc_score), ("auprc", metrics.average_precision_score)]
)
def test_pool_equals_the_slow_way(name, reference):
    cells = cells_of([5, 2, 9], [1, 0], spread=0.8)
    samples = slow_samples(cells, reference, SEEDS)
    found = pool(cells, CONFIG)[name]
    every = [reference(cell.predictions.labels, cell.predictions.scores) for cell in cells]
    assert found.value == pytest.approx(np.mean(every), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(np.percentile(samples, [2.5, 97.5]), abs=1e-12)
    assert (found.resamples, found.unusable) == (200, 0)


def test_pool_difference_equals_the_slow_way():
    cells_a, cells_b = cells_of([0, 1], [0, 1, 2], spread=0.5), cells_of([0, 1], [7], spread=1.0, seed=3)
    samples = slow_samples(cells_a, metrics.roc_auc_score, SEEDS) - slow_samples(
        cells_b, metrics.roc_auc_score, OTHER_SEEDS
    )
    found = pool_difference(cells_a, cells_b, CONFIG)["auroc"]
    assert (found.low, found.high) == pytest.approx(np.percentile(samples, [2.5, 97.5]), abs=1e-12)
    assert found.value == pytest.approx(
        pool(cells_a, CONFIG)["auroc"].value - pool(cells_b, CONFIG)["auroc"].value
    )
    assert found.p_value == pytest.approx(
        min(1, 2 * min(1 + (samples <= 1e-9).sum(), 1 + (samples >= -1e-9).sum()) / 201)
    )


def test_one_cell_is_the_plain_bootstrap():
    (cell_a,), (cell_b,) = cells_of([0], [0]), cells_of([0], [3], spread=1.0, seed=5)
    table = cell_a.predictions
    plain = bootstrap_interval(table.labels, table.scores, table.patients, weighted_auroc, CONFIG)
    pooled = pool([cell_a], CONFIG)["auroc"]
    assert (pooled.value, pooled.low, pooled.high) == pytest.approx((plain.value, plain.low, plain.high))
    order = [np.lexsort((cell.predictions.studies, cell.predictions.patients)) for cell in (cell_a, cell_b)]
    one, other = table.take(order[0]), cell_b.predictions.take(order[1])
    paired = paired_difference(one.labels, one.scores, other.scores, one.patients, weighted_auroc, CONFIG)
    difference = pool_difference([cell_a], [cell_b], CONFIG)["auroc"]
    assert (difference.low, difference.high, difference.p_value) == pytest.approx(
        (paired.low, paired.high, paired.p_value)
    )


def test_runs_that_differ_widen_the_interval():
    alike, apart = cells_of([0, 1, 2], [0, 1, 2]), cells_of([0, 1, 2], [0, 1, 2])
    # draw 1 is a bad draw of labels: all its runs rank the patients the wrong way round
    apart = [
        replace(cell, predictions=replace(cell.predictions, scores=-cell.predictions.scores))
        if cell.draw == 1
        else cell
        for cell in apart
    ]
    narrow, wide = pool(alike, CONFIG)["auroc"], pool(apart, CONFIG)["auroc"]
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_trap_28_shared_draws_cancel_in_a_paired_difference():
    def arm(gain):
        # a good draw of labels helps both arms alike
        return [cell for draw in range(3) for cell in cells_of([draw], [0], effect=gain + 0.5 * draw)]

    arm_a, arm_b = arm(0.4), arm(0.0)
    difference = pool_difference(arm_a, arm_b, CONFIG)["auroc"]
    each = [pool(arm, CONFIG)["auroc"] for arm in (arm_a, arm_b)]
    assert difference.high - difference.low < 0.5 * min(one.high - one.low for one in each)
    assert difference.low > 0


def test_trap_29_unusable_resamples_are_counted():
    cells = cells_of([0, 1], [0])
    rare = [
        replace(
            cell,
            predictions=replace(
                cell.predictions, labels=(cell.predictions.patients == "p29").astype(np.int64)
            ),
        )
        for cell in cells
    ]
    found = pool(rare, CONFIG)["auroc"]
    assert found.unusable / found.resamples == pytest.approx((29 / 30) ** 30, abs=0.1)
    assert np.isfinite([found.low, found.high]).all()
    assert pool_difference(rare, rare, CONFIG)["auroc"].unusable == found.unusable


def test_an_arm_against_itself():
    cells = cells_of([0, 1], [0])
    same = pool_difference(cells, cells, CONFIG)["auroc"]
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_incomplete_or_double_grids_are_refused():
    cells = cells_of([0, 1], [0, 1])
    with pytest.raises(UserError, match="draw 1 with seed 1: found 0 runs, expected 1; pool every draw"):
        pool(cells[:3], CONFIG)
    with pytest.raises(UserError, match="draw 0 with seed 0: found 2 runs"):
        pool([*cells, cells[0]], CONFIG)
    with pytest.raises(UserError, match="no runs to pool"):
        pool([], CONFIG)


def test_other_patients_labels_draws_and_splits_are_refused():
    cells = cells_of([0, 1], [0])
    table = cells[1].predictions
    fewer = replace(cells[1], predictions=table.take(np.flatnonzero(table.patients != "p03")))
    with pytest.raises(UserError, match=r"1-0.csv: lacks study 'first' of patient 'p03' that is in 0-0.csv"):
        pool([cells[0], fewer], CONFIG)
    with pytest.raises(UserError, match="evaluate both on the same patients"):
        pool_difference(cells[:1], [replace(fewer, draw=0)], CONFIG)
    turned = replace(cells[1], predictions=replace(table, labels=1 - table.labels))
    with pytest.raises(UserError, match=r"of patient 'p00' is not that of 0-0.csv \(of 40 such studies\)"):
        pool([cells[0], turned], CONFIG)
    with pytest.raises(
        UserError, match=r"draws 1, but draws 0 in 0-0.csv; a paired comparison needs the same"
    ):
        pool_difference(cells[:1], cells[1:], CONFIG)
    mixed = replace(table, splits=np.where(table.labels == 1, "test", "val"))
    with pytest.raises(UserError, match="holds the splits test, val, expected one"):
        pool([replace(cells[0], predictions=mixed)], CONFIG)
    with pytest.raises(UserError, match="expected both 0 and 1"):
        pool([replace(cells[0], predictions=replace(table, labels=np.zeros_like(table.labels)))], CONFIG)


def test_rows_of_results():
    cells = cells_of([0, 1], [0])
    rows = pooled_rows("pixels", 0.01, cells, pool(cells, CONFIG), num_labelled_patients=8)
    assert [row.metric for row in rows] == ["auroc", "auprc", "prevalence"]
    assert {(row.arm, row.fraction, row.draw, row.seed, row.split) for row in rows} == {
        ("pixels", 0.01, "all", "all", "test")
    }
    assert {(row.num_patients, row.num_positive, row.num_labelled_patients) for row in rows} == {(30, 10, 8)}
    differences = pool_difference(cells, cells, CONFIG)
    pairs = difference_rows(("a", "b"), 0.01, cells, differences)
    assert [(row.arm, row.metric) for row in pairs] == [
        ("a - b", metric) for metric in ("auroc", "auroc_p_value", "auprc", "auprc_p_value")
    ]


def test_pooled_roc_has_the_mean_area():
    cells = cells_of([0, 1], [0, 1], spread=1.0)
    curve = pooled_roc(cells)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(pool(cells, CONFIG)["auroc"].value, abs=0.01)
