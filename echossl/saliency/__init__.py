"""Saliency: where a classifier looks, checked against a region, the picture's middle and random weights."""

from echossl.saliency.checks import area_share, centre_prior, inside_share, region_checks
from echossl.saliency.methods import cell_pixels, grad_cam
from echossl.saliency.render import overlay, strip

__all__ = [
    "area_share",
    "cell_pixels",
    "centre_prior",
    "grad_cam",
    "inside_share",
    "overlay",
    "region_checks",
    "strip",
]
