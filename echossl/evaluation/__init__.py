"""How good are the scores? Areas under curves with patient-clustered intervals and paired tests.

Reads tables only. The unit is the study; the unit that is resampled is the patient.
"""

from echossl.evaluation.auc import (
    METRICS,
    RocCurve,
    auroc,
    average_precision,
    mean_roc_curve,
    roc_curve,
    weighted_auroc,
    weighted_average_precision,
)
from echossl.evaluation.bootstrap import Difference, Interval, bootstrap_interval, paired_difference
from echossl.evaluation.grid import Cell
from echossl.evaluation.pooling import (
    difference_rows,
    pool,
    pool_difference,
    pooled_roc,
    pooled_rows,
)
from echossl.evaluation.results import (
    ResultRow,
    format_difference,
    format_interval,
    format_p_value,
    write_results,
)
from echossl.evaluation.study import Predictions, evaluate, read_predictions

__all__ = [
    "METRICS",
    "Cell",
    "Difference",
    "Interval",
    "Predictions",
    "ResultRow",
    "RocCurve",
    "auroc",
    "average_precision",
    "bootstrap_interval",
    "difference_rows",
    "evaluate",
    "format_difference",
    "format_interval",
    "format_p_value",
    "mean_roc_curve",
    "paired_difference",
    "pool",
    "pool_difference",
    "pooled_roc",
    "pooled_rows",
    "read_predictions",
    "roc_curve",
    "weighted_auroc",
    "weighted_average_precision",
    "write_results",
]
