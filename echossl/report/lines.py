"""What a study found, as plain data: figures of its arms, label budgets, training curves."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echossl.evaluation import Difference, Interval, RocCurve


@dataclass(frozen=True)
class TestSet:
    """The patients that every figure of the page stands on.

    Attributes:
        target: what is predicted, as a reader says it: ``severe aortic stenosis``.
        num_patients: test patients.
        num_positive: of those, how many have a positive study.
        prevalence: share of positive studies; the AUPRC of a guess.
    """

    target: str
    num_patients: int
    num_positive: int
    prevalence: float


@dataclass(frozen=True)
class ResultLine:
    """One arm at one label fraction.

    Attributes:
        arm: title of the arm.
        fraction: share of the labelled training patients, 0 to 1.
        num_labelled_patients: labelled patients that were used, validation included.
        auroc: with its interval.
        auprc: with its interval.
    """

    arm: str
    fraction: float
    num_labelled_patients: int
    auroc: Interval
    auprc: Interval


@dataclass(frozen=True)
class DifferenceLine:
    """The default arm minus another one, at one label fraction.

    Attributes:
        arm: title of the other arm.
        fraction: share of the labelled training patients, 0 to 1.
        num_labelled_patients: labelled patients that were used, validation included.
        auroc: paired difference.
        auprc: paired difference.
        adjusted_p_value: of the AUROC, over the family of comparisons that the study declared; None where it
            is not among them, or was not adjusted.
    """

    arm: str
    fraction: float
    num_labelled_patients: int
    auroc: Difference
    auprc: Difference
    adjusted_p_value: float | None = None


@dataclass(frozen=True)
class RocLine:
    """The curve of one arm, the mean over its draws and seeds."""

    arm: str
    curve: RocCurve


@dataclass(frozen=True)
class TrainingCurve:
    """One value over the steps of a training.

    Attributes:
        title: which training, ``SimCLR, seed 0``.
        value_name: what the vertical axis shows, ``loss``.
        steps: (points,), rising.
        values: (points,).
    """

    title: str
    value_name: str
    steps: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class BudgetLine:
    """What one draw of labels cost.

    Attributes:
        fraction: share of the labelled training patients, 0 to 1.
        draw: which draw, or ``all`` where they agree.
        num_labelled_patients: patients whose label was read, validation included.
        num_positive: of those, how many are positive; None where the question is none of yes or no.
        num_videos: their videos.
        num_validation_patients: of the labelled patients, how many only served to choose.
    """

    fraction: float
    draw: str
    num_labelled_patients: int
    num_positive: int | None
    num_videos: int
    num_validation_patients: int
