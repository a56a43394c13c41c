"""Gains of the same encoders on several tasks: paired by patient, draw and seed, adjusted over the tasks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, wilcoxon
from sklearn.metrics import roc_auc_score

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.before_after import measure_gains, signed_rank_p_value, write_gains
from echossl.evaluation.panel_files import Panels, Question
from echossl.evaluation.panels import Panel

CONFIG = BootstrapConfig(resamples=400)
TASKS = {"auroc_a": 1.5, "auroc_b": 0.5, "auroc_c": 0.0}
PATIENTS, SEEDS, DRAWS = 60, 3, 2


def panel(signal: float, task: int, *, noise: int, seeds: tuple[int, ...] = (0, 1, 2)) -> Panel:
    """Scores that know the truth by so much; two rows of each patient."""
    truth = np.random.default_rng(task).integers(0, 2, PATIENTS).repeat(2).astype(float)
    generator = np.random.default_rng([noise, task])
    scores = signal * truth + generator.normal(size=(DRAWS, len(seeds), truth.size))
    names = np.array([f"p{number:03d}" for number in range(PATIENTS)]).repeat(2)
    units = np.array([f"u{number}" for number in range(truth.size)])
    return Panel(f"arm{noise}", names, units, truth, (0, 1), seeds, scores, 20)


@pytest.fixture(scope="module")
def panels() -> Panels:
    return {
        Question("test", metric, 1.0): {
            "before": panel(0.5, task, noise=1),
            "after": panel(0.5 + more, task, noise=2),
            "fewer": panel(0.5, task, noise=3, seeds=(0, 1)),
        }
        for task, (metric, more) in enumerate(TASKS.items())
    }


def test_gains_are_those_of_scikit_learn(panels: Panels) -> None:
    found = measure_gains(panels, "before", "after", CONFIG)
    assert [gain.task for gain in found.tasks] == ["a", "b", "c"]
    every = []
    for gain in found.tasks:
        one, other = (panels[gain.question][arm] for arm in ("before", "after"))
        for seed in range(SEEDS):
            gaps = [
                roc_auc_score(other.truth, other.scores[draw, seed])
                - roc_auc_score(one.truth, one.scores[draw, seed])
                for draw in range(DRAWS)
            ]
            every.append(np.mean(gaps))
            assert gain.by_seed[seed] == pytest.approx(np.mean(gaps))
        assert gain.difference.value == pytest.approx(gain.after.value - gain.before.value)
    assert found.num_pairs == 9
    assert found.mean == pytest.approx(np.mean(every))
    assert found.wilcoxon_p_value == pytest.approx(wilcoxon(every).pvalue)


def test_sister_trap_05_p_values_are_adjusted_over_all_tasks(panels: Panels) -> None:
    found = measure_gains(panels, "before", "after", CONFIG)
    raw = [gain.difference.p_value for gain in found.tasks]
    wanted = false_discovery_control(raw, method="bh")
    np.testing.assert_allclose([gain.adjusted for gain in found.tasks], wanted)
    assert found.tasks[0].adjusted < 0.05
    assert found.tasks[2].adjusted > 0.05


def test_intervals_are_paired_by_patient_draw_and_seed(panels: Panels) -> None:
    """A constant gain per seed, however different the seeds are, leaves no interval at all."""
    asked = next(iter(panels))
    before = panels[asked]["before"]
    ranks = before.scores.argsort(2).argsort(2).astype(float)  # the same order: the same area
    same = {other: {"before": before, "after": panel_of(before, ranks)} for other in panels}
    found = measure_gains(same, "before", "after", CONFIG)
    for gain in found.tasks:
        assert (gain.difference.value, gain.difference.low, gain.difference.high) == (0, 0, 0)
    assert found.wilcoxon_p_value == 1


def panel_of(other: Panel, scores: np.ndarray) -> Panel:
    return Panel(other.source, other.patients, other.units, other.truth, other.draws, other.seeds, scores, 20)


def test_sister_trap_04_patients_are_resampled_and_not_pictures(panels: Panels) -> None:
    """Rows of a patient that say the same widen the interval."""
    asked = next(iter(panels))
    one, other = panels[asked]["before"], panels[asked]["after"]
    twice = [panel_of(part, part.scores[..., ::2].repeat(2, axis=2)) for part in (one, other)]
    alone = [
        Panel(part.source, part.units, part.units, part.truth, part.draws, part.seeds, part.scores, 20)
        for part in twice
    ]
    widths = []
    for before, after in (twice, alone):
        found = measure_gains(
            {key: {"before": before, "after": after} for key in panels}, "before", "after", CONFIG
        )
        widths.append(found.tasks[0].difference.high - found.tasks[0].difference.low)
    assert widths[0] > 1.15 * widths[1]


def test_the_tables_hold_every_figure(panels: Panels, tmp_path: Path) -> None:
    found = measure_gains(panels, "before", "after", CONFIG)
    text = write_gains([found], tmp_path, notes=["# Heading"])
    assert text == (tmp_path / "summary.md").read_text()
    assert text.startswith("# Heading\n")
    assert "over 9 task x seed means (3 tasks, 3 seeds)" in text
    assert "q: Benjamini-Hochberg over the 3 tasks" in text
    rows = pd.read_csv(tmp_path / "results.csv")
    of_pair = rows[rows["arm"] == "after - before"].set_index(["metric", "seed"])["value"]
    for gain in found.tasks:
        metric = gain.question.metric
        assert of_pair[metric, "all"] == pytest.approx(gain.difference.value, rel=1e-4)
        assert of_pair[f"{metric}_q_value", "all"] == pytest.approx(gain.adjusted, rel=1e-4)
        assert of_pair[metric, "1"] == pytest.approx(gain.by_seed[1], rel=1e-4)
        assert f"| {gain.task} | 60 (" in text
    assert of_pair["auroc", "all"] == pytest.approx(found.mean, rel=1e-4)
    assert of_pair["auroc_wilcoxon_p_value", "all"] == pytest.approx(found.wilcoxon_p_value, rel=1e-4)


def test_the_signed_rank_test_is_exact_for_few_and_knows_zeros() -> None:
    assert signed_rank_p_value(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 2**5)
    assert signed_rank_p_value(np.zeros(4)) == 1


@pytest.mark.parametrize(
    ("before", "after", "fraction", "message"),
    [
        ("before", "fewer", 1.0, "seeds 0, 1, but 0, 1, 2 in arm1; gains are of the same encoders"),
        ("gone", "after", 1.0, "no arm 'gone' to compare; there are before, after, fewer"),
        ("before", "after", 0.5, "found 0 label columns of split test at fraction 0.5"),
    ],
)
def test_what_cannot_be_paired_is_refused(
    panels: Panels, before: str, after: str, fraction: float, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        measure_gains(panels, before, after, CONFIG, fraction=fraction)
