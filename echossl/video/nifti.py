"""NIfTI-1 and NIfTI-2 files, plain or gzipped, whose header nibabel reads: CAMUS and its relatives.

The first axis (x) is columns and the second (y) rows, as ITK writes pictures: CAMUS comes out upright, with
the probe above. The direction matrix is not applied; it tells of a patient's body that no probe knows.
"""

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from echossl.errors import DecodeError, UserError
from echossl.video.kinds import GZIP, head_of
from echossl.video.volume import CHUNK_BYTES, Layout, VolumeReader, frame_shape, pixel_size, unpacked

INSTALL = 'pip install "echossl[nifti]"'
HEADER_BYTES = {1: 348, 2: 540}
# four more say whether extensions follow
LEAST_OFFSET = {1: 352, 2: 544}
UNIT_CM = {"meter": 100.0, "mm": 0.1, "micron": 1e-4}
UNIT_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
# what nibabel and numbers that are none raise, besides nibabel's own
HEADER_ERRORS = (ValueError, LookupError, TypeError, OverflowError)


def open_nifti(path: Path) -> VolumeReader:
    """Open a NIfTI file of axes (x, y), (x, y, time) or (x, y, 1, time).

    Values become 8 bits by the rule of :mod:`echossl.video.volume`. The rate is that of the fourth axis where
    its step is above 0 and has a unit of time; a step of exactly 1 s is what programs write that know none. A
    gzipped file is unpacked once, at most 1 GiB.

    Raises:
        DecodeError: if the header is damaged, promises more than the file holds, or tells of several slices.
        UserError: if nibabel is not installed.
    """
    header, layout = _read_header(path)
    space, time = header.get_xyzt_units()
    steps = [float(step) for step in header["pixdim"]]
    return VolumeReader(
        path,
        _data(path, layout),
        layout,
        pixel_size=pixel_size((abs(steps[1]), abs(steps[2])), cm=UNIT_CM.get(space), height=layout.height),
        step_seconds=_step_seconds(steps[4], UNIT_SECONDS.get(time)),
    )


def _open(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if _is_packed(path) else path.open("rb")


def _is_packed(path: Path) -> bool:
    return head_of(path).startswith(GZIP)


def _read_header(path: Path) -> tuple[Any, Layout]:
    """The header, and where the frames lie; extensions, which may hold anything, are not read."""
    try:
        from nibabel.nifti1 import Nifti1Header
        from nibabel.nifti2 import Nifti2Header
        from nibabel.spatialimages import HeaderDataError
        from nibabel.wrapstruct import WrapStructError
    except ImportError as error:
        raise UserError(f"{path}: NIfTI files need nibabel; {INSTALL}") from error
    try:
        with _open(path) as file:
            head = file.read(HEADER_BYTES[2])
        if b"ni" in {head[4:6], head[344:346]}:
            raise DecodeError(path, "is the header of a pair of NIfTI files; save both as one .nii file")
        version = 2 if head[4:7] == b"n+2" else 1
        kind: Any = Nifti2Header if version == 2 else Nifti1Header
        header = kind(head[: HEADER_BYTES[version]], check=False)
        # units of no known code are refused here as well
        header.get_xyzt_units()
        return header, _layout(path, header, LEAST_OFFSET[version])
    except (OSError, EOFError, zlib.error, HeaderDataError, WrapStructError, *HEADER_ERRORS) as error:
        raise DecodeError(path, "has a damaged NIfTI header; copy it again") from error


def _layout(path: Path, header: Any, least_offset: int) -> Layout:
    width, height, num_frames = frame_shape(path, tuple(int(size) for size in header.get_data_shape()))
    dtype, channels = header.get_data_dtype(), 1
    if dtype.names == ("R", "G", "B"):
        dtype, channels = np.dtype(np.uint8), 3
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DecodeError(
            path,
            f"holds values of type {header.get_value_label('datatype')}, which are no picture; convert them",
        )
    slope, intercept = header.get_slope_inter()
    return Layout(
        width,
        height,
        num_frames,
        channels,
        dtype,
        offset=max(int(header["vox_offset"]), least_offset),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if slope is None else intercept,
    )


def _data(path: Path, layout: Layout) -> IO[bytes]:
    """The open file of the frames, all of which it holds."""
    needed = layout.offset + layout.num_frames * layout.frame_bytes
    if _is_packed(path):
        with gzip.open(path, "rb") as packed:
            file, held = unpacked(path, iter(lambda: packed.read(CHUNK_BYTES), b""), needed)
    else:
        file, held = path.open("rb"), path.stat().st_size
    if held < needed:
        file.close()
        whole = max(held - layout.offset, 0) // layout.frame_bytes
        reason = f"promises {layout.num_frames} frames, {whole} of them are in the file whole"
        raise DecodeError(path, f"{reason}; copy it again")
    return file


def _step_seconds(step: float, unit_seconds: float | None) -> float | None:
    """Seconds from frame to frame, None where the header does not tell them."""
    seconds = step * (unit_seconds or 0.0)
    return seconds if 0 < seconds < np.inf and seconds != 1.0 else None
