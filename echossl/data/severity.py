"""The rules that turn measurements into a grade of aortic stenosis, with their names and boundaries."""

import math
from dataclasses import dataclass
from typing import Literal

from echossl.errors import UserError

Grade = Literal["none", "mild", "moderate", "severe"]
GRADES: tuple[Grade, ...] = ("none", "mild", "moderate", "severe")
# beyond these a number is a wrong unit or a typing error, not a measurement
PLAUSIBLE_VELOCITY_M_PER_S = 10.0
PLAUSIBLE_GRADIENT_MMHG = 250.0
PLAUSIBLE_AREA_CM2 = 10.0


@dataclass(frozen=True)
class SeverityRule:
    """Lower bounds of the grades; the worse of velocity and gradient decides.

    A valve area decides only where neither velocity nor gradient was measured. A small area with a low
    gradient (low-gradient stenosis) cannot be settled from these three numbers: it keeps the grade of its
    flow and is flagged discordant, so that whoever uses the grade can leave it out.

    Attributes:
        name: name of the rule.
        velocity_m_per_s: peak velocity from which a valve is mild, moderate, severe.
        gradient_mmhg: mean gradient from which it is mild, moderate, severe.
        area_cm2: valve area down to which it is mild, moderate, severe.
    """

    name: str
    velocity_m_per_s: tuple[float, float, float]
    gradient_mmhg: tuple[float, float, float]
    area_cm2: tuple[float, float, float]


@dataclass(frozen=True)
class Graded:
    """A grade, and whether area and flow measurements disagree about it being severe."""

    grade: Grade
    discordant: bool

    @property
    def severe(self) -> bool:
        """The label of the class map ``as_severe``."""
        return self.grade == "severe"


ACC_AHA_2020 = SeverityRule(
    name="as_acc_aha_2020",
    velocity_m_per_s=(2.0, 3.0, 4.0),
    # the guideline gives mild no lower gradient, so a gradient alone is never enough for mild
    gradient_mmhg=(math.inf, 20.0, 40.0),
    area_cm2=(2.0, 1.5, 1.0),
)
EACVI_ASE_2017 = SeverityRule(
    name="as_eacvi_ase_2017",
    # up to 2.5 m/s is sclerosis
    velocity_m_per_s=(2.6, 3.0, 4.0),
    gradient_mmhg=(math.inf, 20.0, 40.0),
    area_cm2=(2.0, 1.5, 1.0),
)


def grade_from(
    peak_velocity_m_per_s: float | None = None,
    mean_gradient_mmhg: float | None = None,
    valve_area_cm2: float | None = None,
    *,
    rule: SeverityRule = ACC_AHA_2020,
) -> Graded:
    """Grade aortic stenosis from what was measured.

    Args:
        peak_velocity_m_per_s: peak velocity through the valve, or None (also NaN) where not measured.
        mean_gradient_mmhg: mean gradient over the valve, or None.
        valve_area_cm2: valve area by continuity, or None.
        rule: the boundaries.

    Returns:
        The grade, and ``discordant``: True when area says severe and velocity and gradient do not, or the
        other way round (always False where one side is missing).

    Raises:
        UserError: if nothing was measured, or a number cannot be a measurement in its unit.
    """
    velocity = _checked("peak velocity", peak_velocity_m_per_s, PLAUSIBLE_VELOCITY_M_PER_S, "m/s")
    gradient = _checked("mean gradient", mean_gradient_mmhg, PLAUSIBLE_GRADIENT_MMHG, "mmHg")
    area = _checked("valve area", valve_area_cm2, PLAUSIBLE_AREA_CM2, "cm2")
    by_flow = [
        max((place for place, bound in enumerate(bounds, start=1) if value >= bound), default=0)
        for value, bounds in ((velocity, rule.velocity_m_per_s), (gradient, rule.gradient_mmhg))
        if value is not None
    ]
    by_area = None if area is None else sum(area <= bound for bound in rule.area_cm2)
    if not by_flow:
        if by_area is None:
            raise UserError(
                "aortic stenosis cannot be graded: velocity, gradient, area all missing; give one"
            )
        return Graded(GRADES[by_area], discordant=False)
    discordant = by_area is not None and (max(by_flow) == 3) != (by_area == 3)
    return Graded(GRADES[max(by_flow)], discordant)


def _checked(name: str, value: float | None, largest: float, unit: str) -> float | None:
    """The value, or None where it was not measured."""
    if value is None or math.isnan(value):
        return None
    if not 0 < value <= largest:
        raise UserError(
            f"{name}: found {value:g}, expected {unit} above 0 and at most {largest:g}; another unit?"
        )
    return float(value)
