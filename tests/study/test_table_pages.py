"""Pages of tables: classes and numbers have one too, and one table's page is not lost to another's."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from echossl.cli import app
from echossl.config.report import ReportConfig
from echossl.errors import UserError
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.tables import TableColumns
from echossl.report import source_of
from echossl.study.report import report_of

QUICK = ReportConfig(resamples=100)
ROWS = 90
GRADES = np.array(["none", "mild", "severe"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tables")
    noise = np.random.default_rng(0).normal(size=(ROWS, 3))
    codes = np.arange(ROWS) % 3
    keys = pd.DataFrame({"patient_id": np.arange(ROWS) // 2, "study_id": np.arange(ROWS), "split": "test"})
    shares = np.exp(np.eye(3)[codes] * 2 + noise)
    shares /= shares.sum(axis=1, keepdims=True)
    classes = {f"grade_score_{name}": shares[:, code] for code, name in enumerate(GRADES)}
    keys.assign(grade=GRADES[codes], **classes).to_csv(place / "grades.csv", index=False)
    numbers = keys.assign(ef=55 + 8 * noise[:, 0])
    numbers.assign(ef_score=numbers["ef"] + 4 * noise[:, 1]).to_csv(place / "ef.csv", index=False)
    return place


def test_numbers_have_a_page_with_their_figures_and_a_picture(folder, tmp_path) -> None:
    html = report_of(folder / "ef.csv", QUICK, out=tmp_path / "r.html").read_text(encoding="utf-8")
    (summary,) = evaluate_file(folder / "ef.csv", QUICK)
    for name in (
        "Mean absolute error",
        "R²",
        "Lower limit of agreement",
        "Pearson's correlation".replace("'", "&#39;"),
    ):
        assert f'<th scope="row">{name}</th>' in html
    mae = summary.figures["mae"]
    assert f'<p class="big">{mae.value:.3f}</p>' in html
    assert f"{mae.low:.3f}\N{EN DASH}{mae.high:.3f}" in html
    assert html.count("Predicted against measured ef of 90 studies") >= 1
    assert '<a href="#summary0">ef, split test</a>' in html
    assert "judged0" not in html


def test_classes_have_their_macro_figure_confusion_and_each_question(folder, tmp_path) -> None:
    html = report_of(folder / "grades.csv", QUICK, out=tmp_path / "r.html").read_text(encoding="utf-8")
    summary, *questions = evaluate_file(folder / "grades.csv", QUICK)
    assert "Macro AUROC (each class against the rest), grade, split test" in html
    assert f'<p class="big">{summary.figures["macro_auroc"].value:.3f}</p>' in html
    assert f'<section id="judged{len(questions) - 1}">' in html
    for number, name in enumerate(GRADES):
        count = summary.confusion[number][number]
        share = count / sum(summary.confusion[number])
        assert f'<td class="right" style="--share: {share:.2f}">{count} <small>{100 * share:.0f} %' in html
        assert f'<th scope="col">called {name}</th>' in html
    assert "echossl evaluate prints them" not in html


def test_the_page_of_a_table_is_not_lost_to_that_of_another(folder, tmp_path) -> None:
    for name in ("grades.csv", "ef.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    page = report_of(tmp_path / "ef.csv", QUICK)
    assert source_of(page) == "ef.csv"
    before = page.read_bytes()
    with pytest.raises(
        UserError, match=r"report.html: is the report of ef.csv; name another file .* with -o"
    ):
        report_of(tmp_path / "grades.csv", QUICK)
    assert page.read_bytes() == before
    assert report_of(tmp_path / "ef.csv", QUICK) == page
    other = report_of(tmp_path / "grades.csv", QUICK, out=tmp_path / "grades.html")
    assert source_of(other) == "grades.csv"
    assert source_of(tmp_path / "absent.html") == source_of(tmp_path / "ef.csv") == ""
    named = report_of(
        tmp_path / "ef.csv", QUICK, out=tmp_path / "grades.html", columns=TableColumns(label="ef")
    )
    assert source_of(named) == "ef.csv"


def test_a_checklist_of_a_table_is_refused_before_anything_is_written(folder, tmp_path) -> None:
    page = tmp_path / "r.html"
    said = CliRunner().invoke(app, ["report", str(folder / "ef.csv"), "--checklist", "-o", str(page)])
    assert isinstance(said.exception, UserError)
    assert "a checklist is filled from a finetune run" in str(said.exception)
    assert not page.exists()


def test_a_run_that_learned_numbers_says_where_its_page_is(folder, tmp_path) -> None:
    (tmp_path / "run.json").write_text('{"command": "finetune", "config": {}}')
    (tmp_path / "result.json").write_text('{"task": "regression"}')
    (tmp_path / "predictions.csv").write_bytes((folder / "ef.csv").read_bytes())
    with pytest.raises(
        UserError, match=r"learned numbers, whose page is that of its table; give .*predictions.csv"
    ):
        report_of(tmp_path, QUICK)
    assert source_of(report_of(tmp_path / "predictions.csv", QUICK)) == "predictions.csv"
