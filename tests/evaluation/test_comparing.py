"""Several tables against the first: paired, by patient, three tests, and a family that is declared."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from echossl.cli import app
from echossl.config import load_config
from echossl.config.evaluation import BootstrapConfig, CompareConfig
from echossl.errors import ConfigError, UserError
from echossl.evaluation import weighted_auroc
from echossl.evaluation.bootstrap import paired_difference
from echossl.evaluation.comparing import compare_files, family_lines
from echossl.evaluation.delong import delong
from echossl.evaluation.grid import Cell
from echossl.evaluation.multiplicity import holm
from echossl.evaluation.pooling import pool_difference
from echossl.evaluation.study import read_predictions

CONFIG = CompareConfig(resamples=200)
PATIENTS = 60


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Four scores of the same studies, in different orders; the second is the first with noise."""
    folder = tmp_path_factory.mktemp("compared")
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(PATIENTS), 2)
    labels = patients % 3 == 0
    table = pd.DataFrame({"patient_id": patients, "study_id": np.tile(["a", "b"], PATIENTS), "split": "test"})
    table["ill"] = labels.astype(int)
    found = []
    for number, signal in enumerate((2.0, 1.5, 0.5, 2.0)):
        scores = 1 / (1 + np.exp(-signal * labels - generator.normal(size=patients.size)))
        found.append(folder / f"{number}.csv")
        shuffled = table.assign(ill_score=scores).sample(frac=1, random_state=number)
        shuffled.to_csv(found[-1], index=False)
    return found


def test_a_difference_is_that_of_the_pooled_runs_as_before(paths) -> None:
    (found,) = compare_files(paths[:2], CONFIG)
    tables = [read_predictions(path) for path in paths[:2]]
    plain = BootstrapConfig(resamples=200)
    before = pool_difference(*([Cell(0, 0, table)] for table in tables), plain)
    for name, expected in before.items():
        for part in ("value", "low", "high", "p_value", "unusable"):
            assert getattr(found.figures[name], part) == pytest.approx(getattr(expected, part), abs=1e-12)
    joined = pd.read_csv(paths[0]).merge(pd.read_csv(paths[1]), on=["patient_id", "study_id", "ill"])
    areas = delong(joined["ill"], joined[["ill_score_x", "ill_score_y"]].to_numpy().T, joined["patient_id"])
    figure = found.figures["auroc"]
    assert (figure.first, figure.second) == pytest.approx(tuple(areas.aurocs))
    assert figure.delong_p == pytest.approx(areas.test()[1])
    assert found.figures["auprc"].delong_p is None
    assert figure.adjusted_p is None
    assert family_lines([found]) == ["one difference is in the family: no adjustment"]


def test_an_empty_family_is_called_empty(paths) -> None:
    found = compare_files(paths[:3], CONFIG.model_copy(update={"family": ()}))
    assert family_lines(found) == ["no difference is in the family: no p is adjusted"]
    assert all(figure.adjusted_p is None for one in found for figure in one.figures.values())


def test_tables_are_known_in_any_case_of_letters_and_by_being_there(paths, tmp_path) -> None:
    plain = CliRunner().invoke(app, ["compare", *map(str, paths[:2]), "resamples=100", "--json"])
    names = [tmp_path / name for name in ("A.CSV", "b.predictions")]
    for path, name in zip(paths, names, strict=False):
        shutil.copy(path, name)
    (tmp_path / "settings.yml").write_text("resamples: 100\n")
    words = [*map(str, names), str(tmp_path / "settings.yml"), "--json"]
    found = CliRunner().invoke(app, ["compare", *words])
    assert found.exit_code == plain.exit_code == 0
    assert json.loads(found.stdout)[0]["figures"] == json.loads(plain.stdout)[0]["figures"]
    lost = CliRunner().invoke(app, ["compare", str(names[0]), str(tmp_path / "none.csv")])
    assert isinstance(lost.exception, UserError)
    assert "none.csv: no such file" in str(lost.exception)


@pytest.mark.parametrize("test", ["bootstrap", "permutation", "delong"])
def test_trap_28_the_family_is_adjusted_as_a_whole_and_printed(paths, test) -> None:
    found = compare_files(paths, CONFIG.model_copy(update={"test": test}))
    assert [one.title for one in found] == [f"{paths[0]} - {path}" for path in paths[1:]]
    raw = {
        "bootstrap": [one.figures["auroc"].p_value for one in found],
        "permutation": [one.figures["auroc"].permutation_p for one in found],
        "delong": [one.figures["auroc"].delong_p for one in found],
    }[test]
    adjusted = [one.figures["auroc"].adjusted_p for one in found]
    assert adjusted == pytest.approx(holm(np.array(raw)).tolist())
    assert all(one.figures["auprc"].adjusted_p is None for one in found)
    (line,) = family_lines(found)
    assert line.startswith(f"Holm over a family of 3 ({test} p): auroc of ill, split test, ")
    assert "Holm p" in found[0].as_text()


