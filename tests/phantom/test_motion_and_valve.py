from itertools import pairwise

import numpy as np
import pytest

from echossl.phantom.anatomy import sample_patient
from echossl.phantom.heart import reference_amplitude, root_coordinates, root_radius, ventricle_centre
from echossl.phantom.motion import sample_beats, to_end_diastole
from echossl.phantom.valve import Leaflets, aortic_leaflets, distance_to, mitral_leaflets, nodule_places

PATIENT = sample_patient(0, 1)
HEART = PATIENT.heart


def beats_of(patient=PATIENT, rate=50.0, beats=3.0, seed=0):
    return sample_beats(patient, rate, beats, np.random.default_rng(seed))


def grid(step=0.05):
    x, y = np.meshgrid(np.arange(-7, 4, step), np.arange(-4, 6, step))
    return x.astype(np.float32), y.astype(np.float32)


def test_length_and_rate_follow_the_settings():
    beats = beats_of(rate=40.0, beats=2.0)
    period_seconds = 60 / PATIENT.heart_rate_per_min
    assert len(beats.phase) == pytest.approx(2.0 * period_seconds * 40, rel=0.1)
    turns = np.unwrap(2 * np.pi * beats.phase)[-1] - np.unwrap(2 * np.pi * beats.phase)[0]
    assert turns / (2 * np.pi) == pytest.approx(2.0, abs=0.15)


def test_states_stay_between_zero_and_one_over_many_rhythms():
    for number in range(1, 40):
        beats = beats_of(sample_patient(1, number), seed=number)
        assert ((beats.phase >= 0) & (beats.phase < 1)).all()
        for state in (beats.contraction, beats.aortic, beats.mitral):
            assert state.min() >= -1e-6
            assert state.max() <= 1 + 1e-6


def test_the_two_valves_are_never_open_together():
    for number in range(1, 40):
        beats = beats_of(sample_patient(1, number), rate=60.0, seed=number)
        assert (np.minimum(beats.aortic, beats.mitral) < 0.1).all()
        assert beats.aortic.max() > 0.9


def test_the_aortic_valve_is_open_in_systole_and_shut_at_the_r_wave():
    beats = beats_of(rate=60.0)
    assert (beats.aortic[(beats.phase > 0.15) & (beats.phase < 0.28)] > 0.95).all()
    assert (beats.aortic[(beats.phase < 0.04) | (beats.phase > 0.55)] < 0.02).all()


def test_motion_has_no_jumps():
    beats = beats_of(rate=60.0)
    assert np.abs(np.diff(beats.contraction)).max() < 0.25
    assert np.abs(np.diff(beats.offset_cm, axis=0)).max() < 0.15


def test_the_probe_stays_in_the_hand():
    spread = np.std([beats_of(seed=seed).offset_cm[-1] for seed in range(60)])
    assert 0.05 < spread < 0.4


def test_the_warp_keeps_areas_near_the_ventricle():
    x, y = grid()
    warped_x, warped_y = to_end_diastole(x, y, np.float32(1.0), HEART, 0.6)
    across_y, across_x = np.gradient(warped_x, 0.05)
    down_y, down_x = np.gradient(warped_y, 0.05)
    area = across_x * down_y - across_y * down_x
    middle_x, middle_y = ventricle_centre(HEART)
    radius2 = ((x - middle_x) / HEART.ventricle_long_cm) ** 2 + (
        (y - middle_y) / HEART.ventricle_short_cm
    ) ** 2
    wall = (radius2 > 0.5) & (radius2 < 1.5)
    assert (area > 0).all()
    assert abs(area[wall].mean() - 1) < 0.1


def test_nothing_moves_at_end_diastole():
    x, y = grid()
    warped_x, warped_y = to_end_diastole(x, y, np.float32(0.0), HEART, 0.6)
    np.testing.assert_allclose(warped_x, x, atol=1e-5)
    np.testing.assert_allclose(warped_y, y, atol=1e-5)


@pytest.mark.parametrize("ejection_fraction", [0.3, 0.6])
def test_the_ventricle_shrinks_with_the_ejection_fraction(ejection_fraction):
    x, y = grid()
    middle_x, middle_y = ventricle_centre(HEART)

    def area(contraction):
        wx, wy = to_end_diastole(x, y, np.float32(contraction), HEART, ejection_fraction)
        inside = ((wx - middle_x) / HEART.ventricle_long_cm) ** 2
        inside += ((wy - middle_y) / HEART.ventricle_short_cm) ** 2
        return (inside < 1).sum()

    loss = 1 - area(1.0) / area(0.0)
    assert 0.6 * ejection_fraction < loss < 1.2 * ejection_fraction


