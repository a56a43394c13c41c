"""A page with something in every section."""

import io
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from echossl.config.evaluation import EvaluationConfig
from echossl.evaluation import Difference, Interval, Predictions, RocCurve
from echossl.evaluation.assess import assess
from echossl.report import (
    Belief,
    BeliefLine,
    BudgetLine,
    CheckLine,
    DifferenceLine,
    Judged,
    ReportPage,
    ResultLine,
    RocLine,
    SaliencyEntry,
    TestSet,
    TrainingCurve,
)
from echossl.saliency.render import write_mp4

# names that would break a page that trusts them
HOSTILE = '<script>alert("1")</script> & "quotes" $x_1$ --> ]]>'
DEFAULT = "Two videos of a patient, frozen"
ARMS = (DEFAULT, HOSTILE, "16 x 16 pixels")


def interval(value, width=0.05, unusable=0):
    return Interval(value, value - width, value + width, 2000, unusable, 0.95)


def difference(value, width=0.05, p_value=0.012):
    return Difference(value, value - width, value + width, 2000, 0, 0.95, p_value)


def png(width=64):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(width * 16, dtype=np.uint8).reshape(16, width)).save(buffer, format="PNG")
    return buffer.getvalue()


@cache
def film(side=48, num_frames=20):
    """A real film: a bright square that walks."""
    frames = np.zeros((num_frames, side, side, 3), dtype=np.uint8)
    for number in range(num_frames):
        frames[number, 8:16, number : number + 8] = 200
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_mp4(frames, path, frames_per_second=20)
        return path.read_bytes()


def saliency():
    shares = {"inside_share": 0.412, "area_share": 0.093}
    return [
        SaliencyEntry(
            f"Study {HOSTILE}", "One beat.", film(), png(), True, 2.314, "true positive", "severe", **shares
        ),
        SaliencyEntry("Study 2", "No region known.", None, png(), False, -0.5, "true negative", "none"),
        SaliencyEntry("Study 3", "One beat.", film(), png(), False, 1.5, "false positive", HOSTILE),
    ]


@cache
def assessment(num_patients=80, **settings):
    """Scores that say something, with a validation split, grades, a measurement and subgroups."""
    generator = np.random.default_rng(5)
    rows = 2 * num_patients
    severity = generator.normal(size=rows)
    labels = (severity > 0.6).astype(np.int64)
    patients = np.array([f"P{row}" for row in range(rows)])
    scores = 1 / (1 + np.exp(-2 * severity - generator.normal(size=rows)))
    splits = np.repeat(["val", "test"], num_patients)
    predictions = Predictions("table.csv", "severe_as", patients, patients, splits, labels, scores)
    grades = np.select([severity > 0.6, severity > 0], ["severe", "mild"], "none")
    table = pd.DataFrame(
        {
            "patient_id": patients,
            "study_id": patients,
            "as_grade": grades,
            "peak_velocity_m_per_s": 2 + severity,
            "sex": np.resize(["F", HOSTILE], rows),
        }
    )
    config = EvaluationConfig(resamples=100, **{"subgroups": ("sex",), **settings})
    return assess(predictions, config, table=table)


def judged():
    return Judged(f"severe_as {HOSTILE}, split test", "One model.", assessment())


def full_page(fractions=((0.01, 8), (0.1, 75))):
    steps = np.arange(0, 1000, 2.0)
    grid = np.linspace(0, 1, 11)
    return ReportPage(
        title=f"Phantom {HOSTILE}",
        lead="What 1 % of the labels can do.",
        test_set=TestSet("severe aortic stenosis", 123, 31, 0.252),
        default_arm=DEFAULT,
        results=[
            ResultLine(arm, fraction, count, interval(0.818 - 0.1 * place), interval(0.6 - 0.1 * place))
            for fraction, count in fractions
            for place, arm in enumerate(ARMS)
        ],
        what_was_run=[("Data", "600 synthetic patients"), ("Draws", "3, paired")],
        notes=["One pre-training seed, 3 paired label draws.", "Research use only."],
        differences=[
            DifferenceLine(arm, fraction, count, difference(0.174), difference(-0.02, p_value=2 / 2001))
            for fraction, count in fractions
            for arm in ARMS[1:]
        ],
        roc_fraction=0.01,
        roc=[RocLine(arm, RocCurve(grid, np.sqrt(grid))) for arm in ARMS],
        judged=[judged()],
        training=[
            TrainingCurve(f"{name}, seed 0", "loss", steps, 3 * np.exp(-steps / 300) + 1) for name in "ab"
        ],
        budget=[BudgetLine(0.01, str(draw), 8, 3, 21 + draw, 4) for draw in range(3)],
        saliency=saliency(),
        saliency_checks=[
            CheckLine("all", "model", 96, interval(2.41, 0.3)),
            CheckLine("all", "random weights", 96, interval(1.1, 0.2), difference(1.31, 0.4)),
        ],
        saliency_rule="probability of one half or more",
        belief=Belief(
            ("random weights all", f"pointing {HOSTILE}"),
            (
                BeliefLine("Occlusion", "yes", ((0.034, 0.001, 0.068), (-0.23, -0.42, -0.04))),
                BeliefLine("Grad-CAM", "undecided", ((0.4, 0.2, 0.61), None)),
            ),
            "12 patients, 12 studies.",
            ("A method may be believed if:", "1. one\n2. two"),
        ),
        missing=[("Checklist", "none was asked for")],
        limits=["Synthetic pictures have no operator."],
        environment=[("torch", "2.12.0")],
    )
