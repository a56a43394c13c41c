"""Random studies on which every statistic meets its reference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Sample:
    """Studies of patients; scores and probabilities hold ties for every second seed."""

    labels: np.ndarray
    grades: np.ndarray
    scores: np.ndarray  # (2, n)
    of_grades: np.ndarray  # (n, 4)
    chances: np.ndarray
    velocity: np.ndarray
    patients: np.ndarray
    p_values: np.ndarray

    @property
    def once(self) -> np.ndarray:
        """Weights that count every row once."""
        return np.ones((1, self.labels.size))


# figures found, figures of the reference
Pair = tuple[object, object]


@dataclass(frozen=True)
class Comparison:
    """A statistic and its reference.

    Attributes:
        statistic: its name in the table.
        reference: what it is compared with.
        both: from a sample to the figures found and those of the reference.
        bar: the largest difference that is rounding, or the reference's own tolerance.
    """

    statistic: str
    reference: str
    both: Callable[[Sample], Pair]
    bar: float = 1e-10


def samples(number: int) -> Iterator[Sample]:
    for seed in range(number):
        generator = np.random.default_rng(seed)
        decimals = 8 if seed % 2 else 1
        patients = np.repeat(np.arange(30), generator.integers(1, 4, size=30))
        size = patients.size
        grades = generator.integers(4, size=size)
        grades[:4] = range(4)
        shared = generator.normal(size=30)[patients]
        scores = (grades * 0.6 + shared + generator.normal(size=(2, size))).round(decimals)
        yield Sample(
            labels=(grades == 3).astype(int),
            grades=grades,
            scores=scores,
            of_grades=(generator.normal(size=(size, 4)) + np.eye(4)[grades]).round(decimals),
            chances=special.expit(scores[0] - 1.5).round(max(decimals, 2)),
            velocity=(1 + grades + generator.normal(scale=0.4, size=size)).round(decimals),
            patients=patients,
            p_values=generator.random(9).round(2).clip(0.01),
        )
