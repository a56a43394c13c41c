"""Colour and depth: every colour space is shown in its true colours, and converted once."""

import struct
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from dicom_samples import as_jpeg, cine, dataset, jpeg_cine, read_all, save, to_ybr  # noqa: E402
from pydicom import uid  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels.processing import apply_color_lut  # noqa: E402
from video_samples import number_of  # noqa: E402

from echossl.errors import DecodeError  # noqa: E402
from echossl.video import open_video  # noqa: E402

SYNTAXES = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}


def as_stored(values: np.ndarray, syntax: str) -> bytes:
    return values.astype(values.dtype.newbyteorder(">" if syntax == SYNTAXES["big"] else "<")).tobytes()


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_trap_04_colour_matrix(tmp_path: Path, photometric: str, planar: int, name: str) -> None:
    rgb = cine()
    stored = rgb if photometric == "RGB" else to_ybr(rgb)
    pixels = np.moveaxis(stored, -1, 1) if planar else stored
    data = dataset(rgb, photometric, PlanarConfiguration=planar)
    path = save(data, tmp_path / "v", np.ascontiguousarray(pixels).tobytes(), SYNTAXES[name])
    tolerance = 0 if photometric == "RGB" else 3  # YBR is rounded to whole numbers
    assert np.abs(read_all(path).astype(int) - rgb).max() <= tolerance
    with open_video(path) as reader:
        np.testing.assert_array_equal(reader.read([5, 0, 5]), read_all(path)[[5, 0, 5]])


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("allocated", "bits"), [(8, 7), (8, 8), (16, 8), (16, 10), (16, 12), (16, 16), (32, 20)]
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_grey_matrix(
    tmp_path: Path, photometric: str, allocated: int, bits: int, signed: bool, name: str
) -> None:
    lowest = -(2 ** (bits - 1)) if signed else 0
    values = np.random.default_rng(bits).integers(lowest, lowest + 2**bits, (2, 10, 13))
    stored = values.astype(f"{'i' if signed else 'u'}{allocated // 8}")
    pixels = as_stored(stored, SYNTAXES[name])
    path = save(dataset(stored, photometric, bits=bits), tmp_path / "v", pixels, SYNTAXES[name])
    expected = np.rint((values - lowest) / (2**bits - 1) * 255)
    if photometric == "MONOCHROME1":
        expected = 255 - expected
    np.testing.assert_array_equal(read_all(path)[..., 0], expected)


def test_colours_of_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**12, (2, 8, 10, 3)).astype(np.uint16)
    path = save(dataset(values, "RGB", bits=12), tmp_path / "v", values.tobytes())
    np.testing.assert_array_equal(read_all(path), np.rint(values / 4095 * 255))


def test_windows_and_rescaling_of_deep_values(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 2 * 10 * 12).astype(np.uint16).reshape(2, 10, 12)
    tags = {"WindowCenter": [500, 9], "WindowWidth": [501, 9], "RescaleSlope": 0.5, "RescaleIntercept": -10}
    windowed = dataset(values, "MONOCHROME2", bits=12, **tags)
    path = save(windowed, tmp_path / "v.dcm", values.tobytes())
    expected = np.clip((values * 0.5 - 10 - 499.5) / 500 + 0.5, 0, 1)
    np.testing.assert_allclose(read_all(path)[..., 0], expected * 255, atol=0.51)
    # the stored eight bits are what the scanner showed
    grey = cine()[..., 0]
    path = save(dataset(grey, "MONOCHROME2", WindowCenter=40, WindowWidth=10), tmp_path / "w", grey.tobytes())
    np.testing.assert_array_equal(read_all(path)[..., 0], grey)


@pytest.mark.parametrize("name", SYNTAXES)
def test_trap_04_ybr_with_half_the_colours(tmp_path: Path, name: str) -> None:
    rgb = cine()
    ybr = to_ybr(rgb)
    halved = np.stack([ybr[..., 0::2, 0], ybr[..., 1::2, 0], ybr[..., 0::2, 1], ybr[..., 0::2, 2]], axis=-1)
    path = save(dataset(rgb, "YBR_FULL_422"), tmp_path / "v", halved.tobytes(), SYNTAXES[name])
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 4
    assert [number_of(frame) for frame in read_all(path)] == list(range(6))


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_trap_04_jpeg_is_not_green(tmp_path: Path, photometric: str) -> None:
    rgb = cine()
    data = dataset(rgb, photometric)
    path = save(data, tmp_path / "v.dcm", encapsulate(jpeg_cine(6)), uid.JPEGBaseline8Bit)
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 5


