"""Logistic regression on one or two columns for thousands of weightings at once, without a penalty."""

import numpy as np
from scipy import special

from echossl.evaluation.auc import Floats

# Newton's steps: a fit that exists takes some 10; on separable classes every step adds about 1 for ever
MOST_STEPS = 25
# from a step of 1e15, where the curve is flat, to one of 1
MOST_HALVINGS = 50
CONVERGED = 1e-9


def fit_logistic(design: Floats, targets: Floats, weights: Floats, offset: Floats | float = 0.0) -> Floats:
    """Coefficients of the largest likelihood by Newton's method with halved steps.

    Args:
        design: one or two columns, (columns, n).
        targets: 0 to 1, (n,).
        weights: not negative, (resamples, n).
        offset: added to the log odds, with coefficient 1, (n,).

    Returns:
        (resamples, columns); NaN where there is no finite fit, as for separable classes.
    """
    products = (design[:, None] * design).reshape(-1, design.shape[1])
    found = np.zeros((len(weights), len(design)))
    settled = np.zeros(len(weights), dtype=bool)
    lost = np.zeros(len(weights), dtype=bool)
    loss = _loss(found, design, targets, weights, offset)
    for _ in range(MOST_STEPS):
        log_odds = found @ design + offset
        chances, others = special.expit(log_odds), special.expit(-log_odds)
        gradient = (weights * (targets - chances)) @ design.T
        step = _solve((weights * chances * others) @ products.T, gradient)
        lost |= np.isnan(step).any(axis=1)
        step[lost] = 0.0
        new = _loss(found + step, design, targets, weights, offset)
        for _ in range(MOST_HALVINGS):
            worse = np.flatnonzero(new > loss + 1e-12 * np.abs(loss))
            if not worse.size:
                break
            step[worse] /= 2
            new[worse] = _loss(found[worse] + step[worse], design, targets, weights[worse], offset)
        found, loss = found + step, new
        settled = np.all(np.abs(step) <= CONVERGED * (1 + np.abs(found)), axis=1)
        if settled.all():
            break
    found[~settled | lost] = np.nan
    return found


def _loss(found: Floats, design: Floats, targets: Floats, weights: Floats, offset: Floats | float) -> Floats:
    log_odds = found @ design + offset
    loss: Floats = np.einsum("rn,rn->r", weights, np.logaddexp(0.0, log_odds) - targets * log_odds)
    return loss


def _solve(curvature: Floats, gradient: Floats) -> Floats:
    """Curvature (resamples, columns * columns) against gradient (resamples, columns); NaN where singular."""
    if gradient.shape[1] == 1:
        return _ratio(gradient, curvature)
    first, across, _, second = curvature.T
    determinant = first * second - across**2
    steps = [
        second * gradient[:, 0] - across * gradient[:, 1],
        first * gradient[:, 1] - across * gradient[:, 0],
    ]
    # one part in 1e13 of a product is what its rounding leaves of a difference
    determinant = np.where(determinant > 1e-13 * first * second, determinant, 0.0)
    return _ratio(np.stack(steps, axis=1), determinant[:, None])


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
