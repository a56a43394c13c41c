import math

import pytest

from echossl.data.labels import CLASS_MAPS
from echossl.data.severity import ACC_AHA_2020, EACVI_ASE_2017, GRADES, grade_from
from echossl.errors import UserError


@pytest.mark.parametrize(
    ("velocity", "grade"),
    [
        (0.9, "none"),
        (1.99, "none"),
        (2.0, "mild"),
        (2.99, "mild"),
        (3.0, "moderate"),
        (3.99, "moderate"),
        (4.0, "severe"),
        (6.1, "severe"),
    ],
)
def test_velocity_decides_by_the_guideline(velocity, grade):
    assert grade_from(velocity).grade == grade


@pytest.mark.parametrize(
    ("gradient", "grade"), [(5, "none"), (19.9, "none"), (20, "moderate"), (39.9, "moderate"), (40, "severe")]
)
def test_gradient_alone(gradient, grade):
    assert grade_from(None, gradient).grade == grade


@pytest.mark.parametrize(
    ("area", "grade"), [(3.0, "none"), (2.0, "mild"), (1.5, "moderate"), (1.0, "severe"), (0.6, "severe")]
)
def test_area_alone_decides_only_when_nothing_else_was_measured(area, grade):
    assert grade_from(valve_area_cm2=area).grade == grade
    assert grade_from(2.5, 14, area).grade == "mild"


def test_the_worse_of_velocity_and_gradient_decides():
    assert grade_from(3.9, 41).grade == "severe"
    assert grade_from(4.1, 38).grade == "severe"
    assert grade_from(2.5, 21).grade == "moderate"


@pytest.mark.parametrize(
    ("velocity", "gradient", "area", "discordant"),
    [
        (3.2, 25, 0.9, True),
        (4.3, 45, 1.3, True),
        (4.3, 45, 0.8, False),
        (2.4, 12, 1.8, False),
        (3.2, 25, None, False),
        (None, None, 0.8, False),
    ],
)
def test_discordance_is_area_against_flow(velocity, gradient, area, discordant):
    assert grade_from(velocity, gradient, area).discordant is discordant


def test_low_gradient_stenosis_is_flagged_and_not_called_severe():
    graded = grade_from(3.4, 28, 0.8)
    assert graded.grade == "moderate"
    assert graded.discordant
    assert not graded.severe


def test_nan_is_not_measured():
    assert grade_from(math.nan, 41, math.nan) == grade_from(None, 41)


def test_a_higher_velocity_is_never_a_milder_grade():
    grades = [GRADES.index(grade_from(velocity / 100).grade) for velocity in range(10, 1000)]
    assert grades == sorted(grades)


@pytest.mark.parametrize("velocity", [-1.0, 0.0, 10.1, 430.0, math.inf])
def test_a_velocity_in_cm_per_s_or_below_zero_is_refused(velocity):
    with pytest.raises(UserError, match=r"peak velocity: found .*, expected m/s above 0 and at most 10"):
        grade_from(velocity)


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("mean gradient", (3.0, -4.0, 1.2)),
        ("mean gradient", (3.0, 999.0)),
        ("valve area", (3.0, 30.0, 100.0)),
    ],
)
def test_other_nonsense_is_refused_by_name(name, measured):
    with pytest.raises(UserError, match=name):
        grade_from(*measured)


def test_nothing_measured_is_refused():
    with pytest.raises(UserError, match="all missing"):
        grade_from(None, math.nan)


def test_the_boundary_is_a_setting():
    assert grade_from(2.3).grade == "mild"
    assert grade_from(2.3, rule=EACVI_ASE_2017).grade == "none"
    assert grade_from(2.6, rule=EACVI_ASE_2017).grade == "mild"
    for velocity in (3.0, 3.9, 4.0, 5.5):
        assert grade_from(velocity) == grade_from(velocity, rule=EACVI_ASE_2017)


@pytest.mark.parametrize("rule", [ACC_AHA_2020, EACVI_ASE_2017])
def test_every_rule_is_a_class_map_that_says_its_boundaries(rule):
    class_map = CLASS_MAPS[rule.name]
    assert class_map.classes == GRADES
    line = class_map.describe()
    for velocity in rule.velocity_m_per_s:
        assert f"{velocity} m/s" in line
    for gradient in rule.gradient_mmhg[1:]:
        assert f"{gradient:.0f} mmHg" in line
