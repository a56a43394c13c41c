"""Pictures through Pillow: one alone, a TIFF of several pages, or a folder of them in natural order.

Pixels are taken as they are stored: no turning by EXIF, no colour profile. 8-bit grey stays grey, palettes
and CMYK become RGB, see-through pixels lie on black. 16-bit grey is divided by the largest value that its
number of bits can hold, so that all pictures of a folder are scaled alike.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from echossl.errors import DecodeError
from echossl.video.kinds import head_of, picture_name
from echossl.video.limits import check_picture_size, too_large
from echossl.video.order import natural_key
from echossl.video.reader import VideoReader
from echossl.video.sampling import unknown_seconds

GREY_MODES = frozenset(("1", "L", "LA", "La", "I;16", "I;16L", "I;16B"))
COLOUR_MODES = frozenset(("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))
# Pillow's names, where they differ from ours
PILLOW_NAMES = {"JPEG 2000": "JPEG2000", "HEIF": "AVIF", "JPEG XL": "JXL"}
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".j2k", ".heic", ".avif")
)
# what Pillow raises for damaged pictures
PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    *(EOFError, OverflowError, struct.error, zlib.error),
)
PHOTOMETRIC, BITS_PER_SAMPLE, WHITE_IS_ZERO = 262, 258, 0


@dataclass(frozen=True)
class Picture:
    """One picture: page ``page`` of a file, and what its header says.

    Attributes:
        path: the file.
        page: number of the page, from 0.
        height: rows.
        width: columns.
        channels: 1 (grey) or 3 (RGB).
    """

    path: Path
    page: int
    height: int
    width: int
    channels: int

    @property
    def form(self) -> str:
        """Size and colour in words."""
        return f"{self.height} x {self.width} pixels in {'grey' if self.channels == 1 else 'colour'}"


class PictureReader(VideoReader):
    """A reader of pictures of one form; a picture is decoded when it is asked for.

    No rate is known of them: ``fps`` is None, and all times but the first are NaN.

    Args:
        path: the file or folder.
        pictures: the frames in the order of showing, at least one.
    """

    def __init__(self, path: Path, pictures: Sequence[Picture]) -> None:
        self.path = path
        self._pictures = tuple(pictures)
        first = self._pictures[0]
        self.height, self.width, self.channels = first.height, first.width, first.channels
        self.num_frames, self.fps = len(self._pictures), None
        self.frame_seconds = unknown_seconds(self.num_frames)

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        frames = np.empty((len(wanted), self.height, self.width, self.channels), dtype=np.uint8)
        for frame in np.unique(wanted):
            frames[wanted == frame] = decode_picture(self._pictures[frame])
        return frames

    def close(self) -> None:
        """Nothing is open between two calls."""


def open_still(path: Path) -> PictureReader:
    """A picture file as a video of one frame, or of one frame per page of a TIFF.

    Raises:
        DecodeError: if it is damaged, larger than 64 megapixels, an animation, of pages that differ, or of a
            kind that Pillow cannot read.
    """
    pictures = look_at_pictures(path)
    for picture in pictures:
        if picture.form != pictures[0].form:
            reason = f"page {picture.page} has {picture.form}, the first {pictures[0].form}"
            raise DecodeError(path, f"{reason}; save its pages as single files")
    return PictureReader(path, pictures)


def open_frame_folder(path: Path) -> PictureReader:
    """A folder of pictures as a video, in natural order of their names.

    Hidden files, sub-folders, and files that are no pictures are passed over. Every picture's header is read,
    since pictures that differ in size or colour are views of different things and no video.

    Raises:
        DecodeError: if the folder holds no picture, or they differ, or one of them is unreadable; then it
            names the picture.
    """
    pictures: list[Picture] = []
    for file in _picture_files(path):
        pages = look_at_pictures(file)
        if len(pages) > 1:
            raise DecodeError(file, f"has {len(pages)} pages, in a folder of pictures one is expected")
        if pictures and pages[0].form != pictures[0].form:
            reason = f"has {pages[0].form}, {pictures[0].path.name} beside it {pictures[0].form}"
            raise DecodeError(file, f"{reason}; one video is one folder of pictures of one size and colour")
        pictures.append(pages[0])
    if not pictures:
        raise DecodeError(path, "is a folder without pictures, expected a video file or a folder of pictures")
    return PictureReader(path, pictures)


def look_at_pictures(path: Path) -> list[Picture]:
    """The pages of a picture file, by their headers alone; all files but TIFFs have one.

    Raises:
        DecodeError: see :func:`open_still`.
    """
    pictures = []
    with _opened(path) as image:
        for page in range(_num_pages(path, image)):
            image.seek(page)
            check_picture_size(path, image.height, image.width)
            channels = _channels(path, image.mode)
            pictures.append(Picture(path, page, image.height, image.width, channels))
    return pictures


def decode_picture(picture: Picture) -> npt.NDArray[np.uint8]:
    """Pixels of a picture: uint8 (height, width, channels).

    Raises:
        DecodeError: if the picture is damaged, or is another than when its header was read.
    """
    with _opened(picture.path) as image:
        image.seek(picture.page)
        if (image.height, image.width) != (picture.height, picture.width):
            raise DecodeError(picture.path, "was replaced while it was read; run again")
        pixels = _pixels(image, picture.channels)
    return pixels.reshape(picture.height, picture.width, picture.channels)


def _picture_files(folder: Path) -> list[Path]:
    """The folder's pictures in natural order; a damaged one is not passed over, since it is a frame."""
    try:
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    except OSError as error:
        raise DecodeError(folder, f"cannot be read ({error.strerror}); check its permissions") from error
    files = []
    for name in sorted((name for name in names if not name.startswith(".")), key=natural_key):
        file = folder / name
        if picture_name(head_of(file)):
            files.append(file)
        elif file.suffix.lower() in SUFFIXES:
            raise DecodeError(file, "is named like a picture and holds none; copy it again, or remove it")
    return files


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture whose header is read, in Pillow's words no more than one line."""
    name = picture_name(head_of(path)) or "unknown"
    Image.init()
    plugin = PILLOW_NAMES.get(name, name.upper())
    if plugin not in Image.OPEN:
        raise DecodeError(path, f"is a picture in {name}, which Pillow cannot read here; save it as PNG")
    with warnings.catch_warnings():
        # of sizes (checked by us) and of odd tags
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=[plugin]) as image:
                yield image
        except UnidentifiedImageError as error:
            reason = f"is a picture ({name}) that Pillow cannot read, or a damaged one; save it as PNG again"
            raise DecodeError(path, reason) from error
        except Image.DecompressionBombError as error:
            raise too_large(path) from error
        except MemoryError as error:
            # its size is checked by us, but not that of the pieces it consists of
            reason = f"is a damaged picture ({name}) that declares more than memory holds; export it again"
            raise DecodeError(path, reason) from error
        except PILLOW_ERRORS as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DecodeError(path, f"is a damaged picture ({name}: {reason}); export it again") from error


