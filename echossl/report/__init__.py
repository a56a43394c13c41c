"""From figures, curves and films to one self-contained HTML page. Plain data in, one file out."""

from echossl.report.page import (
    BudgetLine,
    CheckLine,
    DifferenceLine,
    ReportPage,
    ResultLine,
    RocLine,
    SaliencyEntry,
    TestSet,
    TrainingCurve,
)
from echossl.report.render import write_report

__all__ = [
    "BudgetLine",
    "CheckLine",
    "DifferenceLine",
    "ReportPage",
    "ResultLine",
    "RocLine",
    "SaliencyEntry",
    "TestSet",
    "TrainingCurve",
    "write_report",
]
