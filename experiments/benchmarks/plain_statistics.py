"""Slow statistics in plain words, straight from their definitions: what the package is compared with."""

import numpy as np


def pair(positive, negative):
    return 1.0 if positive > negative else 0.5 if positive == negative else 0.0


def u_statistic_covariance(labels, columns, patients=None):
    """DeLong's covariance from every pair; by patient as in Obuchowski (1997), section 2."""
    columns = np.atleast_2d(columns)
    patients = np.arange(len(labels)) if patients is None else np.asarray(patients)
    positives, negatives = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    num_positive, num_negative = len(positives), len(negatives)
    tenth, first, areas = [], [], []
    for scores in columns:
        table = np.array([[pair(scores[i], scores[j]) for j in negatives] for i in positives])
        areas.append(table.mean())
        tenth.append(table.mean(axis=1))
        first.append(table.mean(axis=0))
    names = sorted(set(patients.tolist()))

    def excess(components, members, area, name):
        mine = [value for value, row in zip(components, members, strict=True) if patients[row] == name]
        return sum(mine) - len(mine) * area

    covariance = np.zeros((len(columns), len(columns)))
    with_positive = len(set(patients[positives].tolist()))
    with_negative = len(set(patients[negatives].tolist()))
    for r in range(len(columns)):
        for s in range(len(columns)):
            s10 = s01 = s11 = s11_turned = 0.0
            for name in names:
                x_r = excess(tenth[r], positives, areas[r], name)
                x_s = excess(tenth[s], positives, areas[s], name)
                y_r = excess(first[r], negatives, areas[r], name)
                y_s = excess(first[s], negatives, areas[s], name)
                s10 += x_r * x_s
                s01 += y_r * y_s
                s11 += x_r * y_s
                s11_turned += x_s * y_r
            s10 *= with_positive / ((with_positive - 1) * num_positive)
            s01 *= with_negative / ((with_negative - 1) * num_negative)
            s11 *= len(names) / (len(names) - 1)
            s11_turned *= len(names) / (len(names) - 1)
            covariance[r, s] = s10 / num_positive + s01 / num_negative
            covariance[r, s] += (s11 + s11_turned) / (num_positive * num_negative)
    return np.array(areas), covariance


def quadratic_kappa(labels, calls):
    """One minus observed over expected squared steps; expected from every pair of a label and a call."""
    observed = np.mean([(label - call) ** 2 for label, call in zip(labels, calls, strict=True)])
    expected = np.mean([(label - call) ** 2 for label in labels for call in calls])
    return 1 - observed / expected


def concordance(truth, scores):
    """Share of right order among the pairs that differ in truth."""
    wins = [
        pair(scores[i], scores[j])
        for i in range(len(truth))
        for j in range(len(truth))
        if truth[i] > truth[j]
    ]
    return sum(wins) / len(wins)


def brier_parts(labels, chances, codes):
    """Murphy's reliability, resolution and uncertainty, bin by bin."""
    base, reliability, resolution = labels.mean(), 0.0, 0.0
    for code in set(codes.tolist()):
        inside = codes == code
        reliability += inside.mean() * (chances[inside].mean() - labels[inside].mean()) ** 2
        resolution += inside.mean() * (labels[inside].mean() - base) ** 2
    return [reliability, resolution, base * (1 - base)]


def calibration_error(labels, chances, codes):
    """Mean over bins of the gap between what was said and what was seen."""
    error = 0.0
    for code in set(codes.tolist()):
        inside = codes == code
        error += inside.mean() * abs(chances[inside].mean() - labels[inside].mean())
    return error


def local_line(labels, chances, weights, at, neighbours):
    """A weighted straight line through the nearest rows, by numpy's least squares, at one place."""
    distances = np.abs(chances - at)
    reach = sorted(distances)[neighbours - 1]
    kernel = np.clip(1 - (distances / reach) ** 3, 0, None) ** 3 * weights
    slope, height = np.polyfit(chances - at, labels, 1, w=np.sqrt(kernel))
    del slope
    return height


def net_benefit(labels, chances, threshold):
    """True positives less alarms at the odds of the threshold, per row."""
    acting = chances >= threshold
    hits, alarms = np.sum(acting & (labels == 1)), np.sum(acting & (labels == 0))
    return hits / len(labels) - alarms / len(labels) * threshold / (1 - threshold)


def holm(p_values):
    """Each p-value times the number not below it in rank, never below that of a smaller one."""
    order, adjusted, largest = np.argsort(p_values, kind="stable"), {}, 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[int(place)] = largest
    return np.array([adjusted[place] for place in range(len(p_values))])


def platt_loss(coefficients, labels, scores):
    """Cross-entropy against Platt's targets, row by row."""
    positives, negatives = labels.sum(), (1 - labels).sum()
    loss = 0.0
    for label, score in zip(labels, scores, strict=True):
        target = (positives + 1) / (positives + 2) if label else 1 / (negatives + 2)
        log_odds = coefficients[0] * score + coefficients[1]
        loss += np.logaddexp(0, log_odds) - target * log_odds
    return loss
