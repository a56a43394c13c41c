"""NIfTI files, compared with the arrays that were written."""

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
from video_samples import look, read

from echossl.errors import DecodeError
from echossl.video import duration_seconds, open_video
from echossl.video import volume as volume_module

GENERATOR = np.random.default_rng(0)
MOVIE = GENERATOR.integers(0, 256, (6, 20, 30), dtype=np.uint8)
# NIfTI arrays are (width, height, frames), ours (frames, height, width)
STORED = np.ascontiguousarray(MOVIE.transpose(2, 1, 0))


def write_nifti(
    path: Path,
    stored: np.ndarray,
    *,
    zooms: Sequence[float] | None = None,
    units: tuple[str | None, str | None] = (None, None),
    order: str = "<",
    version: int = 1,
    slope: tuple[float, float] | None = None,
) -> Path:
    """Write an array as it is, whatever the suffix of the path."""
    kind = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version]
    header = kind.header_class(endianness=order)
    header.set_data_dtype(stored.dtype)
    image = kind(stored, None, header=header)
    image.header.set_xyzt_units(*units)
    if zooms:
        image.header["pixdim"][1 : 1 + len(zooms)] = zooms
    data = bytearray(image.to_bytes())
    if slope:
        # nibabel would change the pixels with it
        data[112:120] = struct.pack(f"{order}ff", *slope)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("version", "order"), [(1, "<"), (1, ">"), (2, "<"), (2, ">")])
def test_axes_are_columns_rows_and_frames(tmp_path: Path, suffix: str, version: int, order: str) -> None:
    path = tmp_path / f"v{suffix}"
    for stored in (STORED, STORED[:, :, None], STORED[..., None]):
        write_nifti(path, stored, version=version, order=order)
        np.testing.assert_array_equal(read(path)[..., 0], MOVIE)
    write_nifti(path, STORED[..., 2], version=version, order=order)
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE[2:3])


def test_frames_in_any_order_and_repeated(tmp_path: Path) -> None:
    for path in (
        write_nifti(tmp_path / "v.nii.gz", STORED),
        write_nifti(tmp_path / "v.nii", STORED),
    ):
        with open_video(path) as reader:
            wanted = [5, 0, 0, 3]
            np.testing.assert_array_equal(reader.read(wanted)[..., 0], MOVIE[wanted])
            np.testing.assert_array_equal(reader.read_grey([1]), MOVIE[1:2])
            assert reader.read([]).shape == (0, 20, 30, 1)


def test_colour_nifti(tmp_path: Path) -> None:
    colour = GENERATOR.integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    stored = np.ascontiguousarray(colour.transpose(2, 1, 0, 3)).view([("R", "u1"), ("G", "u1"), ("B", "u1")])
    np.testing.assert_array_equal(read(write_nifti(tmp_path / "v.nii", stored[..., 0])), colour)


def grey_levels(values: np.ndarray) -> np.ndarray:
    """The documented rule, value by value, in double precision."""
    numbers = [float(value) for value in values.ravel()]
    finite = [number for number in numbers if np.isfinite(number)]
    low, high = min(finite), max(finite)
    whole = all(number == round(number) for number in finite)
    levels = []
    for number in numbers:
        if np.isnan(number):
            levels.append(0.0)
        elif np.isinf(number):
            levels.append(255.0 if number > 0 else 0.0)
        elif low >= 0 and high <= 255 and (whole or high >= 16):
            levels.append(number)
        elif low >= 0 and high <= 1.1:
            levels.append(min(number * 255, 255))
        else:
            levels.append((number - low) / (high - low) * 255)
    return np.array(levels).reshape(values.shape)


