"""From figures, curves and films to one self-contained HTML page. Plain data in, one file out."""

from echossl.report.gallery import Belief, BeliefLine, CheckLine, SaliencyEntry, outcome_of
from echossl.report.lines import BudgetLine, DifferenceLine, ResultLine, RocLine, TestSet, TrainingCurve
from echossl.report.page import Judged, ReportPage
from echossl.report.render import source_of, write_report

__all__ = [
    "Belief",
    "BeliefLine",
    "BudgetLine",
    "CheckLine",
    "DifferenceLine",
    "Judged",
    "ReportPage",
    "ResultLine",
    "RocLine",
    "SaliencyEntry",
    "TestSet",
    "TrainingCurve",
    "outcome_of",
    "source_of",
    "write_report",
]
