"""How well a score parts positives from negatives: areas under curves with the interval that is asked for."""

import numpy as np

from echossl.config.evaluation import EvaluationConfig, IntervalConfig
from echossl.evaluation.assessment import Figure
from echossl.evaluation.auc import METRICS, Metric, weighted_auroc
from echossl.evaluation.bootstrap import Interval
from echossl.evaluation.delong import delong
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.partial import partial_auroc
from echossl.evaluation.resampling import Clusters, figure_of
from echossl.evaluation.study import Predictions


def clusters_of(predictions: Predictions, config: IntervalConfig) -> Clusters:
    """The patients, in strata of their labels if the settings say so."""
    return Clusters.of(predictions.patients, predictions.labels if config.stratified else None)


def area_figures(predictions: Predictions, config: EvaluationConfig) -> dict[str, Figure]:
    """``auroc``, ``auprc`` and ``partial_auroc`` of one split with both classes."""
    partial = partial_auroc(highest=1 - config.partial_specificity)
    metrics: dict[str, Metric] = {**METRICS, "partial_auroc": partial}
    found = {name: _figure(metric, predictions, config) for name, metric in metrics.items()}
    return found | ({"auroc": auroc_figure(predictions, config)} if config.method == "delong" else {})


def auroc_figure(predictions: Predictions, config: IntervalConfig) -> Figure:
    """AUROC of studies with both classes, by the method of the settings."""
    if config.method != "delong":
        return _figure(weighted_auroc, predictions, config)
    found = delong(predictions.labels, predictions.scores, predictions.patients)
    low, high = found.interval(0, config.confidence)
    return Figure.by("delong", Interval(float(found.aurocs[0]), low, high, 0, 0, config.confidence))


def _figure(metric: Metric, predictions: Predictions, config: IntervalConfig) -> Figure:
    method = "percentile" if config.method == "delong" else config.method
    figures = figure_of(metric, predictions.labels, predictions.scores)
    (interval,) = figure_intervals(figures, clusters_of(predictions, config), config, method=method)
    return Figure.by(method, interval)


def redraws_without_both_classes(predictions: Predictions, config: IntervalConfig) -> int:
    """How many resamples of the patients lack a class."""
    clusters = clusters_of(predictions, config)
    positive = predictions.labels == 1
    lost = 0
    for counts in clusters.draws(config):
        rows = clusters.rows(counts)
        lacks = ((rows @ positive) == 0) | ((rows @ ~positive) == 0)
        lost += int(np.count_nonzero(lacks))
    return lost
