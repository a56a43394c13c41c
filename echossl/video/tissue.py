"""Telling moving tissue from the still screen around it, on pictures of about 256 pixels."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull

Mask = npt.NDArray[np.bool_]
Small = npt.NDArray[np.float32]
# (x, y) corners in order
Outline = tuple[tuple[int, int], ...]

LEAST_FRAMES = 4
# grey levels between the quartiles over time: speckle changes in most frames, text never does, and a trace
# that sweeps over black touches each pixel in few frames only
SURE_MOVEMENT = 2.0
FAINT_MOVEMENT = 1.0
# tissue changes in more than this share of the steps from frame to frame, a menu only when it comes and goes
LEAST_CHANGES = 0.25
OFTEN_WEIGHT = 1.5
# grey levels above the background, for tissue that does not move
LEAST_BRIGHTNESS = 10.0
FAINT_BRIGHTNESS = 5.0
# share of a picture's border that has the same grey level, if that is a screen's background
LEAST_PLAIN = 0.3
# pixels of a block that is coded by itself, and how bright coding makes what is black beside a bright edge
CODING_BLOCK = 8
RINGING_SHARE = 0.08
# share of the picture that a sector fills
LEAST_AREA = 0.03
# a further part belongs to the sector if joining it takes in no more than this many times its own area
MOST_JOINED = 4.0
# or if it is this large beside the largest; smaller ones further off are not looked at
LARGE_PART = 0.2
MOST_PARTS = 12
# faint tissue reaches this share of the picture's border at most; background that flickers reaches all of it
MOST_BORDER = 0.25
# where the screen's own level is known, what is brighter is no background
MOST_BORDER_BESIDE_SCREEN = 0.6


def shrink(frames: npt.NDArray[np.uint8], factor: int) -> Small:
    """Means of factor x factor blocks, (n, ceil(height / factor), ceil(width / factor))."""
    height, width = frames.shape[1:]
    rows, columns = -(-height // factor), -(-width // factor)
    small = np.empty((len(frames), rows, columns), dtype=np.float32)
    for frame, out in zip(frames, small, strict=True):
        # the last blocks may stick out
        whole = np.pad(frame, ((0, rows * factor - height), (0, columns * factor - width)), mode="edge")
        blocks = whole.reshape(rows, factor, columns, factor)
        out[...] = sum(
            blocks[:, row, :, column].astype(np.float32) for row, column in np.ndindex(factor, factor)
        )
    small /= factor**2
    return small


def find_tissue(small: Small, factor: int) -> Mask | None:
    """Where the picture shows tissue, on the scale of the search; None if nowhere."""
    count = len(small)
    ranked = np.sort(small, axis=0)
    # what is lit nearly always, because a menu, a pointer or a sweeping trace may be shown for a while
    brightness = ranked[count // 4 if count >= LEAST_FRAMES else count // 2]
    movement = _movement(small, ranked)
    screen = _flat_background(brightness)
    is_ringing = _is_ringing(small.mean(axis=0), screen or 0.0, factor)
    movement[is_ringing | (count < LEAST_FRAMES)] = 0
    tissue = _main_part(_thick(movement >= SURE_MOVEMENT))
    if tissue.mean() < LEAST_AREA:
        return _still_tissue(np.abs(brightness - (screen or 0.0)), is_ringing)
    tissue = _grow(tissue, _thick(movement >= FAINT_MOVEMENT))
    if screen is not None:
        lit = _thick(brightness >= screen + LEAST_BRIGHTNESS)
        return _grow(tissue, lit, most_border=MOST_BORDER_BESIDE_SCREEN)
    outside = ~_hull(tissue)
    background = float(np.median(brightness[outside])) if outside.any() else 0.0
    return _grow(tissue, _thick(brightness >= background + LEAST_BRIGHTNESS))


def _movement(small: Small, ranked: Small) -> Small:
    """Grey levels between the quartiles over time, as far as they change often and not once for all."""
    count = len(small)
    spread = ranked[count - 1 - count // 4] - ranked[count // 4]
    steps = np.sort(np.abs(np.diff(small, axis=0)), axis=0)
    often = steps[int((1 - LEAST_CHANGES) * len(steps))] if len(steps) else np.zeros_like(spread)
    movement: Small = np.minimum(spread, OFTEN_WEIGHT * often)
    return movement


def _is_ringing(brightness: npt.NDArray[np.float32], background: float, factor: int) -> Mask:
    """The background beside something bright: lossy coding makes it flicker, up to a block away."""
    reach = 2 * -(-CODING_BLOCK // factor) + 1
    bright_nearby = ndimage.maximum_filter(ndimage.uniform_filter(brightness, 3), size=reach)
    ringing: Mask = np.abs(brightness - background) < RINGING_SHARE * (bright_nearby - background)
    return ringing


def _still_tissue(contrast: npt.NDArray[np.float32], is_ringing: Mask) -> Mask | None:
    """What stands out of the background of a still or frozen video.

    Lettering cannot be told by its rest, hence a wider opening; fainter tissue is added where it touches.
    """
    contrast = np.where(is_ringing, 0, contrast)
    radius = 2 * _radius(contrast.shape)
    tissue = _main_part(_thick(contrast >= LEAST_BRIGHTNESS, radius=radius))
    if tissue.mean() < LEAST_AREA:
        return None
    return _grow(tissue, _thick(contrast >= FAINT_BRIGHTNESS, radius=radius))


def _flat_background(brightness: npt.NDArray[np.float32]) -> float | None:
    """The grey level of a plain screen around the picture, if there is one."""
    ring = np.ones(brightness.shape, dtype=np.bool_)
    edge = 2 * _radius(brightness.shape)
    ring[edge:-edge, edge:-edge] = False
    counts = np.bincount(np.rint(brightness[ring]).astype(int), minlength=3)
    # coding moves a plain level by one, and black cannot be darker
    counts = np.convolve(counts, np.ones(3, dtype=int), mode="same")
    level = int(np.argmax(counts))
    if counts[level] < LEAST_PLAIN * ring.sum():
        return None
    return float(level) if level > 1 else 0.0


def _radius(shape: tuple[int, ...]) -> int:
    return max(1, round(max(shape) / 80))


def _disc(radius: int) -> Mask:
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc: Mask = rows**2 + columns**2 <= radius**2
    return disc


def _thick(seen: Mask, *, radius: int | None = None) -> Mask:
    """What is left without specks, lines and lettering, corners kept."""
    radius = radius or _radius(seen.shape)
    dense = ndimage.uniform_filter(seen.astype(np.float32), 2 * radius - 1, mode="nearest") >= 0.5
    # beyond the border the picture would go on
    padded = np.pad(dense, radius, mode="edge")
    core = ndimage.binary_opening(padded, _disc(radius))[radius:-radius, radius:-radius]
    kept: Mask = ndimage.binary_dilation(core, _disc(radius)) & (dense | seen)
    return kept


def _main_part(seen: Mask) -> Mask:
    """The largest connected part, and those that fit to it: large, or near enough to share a hull with it."""
    labels, count = ndimage.label(seen)
    if not count:
        return seen
    areas = np.bincount(labels.ravel())
    order = 1 + np.argsort(areas[1:])[::-1]
    main: Mask = labels == order[0]
    hull_area = _hull(main).sum()
    for label in order[1:MOST_PARTS]:
        joined = main | (labels == label)
        joined_area = _hull(joined).sum()
        is_near = joined_area - hull_area <= MOST_JOINED * areas[label]
        if is_near or areas[label] >= LARGE_PART * areas[order[0]]:
            main, hull_area = joined, joined_area
    return main


def _grow(tissue: Mask, candidate: Mask, *, most_border: float = MOST_BORDER) -> Mask:
    """Add the candidate's parts that touch the tissue, unless they are the background."""
    grown = tissue | ndimage.binary_propagation(tissue & candidate, mask=candidate)
    border = np.ones_like(tissue)
    border[1:-1, 1:-1] = False
    new = grown & border & ~_hull(tissue)
    return grown if new.sum() <= most_border * border.sum() else tissue


def _hull(tissue: Mask) -> Mask:
    return fill(hull_outline(tissue, 1, *tissue.shape), *tissue.shape)


def hull_outline(tissue: Mask, factor: int, height: int, width: int) -> Outline:
    """Corners of the convex hull of blocks of factor x factor pixels in a frame of (height, width)."""
    rows = np.flatnonzero(tissue.any(axis=1))
    first = tissue[rows].argmax(axis=1) * factor
    last = (tissue.shape[1] - tissue[rows, ::-1].argmax(axis=1)) * factor - 1
    # only the ends of each row can be corners of the hull
    points = np.concatenate(
        [np.stack([columns, rows * factor + y], axis=1) for columns in (first, last) for y in (0, factor - 1)]
    )
    points = np.minimum(points, [width - 1, height - 1])
    # the tissue is thick, so that its hull is never a line
    corners = points[ConvexHull(points).vertices]
    return tuple((int(x), int(y)) for x, y in corners)


def fill(outline: Outline, height: int, width: int) -> Mask:
    """What an outline encloses, its border included, (height, width)."""
    picture = Image.new("1", (width, height))
    ImageDraw.Draw(picture).polygon(list(outline), fill=1)
    return np.asarray(picture, dtype=np.bool_)
