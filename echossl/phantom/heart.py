"""The heart at end-diastole as a map of echo amplitude in centimetres, painted tissue by tissue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echossl.phantom.anatomy import Heart

Array = NDArray[np.float32]

SPACING_CM = 0.05
LEFT_CM, TOP_CM = -10.0, -8.0
WIDTH_CM, HEIGHT_CM = 20.0, 21.0
SHAPE = (round(HEIGHT_CM / SPACING_CM), round(WIDTH_CM / SPACING_CM))

BLOOD_DB = -43.0
PERICARDIUM_DB = -3.0
ROOT_WALL_DB = -9.0


def ventricle_centre(heart: Heart) -> tuple[float, float]:
    """Middle of the left ventricle (x, y) in cm; its upper wall runs on into the front wall of the root."""
    return -3.6, heart.ventricle_short_cm - heart.root_radius_cm + 0.35


@dataclass
class Canvas:
    """A decibel map under paint; ``x`` and ``y`` are the coordinates of its points in cm."""

    x: Array
    y: Array
    level_db: Array

    def paint(self, distance: Array, level_db: Array | float, soft_cm: float = 0.08) -> None:
        """Lay ``level_db`` where ``distance`` (cm, negative inside) is below zero, with a soft edge."""
        cover = np.clip(0.5 - distance / soft_cm, 0, 1)
        self.level_db += cover * (level_db - self.level_db)

    def amplitude(self) -> Array:
        """The map as amplitude (rows, columns); 1 is the brightest tissue."""
        amplitude: Array = np.power(np.float32(10), self.level_db / 20).astype(np.float32)
        return amplitude


def reference_amplitude(heart: Heart, generator: np.random.Generator) -> Array:
    """Amplitude (rows, columns) of the standing heart; 1 is the brightest tissue.

    Args:
        heart: the patient's shapes.
        generator: draws the uneven tissue behind and around the heart.
    """
    canvas = blank_canvas(generator)
    _right_ventricle(canvas, heart)
    _left_atrium(canvas, heart, lining=True)
    _left_ventricle(canvas, heart)
    _left_atrium(canvas, heart, lining=False)
    _descending_aorta(canvas, heart)
    _aortic_root(canvas, heart)
    return canvas.amplitude()


def blank_canvas(generator: np.random.Generator) -> Canvas:
    """The chest without a heart; the generator draws its uneven tissue."""
    y, x = np.meshgrid(
        TOP_CM + SPACING_CM * np.arange(SHAPE[0], dtype=np.float32),
        LEFT_CM + SPACING_CM * np.arange(SHAPE[1], dtype=np.float32),
        indexing="ij",
    )
    return Canvas(x, y, _surroundings(y, generator))


def smooth_noise(generator: np.random.Generator, cell_cm: tuple[float, float]) -> Array:
    """Noise of unit spread (rows, columns) that varies over ``cell_cm`` (down, across)."""
    rows = max(2, round(HEIGHT_CM / cell_cm[0])) + 1
    columns = max(2, round(WIDTH_CM / cell_cm[1])) + 1
    coarse = generator.standard_normal((rows, columns), dtype=np.float32)
    return _stretch(_stretch(coarse, SHAPE[0]).T, SHAPE[1]).T


def _stretch(coarse: Array, length: int) -> Array:
    """Linear interpolation of the rows to ``length`` rows."""
    place = np.linspace(0, coarse.shape[0] - 1, length, dtype=np.float32)
    below = np.minimum(place.astype(np.int64), coarse.shape[0] - 2)
    part = (place - below)[:, None]
    stretched: Array = coarse[below] * (1 - part) + coarse[below + 1] * part
    return stretched


def _surroundings(y: Array, generator: np.random.Generator) -> Array:
    """Chest wall above, lung and soft tissue with layers and bright patches around and below."""
    layers = smooth_noise(generator, (0.35, 4.0))
    patches = smooth_noise(generator, (1.2, 1.6))
    deep = np.clip((y - 4.5) / 5.0, 0, 1)
    level: Array = -23 + 3.5 * layers + 4.0 * patches - 6 * deep
    return level


def ellipse(x: Array, y: Array, centre: tuple[float, float], radii: tuple[Array | float, float]) -> Array:
    """About the distance in cm to an ellipse, negative inside."""
    across, down = x - centre[0], y - centre[1]
    rho = np.sqrt((across / radii[0]) ** 2 + (down / radii[1]) ** 2) + 1e-6
    distance: Array = np.hypot(across, down) * (1 - 1 / rho)
    return distance


def _right_ventricle(canvas: Canvas, heart: Heart) -> None:
    height = heart.rv_depth_cm / 2 + 0.35
    middle = -heart.root_radius_cm - 0.2 - heart.rv_depth_cm / 2 + 0.3
    distance = ellipse(canvas.x, canvas.y, (-1.4, middle), (5.2, height))
    canvas.paint(distance - 0.42, -15.0)
    canvas.paint(distance - 0.08, -10.0)
    canvas.paint(distance, BLOOD_DB + 3)


def _left_atrium(canvas: Canvas, heart: Heart, *, lining: bool) -> None:
    """A cavity with an uneven outline, below the root; its wall, or only its blood."""
    radius_x, radius_y = heart.atrium_cm
    middle_x, middle_y = 0.55 + 0.75 * radius_x, heart.root_radius_cm + 0.22 + 0.97 * radius_y
    angle = np.arctan2(canvas.y - middle_y, canvas.x - middle_x)
    waves = np.zeros_like(angle)
    for order, (cosine, sine) in enumerate(zip(*[iter(heart.atrium_waves)] * 2, strict=True), start=2):
        waves += (cosine * np.cos(order * angle) + sine * np.sin(order * angle)) / order**0.5
    distance = ellipse(canvas.x, canvas.y, (middle_x, middle_y), (radius_x, radius_y)) - waves * radius_y
    if lining:
        canvas.paint(distance - 0.30, -19.0)
        canvas.paint(distance - 0.16, -9.0)
    canvas.paint(distance, BLOOD_DB)


def _left_ventricle(canvas: Canvas, heart: Heart) -> None:
    """A bullet that narrows to the left (apex) and stays wide to the right (base), open at the base."""
    centre = ventricle_centre(heart)
    distance, wall, base = ventricle_wall(canvas.x, canvas.y, heart)
    outside = distance - wall - np.float32(heart.effusion_cm)
    behind = np.maximum(np.maximum(outside - 0.26, canvas.x - 0.3), centre[1] + 0.8 - canvas.y)
    canvas.paint(behind, PERICARDIUM_DB, soft_cm=0.2)
    if heart.effusion_cm:
        canvas.paint(np.maximum(np.maximum(outside, canvas.x - 0.3), centre[1] - canvas.y), BLOOD_DB)
    canvas.paint(base, heart.myocardium_db)
    # the lining of the cavity reflects a little more than the muscle
    canvas.paint(np.maximum(base, distance - 0.14), heart.myocardium_db + 3)
    canvas.paint(np.maximum(distance, canvas.x - 0.6), BLOOD_DB)


def ventricle_wall(x: Array, y: Array, heart: Heart) -> tuple[Array, Array, Array]:
    """The left ventricle at places in cm.

    Returns:
        Distance to the cavity (negative inside), thickness of the wall there, and distance to the muscle with
        the cavity in it (negative inside), all in cm.
    """
    centre = ventricle_centre(heart)
    long = np.where(x < centre[0], heart.ventricle_long_cm, 1.55 * heart.ventricle_long_cm)
    distance = ellipse(x, y, centre, (long.astype(np.float32), heart.ventricle_short_cm))
    upper = np.clip(0.5 - (y - centre[1]) / 2.0, 0, 1)
    # the back wall thins out towards the mitral hinge
    taper = np.clip((0.5 - x) / 1.6, 0.3, 1)
    wall = heart.septum_cm * upper + heart.posterior_wall_cm * taper * (1 - upper)
    return distance, wall, np.maximum(distance - wall, x - 0.3)


def _descending_aorta(canvas: Canvas, heart: Heart) -> None:
    x, y, radius = heart.descending_aorta_cm
    distance = ellipse(canvas.x, canvas.y, (x, y), (1.12 * radius, radius))
    canvas.paint(distance - 0.18, -8.0)
    canvas.paint(distance, BLOOD_DB + 4)


def _aortic_root(canvas: Canvas, heart: Heart) -> None:
    """Annulus, sinus bulge and tube along a slanting axis; the outflow tract below stays open."""
    along, across = root_coordinates(canvas.x, canvas.y, heart)
    radius = root_radius(along, heart)
    distance = np.abs(across) - radius
    wall = np.maximum(distance - 0.2, -0.15 - along)
    canvas.paint(wall, ROOT_WALL_DB)
    canvas.paint(np.maximum(distance, -1.4 - along), BLOOD_DB)


def root_coordinates(x: Array, y: Array, heart: Heart) -> tuple[Array, Array]:
    """Position (along the root's axis from the hinge of the leaflets, across it), both in cm."""
    cosine, sine = np.float32(np.cos(heart.root_angle_rad)), np.float32(np.sin(heart.root_angle_rad))
    return x * cosine + y * sine, y * cosine - x * sine


def root_radius(along: Array, heart: Heart) -> Array:
    """Inner radius in cm: narrow annulus, bulging sinuses, tube."""
    bulge = 0.22 * np.exp(-(((along - 0.95) / 0.55) ** 2))
    radius: Array = heart.root_radius_cm * (0.90 + bulge + 0.08 * np.clip((along - 1.2) / 1.0, 0, 1))
    return radius
