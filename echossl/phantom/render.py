"""One video of a patient: warped speckle and valves, blurred, compressed to grey, put on a screen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echossl.config.phantom import PhantomConfig
from echossl.phantom import heart as chart
from echossl.phantom.anatomy import Patient
from echossl.phantom.motion import Beats, sample_beats, to_end_diastole
from echossl.phantom.scanner import (
    Fan,
    Window,
    blur_matrix,
    make_fan,
    sample_nuisances,
    window_of,
)
from echossl.phantom.screen import draw_ecg, draw_screen, fan_box
from echossl.phantom.valve import aortic_leaflets, distance_to, mitral_leaflets, nodule_places

Array = NDArray[np.float32]
Complex = NDArray[np.complex64]

FRAMES_PER_BLOCK = 8
# a level of -BLACK_DB is black, RANGE_DB above it is white
BLACK_DB, RANGE_DB = 43.0, 49.5
SPECKLE_CELL_CM = 0.09
MITRAL_DB, MITRAL_THICKNESS_CM = -11.0, 0.14
# half of the blur of the pulse: the mask covers what the leaflets light up
MASK_MARGIN_CM = 0.08


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
    generator = np.random.default_rng([config.seed, patient.number, number])
    common = np.random.default_rng([config.seed, patient.number, 0, 1])
    nuisances = sample_nuisances(config.share, common, generator)
    rate = round(float(generator.uniform(*config.frames_per_second)), 1)
    beats = sample_beats(patient, rate, float(generator.uniform(*config.beats)), generator)
    height = 2 * round(generator.uniform(*config.image_height) / 2)
    width = 2 * round(height * generator.uniform(0.92, 1.04) / 2)
    window = window_of(patient.heart, config.view, nuisances)
    fan = make_fan(window, height, width, fan_box(height, width))
    if amplitude is None:
        amplitude = patient_amplitude(patient, config)
    painter = _Painter(patient, amplitude, window, fan, nuisances, generator)
    blocks = [
        painter.paint(beats, slice(start, start + FRAMES_PER_BLOCK))
        for start in range(0, len(beats.phase), FRAMES_PER_BLOCK)
    ]
    frames = np.concatenate([block[0] for block in blocks])
    frames += draw_screen(fan, generator)
    draw_ecg(frames, beats)
    return Rendered(
        frames, np.concatenate([block[1] for block in blocks]), beats, nuisances, fan.cm_per_pixel
    )


def patient_amplitude(patient: Patient, config: PhantomConfig) -> Array:
    """The standing heart of a patient, the same in all videos but for the speckle."""
    return chart.reference_amplitude(
        patient.heart, np.random.default_rng([config.seed, patient.number, 0, 2])
    )


class _Painter:
    """What stays the same over the frames of a video, worked out once."""

    def __init__(
        self,
        patient: Patient,
        amplitude: Array,
        window: Window,
        fan: Fan,
        nuisances: dict[str, float],
        generator: np.random.Generator,
    ) -> None:
        self.patient, self.fan = patient, fan
        self.depths, self.angles = fan.x_cm.shape
        height = fan.inside.shape[0]
        cosine, sine = np.float32(np.cos(window.tilt)), np.float32(np.sin(window.tilt))
        right, down = fan.x_cm - np.float32(window.valve_x_cm), fan.y_cm - np.float32(window.valve_y_cm)
        self.x = right * cosine - down * sine
        self.y = right * sine + down * cosine
        self.speckle = _speckle(generator)
        self.tissue = self.speckle * amplitude.ravel()
        self.axial = blur_matrix(self.depths, 1.1 * height / 112)
        lateral = 1.5 * height / 112 * np.exp(0.15 * nuisances["lateral_blur"])
        self.lateral = blur_matrix(self.angles, float(lateral))
        self.haze = self._haze(nuisances["haze"], generator)
        self.gain_db, self.grey_per_db = self._compression(nuisances)
        self.noise = generator.standard_normal(self.x.size * FRAMES_PER_BLOCK * 3, dtype=np.float32)
        self.noise *= np.float32(10 ** ((-41.5 + 3 * nuisances["noise"]) / 20))
        self.generator = generator
        level = patient.valve.echogenicity_db - 2.0 * abs(nuisances["valve_visibility"])
        self.leaflet_amplitude = np.float32(10 ** (level / 20))
        self.near_valve = self._block(self.x - np.float32(0.5), self.y, 2.6)
        self.near_mitral = self._block(self.x + np.float32(0.8), self.y - np.float32(2.0), 3.0)
        rows, columns = self.near_valve
        places = np.arange(self.angles)[None, columns] * self.depths + np.arange(self.depths)[rows, None]
        self.mask_to_pixels = fan.to_pixels[:, places.ravel()]

    def _block(self, x: Array, y: Array, reach_cm: float) -> tuple[slice, slice]:
        """The polar samples (depths, angles) within reach of a place."""
        near = np.maximum(np.abs(x), np.abs(y)) < reach_cm
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def _haze(self, nuisance: float, generator: np.random.Generator) -> Complex:
        """Reverberation that stands still over the heart, strongest near the probe; (depths, angles, 1)."""
        grain = generator.standard_normal((2, *self.fan.x_cm.shape), dtype=np.float32)
        level_db = -38.5 + 2.5 * nuisance + 12 * np.exp(-self.fan.depth_cm / 2.0)
        grain *= np.power(np.float32(10), level_db / 20)[:, None]
        haze: Complex = (grain[0] + 1j * grain[1])[..., None].astype(np.complex64)
        return haze

    def _compression(self, z: dict[str, float]) -> tuple[Array, np.float32]:
        """Added level (angles * depths, 1) in dB, and grey values per dB."""
        depth = (self.fan.depth_cm - self.fan.depth_cm[0]) / np.ptp(self.fan.depth_cm)
        gain = BLACK_DB + 3.2 * z["gain"] + 3 * z["time_gain"] * (depth - 0.5)
        beam = np.linspace(-1, 1, self.angles, dtype=np.float32)[:, None]
        loss = 6 * abs(z["dropout_depth"]) * np.exp(-(((beam - 0.8 * z["dropout_angle"]) / 0.12) ** 2))
        level = (gain - loss).astype(np.float32).reshape(-1, 1)
        return level, np.float32(255 / (RANGE_DB + 4 * z["dynamic_range"]))

    def paint(self, beats: Beats, frames: slice) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Pictures and valve masks (frames, height, width) of a block of frames."""
        offset = beats.offset_cm[frames]
        x, y = to_end_diastole(
            self.x[..., None] - offset[:, 0],
            self.y[..., None] - offset[:, 1],
            beats.contraction[frames],
            self.patient.heart,
            self.patient.ejection_fraction,
        )
        places = _places(x, y)
        field = self.tissue[places]
        self._add_mitral(field, x, y, places, beats.mitral[frames])
        wide = self._add_aortic(field, x, y, places, beats.aortic[frames])
        field += self.haze
        height, width = self.fan.inside.shape
        pixels = self.fan.to_pixels @ self._to_grey(field)
        mask = self.mask_to_pixels @ wide.reshape(-1, wide.shape[-1])
        shape = (-1, height, width)
        return (pixels.T + np.float32(0.5)).astype(np.uint8).reshape(shape), (mask.T > 0.5).reshape(shape)

    def _add_mitral(self, field: Complex, x: Array, y: Array, places: NDArray[np.int32], flow: Array) -> None:
        block = self.near_mitral
        distance = distance_to(x[block], y[block], mitral_leaflets(self.patient.heart, flow))
        cover = _cover(distance, MITRAL_THICKNESS_CM)
        self._lay(field[block], cover, cover * np.float32(10 ** (MITRAL_DB / 20)), places[block])

    def _add_aortic(
        self, field: Complex, x: Array, y: Array, places: NDArray[np.int32], flow: Array
    ) -> Array:
        """Lay the leaflets and their shadow into the field; gives their cover (depths, angles, frames)."""
        block, valve, heart = self.near_valve, self.patient.valve, self.patient.heart
        along, across = chart.root_coordinates(x[block], y[block], heart)
        leaflets = aortic_leaflets(valve, heart, flow)
        distance = distance_to(along, across, leaflets)
        cover = _cover(distance, valve.thickness_cm)
        bright = cover * self.leaflet_amplitude
        for (_, _, radius, extra_db), centre in zip(
            valve.nodules, nodule_places(valve, leaflets), strict=True
        ):
            away = np.hypot(along - centre[0], across - centre[1])
            nodule = _cover(away, 2 * radius)
            np.maximum(
                bright, nodule * (self.leaflet_amplitude * np.float32(10 ** (extra_db / 20))), out=bright
            )
            np.maximum(cover, nodule, out=cover)
        self._lay(field[block], cover, bright, places[block])
        step_cm = float(self.fan.depth_cm[1] - self.fan.depth_cm[0])
        loss = np.cumsum(cover, axis=0, dtype=np.float32)
        loss *= np.float32(-valve.shadow_db_per_cm * step_cm * np.log(10) / 20)
        field[block] *= np.exp(loss)
        field[block[0].stop :, block[1]] *= np.exp(loss[-1:])
        return np.maximum(cover, _cover(distance, valve.thickness_cm + 2 * MASK_MARGIN_CM))

    def _lay(self, field: Complex, cover: Array, bright: Array, places: NDArray[np.int32]) -> None:
        """Put a surface over the tissue: part mirror, part speckle that moves with it."""
        field *= 1 - cover
        surface = self.speckle[places]
        surface *= np.float32(0.75)
        surface += np.float32(0.40)
        surface *= bright
        field += surface

    def _to_grey(self, field: Complex) -> Array:
        """Blur, add noise, take the envelope, compress: (angles * depths, frames) grey values 0 to 255."""
        frames = field.shape[-1]
        echo = self.axial @ field.view(np.float32).reshape(self.depths, -1)
        by_beam = echo.reshape(self.depths, self.angles, 2 * frames).transpose(1, 0, 2)
        parts: Array = self.lateral @ np.ascontiguousarray(by_beam).reshape(self.angles, -1)
        start = int(self.generator.integers(0, self.noise.size - parts.size))
        parts += self.noise[start : start + parts.size].reshape(parts.shape)
        parts *= parts
        power = parts.reshape(-1, frames, 2)
        grey: Array = power[..., 0] + power[..., 1]
        grey += np.float32(1e-9)
        np.log(grey, out=grey)
        grey *= np.float32(10 / np.log(10))
        grey += self.gain_db
        grey *= self.grey_per_db
        np.clip(grey, 0, 254.4, out=grey)
        return grey