def _num_pages(path: Path, image: Image.Image) -> int:
    num_pages = int(getattr(image, "n_frames", 1))
    if image.format == "TIFF":
        return num_pages
    # a JPEG may carry previews of itself behind it
    if num_pages > 1 and image.format != "MPO":
        raise DecodeError(path, f"is an animated {image.format}, which is not read; convert it to MP4 or GIF")
    return 1


def _channels(path: Path, mode: str) -> int:
    if mode in GREY_MODES:
        return 1
    if mode in COLOUR_MODES:
        return 3
    raise DecodeError(
        path, f"has pixels of Pillow's mode {mode}, expected 8-bit grey or colour or 16-bit grey; save it so"
    )


def _pixels(image: Image.Image, channels: int) -> npt.NDArray[np.uint8]:
    """Pixels (height, width) or (height, width, 3)."""
    if image.mode.startswith("I;16"):
        return _sixteen_bits(image)
    target = "L" if channels == 1 else "RGB"
    if image.mode[-1:] in {"A", "a"} or "transparency" in image.info:
        layered = np.asarray(image.convert("LA" if channels == 1 else "RGBA"))
        share = layered[..., -1:].astype(np.uint16)
        return ((layered[..., :-1] * share + 127) // 255).astype(np.uint8)
    return np.asarray(image.convert(target))


def _sixteen_bits(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Grey of up to 16 bits, (height, width): the largest value that the bits can hold becomes 255."""
    values = np.asarray(image).astype(np.float32)
    tags = getattr(image, "tag_v2", {})
    most = 2 ** int(tags.get(BITS_PER_SAMPLE, (16,))[0]) - 1
    pixels: npt.NDArray[np.uint8] = np.clip(np.rint(values * (255 / most)), 0, 255).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        # which Pillow turns itself where there are 8 bits
        np.subtract(255, pixels, out=pixels)
    return pixels
