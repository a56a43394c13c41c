"""One video of a patient: warped speckle and valves, blurred, compressed to grey, put on a screen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echossl.config.phantom import PhantomSettings, ViewName
from echossl.phantom import heart as chart
from echossl.phantom.anatomy import Patient
from echossl.phantom.four_chamber import four_chamber_amplitude, four_chamber_window
from echossl.phantom.makers import MAKERS
from echossl.phantom.motion import Beats, sample_beats
from echossl.phantom.painter import Painter
from echossl.phantom.receiver import Receiver
from echossl.phantom.scanner import Fan, Window, make_fan, sample_nuisances, window_of
from echossl.phantom.screen import burn_in, draw_ecg, draw_screen, fan_box

Array = NDArray[np.float32]

FRAMES_PER_BLOCK = 8
VIEW_STREAM = 8
# words above the fan, last words of the random stream of the tissue, what paints it, what looks at it
WORDS: dict[ViewName, tuple[str, ...]] = {"plax": ("PLAX", "TTE", "Adult"), "a4c": ("A4C", "TTE", "Adult")}
TISSUE_STREAMS: dict[ViewName, int] = {"plax": 2, "a4c": 9}


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
        view: the cut of the heart.
    """

    nuisances: dict[str, float]
    beats: Beats
    window: Window
    fan: Fan
    generator: np.random.Generator
    view: ViewName = "plax"


def view_of(config: PhantomSettings, patient_number: int, number: int) -> ViewName:
    """The view of video ``number`` (from 1): the next one, from a random one on."""
    first = np.random.default_rng([config.seed, patient_number, 0, VIEW_STREAM]).integers(len(config.views))
    return config.views[(int(first) + number - 1) % len(config.views)]


def plan_video(patient: Patient, number: int, config: PhantomSettings) -> Plan:
    """Draw view, rhythm and size of video ``number`` (from 1) of a patient."""
    generator = np.random.default_rng([config.seed, patient.number, number])
    common = np.random.default_rng([config.seed, patient.number, 0, 1])
    nuisances = sample_nuisances(config.share, common, generator)
    rate = round(float(generator.uniform(*config.frames_per_second)), 2)
    beats = sample_beats(patient, rate, float(generator.uniform(*config.beats)), generator)
    height = 2 * round(generator.uniform(*config.image_height) / 2)
    width = 2 * round(height * generator.uniform(0.92, 1.04) / 2)
    view = view_of(config, patient.number, number)
    look = window_of if view == "plax" else four_chamber_window
    window = look(patient.heart, config.view, nuisances, MAKERS[patient.source].extra_degrees)
    if config.stills:
        beats = beats.at(int(generator.integers(len(beats.phase))))
    fan = make_fan(window, height, width, fan_box(height, width))
    return Plan(nuisances, beats, window, fan, generator, view)


def render_video(
    patient: Patient, number: int, config: PhantomSettings, amplitude: Array | None = None
) -> Rendered:
    """Make video ``number`` (from 1) of a patient.

    Args:
        patient: who.
        number: which video; it draws its own view, rhythm, speckle and noise.
        config: ranges of frame rate, length, size; ``share`` and ``view``.
        amplitude: the patient's ``patient_amplitude`` in this view, to save time; made here when None.
    """
    plan = plan_video(patient, number, config)
    maker = MAKERS[patient.source]
    if amplitude is None:
        amplitude = patient_amplitude(patient, config, plan.view)
    painter = Painter(
        patient, amplitude, plan.window, plan.fan, plan.nuisances, plan.generator, view=plan.view
    )
    receiver = Receiver(plan.fan, plan.nuisances, FRAMES_PER_BLOCK, plan.generator, maker)
    frames, masks = _paint_all(painter, receiver, plan.fan, plan.beats)
    frames += draw_screen(plan.fan, plan.generator, maker.words or WORDS[plan.view])
    if maker.burnt_in:
        burn_in(frames, plan.fan, maker.burnt_in)
    draw_ecg(frames, plan.beats)
    return Rendered(frames, masks, plan.beats, plan.nuisances, plan.fan.cm_per_pixel)


def patient_amplitude(patient: Patient, config: PhantomSettings, view: ViewName = "plax") -> Array:
    """The standing heart of a patient, the same in all videos of a view but for the speckle."""
    paint = chart.reference_amplitude if view == "plax" else four_chamber_amplitude
    generator = np.random.default_rng([config.seed, patient.number, 0, TISSUE_STREAMS[view]])
    return paint(patient.heart, generator)


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