def _cover(distance: Array, thickness_cm: float) -> Array:
    """Share of a sample that a body of this thickness fills; a sample is about 0.09 cm."""
    cover: Array = np.clip(
        (np.float32(thickness_cm / 2) - distance) / np.float32(0.09) + np.float32(0.5), 0, 1
    )
    return cover


def _speckle(generator: np.random.Generator) -> Complex:
    """Scatterers fixed in the tissue: flat complex noise of unit power over the reference map."""
    cell = (SPECKLE_CELL_CM, SPECKLE_CELL_CM)
    real, imaginary = chart.smooth_noise(generator, cell), chart.smooth_noise(generator, cell)
    speckle: Complex = (real + 1j * imaginary).ravel().astype(np.complex64)
    speckle /= np.sqrt(np.mean(np.abs(speckle) ** 2))
    return speckle


def _places(x: Array, y: Array) -> NDArray[np.int32]:
    """Flat places in the reference map of end-diastolic coordinates; beyond the map its edge goes on."""
    rows, columns = chart.SHAPE
    row = np.clip((y - np.float32(chart.TOP_CM)) * np.float32(1 / chart.SPACING_CM), 0, rows - 1)
    column = np.clip((x - np.float32(chart.LEFT_CM)) * np.float32(1 / chart.SPACING_CM), 0, columns - 1)
    places: NDArray[np.int32] = row.astype(np.int32)
    places *= columns
    places += column.astype(np.int32)
    return places
