"""A page from whatever a path holds: a hand-made table, a run, a study, a demo; a wrong path is refused."""

import numpy as np
import pandas as pd
import pytest

from echossl.config.report import ReportConfig
from echossl.errors import UserError
from echossl.evaluation import Predictions
from echossl.evaluation.tables import TableColumns
from echossl.study.own_scores import as_probabilities, assess_own
from echossl.study.report import checklist_of, report_of

QUICK = ReportConfig(resamples=100)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """As another tool might write it: no studies, names of its own, validation inside."""
    generator = np.random.default_rng(3)
    severity = generator.normal(size=120)
    path = tmp_path_factory.mktemp("table") / "scores.csv"
    pd.DataFrame(
        {
            "case": [f"C{row}" for row in range(120)],
            "split": ["val"] * 40 + ["test"] * 80,
            "truth": (severity > 0.5).astype(int),
            "p": 1 / (1 + np.exp(-severity - generator.normal(size=120))),
            "sex": np.resize(["F", "M"], 120),
        }
    ).to_csv(path, index=False)
    return path


def test_a_hand_made_table_becomes_a_page_in_one_call(table):
    columns = TableColumns(patient="case", label="truth", score="p")
    config = QUICK.model_copy(update={"subgroups": ("sex",), "title": "Another tool"})
    page = report_of(table, config, columns=columns)
    assert page == table.parent / "report.html"
    html = page.read_text(encoding="utf-8")
    assert "<h1>Another tool</h1>" in html
    for part in ("curves", "points", "calibration", "decision", "subgroups"):
        assert f'<a href="#judged0-{part}">' in html
    # thresholds come from the validation split, which is not judged itself
    assert "Threshold from val." in html
    assert "judged1" not in html
    # and what a table cannot tell is said
    assert "a table of predictions says nothing of them" in html
    assert "no column of grades in the table or the manifest" in html


def test_what_is_wrong_with_the_path_is_said(table, tmp_path):
    with pytest.raises(UserError, match=r"no such file; give a predictions.csv"):
        report_of(tmp_path / "absent.csv", QUICK)
    with pytest.raises(UserError, match=r"no run.json and no results.csv; give the folder of a demo"):
        report_of(tmp_path, QUICK)
    with pytest.raises(UserError, match="name yours with --patient"):
        report_of(table, QUICK)
    with pytest.raises(UserError, match="are for a table"):
        report_of(tmp_path, QUICK, columns=TableColumns(patient="case"))
    with pytest.raises(UserError, match="a checklist is filled from a finetune run"):
        checklist_of(table, QUICK, tmp_path / "report.html")
    (tmp_path / "run.json").write_text('{"command": "pretrain"}')
    with pytest.raises(UserError, match="holds a run of pretrain"):
        report_of(tmp_path, QUICK)


def own(scores):
    labels = np.array([0, 0, 0, 1, 1, 1])
    names = np.array([f"P{row}" for row in range(6)])
    return Predictions("p.csv", "severe_as", names, names, np.full(6, "test"), labels, np.array(scores))


def test_log_odds_become_probabilities_and_probabilities_stay():
    odds = own([-2.0, -1.0, 0.5, -0.1, 1.0, 3.0])
    assert as_probabilities(odds).scores == pytest.approx(1 / (1 + np.exp(-odds.scores)))
    chances = own([0.1, 0.2, 0.6, 0.4, 0.9, 1.0])
    assert as_probabilities(chances) is chances


def test_without_validation_a_run_is_judged_at_one_half_and_says_so():
    found = assess_own(own([-2.0, -1.0, 0.5, -0.1, 1.0, 3.0]), QUICK, None)
    (point,) = found.points
    assert point.threshold == 0.5
    assert "fixed beforehand" in point.chosen_on
    assert list(point.counts.values()) == [2, 1, 1, 2]
    assert point.figures["sensitivity"].value == pytest.approx(2 / 3)
    assert "points" not in found.missing
    assert found.calibration is not None
