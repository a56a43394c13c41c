"""Stored DICOM values to 8-bit grey or RGB: inversion, palette, window and bit depth, each applied once."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"


class PixelConverter:
    """Turns decoded arrays of one file into uint8 pictures.

    Colour in YBR is converted by pydicom while decoding; here a picture that is still not RGB is refused
    rather than shown in false (green) colours.

    Attributes:
        channels: 1 for grey files, 3 for palette and colour.
    """

    def __init__(self, path: Path, tags: Any) -> None:
        self.path = path
        photometric = str(tags.PhotometricInterpretation)
        self.channels = 1 if photometric in GREY else 3
        self._invert = photometric == "MONOCHROME1"
        self._bits = int(tags.get("BitsStored") or tags.BitsAllocated)
        self._is_signed = int(tags.get("PixelRepresentation") or 0) == 1
        self._palette = _palette(path, tags) if photometric == PALETTE else None
        self._window = _window(tags) if self.channels == 1 and self._bits > 8 else None

    def convert(self, values: npt.NDArray[Any], photometric: str) -> npt.NDArray[np.uint8]:
        """One frame (height, width[, 3]) of stored values as uint8 (height, width, channels)."""
        if self._palette is not None:
            colours: npt.NDArray[np.uint8] = self._palette[values]
            return colours
        if self.channels == 3 and photometric != "RGB":
            raise DecodeError(
                self.path, f"its colour space {photometric} cannot be turned into RGB; export it as RGB"
            )
        grey = self._to_eight_bits(values)
        grey = 255 - grey if self._invert else grey
        return grey.reshape(*values.shape[:2], self.channels)

    def _to_eight_bits(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        if values.dtype == np.uint8 and self._bits == 8:
            return values
        if self._window is not None:
            slope, intercept, centre, width = self._window
            # PS3.3, C.11.2.1.2.1: the linear window
            share = (values * slope + intercept - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
        else:
            lowest = -(2 ** (self._bits - 1)) if self._is_signed else 0
            share = (values.astype(np.float32) - lowest) / (2**self._bits - 1)
        return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _window(tags: Any) -> tuple[float, float, float, float] | None:
    """Rescale slope and intercept, window centre and width (the first, if there are several)."""
    centre, width = _first(tags.get("WindowCenter")), _first(tags.get("WindowWidth"))
    if centre is None or width is None or width < 1:
        return None
    slope, intercept = _first(tags.get("RescaleSlope")), _first(tags.get("RescaleIntercept"))
    return slope or 1.0, intercept or 0.0, centre, width


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value if isinstance(value, str | float | int) else value[0])


def _palette(path: Path, tags: Any) -> npt.NDArray[np.uint8]:
    """The look-up table as uint8 (stored values, 3)."""
    from pydicom.pixels.processing import apply_color_lut

    entries = np.arange(2 ** int(tags.BitsAllocated), dtype=f"u{int(tags.BitsAllocated) // 8}")
    try:
        table = apply_color_lut(entries, tags)
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        raise DecodeError(path, f"its colour palette cannot be read ({error}); export it as RGB") from error
    # 16-bit tables state the colour in the high byte, but some files fill only the low one
    shift = 8 if table.dtype.itemsize > 1 and table.max() > 255 else 0
    colours: npt.NDArray[np.uint8] = (table >> shift).astype(np.uint8)
    return colours