TYPES = [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float32, np.float64]
RANGES = {
    "label": (0, 3),
    "bytes": (0, 255),
    "dark bytes": (0, 17),
    "twelve bits": (0, 4095),
    "signed": (-90, 100),
    "unit": (0, 1),
    "beyond the unit": (0, 1.09),
    "far beyond the unit": (0, 2.5),
    "below the unit": (-0.001, 1),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", RANGES)
def test_values_become_grey_levels_by_the_stated_rule(tmp_path: Path, name: str, dtype: type) -> None:
    low, high = RANGES[name]
    values = GENERATOR.uniform(low, high, STORED.shape)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    values = values.astype(dtype)
    frames = read(write_nifti(tmp_path / "v.nii", values))[..., 0]
    expected = grey_levels(values).transpose(2, 1, 0)
    # single precision may round a half the other way
    assert np.abs(frames - expected).max() <= 0.501


@pytest.mark.parametrize(("low", "high"), [(0, 1.0001), (0, 1.05), (0, 1.3), (0, 8), (-0.0001, 1.0001)])
def test_fractions_that_overshoot_are_not_black(tmp_path: Path, low: float, high: float) -> None:
    values = np.linspace(low, high, STORED.size, dtype=np.float32).reshape(STORED.shape)
    frames = read(write_nifti(tmp_path / "v.nii", values))
    assert (frames.min(), frames.max()) == (0, 255)
    # one pixel a little beyond white changes the others by a level at most
    values = np.linspace(0, 1, STORED.size, dtype=np.float32).reshape(STORED.shape)
    plain = read(write_nifti(tmp_path / "v.nii", values)).astype(int)
    values[-1, -1, -1] = min(high, 1.09)
    assert np.abs(read(write_nifti(tmp_path / "v.nii", values)) - plain).max() <= 1


def test_values_that_are_none(tmp_path: Path) -> None:
    values = GENERATOR.uniform(-5, 5, STORED.shape).astype(np.float32)
    values[0, 0, :] = [np.nan, np.inf, -np.inf, 0, 1, 2]
    frames = read(write_nifti(tmp_path / "v.nii", values))[..., 0]
    assert np.abs(frames - grey_levels(values).transpose(2, 1, 0)).max() <= 0.501
    assert list(frames[:3, 0, 0]) == [0, 255, 0]
    assert not read(write_nifti(tmp_path / "v.nii", np.full(STORED.shape, np.nan, np.float32))).any()
    assert not read(write_nifti(tmp_path / "v.nii", np.full(STORED.shape, -7, np.int16))).any()


def test_slope_and_intercept_of_the_header(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "v.nii", STORED, slope=(0.5, 10.0))
    np.testing.assert_array_equal(read(path)[..., 0], np.rint(MOVIE * 0.5 + 10))
    path = write_nifti(tmp_path / "v.nii", STORED, slope=(0.0, 9.0))
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE)


@pytest.mark.parametrize(
    ("zooms", "unit", "cm", "aspect"),
    [
        ((0.3, 0.6), "mm", 0.06, 2.0),
        ((0.0003, 0.0003), "meter", 0.03, 1.0),
        ((300, 150), "micron", 0.015, 0.5),
        ((2.0, 2.0), None, 0.2, 1.0),
        ((0.02, 0.01), None, None, 0.5),
        ((1.0, 1.0), "mm", None, 1.0),
        ((0.0, 0.3), "mm", None, 1.0),
        ((0.001, 0.3), "mm", None, 1.0),
        ((np.nan, 0.3), "mm", None, 1.0),
    ],
)
def test_size_of_a_pixel(
    tmp_path: Path, zooms: tuple[float, float], unit: str | None, cm: float | None, aspect: float
) -> None:
    reader = look(write_nifti(tmp_path / "v.nii", STORED, zooms=zooms, units=(unit, None)))
    assert reader.cm_per_pixel == (cm and pytest.approx(cm))
    assert reader.pixel_aspect == pytest.approx(aspect)


@pytest.mark.parametrize(
    ("step", "unit", "fps"),
    [(0.02, "sec", 50), (20, "msec", 50), (20_000, "usec", 50), (20, None, None), (20, "hz", None),
     (0, "sec", None), (1, "sec", None), (-0.02, "sec", None), (np.inf, "msec", None), (np.nan, "sec", None)],
)  # fmt: skip
def test_trap_03_a_rate_is_that_of_the_header_or_none(
    tmp_path: Path, step: float, unit: str | None, fps: float | None
) -> None:
    for stored in (STORED, STORED[:, :, None]):
        path = write_nifti(tmp_path / "v.nii", stored, zooms=(1, 1, 1, step), units=("mm", unit))
        reader = look(path)
        assert reader.fps == (fps and pytest.approx(fps))
        if fps:
            np.testing.assert_allclose(reader.frame_seconds, np.arange(6) / 50)
            assert duration_seconds(reader.frame_seconds) == pytest.approx(6 / 50)
        else:
            assert np.isnan(reader.frame_seconds[1:]).all()


def patched(data: bytes, place: int, form: str, *values: float) -> bytes:
    copy = bytearray(data)
    struct.pack_into(form, copy, place, *values)
    return bytes(copy)