def test_benjamini_hochberg_over_two_metrics(paths) -> None:
    config = load_config(
        CompareConfig,
        None,
        ["resamples=200", "metrics=auroc,brier", "family=auroc,brier", "correction=benjamini_hochberg"],
    )
    found = compare_files(paths[:3], config)
    raw = [figure.p_value for one in found for figure in one.figures.values()]
    adjusted = [figure.adjusted_p for one in found for figure in one.figures.values()]
    assert adjusted == pytest.approx(stats.false_discovery_control(raw).tolist())
    joined = pd.read_csv(paths[0]).merge(pd.read_csv(paths[1]), on=["patient_id", "study_id", "ill"])
    gaps = [np.mean((joined[f"ill_score_{side}"] - joined["ill"]) ** 2) for side in "xy"]
    assert found[0].figures["brier"].value == pytest.approx(gaps[0] - gaps[1])


@pytest.mark.parametrize("method", ["bca", "studentised", "delong"])
def test_methods(paths, method) -> None:
    (found,) = compare_files(paths[:2], CONFIG.model_copy(update={"method": method, "metrics": ("auroc",)}))
    figure = found.figures["auroc"]
    assert figure.method == method
    assert figure.low < figure.value < figure.high
    (plain,) = compare_files(paths[:2], CONFIG)
    assert figure.p_value == plain.figures["auroc"].p_value


def test_stratified_draws_keep_the_share_of_positives(paths) -> None:
    (found,) = compare_files(paths[:2], CONFIG.model_copy(update={"stratified": True}))
    assert found.figures["auroc"].unusable == 0
    assert "positives apart from negatives" in found.as_text()


def test_unequal_patients_are_refused_in_one_line(paths, tmp_path) -> None:
    table = pd.read_csv(paths[1])
    table[table["patient_id"] != 7].to_csv(tmp_path / "less.csv", index=False)
    with pytest.raises(UserError, match=r"less.csv: lacks study 'a' of patient '7'") as error:
        compare_files([paths[0], tmp_path / "less.csv"], CONFIG)
    assert "\n" not in str(error.value)
    table.assign(ill=1 - table["ill"]).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UserError, match="is not that of"):
        compare_files([paths[0], tmp_path / "other.csv"], CONFIG)
    table.assign(split="val").to_csv(tmp_path / "val.csv", index=False)
    with pytest.raises(UserError, match="splits val, but test in"):
        compare_files([paths[0], tmp_path / "val.csv"], CONFIG)
    with pytest.raises(UserError, match="found 1 table, expected two"):
        compare_files(paths[:1], CONFIG)
    table.assign(ill_score=table["ill_score"] + 1).to_csv(tmp_path / "logits.csv", index=False)
    with pytest.raises(UserError, match="brier is of probabilities"):
        compare_files([paths[0], tmp_path / "logits.csv"], CONFIG.model_copy(update={"metrics": ("brier",)}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["family=brier"], "family holds brier, which metrics does not"),
        (["family=auroc,auprc", "test=delong"], "leave the others out of family"),
        (["metrics=accuracy"], "found 'accuracy'"),
        (["metrics=[]"], "at least 1"),
    ],
)
def test_settings_that_do_not_fit(words, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(CompareConfig, None, words)


def test_json(paths) -> None:
    found = compare_files(paths[:3], CONFIG)
    answer = json.loads(json.dumps(found[0].as_dict(), allow_nan=False))
    assert answer["patients"] == PATIENTS
    assert answer["studies"] == 2 * PATIENTS
    assert answer["bootstrap"] == {"resamples": 200, "confidence": 0.95, "seed": 0}
    assert len(answer["family"]) == 2
    one = read_predictions(paths[0])
    other = read_predictions(paths[1])
    order = [part.take(np.lexsort((part.studies, part.patients))) for part in (one, other)]

    expected = paired_difference(
        order[0].labels, order[0].scores, order[1].scores, order[0].patients, weighted_auroc, CONFIG
    )
    assert answer["figures"]["auroc"]["low"] == pytest.approx(expected.low)