def test_the_map_is_dark_in_the_cavities_and_bright_in_the_walls():
    amplitude_db = 20 * np.log10(reference_amplitude(HEART, np.random.default_rng(0)))

    def at(x, y):
        return amplitude_db[round((y + 8) / 0.05), round((x + 10) / 0.05)]

    middle_x, middle_y = ventricle_centre(HEART)
    radius_cm = HEART.root_radius_cm
    assert at(middle_x, middle_y) < -40
    assert at(0.55 + 0.75 * HEART.atrium_cm[0], radius_cm + 0.22 + 0.97 * HEART.atrium_cm[1]) < -40
    septum = middle_y - HEART.ventricle_short_cm - HEART.septum_cm / 2
    assert at(middle_x, septum) == pytest.approx(HEART.myocardium_db, abs=2.0)
    assert amplitude_db.max() < 5


def test_closed_leaflets_meet_at_mid_root_and_not_as_an_arrowhead():
    leaflets = aortic_leaflets(PATIENT.valve, HEART, np.zeros(1, np.float32)).points[..., 0]
    tips = leaflets[:, -1]
    assert np.linalg.norm(tips[0] - tips[1]) < 0.15
    assert np.abs(tips[:, 1]).max() < 0.35 * HEART.root_radius_cm
    # the bellies sag towards the ventricle before they turn up
    assert (leaflets[:, 1:3, 0] < 0.05).all()
    assert leaflets[..., 0].max() < 0.5


def test_open_leaflets_lie_along_the_wall_in_a_healthy_valve():
    healthy = next(p for p in (sample_patient(0, n) for n in range(1, 99)) if p.valve.opening > 0.93)
    leaflets = aortic_leaflets(healthy.valve, healthy.heart, np.ones(1, np.float32)).points[..., 0]
    wall = root_radius(leaflets[..., 0], healthy.heart)
    assert (np.abs(leaflets[..., 1]) > 0.6 * wall).all()
    assert (np.abs(leaflets[..., 1]) < wall).all()


def test_the_gap_between_the_tips_is_the_opening():
    gaps, openings = [], []
    for number in range(1, 60):
        patient = sample_patient(0, number)
        points = aortic_leaflets(patient.valve, patient.heart, np.ones(1, np.float32)).points
        gaps.append((points[1, -1, 1, 0] - points[0, -1, 1, 0]) / patient.heart.root_radius_cm)
        openings.append(patient.valve.opening)
    assert np.corrcoef(gaps, openings)[0, 1] > 0.99
    assert min(gaps) > 0


def test_a_stiff_valve_domes():
    stiff = next(p for p in (sample_patient(0, n) for n in range(1, 99)) if 0.25 < p.valve.opening < 0.4)
    points = aortic_leaflets(stiff.valve, stiff.heart, np.ones(1, np.float32)).points[1, :, :, 0]
    # wider in the body than at the tip
    assert points[2, 1] > points[-1, 1] + 0.2


def test_mitral_leaflets_close_against_each_other():
    for number in range(1, 200):
        heart = sample_patient(0, number).heart
        shut = mitral_leaflets(heart, np.zeros(1, np.float32)).points[..., 0]
        wide = mitral_leaflets(heart, np.ones(1, np.float32)).points[..., 0]
        assert np.linalg.norm(shut[0, -1] - shut[1, -1]) < 0.2
        assert np.linalg.norm(wide[0, -1] - wide[1, -1]) > 1.0
        assert shut[1, 0, 1] - shut[0, 0, 1] > 1.0


def test_distance_is_that_of_a_dense_search():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(2, 4, 2, 3)).astype(np.float32)
    x, y = generator.normal(size=(2, 50, 3)).astype(np.float32)
    found = distance_to(x, y, Leaflets(points))
    part = np.linspace(0, 1, 2000)[:, None]
    for frame in range(3):
        dense = np.concatenate(
            [a + part * (b - a) for curve in points[..., frame] for a, b in pairwise(curve)]
        )
        gap = np.hypot(x[:, frame, None] - dense[:, 0], y[:, frame, None] - dense[:, 1]).min(1)
        np.testing.assert_allclose(found[:, frame], gap, atol=2e-3)


def test_nodules_ride_on_their_leaflet():
    patient = next(p for p in (sample_patient(0, n) for n in range(1, 99)) if len(p.valve.nodules) > 2)
    leaflets = aortic_leaflets(patient.valve, patient.heart, np.linspace(0, 1, 5, dtype=np.float32))
    places = nodule_places(patient.valve, leaflets)
    for place in places:
        assert distance_to(place[None, 0], place[None, 1], leaflets).max() < 1e-3


def test_root_coordinates_are_a_turn():
    x, y = grid(0.5)
    along, across = root_coordinates(x, y, HEART)
    np.testing.assert_allclose(along**2 + across**2, x**2 + y**2, rtol=1e-4, atol=1e-5)
