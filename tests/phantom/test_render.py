from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echossl.config.phantom import PhantomConfig
from echossl.phantom.anatomy import sample_patient
from echossl.phantom.motion import Beats
from echossl.phantom.painter import Painter
from echossl.phantom.receiver import Receiver
from echossl.phantom.render import patient_amplitude, render_video
from echossl.phantom.scanner import NUISANCES, make_fan, window_of
from echossl.phantom.screen import fan_box

CONFIG = PhantomConfig(
    out=Path("unused"), image_height=(112, 112), frames_per_second=(50, 50), beats=(1.0, 1.0)
)
STILL = dict.fromkeys(NUISANCES, 0.0)


@pytest.fixture(scope="module")
def videos():
    return [render_video(sample_patient(0, number), 1, CONFIG) for number in range(1, 13)]


def still_beats(num_frames, aortic=0.0):
    zeros = np.zeros(num_frames, np.float32)
    return Beats(
        phase=zeros.astype(np.float64),
        contraction=zeros,
        aortic=zeros + np.float32(aortic),
        mitral=zeros,
        offset_cm=np.zeros((num_frames, 2), np.float32),
        frames_per_second=50.0,
    )


def painter_and_fan(patient, seed=0):
    window = window_of(patient.heart, "valve", STILL)
    fan = make_fan(window, 112, 112, fan_box(112, 112))
    generator = np.random.default_rng(seed)
    return Painter(patient, patient_amplitude(patient, CONFIG), window, fan, STILL, generator), fan


def test_image_statistics_are_those_of_real_pictures(videos):
    rows = []
    for video in videos:
        frames = video.frames.astype(np.float64)
        correlation = np.corrcoef(frames[:-1].ravel()[::7], frames[1:].ravel()[::7])[0, 1]
        rows.append(
            [
                frames.mean(),
                frames.std(),
                (frames < 16).mean(),
                np.percentile(frames, 99),
                correlation,
                frames.std(axis=0).mean(),
            ]
        )
    mean, spread, dark, bright, correlation, temporal = np.mean(rows, axis=0)
    assert 44 < mean < 65
    assert 50 < spread < 62
    assert 0.38 < dark < 0.47
    assert 180 < bright < 205
    assert 0.95 < correlation < 0.98
    assert 12 < temporal < 19
    each = np.array(rows)
    assert each[:, 0].min() > 25
    assert each[:, 0].max() < 90
    assert each[:, 2].max() < 0.65


def test_cavities_are_dark_but_not_black(videos):
    # blood fills much of the fan: its median is grey noise, not zero
    for video in videos:
        fan = video.frames.max(axis=0) > 0
        assert np.percentile(video.frames[:, fan], 20) < 90
        assert np.percentile(video.frames[:, fan], 40) > 5


def test_shapes_and_types(videos):
    for video in videos:
        assert video.frames.dtype == np.uint8
        assert video.frames.shape == video.valve_mask.shape
        assert video.frames.shape[0] == len(video.beats.phase)
        assert video.frames.shape[1] % 2 == video.frames.shape[2] % 2 == 0


def test_the_mask_is_bright_small_and_near_the_middle(videos):
    places = []
    for video in videos:
        rows, columns = np.nonzero(video.valve_mask.any(axis=0))
        places.append((rows.mean() / video.frames.shape[1], columns.mean() / video.frames.shape[2]))
        assert 0.002 < video.valve_mask.mean() < 0.03
        assert video.valve_mask.any(axis=(1, 2)).all()
    assert np.abs(np.mean(places, axis=0) - 0.5).max() < 0.12
    on_valve = np.mean([video.frames[video.valve_mask].mean() for video in videos])
    assert on_valve > 1.5 * np.mean([video.frames.mean() for video in videos])


def test_the_valve_moves_and_more_so_when_it_opens_well(videos):
    patients = [sample_patient(0, number) for number in range(1, 13)]
    change = []
    for video in videos:
        wide, shut = video.beats.aortic.argmax(), video.beats.aortic.argmin()
        change.append((video.valve_mask[wide] & ~video.valve_mask[shut]).sum() / video.valve_mask[shut].sum())
    assert np.corrcoef(change, [patient.valve.opening for patient in patients])[0, 1] > 0.3


def test_the_same_video_twice_and_another_video():
    patient = sample_patient(0, 2)
    first, again, other = (render_video(patient, number, CONFIG) for number in (1, 1, 2))
    assert (first.frames == again.frames).all()
    assert first.nuisances == again.nuisances
    assert first.nuisances != other.nuisances


