"""Tables of predicted numbers against each other: paired, by patient, beside plain loops."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics
from typer.testing import CliRunner

from echossl.cli import app
from echossl.config.evaluation import BootstrapConfig, CompareConfig
from echossl.errors import UserError
from echossl.evaluation.comparing import compare_files, family_lines
from echossl.evaluation.multiplicity import holm
from echossl.evaluation.resampling import Clusters
from echossl.evaluation.tables import TableColumns

CONFIG = CompareConfig(resamples=200, numbers=("mae", "r2", "pearson", "spearman"))
PATIENTS = 50
PLAIN = {
    "mae": metrics.mean_absolute_error,
    "r2": metrics.r2_score,
    "pearson": lambda true, called: stats.pearsonr(true, called).statistic,
    "spearman": lambda true, called: stats.spearmanr(true, called).statistic,
}


def _table(noise: float, seed: int) -> pd.DataFrame:
    truth = np.random.default_rng(0)
    level = np.repeat(truth.normal(55, 9, PATIENTS), 2)
    table = pd.DataFrame({"patient_id": np.repeat(np.arange(PATIENTS), 2), "study_id": ["a", "b"] * PATIENTS})
    table["ef"] = np.round(level + truth.normal(0, 3, level.size), 1)
    own = np.random.default_rng(seed)
    table["ef_score"] = table["ef"] + np.repeat(own.normal(0, noise, PATIENTS), 2)
    return table.assign(split="test")


def _known(path) -> pd.DataFrame:
    """Rows with a measurement, in the order of patients by name."""
    table = pd.read_csv(path, dtype={"patient_id": str}).dropna(subset="ef")
    return table.sort_values(["patient_id", "study_id"])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Errors of 5, of 8, and of 5 once more; rows in another order each."""
    folder = tmp_path_factory.mktemp("numbers")
    found = []
    for number, noise in enumerate((5.0, 8.0, 5.0)):
        found.append(folder / f"{number}.csv")
        table = _table(noise, 10 + number).sample(frac=1, random_state=number)
        if number == 0:
            table.loc[len(table)] = [999, "a", np.nan, 70.0, "test"]
        table.to_csv(found[-1], index=False)
    return found


def test_differences_are_those_of_a_loop_over_redrawn_patients(paths) -> None:
    (found,) = compare_files(paths[:2], CONFIG)
    one, other = map(_known, paths[:2])
    true, scores = one["ef"].to_numpy(), [table["ef_score"].to_numpy() for table in (one, other)]
    clusters = Clusters.of(one["patient_id"].to_numpy())
    drawn = [
        np.repeat(np.arange(true.size), counts)
        for part in clusters.draws(BootstrapConfig(resamples=200))
        for counts in clusters.rows(part).astype(int)
    ]
    for name, plain in PLAIN.items():
        figure = found.figures[name]
        assert (figure.first, figure.second) == pytest.approx(tuple(plain(true, row) for row in scores))
        assert figure.value == pytest.approx(figure.first - figure.second)
        redraws = [plain(true[rows], scores[0][rows]) - plain(true[rows], scores[1][rows]) for rows in drawn]
        assert (figure.low, figure.high) == pytest.approx(tuple(np.quantile(redraws, [0.025, 0.975])))
    assert found.figures["mae"].high < 0 < found.figures["r2"].low
    assert found.rows.num_unlabelled == 1


def test_the_permutation_swaps_patients_as_a_whole(paths) -> None:
    (found,) = compare_files(paths[:2], CONFIG)
    one, other = map(_known, paths[:2])
    apart = [np.abs(table["ef_score"] - table["ef"]).to_numpy() for table in (one, other)]
    gain = (apart[0] - apart[1]).reshape(PATIENTS, 2).sum(axis=1)
    coins = np.random.default_rng([0, 5]).random((200, PATIENTS)) < 0.5
    swapped = np.where(coins, -gain, gain).sum(axis=1)
    expected = (1 + np.sum(np.abs(swapped) >= abs(gain.sum()) - 1e-9)) / 201
    assert found.figures["mae"].permutation_p == pytest.approx(expected)


