"""How large a file may claim to be: claims are checked before any memory is asked for."""

from pathlib import Path

from echossl.errors import DecodeError

MOST_PIXELS = 64_000_000
MOST_UNPACKED_BYTES = 2**30
MOST_FRAMES = 1_000_000


def check_picture_size(path: Path, height: int, width: int) -> None:
    """Refuse pictures that are empty or larger than any scanner's screen.

    Raises:
        DecodeError: if a side is not positive, or there are more than 64 megapixels.
    """
    if height < 1 or width < 1:
        raise DecodeError(path, f"declares a picture of {height} x {width} pixels; export it again")
    if height * width > MOST_PIXELS:
        raise too_large(path)


def too_large(path: Path) -> DecodeError:
    """The refusal of pictures of more than 64 megapixels."""
    reason = f"declares pictures of more than {MOST_PIXELS // 10**6} megapixels"
    return DecodeError(path, f"{reason}, which are not read; if that is their true size, make them smaller")


def check_num_frames(path: Path, num_frames: int) -> None:
    """Refuse more frames than any recording has.

    Raises:
        DecodeError: if there are more than a million.
    """
    if num_frames > MOST_FRAMES:
        raise DecodeError(
            path, f"declares {num_frames} frames, at most {MOST_FRAMES} are read; cut it into several files"
        )


def check_unpacked_size(path: Path, unpacked_bytes: int) -> None:
    """Refuse compressed volumes that would fill memory or disk.

    Raises:
        DecodeError: if more than 1 GiB would have to be unpacked.
    """
    if unpacked_bytes > MOST_UNPACKED_BYTES:
        raise DecodeError(
            path,
            f"declares {unpacked_bytes / 2**30:.1f} GiB of compressed pictures, at most "
            f"{MOST_UNPACKED_BYTES // 2**30} GiB is unpacked when read; store it uncompressed",
        )
