"""What a split cannot answer is left out with a line, and settings without an effect are said."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.assessment import Assessment
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.spoken import as_markdown, as_text, result_rows, shown_figure
from echossl.evaluation.summary import Summary

CONFIG = EvaluationConfig(resamples=100)
ROWS = 36


def _keys(split: str) -> pd.DataFrame:
    patients = [f"{split}{row // 2}" for row in range(ROWS)]
    return pd.DataFrame({"patient_id": patients, "study_id": np.arange(ROWS), "split": split})


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=ROWS)


def _classes(split: str, codes: np.ndarray) -> pd.DataFrame:
    table = _keys(split).assign(grade=np.array(["none", "mild"])[codes])
    share = 1 / (1 + np.exp(0.5 - codes + _noise(1)))
    return table.assign(grade_score_none=share, grade_score_mild=1 - share)


def _binary(split: str, codes: np.ndarray, *, name: str = "ill", seed: int = 2) -> pd.DataFrame:
    return _keys(split).assign(**{name: codes, f"{name}_score": codes + _noise(seed)})


def _measured(split: str, codes: np.ndarray) -> pd.DataFrame:
    values = (2 + codes + _noise(3)).astype(object)
    score = values + _noise(4)
    return _keys(split).assign(velocity=np.where(codes < 0, "", values), velocity_score=score)


MIXED = np.arange(ROWS) // 2 % 2


@pytest.mark.parametrize(
    ("make", "lacking", "reason"),
    [
        (_classes, MIXED * 0, "every grade of split 'val' is none; expected several classes"),
        (_binary, MIXED * 0, "every ill of split 'val' is 0, expected both 0 and 1"),
        (_measured, MIXED * 0 - 1, "0 rows of split 'val' have a velocity; expected three"),
    ],
)
def test_a_split_that_answers_nothing_is_left_out(tmp_path, make, lacking, reason) -> None:
    path, alone = tmp_path / "p.csv", tmp_path / "alone.csv"
    pd.concat([make("val", lacking), make("test", MIXED)]).to_csv(path, index=False)
    make("test", MIXED).to_csv(alone, index=False)
    left_out, *judged = evaluate_file(path, CONFIG)
    expected = evaluate_file(alone, CONFIG)
    assert (left_out.kind, left_out.split, left_out.figures) == ("left_out", "val", {})
    assert left_out.notes[0].startswith(reason)
    assert f"left out: {reason}" in as_text(left_out)
    assert [one.split for one in judged] == ["test"] * len(expected)
    assert result_rows(judged) == result_rows(expected)
    assert result_rows([left_out]) == []
    assert f"`{path}`: left out: {reason}" in as_markdown([left_out, *judged])
    json.dumps(left_out.as_dict(), allow_nan=False)
    for one in judged:
        if isinstance(one, Assessment):
            assert one.points == ()
            assert "so no threshold can be fixed on it" in one.missing["points"]


@pytest.mark.parametrize("make", [_classes, _binary])
def test_a_table_that_answers_nothing_is_refused(tmp_path, make) -> None:
    make("test", MIXED * 0).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(UserError, match=r"p.csv: every (grade|ill) of split 'test' is (none|0)"):
        evaluate_file(tmp_path / "p.csv", CONFIG)


def test_a_split_without_a_label_is_called_empty(tmp_path) -> None:
    empty = _binary("train", MIXED).assign(ill="")
    pd.concat([empty, _binary("test", MIXED)]).to_csv(tmp_path / "p.csv", index=False)
    left_out, judged = evaluate_file(tmp_path / "p.csv", CONFIG)
    assert left_out.notes[0].startswith("every ill of split 'train' is empty, expected both")
    assert left_out.studies == 0
    assert judged.counts.unlabelled == ROWS


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """Two findings; three rows lack the second, two of them also the first."""
    table = _binary("test", MIXED, name="ar").astype({"ar": object})
    other = _binary("test", np.roll(MIXED, 5), name="mr", seed=5).astype({"mr": object})
    table = table.assign(mr=other["mr"], mr_score=other["mr_score"])
    table.loc[:2, "mr"] = ""
    table.loc[:1, "ar"] = ""
    path = tmp_path_factory.mktemp("findings") / "p.csv"
    table.to_csv(path, index=False)
    return path


def test_findings_count_what_has_no_label(findings) -> None:
    summary = evaluate_file(findings, CONFIG)[0]
    assert (summary.studies, summary.patients, summary.unlabelled) == (ROWS - 2, ROWS // 2 - 1, 2)
    assert summary.notes == (
        "ar: 2 studies without a label left out",
        "mr: 3 studies without a label left out",
    )
    assert "2 studies without any label left out" in as_text(summary)
    table = pd.read_csv(findings).dropna(subset=["mr"])
    expected = metrics.roc_auc_score(table["mr"], table["mr_score"])
    assert summary.figures["auroc_mr"].value == pytest.approx(expected)


def test_a_summary_says_how_its_intervals_were_made(findings) -> None:
    plain = evaluate_file(findings, CONFIG)[0]
    for update, word in (({"stratified": True}, "stratified=true"), ({"method": "delong"}, "method=delong")):
        config = CONFIG.model_copy(update=update)
        summary = evaluate_file(findings, config)[0]
        assert isinstance(summary, Summary)
        assert summary.definition == "95% percentile interval, 100 resamples of patients (seed 0)"
        assert summary.as_dict()["definition"] == summary.definition
        assert summary.figures == plain.figures
        assert any(note.startswith(word) for note in summary.notes)
        assert summary.definition in as_text(summary)
        assert summary.definition in as_markdown([summary])


def test_trap_29_a_summary_says_which_redraws_were_left_out(tmp_path, findings) -> None:
    rare = (np.arange(ROWS) < 2).astype(int)
    _classes("test", rare).to_csv(tmp_path / "p.csv", index=False)
    summary = evaluate_file(tmp_path / "p.csv", CONFIG)[0]
    lost = summary.figures["auroc_mild"].unusable
    assert lost > 10
    assert f"{lost} left AUROC " in as_text(summary)
    assert f"of the resamples {lost} left AUROC " in as_markdown([summary])
    assert "none left a figure undefined" in as_text(evaluate_file(findings, CONFIG)[0])


def test_undefined_and_narrow_figures_are_told_alike(tmp_path) -> None:
    table = _binary("test", MIXED)
    calls = pd.concat([_binary("val", MIXED), table.assign(ill_score=-9)])
    calls.to_csv(tmp_path / "p.csv", index=False)
    (found,) = evaluate_file(tmp_path / "p.csv", CONFIG.model_copy(update={"validation_split": "val"}))[1:]
    text = as_markdown([found])
    assert "| ppv_at_youden | undefined |" in text
    assert "nan" not in text
    sharp = _binary("test", MIXED).assign(ill_score=MIXED)
    sharp.to_csv(tmp_path / "p.csv", index=False)
    (found,) = evaluate_file(tmp_path / "p.csv", CONFIG.model_copy(update={"method": "delong"}))
    assert shown_figure(found.figures["auprc"]) == "1.000 (every resample the same)"
    assert "resample" not in shown_figure(found.figures["auroc"])