def test_the_family_is_of_the_declared_metrics_over_all_tables(paths) -> None:
    config = CompareConfig(resamples=200, numbers_family=("mae", "r2"))
    found = compare_files(paths, config)
    members = {(one.title, name): one.figures[name] for one in found for name in ("mae", "r2")}
    expected = holm(np.array([figure.p_value for figure in members.values()]))
    assert [figure.adjusted_p for figure in members.values()] == pytest.approx(list(expected))
    assert all(one.figures["pearson"].adjusted_p is None for one in found)
    (line,) = family_lines(found)
    assert line.startswith("Holm over a family of 4 (bootstrap p): mae of ef, split test, ")


def test_questions_and_numbers_of_one_table_are_compared_side_by_side(paths, tmp_path) -> None:
    tables = []
    for number, path in enumerate(paths[1:]):
        table = pd.read_csv(path).assign(low=lambda own: (own["ef"] < 50).astype(int))
        tables.append(tmp_path / f"{number}.csv")
        table.assign(low_score=-table["ef_score"]).to_csv(tables[-1], index=False)
    found = compare_files(tables, CompareConfig(resamples=200))
    assert [(one.question, list(one.figures)) for one in found] == [
        ("low", ["auroc", "auprc"]),
        ("ef", ["mae", "r2", "pearson"]),
    ]
    assert len(found[0].family) == len(found[1].family) == 2
    only = compare_files(tables, CompareConfig(resamples=200), columns=TableColumns(label="ef"))
    assert [one.question for one in only] == ["ef"]


def test_command_prints_them_and_json_holds_them(paths) -> None:
    words = ["compare", str(paths[0]), str(paths[1]), "resamples=100"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0
    assert re.search(
        r"mean absolute error \d\.\d{3} against \d\.\d{3}: -\d\.\d{3} \(.*\), p .*; less is better",
        said.stdout,
    )
    assert "50 patients, 100 studies, 1 studies without a label left out" in said.stdout
    (content,) = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert content["column"] == "ef"
    assert content["figures"]["mae"]["high"] < 0
    other = CliRunner().invoke(app, [*words, "method=delong", "stratified=true"])
    assert "no effect of stratified=true on a measurement" in other.stdout
    assert "no effect of method=delong on a measurement" in other.stdout
    assert "95% percentile interval" in other.stdout


def test_what_cannot_be_paired_or_has_no_effect_is_refused(paths, tmp_path) -> None:
    table = pd.read_csv(paths[1])
    wrong = tmp_path / "w.csv"

    def refused(changed: pd.DataFrame, message: str, **settings) -> None:
        changed.to_csv(wrong, index=False)
        with pytest.raises(UserError, match=message):
            compare_files([paths[0], wrong], CompareConfig(resamples=100, **settings))

    refused(table.iloc[3:], r"w.csv: lacks study .* .of 3 such studies.; compare the same patients")
    shifted = table.assign(ef=table["ef"] + (table.index == 4))
    refused(shifted, r"ef or split of study .* is not that of .* \(of 1 such studies\)")
    refused(table.drop(columns="ef_score"), "no column ef_score; found patient_id, study_id, ef, split")
    refused(table, "holds no yes or no, so no effect of metrics; leave it out", metrics=("auroc",))
    classes = table.assign(ef=(table["ef"] > 50).astype(int))
    classes.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match="holds no measurement, so no effect of numbers; leave it out"):
        compare_files([tmp_path / "a.csv"] * 2, CompareConfig(resamples=100, numbers=("mae",)))
    few = tmp_path / "few.csv"
    table.iloc[:2].to_csv(few, index=False)
    with pytest.raises(UserError, match="2 studies of split 'test' have a ef; expected 3 or more"):
        compare_files([few, few], CompareConfig(resamples=100))
    with pytest.raises(ValueError, match="numbers_family holds spearman, which numbers does not"):
        CompareConfig(numbers_family=("spearman",))
