"""An assessment says what the functions behind it say, part by part, and why a part is not there."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from sklearn import metrics

from echossl.config import load_config
from echossl.config.evaluation import EvaluationConfig, parse_point
from echossl.errors import ConfigError, UserError
from echossl.evaluation.assess import assess
from echossl.evaluation.delong import delong
from echossl.evaluation.study import Predictions
from echossl.evaluation.thresholds import choose

CONFIG = EvaluationConfig(resamples=200)
PATIENTS = 60


def _studies(
    seed: int, split: str, *, first: int = 0, probabilities: bool = False
) -> tuple[Predictions, pd.DataFrame]:
    """Two studies of every patient; their velocity decides label and score."""
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(first, first + PATIENTS), 2).astype(str)
    velocity = np.repeat(generator.uniform(1, 5, PATIENTS), 2).round(2)
    scores = velocity - 4 + generator.normal(size=velocity.size)
    if probabilities:
        scores = special.expit(scores)
    studies = np.tile(["a", "b"], PATIENTS)
    labels = (velocity >= 4).astype(np.int64)
    splits = np.full(patients.size, split)
    table = pd.DataFrame({"patient_id": patients, "study_id": studies, "peak_velocity_m_per_s": velocity})
    table["as_grade"] = np.array(["none", "mild", "moderate", "severe"])[
        np.searchsorted([2, 3, 4], velocity, side="right")
    ]
    table["sex"] = np.where(np.repeat(np.arange(PATIENTS), 2) % 2, "f", "m")
    return Predictions("t.csv", "severe", patients, studies, splits, labels, scores), table


TEST, TABLE = _studies(1, "test")
VALIDATION, _ = _studies(2, "val", first=1000)


@pytest.fixture(scope="module")
def whole():
    config = CONFIG.model_copy(
        update={"recalibrate": "platt", "prevalence": 0.02, "subgroups": ("sex", "peak_velocity_m_per_s")}
    )
    return assess(TEST, config, table=TABLE, validation=VALIDATION)


def test_areas_are_those_of_other_libraries(whole) -> None:
    labels, scores = TEST.labels, TEST.scores
    expected = {
        "auroc": metrics.roc_auc_score(labels, scores),
        "auprc": metrics.average_precision_score(labels, scores),
        "partial_auroc": metrics.roc_auc_score(labels, scores, max_fpr=0.1),
    }
    assert {name: figure.value for name, figure in whole.figures.items()} == pytest.approx(expected)
    assert all(figure.low < figure.value < figure.high for figure in whole.figures.values())
    assert {figure.method for figure in whole.figures.values()} == {"percentile"}


def test_counts(whole) -> None:
    positive = TEST.labels == 1
    assert whole.counts.patients == PATIENTS
    assert whole.counts.studies == 2 * PATIENTS
    assert whole.counts.positive_patients == np.unique(TEST.patients[positive]).size
    assert whole.counts.positive_studies == positive.sum()
    assert whole.counts.redraws_without_both_classes == 0


def test_curves_go_through_the_points_of_scikit_learn(whole) -> None:
    false_rate, true_rate, _ = metrics.roc_curve(TEST.labels, TEST.scores, drop_intermediate=False)
    assert whole.roc.y == pytest.approx(np.interp(whole.roc.x, false_rate, true_rate))
    precision, recall, _ = metrics.precision_recall_curve(TEST.labels, TEST.scores)
    # scikit-learn's recall falls; the last threshold that still reaches a recall is the highest
    expected = [precision[np.flatnonzero(recall >= place - 1e-12)[-1]] for place in whole.pr.x]
    assert whole.pr.y == pytest.approx(expected)
    for curve in (whole.roc, whole.pr):
        low, value, high = (np.array(part) for part in (curve.low, curve.y, curve.high))
        assert np.mean((low <= value + 1e-12) & (value <= high + 1e-12)) > 0.95


def test_trap_27_operating_points_are_fixed_on_validation(whole) -> None:
    assert [point.rule for point in whole.points] == ["sensitivity 90 %", "specificity 90 %", "youden"]
    for point, rule in zip(whole.points, CONFIG.operating_points, strict=True):
        assert point.threshold == choose(VALIDATION, *parse_point(rule)).threshold
        called = TEST.scores >= point.threshold
        assert point.figures["sensitivity"].value == metrics.recall_score(TEST.labels, called)
        assert point.figures["mcc"].value == pytest.approx(metrics.matthews_corrcoef(TEST.labels, called))
        assert sum(point.counts.values()) == TEST.labels.size
        assert point.figures["ppv_at_prevalence"].value < point.figures["ppv"].value
    alone = assess(TEST, CONFIG)
    assert alone.points == ()
    assert alone.missing["points"].startswith("no split 'val' to fix thresholds on")


def test_validation_may_stand_in_the_same_table(whole) -> None:
    both = Predictions(
        "t.csv",
        "severe",
        *(
            np.concatenate([getattr(part, name) for part in (VALIDATION, TEST)])
            for name in ("patients", "studies", "splits", "labels", "scores")
        ),
    )
    found = assess(both, CONFIG)
    assert found.split == "test"
    assert [point.threshold for point in found.points] == [point.threshold for point in whole.points]


def test_calibration_needs_probabilities(whole) -> None:
    assert whole.calibration.probabilities == "platt on split 'val'"
    assert 0 < whole.calibration.chance_ece < 0.2
    assert sum(rows for _, _, rows in whole.calibration.bins) == TEST.labels.size
    alone = assess(TEST, CONFIG)
    assert alone.calibration is None
    assert alone.decision is None
    assert "recalibrate=platt" in alone.missing["calibration"]
    given, _ = _studies(1, "test", probabilities=True)
    found = assess(given, CONFIG)
    assert found.calibration.probabilities.startswith("as given (as all lie within 0 to 1")
    brier = metrics.brier_score_loss(given.labels, given.scores)
    assert found.calibration.figures["brier"].value == pytest.approx(brier)
    with pytest.raises(UserError, match="recalibrate=platt is fitted on split 'val', which is not there"):
        assess(given, EvaluationConfig(resamples=200, recalibrate="platt"))


def test_decision_curve(whole) -> None:
    limit, worth = whole.decision.model.x[0], whole.decision.everyone[0]
    prevalence = TEST.labels.mean()
    assert worth == pytest.approx(prevalence - (1 - prevalence) * limit / (1 - limit))
    assert max(whole.decision.model.y) <= prevalence


def test_subgroups(whole) -> None:
    groups = {(group.column, group.group): group for group in whole.subgroups}
    female = (TABLE["sex"] == "f").to_numpy()
    expected = metrics.roc_auc_score(TEST.labels[female], TEST.scores[female])
    assert groups["sex", "f"].auroc.value == pytest.approx(expected)
    assert groups["sex", "f"].studies == female.sum()
    # a column of many numbers is cut at its median; below it nobody is severe
    lower, upper = [group for group in whole.subgroups if group.column == "peak_velocity_m_per_s"]
    assert lower.group.startswith("at most")
    assert lower.auroc is None
    assert lower.studies + upper.studies == TEST.labels.size


def test_discordant_grades_stand_apart() -> None:
    marked = TABLE.assign(discordant=np.where(TABLE["sex"] == "f", 1.0, np.nan))
    found = assess(TEST, CONFIG, table=marked).subgroups
    assert [(group.column, group.group) for group in found] == [
        ("discordant", "1"),
        ("discordant", "not known"),
    ]


def test_correlation_and_grades(whole) -> None:
    (found,) = whole.correlations
    expected = stats.spearmanr(TABLE["peak_velocity_m_per_s"], TEST.scores).statistic
    assert found.spearman.value == pytest.approx(expected)
    assert (found.patients, found.studies) == (PATIENTS, 2 * PATIENTS)
    assert found.groups == tuple(TABLE["as_grade"])
    assert list(whole.grades.scores) == ["none", "mild", "moderate", "severe"]
    severe = TEST.scores[(TABLE["as_grade"] == "severe").to_numpy()]
    assert whole.grades.scores["severe"] == tuple(severe)


def test_a_manifest_of_videos_is_by_study_once() -> None:
    twice = pd.concat([TABLE, TABLE]).sample(frac=1, random_state=0)
    found, once = (assess(TEST, CONFIG, table=table) for table in (twice, TABLE))
    assert found.as_dict() == once.as_dict()
    config = EvaluationConfig(resamples=200, subgroups=("view",))
    views = twice.assign(view=["PLAX", "A4C"] * len(TABLE))
    with pytest.raises(UserError, match="column view: videos of one study have"):
        assess(TEST, config, table=views)
    with pytest.raises(UserError, match="none of its studies is in the manifest"):
        assess(TEST, CONFIG, table=TABLE.assign(patient_id="x"))
    with pytest.raises(UserError, match="no column scanner in its table; found patient_id"):
        assess(TEST, EvaluationConfig(resamples=200, subgroups=("scanner",)), table=TABLE)


@pytest.mark.parametrize("method", ["percentile", "bca", "studentised", "delong"])
def test_methods_are_named(method) -> None:
    config = EvaluationConfig(resamples=100, method=method)
    found = assess(TEST, config).figures
    assert found["auroc"].method == method
    assert found["auprc"].method == ("percentile" if method == "delong" else method)
    if method == "delong":
        low, high = delong(TEST.labels, TEST.scores, TEST.patients).interval()
        assert (found["auroc"].low, found["auroc"].high) == (low, high)


def test_trap_29_redraws_without_a_class_are_counted() -> None:
    few = TEST.take(np.concatenate([np.flatnonzero(TEST.labels == 1)[:2], np.flatnonzero(TEST.labels == 0)]))
    plain = assess(few, CONFIG)
    assert plain.counts.redraws_without_both_classes == plain.figures["auroc"].unusable > 50
    stratified = assess(few, CONFIG.model_copy(update={"stratified": True}))
    assert stratified.counts.redraws_without_both_classes == 0
    assert "positives apart" in stratified.definition


def test_intervals_from_counts_refuse_clustered_studies() -> None:
    config = EvaluationConfig(resamples=100, proportions="wilson")
    with pytest.raises(UserError, match="120 studies are of 60 patients; take proportions=bootstrap"):
        assess(TEST, config, validation=VALIDATION)
    single = TEST.take(np.arange(0, TEST.labels.size, 2))
    (point, *_) = assess(single, config, validation=VALIDATION).points
    hits, misses = point.counts["true_positives"], point.counts["false_negatives"]
    expected = stats.binomtest(hits, hits + misses).proportion_ci(method="wilson")
    figure = point.figures["sensitivity"]
    assert (figure.low, figure.high, figure.method) == (
        pytest.approx(expected.low),
        pytest.approx(expected.high),
        "wilson",
    )
    assert point.figures["f1"].method == "percentile"


def test_json_has_everything_and_no_odd_number(whole) -> None:
    text = json.dumps(whole.as_dict(), allow_nan=False)
    found = json.loads(text)
    assert found["settings"]["seed"] == 0
    assert found["definition"] == "95% percentile interval, 200 resamples of patients (seed 0)"
    assert found["figures"]["auroc"]["value"] == whole.figures["auroc"].value
    assert found["subgroups"][2]["auroc"] is None


def test_words_of_the_command_line() -> None:
    words = ["resamples=300", "subgroups=sex,source", "operating_points=sensitivity95,youden"]
    config = load_config(EvaluationConfig, None, words)
    assert config.subgroups == ("sex", "source")
    assert parse_point(config.operating_points[0]) == ("sensitivity", 0.95)
    for word, message in (
        ("operating_points=sensitivity", "is not like sensitivity90"),
        ("method=exact", "method: found 'exact'"),
        ("decision_thresholds=[0.5,0.1]", "expected rising"),
        ("methd=bca", "did you mean method"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(EvaluationConfig, None, [word])
