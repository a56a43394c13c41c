"""What moves: the phases of the beat, the one area-preserving warp of the heart, the probe in the hand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echossl.phantom.anatomy import Heart, Patient
from echossl.phantom.heart import ventricle_centre

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Beats:
    """The state of the heart in every frame; all arrays are (frames,).

    Attributes:
        phase: 0 at the R wave to 1 at the next.
        contraction: 0 at end-diastole to 1 at end-systole.
        aortic: how far flow has opened the aortic valve, 0 to 1.
        mitral: how far the mitral valve is open, 0 to 1.
        offset_cm: (frames, 2) shift of the heart under the probe, by hand and breath.
        frames_per_second: frame rate.
    """

    phase: NDArray[np.float64]
    contraction: Array
    aortic: Array
    mitral: Array
    offset_cm: Array
    frames_per_second: float

    def at(self, frame: int) -> "Beats":
        """One moment of it."""
        here = slice(frame, frame + 1)
        return Beats(
            self.phase[here],
            self.contraction[here],
            self.aortic[here],
            self.mitral[here],
            self.offset_cm[here],
            self.frames_per_second,
        )


def sample_beats(
    patient: Patient, frames_per_second: float, beats: float, generator: np.random.Generator
) -> Beats:
    """Draw one video's rhythm and the hand that holds the probe.

    Args:
        patient: whose heart.
        frames_per_second: frame rate of the video.
        beats: length of the video in beats.
        generator: the video's random numbers.
    """
    period_seconds = (
        60 / patient.heart_rate_per_min * (1 + 0.04 * np.clip(generator.standard_normal(), -2, 2))
    )
    num_frames = max(2, round(beats * period_seconds * frames_per_second))
    lengths = period_seconds * (1 + 0.02 * generator.standard_normal(int(beats) + 3))
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    seconds = generator.random() * lengths[0] + np.arange(num_frames) / frames_per_second
    beat = np.searchsorted(starts, seconds, side="right") - 1
    since_r, length = seconds - starts[beat], lengths[beat]
    contraction, aortic, mitral = _cycle(since_r, length)
    return Beats(
        phase=since_r / length,
        contraction=contraction.astype(np.float32),
        aortic=aortic.astype(np.float32),
        mitral=mitral.astype(np.float32),
        offset_cm=_hand_and_breath(num_frames, frames_per_second, generator),
        frames_per_second=frames_per_second,
    )


def _smooth(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.clip(x, 0, 1)
    smooth: NDArray[np.float64] = x * x * (3 - 2 * x)
    return smooth


def _cycle(
    since_r: NDArray[np.float64], period: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Contraction and both valves from the seconds since the R wave; systole goes with the root of RR."""
    close = 0.06 + 0.30 * np.sqrt(period / 0.86)
    kick = period - 0.17
    contraction = (
        _smooth((since_r - 0.03) / (close - 0.03))
        - 0.72 * _smooth((since_r - close - 0.06) / 0.20)
        - 0.28 * _smooth((since_r - kick) / 0.14)
    )
    aortic = _smooth((since_r - 0.06) / 0.05) * (1 - _smooth((since_r - close + 0.03) / 0.06))
    early = _smooth((since_r - close - 0.06) / 0.08) - 0.65 * _smooth((since_r - close - 0.18) / 0.14)
    late = 0.45 * _smooth((since_r - kick) / 0.08) - 0.80 * _smooth((since_r - period + 0.07) / 0.07)
    return contraction, aortic, np.clip(early + late, 0, 1)


def _hand_and_breath(num_frames: int, frames_per_second: float, generator: np.random.Generator) -> Array:
    """A random walk of 0.03 cm a frame at 24 frames a second that is pulled back, and slow breathing."""
    steps = generator.normal(0, 0.03 * np.sqrt(24 / frames_per_second), (num_frames, 2))
    pull = np.exp(-1 / (1.5 * frames_per_second))
    walk = np.zeros((num_frames, 2))
    for frame in range(1, num_frames):
        walk[frame] = pull * walk[frame - 1] + steps[frame]
    angle = 2 * np.pi * (generator.random() + 0.25 * np.arange(num_frames) / frames_per_second)
    breath = np.sin(angle)[:, None] * generator.normal(0, 0.12, 2)
    offset: Array = (walk + breath).astype(np.float32)
    return offset


def to_end_diastole(
    x: Array, y: Array, contraction: Array, heart: Heart, ejection_fraction: float
) -> tuple[Array, Array]:
    """Where the tissue that is now at (x, y) lies at end-diastole.

    The warp ``X = C + (p - C) sqrt(1 + k c exp(-.12 r2) / (r2 + .02))`` about the middle C of the ventricle
    keeps areas (but for its slow fading), so walls thicken as the cavity shrinks and speckle moves with them.

    Args:
        x: heart coordinates in cm, any shape that broadcasts with ``contraction``.
        y: the same, away from the probe.
        contraction: 0 to 1.
        heart: the shapes.
        ejection_fraction: 0 to 1.
    """
    middle_x, middle_y = ventricle_centre(heart)
    across, down = x - np.float32(middle_x), y - np.float32(middle_y)
    radius2 = (across / np.float32(heart.ventricle_long_cm)) ** 2
    radius2 += (down / np.float32(heart.ventricle_short_cm)) ** 2
    stretch = np.exp(radius2 * np.float32(-0.12))
    radius2 += np.float32(0.02)
    stretch /= radius2
    stretch *= contraction * np.float32(1.0 * ejection_fraction)
    stretch += np.float32(1)
    np.sqrt(stretch, out=stretch)
    across *= stretch
    down *= stretch
    across += np.float32(middle_x)
    down += np.float32(middle_y)
    return across, down
