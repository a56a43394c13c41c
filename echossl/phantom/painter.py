"""The field of scatterers that the sound meets: tissue under the warp, leaflets, their shadow."""

import numpy as np
from numpy.typing import NDArray

from echossl.config.phantom import ViewName
from echossl.phantom import heart as chart
from echossl.phantom.anatomy import Patient
from echossl.phantom.four_chamber import four_chamber_leaflets
from echossl.phantom.motion import Beats, to_end_diastole
from echossl.phantom.scanner import Fan, Window
from echossl.phantom.valve import aortic_leaflets, distance_to, mitral_leaflets, nodule_places

Array = NDArray[np.float32]
Complex = NDArray[np.complex64]

SPECKLE_CELL_CM = 0.09
MITRAL_DB, MITRAL_THICKNESS_CM = -11.0, 0.14
# half of the blur of the pulse: the mask covers what the leaflets light up
MASK_MARGIN_CM = 0.08


class Painter:
    """What stays the same over the frames of a video, worked out once.

    Attributes:
        near_valve: the polar samples (rows, columns) that the aortic valve can reach.
    """

    def __init__(
        self,
        patient: Patient,
        amplitude: Array,
        window: Window,
        fan: Fan,
        nuisances: dict[str, float],
        generator: np.random.Generator,
        *,
        view: ViewName = "plax",
    ) -> None:
        self.patient = patient
        self.view = view
        self.x, self.y = heart_coordinates(fan, window)
        self.step_cm = float(fan.depth_cm[1] - fan.depth_cm[0])
        self.speckle = _speckle(generator)
        self.tissue = self.speckle * amplitude.ravel()
        level_db = patient.valve.echogenicity_db - 2.0 * abs(nuisances["valve_visibility"])
        self.leaflet_amplitude = np.float32(10 ** (level_db / 20))
        self.near_valve = self._block(self.x - np.float32(0.5), self.y, 2.6)
        if view == "plax":
            self.near_mitral = self._block(self.x + np.float32(0.8), self.y - np.float32(2.0), 3.0)
        else:
            self.near_mitral = self._block(self.x + np.float32(0.8), self.y + np.float32(1.0), 6.0)

    def _block(self, x: Array, y: Array, reach_cm: float) -> tuple[slice, slice]:
        """The polar samples (depths, angles) within reach of a place."""
        near = np.maximum(np.abs(x), np.abs(y)) < reach_cm
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def paint(self, beats: Beats, frames: slice) -> tuple[Complex, Array]:
        """A block of frames.

        Returns:
            The field (depths, angles, frames), and how far the aortic leaflets, a little widened, cover the
            samples of ``near_valve``, 0 to 1; nowhere in a view that does not show them.
        """
        offset = beats.offset_cm[frames]
        x, y = to_end_diastole(
            self.x[..., None] - offset[:, 0],
            self.y[..., None] - offset[:, 1],
            beats.contraction[frames],
            self.patient.heart,
            self.patient.ejection_fraction,
        )
        places = _places(x, y)
        field: Complex = self.tissue[places]
        self._add_mitral(field, x, y, places, beats.mitral[frames])
        if self.view != "plax":
            return field, np.zeros_like(x[self.near_valve])
        return field, self._add_aortic(field, x, y, places, beats.aortic[frames])

    def _add_mitral(self, field: Complex, x: Array, y: Array, places: NDArray[np.int32], flow: Array) -> None:
        block = self.near_mitral
        leaflets = mitral_leaflets if self.view == "plax" else four_chamber_leaflets
        distance = distance_to(x[block], y[block], leaflets(self.patient.heart, flow))
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
        loss = np.cumsum(cover, axis=0, dtype=np.float32)
        loss *= np.float32(-valve.shadow_db_per_cm * self.step_cm * np.log(10) / 20)
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


def heart_coordinates(fan: Fan, window: Window) -> tuple[Array, Array]:
    """Where the samples of a fan lie in a heart that stands still: x and y (depths, angles) in cm."""
    cosine, sine = np.float32(np.cos(window.tilt)), np.float32(np.sin(window.tilt))
    right, down = fan.x_cm - np.float32(window.valve_x_cm), fan.y_cm - np.float32(window.valve_y_cm)
    if window.mirrored:
        right = -right
    return right * cosine - down * sine, right * sine + down * cosine


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
