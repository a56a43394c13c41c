"""The scanner: the fan of beams, the blur of its pulse, the picture made from polar samples."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from echossl.phantom.anatomy import Heart

Array = NDArray[np.float32]
View = Literal["valve", "sector"]

# the settings that change between videos, each a standard normal number
NUISANCES = (
    "depth",
    "half_angle",
    "origin_x",
    "origin_y",
    "tilt",
    "gain",
    "dynamic_range",
    "time_gain",
    "noise",
    "dropout_angle",
    "dropout_depth",
    "haze",
    "lateral_blur",
    "valve_visibility",
)


def sample_nuisances(
    share: float, patient_generator: np.random.Generator, generator: np.random.Generator
) -> dict[str, float]:
    """View and scanner settings of one video; ``share`` of their variance is the patient's."""
    common = patient_generator.standard_normal(len(NUISANCES))
    own = generator.standard_normal(len(NUISANCES))
    mixed = np.clip(np.sqrt(share) * common + np.sqrt(1 - share) * own, -2.5, 2.5)
    return dict(zip(NUISANCES, mixed.tolist(), strict=True))


@dataclass(frozen=True)
class Window:
    """The part of the body that the picture shows.

    Attributes:
        near_cm: distance of the first sample from the tip of the fan.
        far_cm: distance of the last sample.
        half_angle: half of the opening of the fan, rad.
        valve_x_cm: place of the aortic valve to the right of the fan's middle line.
        valve_y_cm: depth of the aortic valve below the tip.
        tilt: turn of the heart against the probe, rad.
        mirrored: the picture shows left and right the other way round.
    """

    near_cm: float
    far_cm: float
    half_angle: float
    valve_x_cm: float
    valve_y_cm: float
    tilt: float
    mirrored: bool = False


def window_of(heart: Heart, view: View, nuisances: dict[str, float], extra_degrees: float = 0.0) -> Window:
    """Where the probe looks: a 9-11 cm window about the valve, or the 15 cm sector from the skin.

    Args:
        heart: whose chest.
        view: window or sector.
        nuisances: depth, place and turn of this video.
        extra_degrees: added to half of the opening of the fan.
    """
    z = nuisances
    depth_of_valve = heart.chest_wall_cm + 0.4 + heart.rv_depth_cm + heart.root_radius_cm + 0.2
    tilt = 0.09 + 0.105 * z["tilt"]
    if view == "sector":
        far = 15.0 + 1.3 * z["depth"]
        angle = np.deg2rad(45 + extra_degrees + 3.0 * z["half_angle"])
        return Window(
            0.25, far, angle, 1.2 + 0.7 * z["origin_x"], depth_of_valve + 0.55 * z["origin_y"], tilt
        )
    depth = float(np.clip(10.0 + 0.45 * z["depth"], 9.0, 11.0))
    angle = np.deg2rad(47 + extra_degrees + 2.0 * z["half_angle"])
    # the operator sets one depth for everybody: in a deep chest the valve lies lower in the picture
    near = 1.1
    return Window(
        near,
        near + depth,
        angle,
        0.25 + 0.7 * z["origin_x"],
        depth_of_valve + 0.55 * z["origin_y"],
        tilt,
    )


@dataclass(frozen=True)
class Fan:
    """Polar samples of a window and the sparse matrix that turns them into pixels.

    Attributes:
        x_cm: (depths, angles) place of the samples right of the fan's middle line.
        y_cm: (depths, angles) place below the tip.
        depth_cm: (depths,) distance from the tip.
        to_pixels: (height * width, angles * depths), bilinear; rows outside the fan are empty.
        inside: (height, width) True inside the fan.
        cm_per_pixel: size of a pixel.
    """

    x_cm: Array
    y_cm: Array
    depth_cm: Array
    to_pixels: sparse.csr_matrix
    inside: NDArray[np.bool_]
    cm_per_pixel: float


def make_fan(window: Window, height: int, width: int, box: tuple[int, int, int, int]) -> Fan:
    """Lay the fan into the picture.

    Args:
        window: what to show.
        height: height of the picture in pixels.
        width: its width.
        box: top, left, bottom, right of the room for the fan; flanks that do not fit are cut, as by a zoom.
    """
    top_cm = window.near_cm * np.cos(window.half_angle)
    cm_per_pixel = float((window.far_cm - top_cm) / (box[2] - box[0]))
    rows, columns = np.mgrid[box[0] : box[2], box[1] : box[3]]
    down = (rows - box[0] + 0.5) * cm_per_pixel + top_cm
    right = (columns + 0.5 - (box[1] + box[3]) / 2) * cm_per_pixel
    radius, angle = np.hypot(right, down), np.arctan2(right, down)
    depths = int(1.15 * (window.far_cm - window.near_cm) / cm_per_pixel)
    angles = int(0.85 * 2 * window.half_angle * 0.62 * window.far_cm / cm_per_pixel) + 8
    place_depth = (radius - window.near_cm) / (window.far_cm - window.near_cm) * (depths - 1)
    place_angle = (angle / window.half_angle + 1) / 2 * (angles - 1)
    inside = (place_depth >= 0) & (place_depth < depths - 1) & (place_angle >= 0) & (place_angle < angles - 1)
    pixels = (rows * width + columns)[inside]
    shape = (height * width, angles * depths)
    picture = np.zeros((height, width), bool)
    picture[box[0] : box[2], box[1] : box[3]] = inside
    depth_cm = np.linspace(window.near_cm, window.far_cm, depths, dtype=np.float32)
    beam = np.linspace(-window.half_angle, window.half_angle, angles, dtype=np.float32)
    return Fan(
        x_cm=depth_cm[:, None] * np.sin(beam),
        y_cm=depth_cm[:, None] * np.cos(beam),
        depth_cm=depth_cm,
        to_pixels=_bilinear(place_angle[inside], place_depth[inside], depths, pixels, shape),
        inside=picture,
        cm_per_pixel=cm_per_pixel,
    )


def _bilinear(
    slow: NDArray[np.float64],
    fast: NDArray[np.float64],
    fast_size: int,
    pixels: NDArray[np.int64],
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    """Matrix that interpolates samples [slow, fast] at the given places into the given pixels."""
    slow0, fast0 = slow.astype(np.int64), fast.astype(np.int64)
    slow_part, fast_part = slow - slow0, fast - fast0
    columns = slow0 * fast_size + fast0
    corners = [
        (columns, (1 - slow_part) * (1 - fast_part)),
        (columns + 1, (1 - slow_part) * fast_part),
        (columns + fast_size, slow_part * (1 - fast_part)),
        (columns + fast_size + 1, slow_part * fast_part),
    ]
    values = np.concatenate([weight for _, weight in corners]).astype(np.float32)
    places = np.concatenate([place for place, _ in corners])
    return sparse.csr_matrix((values, (np.tile(pixels, 4), places)), shape=shape)


def blur_matrix(size: int, sigma: float) -> sparse.csr_matrix:
    """(size, size) banded Gaussian that keeps the power of white noise, so that it blurs but does not dim."""
    reach = max(1, int(2.5 * sigma + 0.5))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= np.sqrt(np.sum(kernel**2))
    rows = np.repeat(np.arange(size), len(offsets))
    columns = (np.arange(size)[:, None] + offsets).ravel()
    kept = (columns >= 0) & (columns < size)
    values = np.tile(kernel.astype(np.float32), size)[kept]
    return sparse.csr_matrix((values, (rows[kept], columns[kept])), shape=(size, size))
