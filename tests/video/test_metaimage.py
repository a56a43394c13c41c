"""MetaImage files, compared with the arrays that were written."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from video_samples import look, read

from echossl.errors import DecodeError
from echossl.video import open_video

GENERATOR = np.random.default_rng(0)
MOVIE = GENERATOR.integers(0, 256, (6, 20, 30), dtype=np.uint8)


def write_metaimage(path: Path, stored: bytes, *, data: str = "LOCAL", **values: object) -> Path:
    lines = {"ObjectType": "Image", "NDims": 3, "DimSize": "30 20 6", "ElementType": "MET_UCHAR"} | values
    header = "".join(f"{key} = {value}\n" for key, value in lines.items()) + f"ElementDataFile = {data}\n"
    path.write_bytes(header.encode() + (stored if data == "LOCAL" else b""))
    if data != "LOCAL":
        (path.parent / data).write_bytes(stored)
    return path


META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
    "MET_UINT": "u4", "MET_LONG_LONG": "i8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


@pytest.mark.parametrize("element", META_TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("data", ["LOCAL", "pixels.raw", "below/pixels.zraw"])
def test_metaimage_of_every_type(tmp_path: Path, element: str, order: str, data: str) -> None:
    values = GENERATOR.uniform(0, 120, MOVIE.shape).astype(np.dtype(META_TYPES[element]).newbyteorder(order))
    stored = values.tobytes()
    (tmp_path / "below").mkdir()
    path = tmp_path / "v.mhd"
    extra = {"ElementType": element, "BinaryDataByteOrderMSB": order == ">"}
    if data.endswith("zraw"):
        extra |= {"CompressedData": True, "CompressedDataSize": 5}
        stored = zlib.compress(stored)
    write_metaimage(path, stored, data=data, **extra)
    np.testing.assert_array_equal(read(path)[..., 0], np.rint(values))


def test_metaimage_of_camus_form(tmp_path: Path) -> None:
    """As CAMUS was first published: pixels that are half as high as wide."""
    path = write_metaimage(
        tmp_path / "v.mhd", MOVIE.tobytes(), data="v.raw", NDims=3, BinaryData=True, CompressedData=False,
        TransformMatrix="1 0 0 0 1 0 0 0 1", Offset="0 0 0", ElementSpacing="0.308 0.154 1.54",
    )  # fmt: skip
    reader = look(path)
    assert (reader.height, reader.width, reader.num_frames, reader.fps) == (20, 30, 6, None)
    assert reader.cm_per_pixel == pytest.approx(0.0154)
    assert reader.pixel_aspect == pytest.approx(0.5)
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE)


def test_metaimage_of_colour_and_of_two_axes(tmp_path: Path) -> None:
    colour = GENERATOR.integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    path = write_metaimage(tmp_path / "v", colour.tobytes(), DimSize="30 20 2", ElementNumberOfChannels=3)
    np.testing.assert_array_equal(read(path), colour)
    path = write_metaimage(
        tmp_path / "v", MOVIE[0].tobytes(), NDims=2, DimSize="30 20", ElementSize="0.5 0.5"
    )
    np.testing.assert_array_equal(read(path)[0, ..., 0], MOVIE[0])
    assert look(path).cm_per_pixel == pytest.approx(0.05)


def test_metaimage_with_a_header_before_its_pixels(tmp_path: Path) -> None:
    path = write_metaimage(tmp_path / "v", b"before" + MOVIE.tobytes(), data="p.raw", HeaderSize=6)
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE)
    path = write_metaimage(tmp_path / "v", b"whatever" + MOVIE.tobytes(), data="p.raw", HeaderSize=-1)
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE)


@pytest.mark.parametrize("packed", [False, True])
def test_trap_01_frames_of_a_metaimage_are_counted(tmp_path: Path, packed: bool) -> None:
    stored = MOVIE.tobytes()[: 4 * 600 + 77]
    stored = zlib.compress(stored) if packed else stored
    for declared in ("30 20 6", "30 20 900000"):
        path = write_metaimage(tmp_path / "v", stored, DimSize=declared, CompressedData=packed)
        np.testing.assert_array_equal(read(path)[..., 0], MOVIE[:4])
    path = write_metaimage(tmp_path / "v", MOVIE.tobytes(), DimSize="30 20 2")
    np.testing.assert_array_equal(read(path)[..., 0], MOVIE[:2])


REFUSED = {
    "outside": ({"data": "../p.raw"}, "outside the header's folder"),
    "below and outside": ({"data": "below/../../p.raw"}, "outside the header's folder"),
    "windows": ({"ElementDataFile": r"C:\pixels\p.raw"}, "outside the header's folder"),
    "windows parent": ({"ElementDataFile": r"..\p.raw"}, "outside the header's folder"),
    "absolute": ({"ElementDataFile": "/etc/passwd"}, "outside the header's folder"),
    "missing": ({"ElementDataFile": "absent.raw"}, "pixels 'absent.raw' is missing"),
    "list": ({"ElementDataFile": "LIST"}, "in several files"),
    "pattern": ({"ElementDataFile": "p%03d.raw 1 6 1"}, "in several files"),
    "type": ({"ElementType": "MET_STRING"}, "ElementType = 'MET_STRING'"),
    "no size": ({"DimSize": ""}, "NDims and DimSize do not agree"),
    "sizes": ({"DimSize": "30 20"}, "NDims and DimSize do not agree"),
    "letters": ({"DimSize": "30 x 6"}, "DimSize = '30 x 6', expected numbers"),
    "fractions": ({"DimSize": "30 20.5 6"}, "expected whole numbers"),
    "not a number": ({"DimSize": "30 nan 6"}, "expected whole numbers"),
    "endless": ({"DimSize": "30 inf 6"}, "expected whole numbers"),
    "negative": ({"DimSize": "30 -20 6"}, "holds no pictures"),
    "huge": ({"DimSize": "30000 30000 6"}, "64 megapixels"),
    "absurd": ({"DimSize": "30 20 1e300"}, "at most 1000000 are read"),
    "slices": ({"NDims": 4, "DimSize": "30 20 2 3"}, "more than rows, columns and frames"),
    "too large": ({"DimSize": "300 200 6"}, "holds no frame whole"),
    "channels": ({"ElementNumberOfChannels": 2}, "has 2 channels"),
    "text": ({"BinaryData": False}, "as text"),
    "tube": ({"ObjectType": "Tube"}, "a 'Tube', expected an Image"),
    "offset": ({"data": "p.raw", "HeaderSize": 10**9}, "HeaderSize is larger"),
    "not packed": ({"CompressedData": True}, "packed data are damaged"),
    "bomb": ({"CompressedData": True, "DimSize": "8000 8000 100"}, "at most 1 GiB"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_metaimages_that_are_refused(tmp_path: Path, name: str) -> None:
    values, reason = REFUSED[name]
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    path = write_metaimage(folder / "v.mhd", MOVIE.tobytes(), **values)
    with pytest.raises(DecodeError, match=reason) as caught:
        open_video(path)
    assert "\n" not in str(caught.value)


def test_a_metaimage_header_that_does_not_end(tmp_path: Path) -> None:
    path = tmp_path / "v.mhd"
    path.write_bytes(b"NDims = 2\n" + b"x" * 200_000)
    with pytest.raises(DecodeError, match="does not end"):
        open_video(path)
    path.write_bytes(b"NDims = 2\nDimSize = 3 3\n")
    with pytest.raises(DecodeError, match="has no Element"):
        open_video(path)


def test_frames_in_any_order_and_repeated(tmp_path: Path) -> None:
    with open_video(write_metaimage(tmp_path / "v.mha", MOVIE.tobytes())) as reader:
        np.testing.assert_array_equal(reader.read([5, 0, 0, 3])[..., 0], MOVIE[[5, 0, 0, 3]])
        np.testing.assert_array_equal(reader.read_grey([1]), MOVIE[1:2])
        with pytest.raises(IndexError, match="frame 6"):
            reader.read([6])
