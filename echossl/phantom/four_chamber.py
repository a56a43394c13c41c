"""The apical four-chamber view: another cut of the same heart, without the aortic valve.

The heart keeps its frame: x points from the apex to the base and, in this view, away from the probe; y points
from the septum to the side wall. So the walls, their motion and their thickness are those of the long axis.
"""

import numpy as np
from numpy.typing import NDArray

from echossl.phantom.anatomy import Heart
from echossl.phantom.heart import (
    BLOOD_DB,
    PERICARDIUM_DB,
    Canvas,
    blank_canvas,
    ellipse,
    ventricle_centre,
    ventricle_wall,
)
from echossl.phantom.scanner import View, Window
from echossl.phantom.valve import Leaflets, leaflet

Array = NDArray[np.float32]

# where the hinges of the mitral valve lie, in short radii of the ventricle from its middle
HINGE = 0.80
# the tricuspid valve lies nearer to the apex
TRICUSPID_X_CM = -0.5
ATRIAL_SEPTUM_CM = 0.25


def four_chamber_amplitude(heart: Heart, generator: np.random.Generator) -> Array:
    """Amplitude (rows, columns) of the standing heart in this cut; 1 is the brightest tissue.

    Args:
        heart: the patient's shapes; the left atrium and the walls are as wide as in the long axis.
        generator: draws the uneven tissue around the heart.
    """
    canvas = blank_canvas(generator)
    middle = ventricle_centre(heart)[1]
    _right_heart(canvas, heart, middle)
    _left_atrium(canvas, heart, middle)
    _left_ventricle(canvas, heart, middle)
    return canvas.amplitude()


def four_chamber_leaflets(heart: Heart, flow: Array) -> Leaflets:
    """Mitral and tricuspid leaflets in heart coordinates (x, y); they open towards the apex together.

    Args:
        heart: radius of the ventricle.
        flow: (frames,) 0 to 1.
    """
    middle, reach = ventricle_centre(heart)[1], HINGE * heart.ventricle_short_cm
    right, right_reach = _right_middle(heart), 0.55 * _right_radius(heart)
    return Leaflets(
        np.stack(
            [
                leaflet(
                    (0.0, middle + side * size),
                    (x - 0.55, centre),
                    (x - 1.9, centre + side * 0.8 * size),
                    flow,
                )
                for x, centre, size in ((0.0, middle, reach), (TRICUSPID_X_CM, right, right_reach))
                for side in (-1.0, 1.0)
            ]
        )
    )


def four_chamber_window(
    heart: Heart, view: View, nuisances: dict[str, float], extra_degrees: float = 0.0
) -> Window:
    """Where the probe at the apex looks: 9-11 cm about the mitral valve, or the whole heart from the skin."""
    z = nuisances
    apex = ventricle_centre(heart)[0] - heart.ventricle_long_cm - 0.9
    base_cm = 1.1 - apex + 0.4 * z["origin_y"]
    # a quarter turn makes x the depth; left and right are changed so that the left heart is on the right
    tilt = -np.pi / 2 + 0.08 * z["tilt"]
    beside = 0.2 + 0.5 * z["origin_x"]
    if view == "sector":
        far, angle = 16.0 + 1.0 * z["depth"], np.deg2rad(40 + extra_degrees + 3.0 * z["half_angle"])
        return Window(0.25, far, angle, beside, base_cm, tilt, mirrored=True)
    depth = float(np.clip(10.0 + 0.45 * z["depth"], 9.0, 11.0))
    near = 4.5
    angle = np.deg2rad(38 + 0.5 * extra_degrees + 2.0 * z["half_angle"])
    return Window(near, near + depth, angle, beside, base_cm, tilt, mirrored=True)


def _right_radius(heart: Heart) -> float:
    return 0.5 * heart.rv_depth_cm + 0.75


def _right_middle(heart: Heart) -> float:
    """Middle of the right heart: its y."""
    septum = ventricle_centre(heart)[1] - heart.ventricle_short_cm - heart.septum_cm
    return septum - _right_radius(heart) + 0.35


def _right_heart(canvas: Canvas, heart: Heart, middle: float) -> None:
    """Ventricle and atrium; the septum is painted over their inner side."""
    y, radius = _right_middle(heart), _right_radius(heart)
    ventricle = np.maximum(
        ellipse(canvas.x, canvas.y, (-1.6, y), (4.6, radius)), canvas.x - TRICUSPID_X_CM - 0.2
    )
    canvas.paint(ventricle - 0.42, -15.0)
    canvas.paint(ventricle - 0.10, -10.0)
    atrium = ellipse(canvas.x, canvas.y, (2.0, y + 0.1), (2.3, 1.8))
    atrium = np.maximum(atrium, canvas.y - (middle - heart.atrium_cm[1] - ATRIAL_SEPTUM_CM))
    canvas.paint(atrium - 0.20, -10.0)
    canvas.paint(atrium, BLOOD_DB + 3)
    canvas.paint(ventricle, BLOOD_DB + 3)


def _left_atrium(canvas: Canvas, heart: Heart, middle: float) -> None:
    long, short = heart.atrium_cm
    distance = ellipse(canvas.x, canvas.y, (0.35 + 0.85 * long, middle), (long, short))
    canvas.paint(distance - ATRIAL_SEPTUM_CM, -10.0)
    canvas.paint(distance, BLOOD_DB)


def _left_ventricle(canvas: Canvas, heart: Heart, middle: float) -> None:
    """The muscle, and around its side wall and apex the pericardium with what fluid there is."""
    distance, wall, base = ventricle_wall(canvas.x, canvas.y, heart)
    outside = np.maximum(distance - wall - np.float32(heart.effusion_cm), canvas.x - 0.3)
    beside = middle - canvas.y
    canvas.paint(np.maximum(outside - 0.26, beside + 0.8), PERICARDIUM_DB, soft_cm=0.2)
    if heart.effusion_cm:
        canvas.paint(np.maximum(outside, beside), BLOOD_DB)
    canvas.paint(base, heart.myocardium_db)
    canvas.paint(np.maximum(base, distance - 0.14), heart.myocardium_db + 3)
    canvas.paint(np.maximum(distance, canvas.x - 0.6), BLOOD_DB)
