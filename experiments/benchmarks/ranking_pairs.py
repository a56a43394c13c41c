"""Areas, their intervals and tests, and figures of grades, each with its reference."""

import numpy as np
import plain_statistics
from scipy import special, stats
from sklearn import metrics
from statistics_samples import Comparison, Pair, Sample

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import auroc, average_precision, weighted_auroc
from echossl.evaluation.bootstrap import patient_counts, resampled_metric
from echossl.evaluation.delong import delong
from echossl.evaluation.grades import one_against_rest, weighted_concordance, weighted_quadratic_kappa
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.multiplicity import benjamini_hochberg, holm
from echossl.evaluation.partial import partial_auroc
from echossl.evaluation.resampling import Clusters, figure_of, resampled


def areas(sample: Sample) -> Pair:
    return auroc(sample.labels, sample.scores[0]), metrics.roc_auc_score(sample.labels, sample.scores[0])


def average_precisions(sample: Sample) -> Pair:
    expected = metrics.average_precision_score(sample.labels, sample.scores[0])
    return average_precision(sample.labels, sample.scores[0]), expected


def redraws(sample: Sample) -> Pair:
    config = BootstrapConfig(resamples=100)
    found = resampled_metric(sample.labels, sample.scores[:1], sample.patients, weighted_auroc, config)[0]
    expected = []
    for counts in np.concatenate(list(patient_counts(30, config))):
        rows = np.repeat(np.arange(sample.labels.size), counts[sample.patients])
        expected.append(metrics.roc_auc_score(sample.labels[rows], sample.scores[0][rows]))
    return found, expected


def bca_intervals(sample: Sample) -> Pair:
    config, clusters = BootstrapConfig(resamples=200), Clusters.of(sample.patients)
    figure = figure_of(weighted_auroc, sample.labels, sample.scores[0])
    (found,) = figure_intervals(figure, clusters, config, method="bca")

    def rescored(drawn):
        rows = np.repeat(np.arange(sample.labels.size), np.bincount(drawn, minlength=30)[sample.patients])
        return metrics.roc_auc_score(sample.labels[rows], sample.scores[0][rows])

    drawn = type("Drawn", (), {"bootstrap_distribution": resampled(figure, clusters, config)[0]})
    expected = stats.bootstrap(
        (np.arange(30),), rescored, n_resamples=0, method="BCa", vectorized=False, bootstrap_result=drawn
    ).confidence_interval
    return (found.low, found.high), tuple(expected)


def delong_covariances(sample: Sample) -> Pair:
    expected = plain_statistics.u_statistic_covariance(sample.labels, sample.scores)[1]
    return delong(sample.labels, sample.scores).covariance, expected


def clustered_covariances(sample: Sample) -> Pair:
    expected = plain_statistics.u_statistic_covariance(sample.labels, sample.scores, sample.patients)[1]
    return delong(sample.labels, sample.scores, sample.patients).covariance, expected


def false_discovery_rates(sample: Sample) -> Pair:
    return benjamini_hochberg(sample.p_values), stats.false_discovery_control(sample.p_values)


def holm_values(sample: Sample) -> Pair:
    return holm(sample.p_values), plain_statistics.holm(sample.p_values)


def macro_areas(sample: Sample) -> Pair:
    shares = special.softmax(sample.of_grades, axis=1)
    expected = metrics.roc_auc_score(sample.grades, shares, multi_class="ovr")
    return one_against_rest(sample.grades, shares, 4)(sample.once)[4, 0], expected


def kappas(sample: Sample) -> Pair:
    calls = sample.of_grades.argmax(axis=1)
    expected = metrics.cohen_kappa_score(sample.grades, calls, weights="quadratic")
    return weighted_quadratic_kappa(sample.grades, calls, sample.once)[0], expected


def concordances(sample: Sample) -> Pair:
    expected = (1 + stats.somersd(sample.velocity, sample.scores[0]).statistic) / 2
    return weighted_concordance(sample.velocity, sample.scores[0], sample.once)[0], expected


def partial_areas(sample: Sample) -> Pair:
    expected = metrics.roc_auc_score(sample.labels, sample.scores[0], max_fpr=0.2)
    return partial_auroc(highest=0.2)(sample.labels, sample.scores[0], sample.once)[0], expected


COMPARISONS = (
    Comparison("AUROC, ties exact", "scikit-learn roc_auc_score", areas),
    Comparison("AUPRC (average precision)", "scikit-learn average_precision_score", average_precisions),
    Comparison("patient bootstrap of the AUROC", "resample and rescore with scikit-learn", redraws, 1e-12),
    Comparison("BCa interval", "scipy.stats.bootstrap on the same redraws", bca_intervals),
    Comparison("DeLong covariance", "every pair (DeLong 1988)", delong_covariances),
    Comparison("clustered DeLong covariance", "every pair (Obuchowski 1997)", clustered_covariances),
    Comparison("Benjamini-Hochberg", "scipy.stats.false_discovery_control", false_discovery_rates),
    Comparison("Holm", "the definition in a loop", holm_values),
    Comparison("one-vs-rest AUROC, macro", "scikit-learn roc_auc_score, ovr", macro_areas),
    Comparison("quadratic weighted kappa", "scikit-learn cohen_kappa_score", kappas),
    Comparison("concordance (Harrell's C)", "(1 + scipy.stats.somersd) / 2", concordances),
    Comparison("partial AUROC, McClish", "scikit-learn roc_auc_score, max_fpr", partial_areas),
)
