"""One video of a patient: warped speckle and valves, blurred, compressed to grey, put on a screen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echossl.config.phantom import PhantomConfig
from echossl.phantom import heart as chart
from echossl.phantom.anatomy import Patient
from echossl.phantom.motion import Beats, sample_beats
from echossl.phantom.painter import Painter
from echossl.phantom.receiver import Receiver
from echossl.phantom.scanner import Fan, Window, make_fan, sample_nuisances, window_of
from echossl.phantom.screen import draw_ecg, draw_screen, fan_box

Array = NDArray[np.float32]

FRAMES_PER_BLOCK = 8


@dataclass(frozen=True)
class Rendered:
    """A finished video and what was true in it.

    Attributes:
        frames: (frames, height, width) uint8.
        valve_mask: (frames, height, width) True on the leaflets of the aortic valve.
        beats: phases and motion, by frame.
        nuisances: view and scanner settings, standard normal numbers.
        cm_per_pixel: size of a pixel.
    """

    frames: NDArray[np.uint8]
    valve_mask: NDArray[np.bool_]
    beats: Beats
    nuisances: dict[str, float]
    cm_per_pixel: float


@dataclass(frozen=True)
class Plan:
    """Everything of a video that is drawn before it is painted.

    Attributes:
        nuisances: view and scanner settings, standard normal numbers.
        beats: phases and motion, by frame.
        window: the part of the body that is shown.
        fan: how it lies in the picture.
        generator: draws speckle and noise next.
    """

    nuisances: dict[str, float]
    beats: Beats
    window: Window
    fan: Fan
    generator: np.random.Generator


def plan_video(patient: Patient, number: int, config: PhantomConfig) -> Plan:
    """Draw view, rhythm and size of video ``number`` (from 1) of a patient."""
    generator = np.random.default_rng([config.seed, patient.number, number])
    common = np.random.default_rng([config.seed, patient.number, 0, 1])
    nuisances = sample_nuisances(config.share, common, generator)
    rate = round(float(generator.uniform(*config.frames_per_second)), 2)
    beats = sample_beats(patient, rate, float(generator.uniform(*config.beats)), generator)
    height = 2 * round(generator.uniform(*config.image_height) / 2)
    width = 2 * round(height * generator.uniform(0.92, 1.04) / 2)
    window = window_of(patient.heart, config.view, nuisances)
    return Plan(nuisances, beats, window, make_fan(window, height, width, fan_box(height, width)), generator)


def render_video(
    patient: Patient, number: int, config: PhantomConfig, amplitude: Array | None = None
) -> Rendered:
    """Make video ``number`` (from 1) of a patient.

    Args:
        patient: who.
        number: which video; it draws its own view, rhythm, speckle and noise.
        config: ranges of frame rate, length, size; ``share`` and ``view``.
        amplitude: the patient's ``reference_amplitude``, to save time; made here when None.
    """
    plan = plan_video(patient, number, config)
    if amplitude is None:
        amplitude = patient_amplitude(patient, config)
    painter = Painter(patient, amplitude, plan.window, plan.fan, plan.nuisances, plan.generator)
    receiver = Receiver(plan.fan, plan.nuisances, FRAMES_PER_BLOCK, plan.generator)
    frames, masks = _paint_all(painter, receiver, plan.fan, plan.beats)
    frames += draw_screen(plan.fan, plan.generator)
    draw_ecg(frames, plan.beats)
    return Rendered(frames, masks, plan.beats, plan.nuisances, plan.fan.cm_per_pixel)


def patient_amplitude(patient: Patient, config: PhantomConfig) -> Array:
    """The standing heart of a patient, the same in all videos but for the speckle."""
    return chart.reference_amplitude(
        patient.heart, np.random.default_rng([config.seed, patient.number, 0, 2])
    )


def _paint_all(
    painter: Painter, receiver: Receiver, fan: Fan, beats: Beats
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pictures and valve masks (frames, height, width), a few frames at a time to stay in the cache."""
    depths, angles = fan.x_cm.shape
    rows, columns = painter.near_valve
    places = np.arange(angles)[None, columns] * depths + np.arange(depths)[rows, None]
    mask_to_pixels = fan.to_pixels[:, places.ravel()]
    pictures, masks = [], []
    for start in range(0, len(beats.phase), FRAMES_PER_BLOCK):
        field, cover = painter.paint(beats, slice(start, start + FRAMES_PER_BLOCK))
        pixels = fan.to_pixels @ receiver.to_grey(field)
        pictures.append((pixels.T + np.float32(0.5)).astype(np.uint8))
        masks.append((mask_to_pixels @ cover.reshape(-1, cover.shape[-1])).T > 0.5)
    shape = (-1, *fan.inside.shape)
    return np.concatenate(pictures).reshape(shape), np.concatenate(masks).reshape(shape)