DAMAGED = {
    "too many frames": (
        (40, "<8h", 3, 30, 20, 600, 1, 1, 1, 1),
        "promises 600 frames, 6 of them are in the file",
    ),
    "huge": ((40, "<8h", 3, 30000, 30000, 6, 1, 1, 1, 1), "64 megapixels"),
    "absurd": ((40, "<8h", 7, 30, 20, 1, 32000, 32000, 32000, 32000), "more than rows, columns and frames"),
    "a million": ((40, "<8h", 4, 30, 20, 1, 32000, 1, 1, 1), "promises 32000 frames"),
    "negative": ((40, "<8h", 3, 30, -20, 6, 1, 1, 1, 1), "holds no pictures"),
    "no axis": ((40, "<8h", 0, 30, 20, 6, 1, 1, 1, 1), "holds no pictures"),
    "one axis": ((40, "<8h", 1, 3600, 1, 1, 1, 1, 1, 1), "holds no pictures"),
    "slices": ((40, "<8h", 4, 30, 20, 2, 3, 1, 1, 1), r"its axes are 30 x 20 x 2 x 3\); save one plane"),
    "complex": ((70, "<h", 32), "values of type complex64"),
    "unknown type": ((70, "<h", 12345), "damaged NIfTI header"),
    "intercept": ((112, "<ff", 2.0, np.inf), "damaged NIfTI header"),
    "far": ((108, "<f", 1e9), "promises 6 frames, 0 of them"),
    "nowhere": ((108, "<f", np.nan), "damaged NIfTI header"),
    "pair": ((344, "<4s", b"ni1\x00"), "header of a pair"),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_and_unreadable_headers(tmp_path: Path, name: str, packed: bool) -> None:
    place, reason = DAMAGED[name]
    data = patched(write_nifti(tmp_path / "v.nii", STORED).read_bytes(), *place)
    path = tmp_path / "v"
    path.write_bytes(gzip.compress(data) if packed else data)
    # what is packed is only unpacked where it may be
    with pytest.raises(DecodeError, match=f"{reason}|GiB" if packed else reason) as caught:
        open_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_cut_files(tmp_path: Path) -> None:
    data = write_nifti(tmp_path / "v.nii", STORED).read_bytes()
    path = tmp_path / "v"
    path.write_bytes(data[:-700])
    with pytest.raises(DecodeError, match="promises 6 frames, 4 of them are in the file whole"):
        open_video(path)
    path.write_bytes(gzip.compress(data)[:-900])
    with pytest.raises(DecodeError, match="is cut, or its packed data are damaged"):
        open_video(path)
    wrong = bytearray(gzip.compress(data, compresslevel=0))
    wrong[2000] ^= 1
    path.write_bytes(wrong)
    with pytest.raises(DecodeError, match=r"damaged \(CRC check failed"):
        open_video(path)
    path.write_bytes(gzip.compress(data[:-700]))
    with pytest.raises(DecodeError, match="promises 6 frames, 4 of them are in the file whole"):
        open_video(path)
    path.write_bytes(write_nifti(tmp_path / "v.nii", STORED, version=2).read_bytes()[:500])
    with pytest.raises(DecodeError, match="has a damaged NIfTI header"):
        open_video(path)
    # in several members, as parallel packers write it, with something behind
    path.write_bytes(gzip.compress(data[:900]) + gzip.compress(data[900:]) + bytes(40))
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE)


def test_gzip_bombs_are_not_unpacked(tmp_path: Path) -> None:
    data = write_nifti(tmp_path / "v.nii", STORED).read_bytes()
    path = tmp_path / "v"
    path.write_bytes(gzip.compress(patched(data, 40, "<8h", 3, 8000, 8000, 30000, 1, 1, 1, 1)))
    with pytest.raises(DecodeError, match=r"declares 1788[.]1 GiB of compressed pictures, at most 1 GiB"):
        open_video(path)
    # a few bytes that are asked of many
    path.write_bytes(gzip.compress(data + bytes(10**7)))
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE)


def test_large_volumes_are_unpacked_to_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume_module, "SPOOL_BYTES", 500)
    monkeypatch.setattr(volume_module, "CHUNK_BYTES", 100)
    np.testing.assert_array_equal(read(write_nifti(tmp_path / "v.nii.gz", STORED))[..., 0], MOVIE)


def test_a_file_that_shrinks_while_it_is_open(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "v.nii", STORED)
    with open_video(path) as reader:
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(DecodeError, match="frame 5 was cut off while the file was read"):
            reader.read([5])
