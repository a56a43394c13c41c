"""The leaflets: curved lines that hinge on the root, open with the flow and meet at mid-root."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from echossl.phantom.anatomy import Heart, Valve

Array = NDArray[np.float32]
Place = tuple[float, float]

CURVE_POINTS = 6


@dataclass(frozen=True)
class Leaflets:
    """Leaflets of one valve as polylines: ``points`` is (leaflets, CURVE_POINTS, 2, frames) in cm."""

    points: Array


def aortic_leaflets(valve: Valve, heart: Heart, flow: Array) -> Leaflets:
    """The two leaflets seen in this view, in root coordinates (along, across).

    Closed, a leaflet sags a little towards the ventricle and turns up to meet the other at mid-root; open, it
    lies along the sinus. A stiff valve stops half-way: the bodies bow out more than the tips (doming).

    Args:
        valve: opening and place of closure.
        heart: radius of the root.
        flow: (frames,) 0 to 1.
    """
    radius = 0.90 * heart.root_radius_cm
    opened = flow * np.float32(valve.opening)
    body = 1 - (1 - opened) ** 1.6
    meet = valve.closure_offset
    curves = []
    for side in (-1.0, 1.0):
        hinge = _still(0.0, side * radius, flow)
        control = _between((-0.24, side * 0.40 * radius), (0.50, side * 1.02 * radius), body)
        tip = _between((0.40, (meet + 0.03 * side) * radius), (1.20, side * 0.80 * radius), opened)
        curves.append(_curve(hinge, control, tip))
    return Leaflets(np.stack(curves))


def mitral_leaflets(heart: Heart, flow: Array) -> Leaflets:
    """The long front and the short back leaflet of the mitral valve, in heart coordinates (x, y)."""
    # the back hinge sits where the back wall of the ventricle ends
    front, back = heart.root_radius_cm, 2 * heart.ventricle_short_cm - heart.root_radius_cm + 0.25
    gap = back - front
    curves = [
        _curve(
            _still(0.0, front, flow),
            _between((-0.75, front + 0.20 * gap), (-1.15, front + 0.05), flow),
            _between((-0.95, front + 0.66 * gap), (-2.15, front - 0.15), flow),
        ),
        _curve(
            _still(0.05, back, flow),
            _between((-0.45, back - 0.02), (-0.80, back - 0.15), flow),
            _between((-0.95, front + 0.70 * gap), (-1.35, back - 0.30), flow),
        ),
    ]
    return Leaflets(np.stack(curves))


def leaflet(hinge: Place, closed: Place, opened: Place, flow: Array) -> Array:
    """One straight leaflet (CURVE_POINTS, 2, frames) between its hinge and a tip that follows the flow."""
    tip = _between(closed, opened, flow)
    start = _still(*hinge, flow)
    return _curve(start, np.float32(0.5) * (start + tip), tip)


def _still(first: float, second: float, flow: Array) -> Array:
    return np.array([first, second], np.float32)[:, None] + np.zeros_like(flow)


def _between(closed: tuple[float, float], opened: tuple[float, float], part: Array) -> Array:
    start, end = np.array(closed, np.float32), np.array(opened, np.float32)
    between: Array = start[:, None] + (end - start)[:, None] * part
    return between.astype(np.float32)


def _curve(hinge: Array, control: Array, tip: Array) -> Array:
    """Quadratic Bezier curve through (2, frames) points, sampled to (CURVE_POINTS, 2, frames)."""
    place = np.linspace(0, 1, CURVE_POINTS, dtype=np.float32)[:, None, None]
    curve: Array = (1 - place) ** 2 * hinge + 2 * place * (1 - place) * control + place**2 * tip
    return curve


def distance_to(first: Array, second: Array, leaflets: Leaflets) -> Array:
    """Distance in cm from every point (points, frames) to the nearest leaflet."""
    nearest2 = np.full(np.broadcast_shapes(first.shape, second.shape), np.float32(1e6))
    for curve in leaflets.points:
        for start, end in pairwise(curve):
            step = end - start
            along, across = first - start[0], second - start[1]
            part = along * step[0]
            part += across * step[1]
            part /= step[0] ** 2 + step[1] ** 2 + np.float32(1e-9)
            np.clip(part, 0, 1, out=part)
            along -= part * step[0]
            across -= part * step[1]
            along *= along
            across *= across
            along += across
            np.minimum(nearest2, along, out=nearest2)
    distance: Array = np.sqrt(nearest2, out=nearest2)
    return distance


def nodule_places(valve: Valve, leaflets: Leaflets) -> Array:
    """Centres (nodules, 2, frames) of the calcium nodules, which ride on their leaflet."""
    frames = leaflets.points.shape[-1]
    places = np.empty((len(valve.nodules), 2, frames), np.float32)
    for number, (leaflet, place, _, _) in enumerate(valve.nodules):
        exact = place * (CURVE_POINTS - 1)
        below = min(int(exact), CURVE_POINTS - 2)
        curve = leaflets.points[int(leaflet)]
        places[number] = curve[below] + (exact - below) * (curve[below + 1] - curve[below])
    return places
