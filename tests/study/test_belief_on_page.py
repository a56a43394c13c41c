"""The table of belief on a page: the figures and verdicts of ``checks.md``; nothing without checks."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.config.explain import ExplainConfig
from echossl.config.saliency import ChecksSettings
from echossl.report import Judged, ReportPage
from echossl.report.render import render
from echossl.saliency.believe import Rule, as_markdown, summarise_checks
from echossl.study.pictures import saliency_belief

CHECKS = {
    "random_weights_all": (0.1, 0.4),
    "shuffled_labels": (0.0, 0.9),
    "faithfulness_over_centre_prior": (3.0, -4.0),
    "faithfulness_over_random_weights": (3.0, 0.0),
}
WHICH = ("model_randomisation", "label_randomisation", "deletion_insertion")


def _figures(patients: int, region: str) -> pd.DataFrame:
    """Occlusion passes everything, Grad-CAM does not."""
    noise = np.random.default_rng(0)
    pointing = {f"{name}_over_centre_prior": (1.0, -1.0) for name in ("enrichment", "pointing")}
    return pd.DataFrame(
        {
            "patient_id": f"P{patient}",
            "study_id": f"P{patient}_S1",
            "label": patient % 2,
            "method": method,
            "check": check,
            "region": region if check in pointing else "",
            "value": means[place] + noise.normal(0, 0.05),
        }
        for patient in range(patients)
        for place, method in enumerate(("occlusion", "grad_cam"))
        for check, means in (CHECKS | (pointing if region else {})).items()
    )


def _explained(folder: Path, patients: int, which=WHICH, region="") -> str:
    """What ``echossl explain`` leaves of its checks; the text of ``checks.md``."""
    checks = ChecksSettings(which=which)
    config = ExplainConfig(run=folder, out=folder, checks=checks)
    rule = Rule(config.checks.which, config.checks.most_correlation)
    figures = _figures(patients, region)
    table = summarise_checks(figures, rule, config.bootstrap)
    table.to_csv(folder / "checks.csv", index=False)
    content = {"command": "explain", "config": config.model_dump(mode="json")}
    (folder / "run.json").write_text(json.dumps(content))
    return as_markdown(table, rule, config.bootstrap)


def test_the_table_is_that_of_the_checks(tmp_path) -> None:
    page = _explained(tmp_path, 12)
    belief = saliency_belief(tmp_path)
    assert belief is not None
    assert {line.method: line.verdict for line in belief.lines} == {"Occlusion": "yes", "Grad-CAM": "no"}
    assert belief.checks == tuple(name.replace("_", " ") for name in CHECKS)
    for line in belief.lines:
        cells = " | ".join("{:.2f} ({:.2f} to {:.2f})".format(*figure) for figure in line.figures)
        assert f"| {line.method} | **{line.verdict}** | {cells} |" in page
    whose, _, figures = belief.counted.partition(": ")
    assert whose == f"Maps of the model in {tmp_path}"
    assert figures in page
    assert figures.startswith("12 patients, 12 studies. Mean over studies with the 95% percentile")
    assert [part.count("\n") for part in belief.rule] == [0, 3, 0]


def test_where_a_map_points_is_shown_only_where_nothing_else_was_checked(tmp_path) -> None:
    page = _explained(tmp_path, 12, region="valve")
    assert "| pointing over centre prior valve |" in page
    belief = saliency_belief(tmp_path)
    assert belief is not None
    assert belief.checks == tuple(name.replace("_", " ") for name in CHECKS)
    assert {len(line.figures) for line in belief.lines} == {len(CHECKS)}
    _explained(tmp_path, 12, which=(), region="valve")
    pointed = saliency_belief(tmp_path)
    assert pointed is not None
    assert pointed.checks == ("enrichment over centre prior valve", "pointing over centre prior valve")
    assert all(figure is not None for line in pointed.lines for figure in line.figures)


def test_one_patient_has_no_interval(tmp_path) -> None:
    page = _explained(tmp_path, 3)
    rows = [line for line in page.splitlines() if "| shuffled labels |" in line and "positive" in line]
    assert len(rows) == 2
    assert all("(one patient)" in row for row in rows)


def test_of_few_patients_nothing_is_decided_and_of_no_check_nothing_is_there(tmp_path) -> None:
    assert saliency_belief(tmp_path) is None
    _explained(tmp_path, 9)
    belief = saliency_belief(tmp_path)
    assert belief is not None
    assert {line.verdict for line in belief.lines} == {"undecided"}
    # without the checks that decide a method is not tested, and says so
    _explained(tmp_path, 12, which=())
    untested = saliency_belief(tmp_path)
    assert untested is not None
    assert {line.verdict for line in untested.lines} == {"not tested"}
    assert untested.checks == ()


@pytest.mark.parametrize("with_belief", [True, False])
def test_the_page_shows_it_before_the_gallery(tmp_path, with_belief) -> None:
    _explained(tmp_path, 12)
    belief = saliency_belief(tmp_path) if with_belief else None
    page = ReportPage(
        title="A study", lead="", what_was_run=[], judged=[Judged("severe", "", _assessment())], belief=belief
    )
    html = render(page)
    assert ("Which map may be believed?" in html) is with_belief
    assert ('<a href="#saliency">' in html) is with_belief
    if belief is not None:
        assert '<th scope="row">Grad-CAM</th><td class="text"><strong>no</strong></td>' in html
        none = replace(belief, lines=tuple(replace(one, figures=(None,) * 4) for one in belief.lines))
        assert render(replace(page, belief=none)).count('<td data-sort="-1e9">none</td>') == 8


def _assessment():
    from echossl.config.evaluation import EvaluationConfig
    from echossl.evaluation import Predictions
    from echossl.evaluation.assess import assess

    labels = np.arange(30) % 2
    names = np.array([f"P{row}" for row in range(30)])
    splits = np.full(30, "test")
    scores = labels + np.random.default_rng(1).normal(size=30)
    given = Predictions("t.csv", "severe", names, names, splits, labels, scores)
    return assess(given, EvaluationConfig(resamples=100))
