"""Saliency: where a classifier looks, checked against a region, the picture's middle and random weights."""

from echossl.saliency.checks import area_share, centre_prior, inside_share, region_checks
from echossl.saliency.methods import METHODS, cell_pixels, grad_cam, saliency_map
from echossl.saliency.render import overlay, strip

__all__ = [
    "METHODS",
    "area_share",
    "cell_pixels",
    "centre_prior",
    "grad_cam",
    "inside_share",
    "overlay",
    "region_checks",
    "saliency_map",
    "strip",
]