def test_speckle_is_not_a_fingerprint():
    patient = sample_patient(0, 2)
    first, second = painter_and_fan(patient, seed=1)[0], painter_and_fan(patient, seed=2)[0]
    shared = np.abs(np.vdot(first.speckle, second.speckle)) / np.abs(np.vdot(first.speckle, first.speckle))
    assert shared < 0.02


def test_speckle_is_locked_to_the_tissue():
    painter, _ = painter_and_fan(sample_patient(0, 2))
    still = still_beats(3)
    field, _ = painter.paint(still, slice(0, 3))
    assert (field[..., 0] == field[..., 2]).all()
    moved = still_beats(3)
    step_cm = painter.step_cm
    moved.offset_cm[2, 1] = 4 * step_cm
    field, _ = painter.paint(moved, slice(0, 3))
    # on the middle beam, four samples down is where the tissue went; a tilted heart shares most of it
    beam = field.shape[1] // 2
    near = slice(beam - 3, beam + 3)
    before, after, unmoved = field[20:70, near, 0], field[24:74, near, 2], field[20:70, near, 2]
    follows = np.corrcoef(np.abs(before).ravel(), np.abs(after).ravel())[0, 1]
    stays = np.corrcoef(np.abs(before).ravel(), np.abs(unmoved).ravel())[0, 1]
    assert follows > 0.5
    assert follows > stays + 0.2


def test_calcium_throws_a_shadow():
    patients = [sample_patient(0, number) for number in range(1, 200)]
    calcified = max(patients, key=lambda patient: patient.valve.shadow_db_per_cm)
    painter, _ = painter_and_fan(calcified)
    rows, columns = painter.near_valve
    middle = (columns.start + columns.stop) // 2
    below = (slice(rows.stop + 2, None), slice(middle - 2, middle + 2))
    shadowed = np.abs(painter.paint(still_beats(1), slice(0, 1))[0][below])
    painter.patient = replace(calcified, valve=replace(calcified.valve, shadow_db_per_cm=0.0))
    clear = np.abs(painter.paint(still_beats(1), slice(0, 1))[0][below])
    assert (shadowed <= clear).all()
    assert shadowed.mean() < 0.95 * clear.mean()


def test_the_receiver_makes_12_db_more_of_four_times_the_field():
    _, fan = painter_and_fan(sample_patient(0, 2))
    quiet = STILL | {"noise": -40.0, "haze": -40.0}
    field = (np.ones((*fan.x_cm.shape, 4)) * 0.02).astype(np.complex64)

    def grey(scale):
        receiver = Receiver(fan, quiet, 8, np.random.default_rng(0))
        return receiver.to_grey(field * np.float32(scale)).reshape(fan.x_cm.shape[1], fan.x_cm.shape[0], 4)

    inner = (slice(20, -20), slice(20, -20))
    per_db = 255 / 49.5
    difference = (grey(4.0) - grey(1.0))[inner]
    np.testing.assert_allclose(difference, 20 * np.log10(4) * per_db, atol=0.1)


def test_gain_brightens_and_stays_in_range():
    painter, fan = painter_and_fan(sample_patient(0, 2))
    field, _ = painter.paint(still_beats(2), slice(0, 2))
    means = []
    for gain in (-2.5, 0.0, 2.5):
        receiver = Receiver(fan, STILL | {"gain": gain}, 8, np.random.default_rng(0))
        grey = receiver.to_grey(field.copy())
        assert grey.min() >= 0
        assert grey.max() < 255
        means.append(grey.mean())
    assert means == sorted(means)
    assert means[2] > means[0] + 30


def test_the_sector_view_shows_more_of_the_body():
    patient = sample_patient(0, 2)
    near = render_video(patient, 1, CONFIG)
    whole = render_video(patient, 1, CONFIG.model_copy(update={"view": "sector"}))
    assert whole.cm_per_pixel > 1.3 * near.cm_per_pixel
    assert whole.valve_mask.mean() < near.valve_mask.mean()
    assert (whole.beats.phase == near.beats.phase).all()


def test_sizes_and_rates_stay_in_their_ranges():
    config = CONFIG.model_copy(
        update={"image_height": (48, 60), "frames_per_second": (25.0, 27.0), "beats": (0.5, 0.6)}
    )
    for number in range(1, 12):
        video = render_video(sample_patient(4, number), 1, config)
        assert 48 <= video.frames.shape[1] <= 60
        assert 25 <= video.beats.frames_per_second <= 27
