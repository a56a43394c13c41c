"""What the scanner does to brightness: time gain, attenuation, speckle and shadow, as one factor per pixel.

All are constant over the frames of a clip, and follow the beam: depth and angle are those seen from the
probe, before the picture is moved.
"""

import math

import torch
from torch import Tensor

from echossl.augment.blur import gaussian_weights, shifted_sum
from echossl.augment.geometry import Polar
from echossl.augment.streams import TIME_GAIN_KNOTS

# a shadow's middle lies within this angle of straight down, its half width (one deviation) between these
MOST_SHADOW_DEGREES = 40.0
SHADOW_HALF_WIDTH_DEGREES = (2.0, 8.0)
# it starts below a reflector in the upper part of the picture and sets in over this depth
DEEPEST_SHADOW_START, SHADOW_ONSET = 0.5, 0.05


def time_gain_factor(knots: Tensor, polar: Polar, strength: float) -> Tensor:
    """A smooth curve over depth, as set with a scanner's time-gain sliders.

    Args:
        knots: (clips, 8) in 0..1, the sliders from the probe down to a depth of one picture height.
        polar: where the pixels lie.
        strength: the factor lies within exp(+-strength).

    Returns:
        (clips, 1, height, width). Between two sliders the logarithm follows half a cosine.
    """
    place = polar.depth.clamp(max=1) * (TIME_GAIN_KNOTS - 1)
    above = place.long().clamp(max=TIME_GAIN_KNOTS - 2)
    weight = (1 - torch.cos(math.pi * (place - above))) / 2
    sliders = strength * (2 * knots - 1)
    curve = sliders[:, above] * (1 - weight) + sliders[:, above + 1] * weight
    return torch.exp(curve)[:, None]


def attenuation_factor(amounts: Tensor, polar: Polar, strength: float) -> Tensor:
    """Exponential loss over depth: (clips, 1, height, width); ``amounts`` (clips, 1) in 0..1."""
    loss = (strength * amounts)[:, :, None, None]
    return torch.exp(-loss * polar.depth.clamp(max=1))


def speckle_factor(normal: Tensor, amounts: Tensor, strength: float, grain_pixels: float) -> Tensor:
    """Multiplicative low-pass noise, the same in all frames.

    Args:
        normal: (clips, 1, height, width) standard normal numbers.
        amounts: (clips, 1) in 0..1.
        strength: largest standard deviation of the factor.
        grain_pixels: standard deviation of the low-pass filter, which wraps around the picture's edges.

    Returns:
        (clips, 1, height, width), mean 1, never negative.
    """
    radius = math.ceil(3 * grain_pixels)
    weights = gaussian_weights(torch.full((len(normal),), grain_pixels, device=normal.device), radius)
    smooth = shifted_sum(shifted_sum(normal, weights, -1, "circular"), weights, -2, "circular")
    # two passes over independent numbers: this makes their variance one again
    deviation = (strength * amounts) / weights.square().sum(dim=1, keepdim=True)
    return (1 + deviation[:, :, None, None] * smooth).clamp_(min=0)


def shadow_factor(draws: Tensor, polar: Polar, strength: float) -> Tensor:
    """A dark band along the beam, as behind a rib or calcium.

    Args:
        draws: (clips, 4) in 0..1: darkness, angle, width, depth where it starts.
        polar: where the pixels lie.
        strength: the largest darkness, 1 is black.

    Returns:
        (clips, 1, height, width) in 0..1: Gaussian across the band, linear onset.
    """
    darkness, angle, width, start = (draws[:, column, None, None, None] for column in range(4))
    narrowest, widest = SHADOW_HALF_WIDTH_DEGREES
    middle = math.radians(MOST_SHADOW_DEGREES) * (2 * angle - 1)
    half_width = math.radians(narrowest) + math.radians(widest - narrowest) * width
    across = torch.exp(-0.5 * ((polar.angle - middle) / half_width).square())
    along = ((polar.depth - DEEPEST_SHADOW_START * start) / SHADOW_ONSET).clamp(0, 1)
    return 1 - strength * darkness * across * along
