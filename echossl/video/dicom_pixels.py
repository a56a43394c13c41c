"""Stored DICOM values to 8-bit grey or RGB: inversion, palette, window, depth, colour, each applied once."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from echossl.errors import DecodeError
from echossl.video.dicom_format import GREY, PALETTE, PixelFormat
from echossl.video.dicom_header import value_of
from echossl.video.dicom_palette import PALETTE_TAGS, palette

VALUE_TAGS = ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", *PALETTE_TAGS)
YBR = ("YBR_FULL", "YBR_FULL_422")


class PixelConverter:
    """Turns decoded arrays of one file into uint8 pictures.

    A picture that is neither RGB nor YBR after decoding is refused, not shown in false (green) colours.

    Args:
        path: the file, for errors.
        tags: the data set (only the elements of ``VALUE_TAGS`` are read).
        stored: how pixels are stored.

    Attributes:
        channels: 1 for grey files, 3 for palette and colour.
    """

    def __init__(self, path: Path, tags: Any, stored: PixelFormat) -> None:
        self.path = path
        self.channels = 1 if stored.photometric in GREY else 3
        self._stored = stored
        self._palette = palette(path, tags, stored) if stored.photometric == PALETTE else None
        self._window = _window(tags) if self.channels == 1 and stored.bits_stored > 8 else None

    def convert(self, values: npt.NDArray[Any], photometric: str) -> npt.NDArray[np.uint8]:
        """One frame as a picture.

        Args:
            values: (height, width[, 3]) as stored.
            photometric: their colour space.

        Returns:
            uint8 (height, width, channels).

        Raises:
            DecodeError: if the colour space is none that is known here.
        """
        if self._palette is not None:
            colours: npt.NDArray[np.uint8] = self._palette[values.view(f"u{values.dtype.itemsize}")]
            return colours
        if self.channels == 3:
            return self._colours(values, photometric)
        grey = self._to_eight_bits(values)
        return (255 - grey if self._stored.photometric == "MONOCHROME1" else grey)[..., None]

    def _colours(self, values: npt.NDArray[Any], photometric: str) -> npt.NDArray[np.uint8]:
        if photometric in YBR and values.dtype == np.uint8:
            return ybr_to_rgb(values)
        if photometric == "RGB":
            return self._to_eight_bits(values)
        raise DecodeError(
            self.path, f"its colour space {photometric} cannot be turned into RGB; export it as RGB"
        )

    def _to_eight_bits(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        bits = self._stored.bits_stored
        if values.dtype == np.uint8 and bits == 8:
            return values
        if self._window is not None:
            slope, intercept, centre, width = self._window
            # PS3.3, C.11.2.1.2.1: the linear window
            share = (values * slope + intercept - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
        else:
            lowest = -(2 ** (bits - 1)) if self._stored.is_signed else 0
            share = (values.astype(np.float64) - lowest) / (2**bits - 1)
        return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def ybr_to_rgb(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """YBR_FULL of PS3.3, C.7.6.3.1.2 (ITU-R BT.601, full range) to RGB: uint8 (height, width, 3) both."""
    height, width, _ = values.shape
    image = Image.frombuffer("YCbCr", (width, height), values.tobytes(), "raw", "YCbCr", 0, 1)
    return np.asarray(image.convert("RGB"))


def _window(tags: Any) -> tuple[float, float, float, float] | None:
    """Rescale slope and intercept, window centre and width (the first, if there are several)."""
    centre, width = _first(tags, "WindowCenter"), _first(tags, "WindowWidth")
    if centre is None or width is None or width < 1:
        return None
    return _first(tags, "RescaleSlope") or 1.0, _first(tags, "RescaleIntercept") or 0.0, centre, width


def _first(tags: Any, keyword: str) -> float | None:
    """The first value as a finite number, or None."""
    value = value_of(tags, keyword)
    try:
        number = float(value if isinstance(value, str | float | int) else value[0])
    except (TypeError, ValueError, LookupError):
        return None
    return number if np.isfinite(number) else None