def bare(jpeg: bytes) -> bytes:
    """A JPEG without the segments that tell its colours (JFIF and Adobe)."""
    (length,) = struct.unpack(">H", jpeg[4:6])
    assert jpeg[:3] == b"\xff\xd8\xff"
    assert jpeg[3] in {0xE0, 0xEE}
    return jpeg[:2] + jpeg[4 + length :]


def test_trap_04_jpeg_without_marks_is_what_the_header_says(tmp_path: Path) -> None:
    rgb = cine()
    stored = [bare(as_jpeg(frame, "YCbCr", subsampling=0)) for frame in rgb]
    path = save(dataset(rgb, "RGB"), tmp_path / "rgb", encapsulate(stored), uid.JPEGBaseline8Bit)
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 1
    ybr = [bare(as_jpeg(frame, subsampling=0)) for frame in rgb]
    path = save(dataset(rgb, "YBR_FULL"), tmp_path / "ybr", encapsulate(ybr), uid.JPEGBaseline8Bit)
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 1.5


def test_trap_04_fewer_colours_than_brightness_are_never_rgb(tmp_path: Path) -> None:
    rgb = cine()
    stored = [bare(as_jpeg(frame, subsampling=2)) for frame in rgb]
    path = save(dataset(rgb, "RGB"), tmp_path / "v", encapsulate(stored), uid.JPEGBaseline8Bit)
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 5


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422"])
def test_trap_04_jpeg_marked_as_rgb_is_rgb(tmp_path: Path, photometric: str) -> None:
    rgb = cine()
    stored = [as_jpeg(frame, keep_rgb=True, subsampling=0) for frame in rgb]
    path = save(dataset(rgb, photometric), tmp_path / "v", encapsulate(stored), uid.JPEGBaseline8Bit)
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 1.5


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.HTJ2KLossless])
def test_trap_04_jpeg_2000_is_converted_once(tmp_path: Path, syntax: str, photometric: str) -> None:
    codecs = pytest.importorskip("imagecodecs")
    rgb = cine()
    encode = codecs.htj2k_encode if syntax == uid.HTJ2KLossless else codecs.jpeg2k_encode
    options = {} if syntax == uid.HTJ2KLossless else {"codecformat": "j2k", "mct": True}
    stored = [encode(frame, reversible=True, **options) for frame in rgb]
    path = save(dataset(rgb, photometric), tmp_path / "v", encapsulate(stored), syntax)
    np.testing.assert_array_equal(read_all(path), rgb)
    if syntax == uid.JPEG2000Lossless and photometric.startswith("YBR_FULL"):
        stored = [codecs.jpeg2k_encode(f, reversible=True, codecformat="j2k", mct=False) for f in to_ybr(rgb)]
        path = save(dataset(rgb, photometric), tmp_path / "w", encapsulate(stored), syntax)
        assert np.abs(read_all(path).astype(int) - rgb).max() <= 3


def with_palette(data: object, tables: np.ndarray, *, first: int = 0, bits: int = 16) -> None:
    count = tables.shape[1] % 2**16
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [count, first, bits])
        stored = table.astype("<u2").tobytes() if bits == 16 else table.astype("u1").tobytes()
        setattr(data, f"{colour}PaletteColorLookupTableData", stored)


@pytest.mark.parametrize("name", ["implicit", "explicit", "deflated"])
@pytest.mark.parametrize("table_bits", [8, 16])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2"])
def test_trap_04_palette_matrix(tmp_path: Path, kind: str, table_bits: int, name: str) -> None:
    first = -100 if kind == "i2" else 0 if kind == "u1" else 50
    generator = np.random.default_rng(1)
    values = generator.integers(-150 if kind == "i2" else 0, 256, (3, 20, 30)).astype(kind)
    tables = generator.integers(0, 2**table_bits, (3, 200))
    data = dataset(values, "PALETTE COLOR", bits=8 * values.itemsize)
    with_palette(data, tables, first=first, bits=table_bits)
    path = save(data, tmp_path / "v", values.tobytes(), SYNTAXES[name])
    places = np.clip(values.astype(int) - first, 0, 199)
    expected = np.moveaxis(tables[:, places], 0, -1) >> (table_bits - 8)
    np.testing.assert_array_equal(read_all(path), expected)


