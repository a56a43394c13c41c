"""A page from whatever a path holds: a hand-made table, a run, a study, a demo; a wrong path is refused."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from small_study import DRAWS, FRACTIONS, TEST
from typer.testing import CliRunner

from echossl.cli import app
from echossl.config.report import ReportConfig
from echossl.config.study import StudyConfig
from echossl.errors import UserError
from echossl.evaluation import Interval, Predictions
from echossl.evaluation.tables import TableColumns
from echossl.study.folder_page import folder_page
from echossl.study.own_scores import are_log_odds, as_probabilities, assess_own
from echossl.study.pictures import saliency_checks
from echossl.study.pooled import collect
from echossl.study.report import checklist_of, report_of
from echossl.study.summary import summarise

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


def _as_run(folder, task):
    """What a finished fine-tuning run says of its task; nothing, as earlier versions did, without one."""
    (folder / "run.json").write_text('{"command": "finetune"}')
    (folder / "result.json").write_text(json.dumps({"task": task} if task else {}))
    return folder / "predictions.csv"


@pytest.mark.parametrize(
    ("task", "expected"),
    [("binary", True), ("multilabel", True), (None, True), ("multiclass", False), ("ordinal", False)],
)
def test_the_task_of_a_run_tells_what_its_scores_are(tmp_path, task, expected):
    weak = own([0.1, 0.2, 0.6, 0.4, 0.9, 1.0])
    run = replace(weak, source=str(_as_run(tmp_path, task)))
    assert are_log_odds(run) is expected
    scores = 1 / (1 + np.exp(-weak.scores)) if expected else weak.scores
    assert as_probabilities(run).scores == pytest.approx(scores)
    # another table in that folder is any tool's
    assert not are_log_odds(replace(weak, source=str(tmp_path / "mine.csv")))


def test_the_studies_of_validation_and_test_are_on_one_scale(tmp_path):
    path = tmp_path / "predictions.csv"
    _keep(tmp_path, 10)
    weak = replace(own([0.1, 0.2, 0.6, 0.4, 0.9, 1.0]), source=str(path))
    # log odds of -0.7 beside it: those that are judged are log odds too
    expected = 1 / (1 + np.exp(-0.3))
    assert assess_own(weak, QUICK, None).points[0].threshold == pytest.approx(expected)
    _as_run(tmp_path, "binary")
    found = assess_own(weak, QUICK, None)
    assert found.points[0].threshold == pytest.approx(expected)
    assert list(found.points[0].counts.values()) == [3, 0, 1, 2]


def test_one_half_is_judged_by_every_setting_of_the_intervals():
    scores = own([-2.0, -1.0, 0.5, -0.1, 1.0, 3.0])
    settings = {"stratified": True, "proportions": "wilson", "prevalence": 0.1}
    found = assess_own(scores, QUICK.model_copy(update=settings), None)
    figures = found.points[0].figures
    assert figures["sensitivity"].method == "wilson"
    assert figures["f1"].unusable == 0
    assert "ppv_at_prevalence" in figures


def _keep(run, count):
    """As many validation patients of each class as a larger label budget would have left."""
    labels = np.arange(2 * count) % 2
    names = [f"v{row}" for row in range(2 * count)]
    table = pd.DataFrame({"patient_id": names, "study_id": names, "split": "val", "severe_as": labels})
    table.assign(severe_as_score=labels - 0.7).to_csv(run / "validation.csv", index=False)


def test_a_run_is_judged_where_its_own_validation_says(tmp_path):
    path = tmp_path / "predictions.csv"
    path.touch()
    _keep(tmp_path, 10)
    found = assess_own(own_of(path), QUICK, None)
    assert [point.rule for point in found.points] == ["sensitivity 90 %", "specificity 90 %", "youden"]
    # of log odds -0.7 and 0.3, in probabilities like those that are judged
    assert found.points[0].threshold == pytest.approx(1 / (1 + np.exp(-0.3)))
    assert found.points[0].chosen_on == "val"
    assert "10 positive and 10 negative studies" in found.notes[0]
    fitted = assess_own(own_of(path), QUICK.model_copy(update={"recalibrate": "temperature"}), None)
    assert fitted.calibration.probabilities == "temperature on split 'val'"
    assert fitted.points[0].threshold == pytest.approx(0.3)
    _keep(tmp_path, 4)
    found = assess_own(own_of(path), QUICK, None)
    assert [point.threshold for point in found.points] == [0.5]
    assert "judged at a probability of one half" in found.notes[0]
    assert "4 positive and 4 negative studies of the label budget, expected 10 of each" in found.notes[0]


def own_of(path):
    return replace(own([-2.0, -1.0, 0.5, -0.1, 1.0, 3.0]), source=str(path))


@pytest.fixture(scope="module")
def sweep(finished, tmp_path_factory):
    """The folder of a finished study with its table, as echossl sweep leaves it."""
    folder = tmp_path_factory.mktemp("sweep") / "out"
    shutil.copytree(finished / "out", folder)
    content = yaml.safe_load((finished / "study.yaml").read_text()) | {"out": str(folder)}
    config = StudyConfig.model_validate(content)
    summarise(config, collect(config))
    return folder


def test_a_sweep_folder_becomes_a_page_with_titles_and_adjusted_p_values(sweep):
    record = json.loads((sweep / "study.json").read_text())
    assert record["titles"] == {"pairs": "Pairs", "fresh": "Fresh", "pixels": "Pixels"}
    assert (record["draws"], record["resamples"], record["confidence"]) == (DRAWS, 200, 0.95)
    found = CliRunner().invoke(app, ["report", str(sweep)])
    assert found.exit_code == 0
    html = (sweep / "report.html").read_text(encoding="utf-8")
    for part in ("Pairs; Fresh; Pixels", "adjusted by Holm", "2 per fraction, the same for every arm"):
        assert part in html
    assert "200 resamples" in html
    table = pd.read_csv(sweep / "results.csv")
    adjusted = table[table["metric"] == "auroc_p_value_holm"]
    assert len(adjusted) == 2 * len(FRACTIONS)
    cells = re.findall(r'<td data-sort="([^"]+)">p [=&]', html)
    assert [float(cell) for cell in cells] == pytest.approx(adjusted["value"].tolist())
    # the smallest budget keeps too few validation patients to fix a threshold, which is said
    assert re.search(r"Judged at a probability of one half: \S+validation.csv holds \d+ positive", html)


def test_a_folder_of_an_earlier_sweep_shows_names(sweep, tmp_path):
    folder = tmp_path / "before"
    shutil.copytree(sweep, folder)
    (folder / "study.json").unlink()
    page = folder_page(folder, QUICK)
    assert page.default_arm == "pairs"
    assert {line.arm for line in page.results} == {"pairs", "fresh", "pixels"}
    assert all(line.adjusted_p_value is not None for line in page.differences)


def test_an_arm_may_lack_the_smallest_budget_and_the_confidence_is_that_of_the_study(sweep, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(sweep, folder)
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    small = table["fraction"].astype(float) == min(FRACTIONS)
    first = table["arm"].str.startswith("pairs")
    table[~(small & first)].to_csv(folder / "results.csv", index=False)
    record = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(record | {"confidence": 0.8}))
    page = folder_page(folder, QUICK)
    assert {line.fraction for line in page.results if line.arm == "Pairs"} == {max(FRACTIONS)}
    assert {line.fraction for line in page.results if line.arm == "Pixels"} == set(FRACTIONS)
    assert page.test_set.num_patients == TEST
    assert {line.auroc.confidence for line in [*page.results, *page.differences]} == {0.8}
    assert page.judged[0].assessment.config.confidence == 0.8
    html = report_of(folder, QUICK).read_text(encoding="utf-8")
    assert "80 % interval" in html
    assert "95 % interval" not in html


def test_a_study_of_grades_becomes_a_page(sweep, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(sweep, folder)
    for path in (folder / "cells" / "pairs").glob("*/result.json"):
        result = json.loads(path.read_text()) | {"task": "ordinal", "num_patients_of_stratum": {"mild": 3}}
        del result["num_positive_patients"]
        path.write_text(json.dumps(result))
    page = folder_page(folder, QUICK)
    assert [line.num_positive for line in page.budget] == [None] * len(FRACTIONS) * DRAWS
    run = folder / "cells" / "pairs" / "fraction1-draw0-seed0"
    assert CliRunner().invoke(app, ["report", str(run), "resamples=100"]).exit_code == 0
    assert "not counted" not in (run / "report.html").read_text(encoding="utf-8")


def _explain(folder):
    """Saliency of two studies of one positive patient and of one of another."""
    table = pd.DataFrame({"study_id": ["a", "b", "c"], "patient_id": ["P", "P", "Q"], "label": [1, 1, 0]})
    shares = ("area_share", "inside_share", "centre_prior_share", "random_weights_share")
    table = table.assign(path="film.avi", score=0.1, folder="film", **dict.fromkeys(shares, 0.2))
    folder.mkdir()
    (folder / "run.json").write_text('{"config": {"methods": [{"name": "grad_cam"}]}}')
    table.to_csv(folder / "saliency.csv", index=False)
    interval = vars(Interval(1.0, 1.0, 1.0, 100, 0, 0.95))
    maps = dict.fromkeys(("model", "centre_prior", "random_weights"), interval)
    check = {"studies": 2, "without_evidence": 0, "enrichment": maps, "difference": {}}
    checks = dict.fromkeys(("all", "positive"), check)
    (folder / "result.json").write_text(json.dumps({"region_checks": checks}))


def test_a_gallery_of_no_videos_is_not_called_missing(sweep, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(sweep / "cells" / "pairs" / "fraction1-draw0-seed0", run)
    none = QUICK.model_copy(update={"videos": 0})
    assert "make it with echossl explain" in report_of(run, none).read_text(encoding="utf-8")
    _explain(run / "saliency")
    html = report_of(run, none).read_text(encoding="utf-8")
    assert "make it with echossl explain" not in html
    assert "left out by videos=0" in html
    # two studies of one patient have no interval
    lines = saliency_checks(run / "saliency")
    assert [(line.studies, line.num_patients) for line in lines[::3]] == [("all", 2), ("positive", 1)]
    assert html.count("one patient, no interval") == 3


def test_a_finetune_run_becomes_a_page_with_its_checklist(sweep, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(sweep / "cells" / "pairs" / "fraction1-draw0-seed0", run)
    assert (run / "validation.csv").is_file()
    _keep(run, 10)
    words = ["report", str(run), "resamples=100", "--checklist"]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "Threshold from val." in html
    assert "10 positive and 10 negative studies, scored before they were trained on too" in html
    assert "TRIPOD+AI" in (run / "checklist.md").read_text(encoding="utf-8")
