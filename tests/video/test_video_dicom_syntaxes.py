"""Every transfer syntax: lossless ones give back every value, lossy ones come close."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
codecs = pytest.importorskip("imagecodecs")
from dicom_samples import as_jpeg, cine, dataset, read_all, save, to_ybr  # noqa: E402
from pydicom import uid  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels.encoders import RLELosslessEncoder  # noqa: E402
from video_samples import SHARED, number_of, picture  # noqa: E402

from echossl.errors import DecodeError  # noqa: E402
from echossl.video import open_video  # noqa: E402

Encode = Callable[[np.ndarray], bytes]

JPEG_XL_LOSSLESS, JPEG_XL_JPEG, JPEG_XL = (f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112))
COUNT = 3
RGB = cine(COUNT)
GREY = np.ascontiguousarray(RGB[..., 0])
# all 12 bits are used
DEEP = (GREY.astype(np.uint16) * 16 + np.arange(96, dtype=np.uint16) % 16).astype(np.uint16)


def rle(frame: np.ndarray) -> bytes:
    return RLELosslessEncoder.encode(
        frame.tobytes(),
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples_per_pixel=3 if frame.ndim == 3 else 1,
        photometric_interpretation="RGB" if frame.ndim == 3 else "MONOCHROME2",
        planar_configuration=0,
        bits_allocated=8 * frame.itemsize,
        bits_stored=8 * frame.itemsize,
        pixel_representation=0,
        number_of_frames=1,
    )


def lossless_jpeg(predictor: int, bits: int = 8) -> Encode:
    return lambda frame: codecs.jpeg8_encode(frame, lossless=True, predictor=predictor, bitspersample=bits)


def jpeg_2000(**options: object) -> Encode:
    return lambda frame: codecs.jpeg2k_encode(frame, codecformat="j2k", **options)


def htj2k(**options: object) -> Encode:
    return lambda frame: codecs.htj2k_encode(frame, **options)


def jpeg_xl(**options: object) -> Encode:
    return lambda frame: codecs.jpegxl_encode(frame, **options)


LOSSLESS: dict[str, tuple[str, str, Encode, Encode]] = {
    # name: syntax, colour space, encoder of 8 bits, encoder of 12 bits
    "rle": (uid.RLELossless, "RGB", rle, rle),
    "jpeg_p14": (uid.JPEGLossless, "RGB", lossless_jpeg(4), lossless_jpeg(4, 12)),
    "jpeg_sv1": (uid.JPEGLosslessSV1, "RGB", lossless_jpeg(1), lossless_jpeg(1, 12)),
    "jpeg_ls": (uid.JPEGLSLossless, "RGB", codecs.jpegls_encode, codecs.jpegls_encode),
    "jpeg_2000": (
        uid.JPEG2000Lossless,
        "YBR_RCT",
        jpeg_2000(reversible=True),
        jpeg_2000(reversible=True, bitspersample=12),
    ),
    "jpeg_2000_any": (
        uid.JPEG2000,
        "YBR_RCT",
        jpeg_2000(reversible=True),
        jpeg_2000(reversible=True, bitspersample=12),
    ),
    "htj2k": (uid.HTJ2KLossless, "YBR_RCT", htj2k(reversible=True), htj2k(reversible=True)),
    "htj2k_rpcl": (uid.HTJ2KLosslessRPCL, "YBR_RCT", htj2k(reversible=True), htj2k(reversible=True)),
    "htj2k_any": (uid.HTJ2K, "YBR_RCT", htj2k(reversible=True), htj2k(reversible=True)),
    "jpeg_xl": (JPEG_XL_LOSSLESS, "RGB", jpeg_xl(lossless=True), jpeg_xl(lossless=True, bitspersample=12)),
    "jpeg_xl_any": (JPEG_XL, "RGB", jpeg_xl(lossless=True), jpeg_xl(lossless=True, bitspersample=12)),
}


def encoded(frames: np.ndarray, encode: Encode) -> bytes:
    return encapsulate([encode(frame) for frame in frames])


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_syntaxes_give_back_every_value(tmp_path: Path, name: str) -> None:
    syntax, photometric, encode, encode_deep = LOSSLESS[name]
    colour = save(dataset(RGB, photometric), tmp_path / "colour.dcm", encoded(RGB, encode), syntax)
    np.testing.assert_array_equal(read_all(colour), RGB)
    # the planes of compressed pictures are the codec's affair, whatever the header says
    planar = dataset(RGB, photometric, PlanarConfiguration=1)
    np.testing.assert_array_equal(
        read_all(save(planar, tmp_path / "planar.dcm", encoded(RGB, encode), syntax)), RGB
    )
    grey = save(dataset(GREY, "MONOCHROME2"), tmp_path / "grey.dcm", encoded(GREY, encode), syntax)
    np.testing.assert_array_equal(read_all(grey)[..., 0], GREY)
    stored = dataset(DEEP, "MONOCHROME2", bits=12)
    deep = save(stored, tmp_path / "deep.dcm", encoded(DEEP, encode_deep), syntax)
    np.testing.assert_array_equal(read_all(deep)[..., 0], np.rint(DEEP / 4095 * 255))


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
)
def test_uncompressed_syntaxes_give_back_every_value(tmp_path: Path, syntax: str) -> None:
    # odd numbers of bytes a frame
    odd = RGB[:, :63, :95]
    path = save(dataset(odd, "RGB"), tmp_path / "v.dcm", odd.tobytes() + b"\0", syntax)
    np.testing.assert_array_equal(read_all(path), odd)
    with open_video(path) as reader:
        np.testing.assert_array_equal(reader.read([2, 1]), odd[[2, 1]])


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_eight_bit_values_in_sixteen_bit_words(tmp_path: Path, syntax: str) -> None:
    """In a big-endian file the second value of a word comes first."""
    odd = RGB[:, :63, :95]
    stored = odd.tobytes() + b"\0"
    pixels = np.frombuffer(stored, "<u2").byteswap().tobytes()
    path = save(
        dataset(odd, "RGB", BitsAllocated=16),
        tmp_path / "v.dcm",
        pixels if syntax == uid.ExplicitVRBigEndian else stored,
        syntax,
    )
    path.write_bytes(path.read_bytes().replace(*bits_allocated(syntax)))
    np.testing.assert_array_equal(read_all(path), odd)
    with open_video(path) as reader:
        np.testing.assert_array_equal(reader.read([2, 1]), odd[[2, 1]])


def bits_allocated(syntax: str) -> tuple[bytes, bytes]:
    """The Bits Allocated element with 16, and with 8."""
    if syntax == uid.ExplicitVRBigEndian:
        return b"\x00\x28\x01\x00US\x00\x02\x00\x10", b"\x00\x28\x01\x00US\x00\x02\x00\x08"
    head = b"\x28\x00\x00\x01" + (
        b"\x02\x00\x00\x00" if syntax == uid.ImplicitVRLittleEndian else b"US\x02\x00"
    )
    return head + b"\x10\x00", head + b"\x08\x00"


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_uncompressed_words_have_the_byte_order_of_the_file(tmp_path: Path, syntax: str) -> None:
    order = ">u2" if syntax == uid.ExplicitVRBigEndian else "<u2"
    data = dataset(DEEP, "MONOCHROME2", bits=12)
    path = save(data, tmp_path / "v.dcm", DEEP.astype(order).tobytes(), syntax)
    np.testing.assert_array_equal(read_all(path)[..., 0], np.rint(DEEP / 4095 * 255))


LOSSY: dict[str, tuple[str, str, Encode, np.ndarray, float]] = {
    # name: syntax, colour space, encoder, frames, largest mean difference in grey levels
    "jpeg": (uid.JPEGBaseline8Bit, "YBR_FULL_422", as_jpeg, RGB, 4.0),
    "jpeg_444": (uid.JPEGBaseline8Bit, "YBR_FULL", lambda f: as_jpeg(f, subsampling=0), RGB, 1.5),
    "jpeg_progressive": (uid.JPEGBaseline8Bit, "YBR_FULL", lambda f: as_jpeg(f, progressive=True), RGB, 4.0),
    "jpeg_grey": (uid.JPEGBaseline8Bit, "MONOCHROME2", as_jpeg, GREY, 1.0),
    "extended": (uid.JPEGExtended12Bit, "YBR_FULL_422", as_jpeg, RGB, 4.0),
    "jpeg_ls_near": (uid.JPEGLSNearLossless, "RGB", lambda f: codecs.jpegls_encode(f, level=2), RGB, 2.0),
    "jpeg_2000": (uid.JPEG2000, "YBR_ICT", jpeg_2000(level=40, reversible=False), RGB, 2.5),
    "htj2k": (uid.HTJ2K, "YBR_ICT", htj2k(level=0.01, reversible=False), RGB, 2.5),
    "jpeg_xl": (JPEG_XL, "XYB", jpeg_xl(distance=0.5), RGB, 4.0),
    "jpeg_xl_rgb": (JPEG_XL, "RGB", jpeg_xl(distance=0.5), RGB, 4.0),
}


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_syntaxes_come_close(tmp_path: Path, name: str) -> None:
    syntax, photometric, encode, frames, tolerance = LOSSY[name]
    path = save(dataset(frames, photometric), tmp_path / "v.dcm", encoded(frames, encode), syntax)
    found = read_all(path)
    difference = np.abs(found.astype(int) - frames.reshape(found.shape))
    assert difference.mean() < tolerance
    assert [number_of(frame) for frame in found] == list(range(COUNT))


def test_extended_jpeg_of_twelve_bits(tmp_path: Path) -> None:
    smooth = (np.mgrid[:64, :96].sum(axis=0) * 20 + 300).astype(np.uint16)[None]
    pixels = encoded(smooth, lambda frame: codecs.jpeg8_encode(frame, level=98, bitspersample=12))
    path = save(dataset(smooth, "MONOCHROME2", bits=12), tmp_path / "v", pixels, uid.JPEGExtended12Bit)
    assert np.abs(read_all(path)[..., 0] - smooth / 4095 * 255).max() < 1.5


@pytest.mark.parametrize("bits", [12, 16])
def test_signed_values_in_jpeg_2000(tmp_path: Path, bits: int) -> None:
    generator = np.random.default_rng(bits)
    values = generator.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 20, 30)).astype(np.int16)
    pixels = encoded(values, jpeg_2000(reversible=True, bitspersample=bits))
    path = save(dataset(values, "MONOCHROME2", bits=bits), tmp_path / "v", pixels, uid.JPEG2000Lossless)
    expected = np.rint((values.astype(float) + 2 ** (bits - 1)) / (2**bits - 1) * 255)
    np.testing.assert_array_equal(read_all(path)[..., 0], expected)


def test_jpeg_put_into_jpeg_xl_is_the_same_picture(tmp_path: Path) -> None:
    pictures = [as_jpeg(frame) for frame in RGB]
    packed = [codecs.jpegxl_encode_jpeg(data) for data in pictures]
    path = save(dataset(RGB, "YBR_FULL_422"), tmp_path / "v", encapsulate(packed), JPEG_XL_JPEG)
    plain = save(dataset(RGB, "YBR_FULL_422"), tmp_path / "w", encapsulate(pictures), uid.JPEGBaseline8Bit)
    assert np.abs(read_all(path).astype(int) - read_all(plain)).mean() < 1


def test_lossless_jpeg_xl_of_ybr_is_converted(tmp_path: Path) -> None:
    path = save(
        dataset(RGB, "YBR_FULL"),
        tmp_path / "v",
        encoded(to_ybr(RGB), jpeg_xl(lossless=True)),
        JPEG_XL_LOSSLESS,
    )
    assert np.abs(read_all(path).astype(int) - RGB).max() <= 3


def test_jpeg_xl_without_imagecodecs_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = encoded(RGB, jpeg_xl(lossless=True))
    path = save(dataset(RGB, "RGB"), tmp_path / "v.dcm", pixels, JPEG_XL_LOSSLESS)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(DecodeError, match=r'JPEG XL pictures.*pip install "echossl\[jpegxl\]"'):
        open_video(path)


@pytest.mark.parametrize("last", [*range(100, 109)])
def test_mpeg_is_refused_in_words(tmp_path: Path, last: int) -> None:
    path = save(dataset(RGB, "RGB"), tmp_path / "v", encapsulate([b"0000"]), f"1.2.840.10008.1.2.4.{last}")
    with pytest.raises(DecodeError, match="holds an MPEG stream, which is not read; export it as MP4"):
        open_video(path)


def test_unknown_syntaxes_are_refused_in_words(tmp_path: Path) -> None:
    path = save(dataset(RGB, "RGB"), tmp_path / "v", encapsulate([b"0000"]), "1.2.826.0.1.99")
    with pytest.raises(DecodeError, match=r"transfer syntax 1\.2\.826\.0\.1\.99 is unknown to pydicom"):
        open_video(path)


OTHER_SIZE = picture(0, height=640, width=960)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (uid.JPEGBaseline8Bit, as_jpeg),
        (uid.JPEGLosslessSV1, lossless_jpeg(1)),
        (uid.JPEGLSLossless, codecs.jpegls_encode),
        (uid.JPEG2000Lossless, jpeg_2000(reversible=True)),
        (uid.HTJ2KLossless, htj2k(reversible=True)),
        (JPEG_XL_LOSSLESS, jpeg_xl(lossless=True)),
    ],
)
def test_pictures_of_another_size_than_stated_are_refused(
    tmp_path: Path, syntax: str, encode: Encode
) -> None:
    path = save(dataset(RGB, "RGB"), tmp_path / "v", encapsulate([encode(OTHER_SIZE)] * COUNT), syntax)
    with pytest.raises(DecodeError, match=r"frame 0 is damaged .*640"):
        open_video(path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real files is not here")
def test_real_jpeg_xl_is_the_jpeg_it_was_made_of() -> None:
    folder = SHARED / "dicom"
    with (
        open_video(folder / "dcm4che_will-jxl_vividE95.dcm") as packed,
        open_video(folder / "derived_vividE95_jpegbaseline.dcm") as plain,
    ):
        assert packed.num_frames == plain.num_frames == 27
        np.testing.assert_array_equal(packed.frame_seconds, plain.frame_seconds)
        assert np.abs(packed.read([13]).astype(int) - plain.read([13])).mean() < 1
