"""Intervals of a proportion from its counts, for when no two of them come from one patient."""

import numpy as np
from scipy import stats


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval (Wilson, JASA 1927): close to its coverage on average, also for few trials.

    Args:
        successes: 0 to ``trials``.
        trials: independent ones.
        confidence: coverage.

    Returns:
        Both ends, 0 to 1; NaN without a trial.
    """
    _refuse_impossible(successes, trials)
    if trials == 0:
        return float("nan"), float("nan")
    z = float(stats.norm.ppf((1 + confidence) / 2))
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    reach = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # at the borders the formula gives 0 and 1 but for rounding
    low = 0.0 if successes == 0 else float(centre - reach)
    return low, 1.0 if successes == trials else float(centre + reach)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval (Clopper and Pearson, Biometrika 1934): never below its coverage, so rather wide."""
    _refuse_impossible(successes, trials)
    if trials == 0:
        return float("nan"), float("nan")
    tail, failures = (1 - confidence) / 2, trials - successes
    low = 0.0 if successes == 0 else float(stats.beta.ppf(tail, successes, failures + 1))
    high = 1.0 if failures == 0 else float(stats.beta.ppf(1 - tail, successes + 1, failures))
    return low, high


def _refuse_impossible(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials, expected 0 to {trials}")
