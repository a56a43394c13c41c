"""Findings compared together: shared redraws, their mean, two families, against plain loops and scipy."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from echossl.cli import app
from echossl.config.evaluation import CompareConfig
from echossl.errors import UserError
from echossl.evaluation.findings import findings_lines, write_differences
from echossl.evaluation.findings_paired import compare_findings
from echossl.evaluation.resampling import Clusters

FINDINGS = ("edema", "fracture", "nodule")
CONFIG = CompareConfig(together=True, resamples=300, metrics=("auroc",), correction="benjamini_hochberg")
PATIENTS = 70


def _truth(seed: int) -> pd.DataFrame:
    """Two studies of a patient, a third of the cells not assessed or uncertain; the nodule is rare."""
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(PATIENTS), 2)
    table = pd.DataFrame({"patient_id": patients, "study_id": np.tile(["a", "b"], PATIENTS), "split": "test"})
    for name, share in zip(FINDINGS, (0.4, 0.3, 0.04), strict=True):
        ill = np.repeat(generator.random(PATIENTS) < share, 2)
        cells = ill.astype(int).astype(str).astype(object)
        cells[generator.random(len(cells)) < 0.2] = ""
        cells[generator.random(len(cells)) < 0.1] = "uncertain"
        table[name] = cells
    return table


def _scored(truth: pd.DataFrame, signal: float, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    ill = {name: truth[name].map({"0": 0.0, "1": 1.0}).fillna(0.5) for name in FINDINGS}
    scores = {f"{name}_score": signal * ill[name] + generator.normal(size=len(truth)) for name in FINDINGS}
    return truth.assign(**scores)


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    """Two data sets of three arms of three runs each: a good one, the same under another name, a worse."""
    folder = tmp_path_factory.mktemp("arms")
    found = {}
    for number, data_set in enumerate(("harbour", "hill")):
        truth = _truth(number)
        found[data_set] = {}
        for arm, signal in (("good", 1.8), ("again", 1.8), ("worse", 0.4)):
            paths = []
            for run in range(3):
                paths.append(folder / f"{data_set}_{arm}_{run}.csv")
                seed = 7 + 1000 * number + 100 * len(found[data_set]) + run
                _scored(truth, signal, seed).sample(frac=1, random_state=run).to_csv(paths[-1], index=False)
            found[data_set][arm] = tuple(paths)
    return found


@pytest.fixture(scope="module")
def compared(arms):
    return compare_findings([], CONFIG.model_copy(update={"data_sets": arms, "pairs": "all"}))


def _area(labels, scores) -> float:
    """Chance that a positive row scores above a negative one."""
    positive, negative = scores[labels == 1][:, None], scores[labels == 0][None]
    if not positive.size or not negative.size:
        return np.nan
    return float(np.mean((positive > negative) + 0.5 * (positive == negative)))


def _plain(paths, config):
    """Differences of two single tables by repeating rows: finding to (resamples,)."""
    tables = [pd.read_csv(path).sort_values(["patient_id", "study_id"]) for path in paths]
    known = np.any([tables[0][name].isin(["0", "1"]) for name in FINDINGS], axis=0)
    patients = np.unique(tables[0]["patient_id"][known].astype(str))
    found = {name: [] for name in FINDINGS}
    for name in FINDINGS:
        assessed = [table[table[name].isin(["0", "1"])] for table in tables]
        labels = assessed[0][name].to_numpy().astype(int)
        own = assessed[0]["patient_id"].astype(str).to_numpy()
        for draw in np.concatenate(list(Clusters.of(patients).draws(config))):
            times = dict(zip(patients, draw, strict=True))
            rows = np.repeat(np.arange(len(own)), [times[patient] for patient in own])
            areas = [_area(labels[rows], table[f"{name}_score"].to_numpy()[rows]) for table in assessed]
            found[name].append(areas[0] - areas[1])
    return {name: np.array(values) for name, values in found.items()}


def test_redraws_are_shared_by_all_findings_and_equal_a_plain_loop(arms):
    paths = [arms["harbour"]["good"][0], arms["harbour"]["worse"][0]]
    config = CONFIG.model_copy(update={"resamples": 100})
    (found,) = compare_findings(paths, config)
    expected = _plain(paths, config)
    for one in found.findings:
        usable = expected[one.name][~np.isnan(expected[one.name])]
        assert one.unusable == 100 - usable.size
        assert (one.low, one.high) == pytest.approx(tuple(np.quantile(usable, [0.025, 0.975])), abs=1e-12)
        tails = 1 + np.sum(usable <= 1e-12), 1 + np.sum(usable >= -1e-12)
        assert one.p_value == pytest.approx(min(1, 2 * min(tails) / (usable.size + 1)))
    mean = np.mean(list(expected.values()), axis=0)
    usable = mean[~np.isnan(mean)]
    assert 0 < found.mean.unusable == 100 - usable.size
    assert (found.mean.low, found.mean.high) == pytest.approx(tuple(np.quantile(usable, [0.025, 0.975])))
    assert found.mean.value == pytest.approx(np.mean([one.value for one in found.findings]))
    # spread between findings and error of the mean are two things
    assert found.error_of_mean == pytest.approx(usable.std(ddof=1))
    values = [one.value for one in found.findings]
    assert found.spread_between_findings == pytest.approx(np.std(values, ddof=1))


def test_sister_trap_04_patients_are_drawn_and_not_their_images(tmp_path):
    """Studies of a patient that say the same twice over make no interval narrower."""
    truth = _truth(5).drop_duplicates("patient_id")
    tables = {}
    for times in (1, 4):
        paths = []
        for arm, signal in enumerate((1.5, 0.5)):
            scored = _scored(truth, signal, seed=arm)
            copies = [scored.assign(study_id=f"s{number}") for number in range(times)]
            paths.append(tmp_path / f"{times}_{arm}.csv")
            pd.concat(copies).to_csv(paths[-1], index=False)
        (tables[times],) = compare_findings(paths, CONFIG)
    for once, often in zip(tables[1].rows, tables[4].rows, strict=True):
        assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))


def test_sister_trap_05_p_values_are_adjusted_as_one_declared_family(compared):
    rows = [row for one in compared for row in one.findings]
    assert len(rows) == 2 * 3 * 3  # data sets, pairs, findings
    expected = stats.false_discovery_control([row.p_value for row in rows])
    np.testing.assert_allclose([row.adjusted_p for row in rows], expected, rtol=1e-12)
    means = stats.false_discovery_control([one.mean.p_value for one in compared])
    np.testing.assert_allclose([one.mean.adjusted_p for one in compared], means, rtol=1e-12)
    families = compared[0].families
    assert [len(family) for family in families] == [18, 6]
    assert families[0][0] == "auroc of edema, split test, harbour: good - again"
    assert families[1][-1] == "auroc of mean, split test, hill: again - worse"
    lines = findings_lines(compared)
    assert lines[0] == (
        "Benjamini-Hochberg over the family of findings, 18 differences of metrics: auroc; findings: edema, "
        "fracture, nodule; splits: test; pairs: good - again, good - worse, again - worse; data sets: "
        "harbour, hill"
    )
    assert lines[1].startswith(
        "Benjamini-Hochberg over the family of means, 6 differences of metrics: auroc; splits"
    )
    assert all(" p < 0" in f" {text}" or " p = " in text for text in (one.as_text() for one in compared))


def test_a_planted_null_stays_and_a_planted_difference_is_found(compared):
    means = {(one.data_set, one.arms): one.mean for one in compared}
    for data_set in ("harbour", "hill"):
        assert means[data_set, ("good", "again")].adjusted_p > 0.05
        assert means[data_set, ("good", "worse")].adjusted_p < 0.05
        assert means[data_set, ("again", "worse")].value > 0.1


def test_figures_are_means_over_the_runs_and_runs_are_redrawn(arms, compared):
    one = next(one for one in compared if (one.data_set, one.arms) == ("hill", ("good", "worse")))
    for row in one.findings:
        areas = []
        for path in arms["hill"]["good"]:
            table = pd.read_csv(path)
            known = table[table[row.name].isin(["0", "1"])]
            areas.append(roc_auc_score(known[row.name].astype(int), known[f"{row.name}_score"]))
        assert row.first == pytest.approx(np.mean(areas))
        assert (row.patients, row.left_out) == (known["patient_id"].nunique(), len(table) - len(known))
        assert row.uncertain == (table[row.name] == "uncertain").sum()
    assert "fewer than 10" in one.as_text()  # the nodule, the other findings have more
    # one run three times over has no spread between runs, three different ones have
    fixed = {"hill": {"good": arms["hill"]["good"][:1] * 3, "worse": arms["hill"]["worse"][:1] * 3}}
    (same,) = compare_findings([], CONFIG.model_copy(update={"data_sets": fixed}))
    (alone,) = compare_findings([paths[0] for paths in fixed["hill"].values()], CONFIG)
    assert same.mean.low == pytest.approx(alone.mean.low)
    assert "one run each" in alone.as_text()
    assert "one run each" not in same.as_text()


def test_pairs_are_with_the_first_unless_all_are_asked_for(arms):
    found = compare_findings([], CONFIG.model_copy(update={"data_sets": arms}))
    assert [one.title for one in found] == [
        f"{data_set}: good - {other}" for data_set in ("harbour", "hill") for other in ("again", "worse")
    ]


def test_a_finding_without_a_class_is_left_out_and_said(arms, tmp_path):
    paths = []
    for number, path in enumerate((arms["hill"]["good"][0], arms["hill"]["worse"][0])):
        paths.append(tmp_path / f"{number}.csv")
        pd.read_csv(path).assign(nodule=0).to_csv(paths[-1], index=False)
    (found,) = compare_findings(paths, CONFIG)
    assert [one.name for one in found.findings] == ["edema", "fracture"]
    assert "nodule left out: every one of split 'test' is 0" in found.as_text()


def test_other_patients_or_labels_are_refused(arms, tmp_path):
    first = arms["hill"]["good"][0]
    table = pd.read_csv(first)
    table.iloc[1:].to_csv(tmp_path / "fewer.csv", index=False)
    with pytest.raises(UserError, match=r"fewer\.csv: lacks study"):
        compare_findings([first, tmp_path / "fewer.csv"], CONFIG)
    with pytest.raises(UserError, match="found 1 table"):
        compare_findings([first], CONFIG)
    with pytest.raises(UserError, match="beside data_sets"):
        compare_findings([first], CONFIG.model_copy(update={"data_sets": arms}))
    table.assign(edema=0, fracture=0, nodule=1).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(UserError, match="no finding of split 'test' holds both 0 and 1"):
        compare_findings([tmp_path / "none.csv"] * 2, CONFIG)


def test_command_reads_settings_prints_the_table_and_writes_every_difference(arms, tmp_path):
    settings = {"together": True, "correction": "benjamini_hochberg", "resamples": 100, "metrics": ["auroc"]}
    settings["data_sets"] = {
        name: {arm: [str(p) for p in paths] for arm, paths in of.items()} for name, of in arms.items()
    }
    (tmp_path / "compare.yaml").write_text(json.dumps(settings))
    out = tmp_path / "new" / "results.csv"
    found = CliRunner().invoke(app, ["compare", str(tmp_path / "compare.yaml"), f"out={out}"])
    assert found.exit_code == 0, found.output
    assert "harbour: good - again: AUROC, split test, 3 runs each" in found.output
    assert "  mean of 3  " in found.output
    assert "between findings the differences have a standard deviation of" in found.output
    table = pd.read_csv(out)
    assert len(table) == 4 * 4 * 3
    assert set(table["arm"]) == {f"{d}: good - {o}" for d in ("harbour", "hill") for o in ("again", "worse")}
    raw = CliRunner().invoke(app, ["compare", str(tmp_path / "compare.yaml"), "--json"])
    first = json.loads(raw.output)[0]
    row = table[(table["arm"] == first["title"]) & (table["metric"] == "auroc_mean_adjusted_p_value")]
    assert row["value"].item() == pytest.approx(first["mean"]["adjusted_p"], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pairs": "all"}, "pairs has no effect without together"),
        ({"out": "x.csv"}, "out has no effect without together"),
        ({"together": True, "test": "permutation"}, "together=true takes percentiles"),
        ({"together": True, "data_sets": {"a": {"x": "1.csv"}}}, "found one arm"),
        (
            {"together": True, "data_sets": {"a": {"x": "1", "y": "2"}, "b": {"x": "1", "z": "2"}}},
            "same arms in the same order",
        ),
    ],
)
def test_settings_without_effect_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        CompareConfig(**changes)


def test_rows_hold_the_interval_once(compared, tmp_path):
    write_differences(compared[:1], tmp_path / "results.csv")
    table = pd.read_csv(tmp_path / "results.csv")
    assert table["low"].notna().sum() == 4
    assert table.loc[table["metric"] == "auroc_mean", "value"].item() == pytest.approx(
        compared[0].mean.value, rel=1e-5
    )