def test_trap_04_palette_of_a_big_endian_file(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    tables = np.random.default_rng(1).integers(0, 256, (3, 256)) << 8
    data = dataset(values, "PALETTE COLOR")
    with_palette(data, tables.astype(np.uint16).byteswap())
    path = save(data, tmp_path / "v", values.tobytes(), SYNTAXES["big"])
    np.testing.assert_array_equal(read_all(path), np.moveaxis(tables[:, values] >> 8, 0, -1))


def segmented(bits: int) -> list[int]:
    """Discrete, linear up, discrete, linear down: 256 entries."""
    top = 2**bits - 1
    return [0, 2, 0, top // 3, 1, 100, top, 0, 4, 7, 6, 5, 4, 1, 150, 0]


@pytest.mark.parametrize("bits", [8, 16])
def test_trap_04_segmented_palette(tmp_path: Path, bits: int) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    data = dataset(values, "PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, bits])
        stored = np.array(segmented(bits), dtype=f"<u{bits // 8}").tobytes()
        setattr(data, f"Segmented{colour}PaletteColorLookupTableData", stored)
    path = save(data, tmp_path / "v", values.tobytes())
    expected = apply_color_lut(values, pydicom.dcmread(path)).astype(int) >> (bits - 8)
    np.testing.assert_array_equal(read_all(path), expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_segments_that_repeat_earlier_ones(tmp_path: Path, bits: int) -> None:
    words = [0, 2, 1, 90, 1, 4, 10]
    offset = (4 if bits == 8 else 8).to_bytes(4, "little")  # of the linear segment, in bytes
    stored = np.array([*words, 2, 1], dtype=f"<u{bits // 8}").tobytes() + offset
    values = np.arange(10, dtype=np.uint8).reshape(1, 2, 5)
    data = dataset(values, "PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [10, 0, bits])
        setattr(data, f"Segmented{colour}PaletteColorLookupTableData", stored + bytes(len(stored) % 2))
    path = save(data, tmp_path / "v", values.tobytes())
    expected = [1, 90, 70, 50, 30, 10, 10, 10, 10, 10]
    assert read_all(path)[0, ..., 0].reshape(-1).tolist() == expected


REFUSED = [
    ("YBR_PARTIAL_420", {}, "its colour space YBR_PARTIAL_420 with 3 samples"),
    ("YBR_PARTIAL_422", {}, "its colour space YBR_PARTIAL_422 with 3 samples"),
    ("HSV", {}, "its colour space HSV with 3 samples"),
    ("SECRET", {}, "its colour space with 3 samples"),
    ("MONOCHROME2", {}, "its colour space MONOCHROME2 with 3 samples"),
    ("YBR_RCT", {}, "its colour space YBR_RCT cannot be turned into RGB"),
    ("RGB", {"BitsAllocated": 12}, "stores 8 of 12 bits per value, expected 8, 16 or 32"),
    ("RGB", {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 15}, "states High Bit 15 with 12 bits stored"),
    ("YBR_FULL", {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}, "stores YBR_FULL with 12 bits"),
]


@pytest.mark.parametrize(("photometric", "tags", "reason"), REFUSED)
def test_what_cannot_be_shown_in_true_colours_is_refused(
    tmp_path: Path, photometric: str, tags: dict, reason: str
) -> None:
    rgb = cine()
    path = save(dataset(rgb, photometric, **tags), tmp_path / "v", rgb.tobytes())
    with pytest.raises(DecodeError, match=reason) as caught:
        open_video(path)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("spoiled", ["Descriptor", "Data"])
def test_palettes_with_holes_are_refused(tmp_path: Path, spoiled: str) -> None:
    values = np.zeros((1, 16, 16), dtype=np.uint8)
    data = dataset(values, "PALETTE COLOR")
    with_palette(data, np.zeros((3, 256), dtype=np.uint16))
    delattr(data, f"GreenPaletteColorLookupTable{spoiled}")
    with pytest.raises(DecodeError, match="its colour palette cannot be read"):
        open_video(save(data, tmp_path / "v", values.tobytes()))
