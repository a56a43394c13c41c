import numpy as np
import pytest
from scipy import ndimage

from echossl.phantom.anatomy import sample_patient
from echossl.phantom.motion import sample_beats
from echossl.phantom.scanner import NUISANCES, Window, blur_matrix, make_fan, window_of
from echossl.phantom.screen import ECG_SHARE, draw_ecg, draw_screen, ecg_wave, fan_box

WINDOW = Window(1.0, 11.0, 0.8, 0.0, 6.0, 0.0)
MIDDLE = dict.fromkeys(NUISANCES, 0.0)


def fan_of(height=120, width=116, window=WINDOW):
    return make_fan(window, height, width, fan_box(height, width))


def test_pixels_are_bilinear_in_the_polar_samples():
    fan = fan_of()
    depths, angles = fan.x_cm.shape
    polar = np.random.default_rng(0).random((angles, depths)).astype(np.float32)
    found = (fan.to_pixels @ polar.ravel()).reshape(fan.inside.shape)
    top, left, bottom, right = fan_box(*fan.inside.shape)
    rows, columns = np.nonzero(fan.inside)
    down = (rows - top + 0.5) * fan.cm_per_pixel + WINDOW.near_cm * np.cos(WINDOW.half_angle)
    across = (columns + 0.5 - (left + right) / 2) * fan.cm_per_pixel
    depth = (np.hypot(across, down) - 1.0) / 10.0 * (depths - 1)
    beam = (np.arctan2(across, down) / 0.8 + 1) / 2 * (angles - 1)
    expected = ndimage.map_coordinates(polar, [beam, depth], order=1)
    np.testing.assert_allclose(found[rows, columns], expected, atol=1e-5)
    assert bottom - top == pytest.approx(
        (WINDOW.far_cm - WINDOW.near_cm * np.cos(WINDOW.half_angle)) / fan.cm_per_pixel
    )


def test_outside_the_fan_is_exactly_black():
    fan = fan_of()
    ones = np.ones(fan.to_pixels.shape[1], np.float32)
    picture = (fan.to_pixels @ ones).reshape(fan.inside.shape)
    np.testing.assert_allclose(picture, fan.inside, atol=1e-5)


def test_the_fan_is_a_fan():
    fan = fan_of()
    widths = fan.inside.sum(1)
    rows = np.flatnonzero(widths)
    quarter = rows[len(rows) // 4]
    assert widths[quarter] > widths[rows[2]] + 10
    assert (fan.inside == fan.inside[:, ::-1]).mean() > 0.9
    # round below: the corners of the last rows are empty
    assert widths[rows[-1]] < 0.8 * widths.max()


def test_blur_is_a_gaussian_that_keeps_the_power_of_noise():
    band = blur_matrix(300, 1.1)
    noise = np.random.default_rng(0).standard_normal(300).astype(np.float32)
    impulse = np.zeros(300, np.float32)
    impulse[150] = 1
    kernel = (band @ impulse)[147:154]
    np.testing.assert_allclose(kernel, kernel[::-1], rtol=1e-5)
    np.testing.assert_allclose(kernel[4] / kernel[3], np.exp(-0.5 / 1.21), rtol=1e-4)
    assert np.sum(kernel**2) == pytest.approx(1, rel=1e-4)
    expected = ndimage.correlate1d(noise, kernel, mode="constant")
    np.testing.assert_allclose(band @ noise, expected, atol=1e-4)


@pytest.mark.parametrize("number", range(1, 12))
def test_the_valve_window_is_9_to_11_cm_about_the_valve(number):
    heart = sample_patient(0, number).heart
    for z in (-2.5, 0.0, 2.5):
        window = window_of(heart, "valve", MIDDLE | {"depth": z})
        assert 9 <= window.far_cm - window.near_cm <= 11
        assert window.near_cm < window.valve_y_cm < window.far_cm


def test_on_average_the_valve_is_in_the_middle_of_its_window():
    places = []
    for number in range(1, 200):
        window = window_of(sample_patient(0, number).heart, "valve", MIDDLE)
        places.append((window.valve_y_cm - window.near_cm) / (window.far_cm - window.near_cm))
    assert np.mean(places) == pytest.approx(0.48, abs=0.05)


def test_the_sector_view_is_15_cm_from_the_skin():
    window = window_of(sample_patient(0, 1).heart, "sector", MIDDLE)
    assert window.far_cm == 15
    assert window.near_cm < 0.5


def test_the_screen_leaves_the_fan_alone_and_writes_around_it():
    fan = fan_of()
    screen = draw_screen(fan, np.random.default_rng(0))
    assert not screen[fan.inside].any()
    assert (screen > 100).sum() > 60
    near = ndimage.binary_dilation(fan.inside, iterations=3)
    assert not screen[near].any()
    # most of it stays black
    assert (screen[~fan.inside] == 0).mean() > 0.8


def test_the_ecg_peaks_at_phase_zero():
    phase = np.linspace(0, 1, 1000, endpoint=False)
    wave = ecg_wave(phase)
    assert wave.argmax() in {0, 1, 999}
    assert 0.05 < wave[850] < 0.3
    assert wave[300] > 0.2


def test_the_ecg_runs_with_the_beat_and_below_the_fan():
    beats = sample_beats(sample_patient(0, 1), 40.0, 3.0, np.random.default_rng(0))
    pictures = np.zeros((len(beats.phase), 120, 116), np.uint8)
    draw_ecg(pictures, beats)
    strip = round(ECG_SHARE * 120)
    assert not pictures[:, :-strip].any()
    assert pictures[-1, -strip:].any()
    # a new R wave is the only thing that lights up the top of the strip
    high = pictures[:, -strip : -strip + 4].any(axis=1)
    new_high = (high[1:] & ~high[:-1]).any(axis=1)
    phase = np.minimum(beats.phase, 1 - beats.phase)[1:]
    assert new_high.sum() >= 2
    assert phase[new_high].max() < 0.09
