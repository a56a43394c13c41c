"""DICOM cines: colour, depth, times, frame counts, and nothing of the patient in any message."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_samples import SHARED, number_of, picture

from echossl.errors import DecodeError
from echossl.video import open_video

pydicom = pytest.importorskip("pydicom")
from pydicom import uid  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402

NAME = "SECRETNAME^PATIENT"


def dataset(frames: np.ndarray, photometric: str, *, bits: int = 8, **tags: object) -> Dataset:
    """A minimal ultrasound data set of (n, height, width[, 3]) stored values."""
    data = Dataset()
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    data.SOPInstanceUID = uid.generate_uid()
    data.PatientName, data.PatientID = NAME, "SECRETID"
    data.NumberOfFrames, data.Rows, data.Columns = frames.shape[:3]
    data.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    if frames.ndim == 4:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = photometric
    data.BitsAllocated = 8 * frames.dtype.itemsize
    data.BitsStored, data.HighBit = bits, bits - 1
    data.PixelRepresentation = int(frames.dtype.kind == "i")
    for tag, value in tags.items():
        setattr(data, tag, value)
    return data


def save(data: Dataset, path: Path, pixels: bytes, syntax: str = uid.ExplicitVRLittleEndian) -> Path:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = pixels
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    data["PixelData"].is_undefined_length = pixels[:4] == b"\xfe\xff\x00\xe0"
    data.save_as(path, enforce_file_format=True)
    return path


def cine(count: int = 6) -> np.ndarray:
    return np.stack([picture(number) for number in range(count)])


def to_ybr(rgb: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 full range, the YBR_FULL of DICOM PS3.3 C.7.6.3.1.2."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.rint(np.clip(rgb @ matrix.T + [0, 128, 128], 0, 255)).astype(np.uint8)


def read_all(path: Path) -> np.ndarray:
    with open_video(path) as reader:
        frames = reader.read(range(reader.num_frames))
        assert frames.shape[1:] == (reader.height, reader.width, reader.channels)
        return frames


def test_trap_04_rgb_is_kept(tmp_path: Path) -> None:
    rgb = cine()
    path = save(dataset(rgb, "RGB"), tmp_path / "v", rgb.tobytes())
    np.testing.assert_array_equal(read_all(path), rgb)
    with open_video(path) as reader:
        np.testing.assert_array_equal(reader.read([5, 0, 5]), rgb[[5, 0, 5]])


def test_trap_04_planes_of_colours_are_kept(tmp_path: Path) -> None:
    rgb = cine()
    data = dataset(rgb, "RGB", PlanarConfiguration=1)
    path = save(data, tmp_path / "v.dcm", np.moveaxis(rgb, -1, 1).tobytes())
    np.testing.assert_array_equal(read_all(path), rgb)


def test_trap_04_ybr_is_converted_once(tmp_path: Path) -> None:
    rgb = cine()
    path = save(dataset(rgb, "YBR_FULL"), tmp_path / "full.dcm", to_ybr(rgb).tobytes())
    assert np.abs(read_all(path).astype(int) - rgb).max() <= 3
    ybr = to_ybr(rgb)
    halved = np.stack([ybr[..., 0::2, 0], ybr[..., 1::2, 0], ybr[..., 0::2, 1], ybr[..., 0::2, 2]], axis=-1)
    path = save(dataset(rgb, "YBR_FULL_422"), tmp_path / "half.dcm", halved.tobytes())
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 4
    assert [number_of(frame) for frame in read_all(path)] == list(range(6))


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_trap_04_jpeg_is_not_green(tmp_path: Path, photometric: str) -> None:
    rgb = cine()
    encoded = []
    for frame in rgb:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=95)
        encoded.append(buffer.getvalue())
    path = save(dataset(rgb, photometric), tmp_path / "v.dcm", encapsulate(encoded), uid.JPEGBaseline8Bit)
    assert np.abs(read_all(path).astype(int) - rgb).mean() < 5
    with open_video(path) as reader:
        assert number_of(reader.read([4])[0]) == 4


def test_trap_04_palette_colours_are_looked_up(tmp_path: Path) -> None:
    indices = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    tables = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint16)
    data = dataset(indices, "PALETTE COLOR")
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(data, f"{colour}PaletteColorLookupTableData", (table << 8).tobytes())
    path = save(data, tmp_path / "v.dcm", indices.tobytes())
    np.testing.assert_array_equal(read_all(path), np.moveaxis(tables[:, indices], 0, -1))


def test_trap_04_monochrome1_is_inverted(tmp_path: Path) -> None:
    grey = cine()[..., 0]
    two = save(dataset(grey, "MONOCHROME2"), tmp_path / "two.dcm", grey.tobytes())
    one = save(dataset(grey, "MONOCHROME1"), tmp_path / "one.dcm", (255 - grey).tobytes())
    np.testing.assert_array_equal(read_all(two)[..., 0], grey)
    np.testing.assert_array_equal(read_all(one), read_all(two))


def test_depth_of_more_than_eight_bits_is_scaled(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 2 * 10 * 12).astype(np.uint16).reshape(2, 10, 12)
    path = save(dataset(values, "MONOCHROME2", bits=12), tmp_path / "a.dcm", values.tobytes())
    np.testing.assert_array_equal(read_all(path)[..., 0], np.rint(values / 4095 * 255))
    signed = (values.astype(np.int32) - 2048).astype(np.int16)
    path = save(dataset(signed, "MONOCHROME2", bits=12), tmp_path / "b.dcm", signed.tobytes())
    np.testing.assert_array_equal(read_all(path)[..., 0], np.rint(values / 4095 * 255))
    windowed = dataset(values, "MONOCHROME2", bits=12, WindowCenter=1000, WindowWidth=501)
    path = save(windowed, tmp_path / "c.dcm", values.tobytes())
    expected = np.clip((values.astype(float) - 999.5) / 500 + 0.5, 0, 1)
    np.testing.assert_allclose(read_all(path)[..., 0], expected * 255, atol=0.51)


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": 40, "CineRate": 10, "RecommendedDisplayFrameRate": 5}, 25),
        ({"FrameTime": 0, "CineRate": 20, "RecommendedDisplayFrameRate": 5}, 20),
        ({"FrameTime": 0, "CineRate": 0, "RecommendedDisplayFrameRate": 5}, 5),
        ({"FrameTime": "", "FrameTimeVector": [0, 50, 50, 50, 50, 50], "CineRate": 7}, 20),
        ({"FrameTimeVector": [0, 0, 0, 0, 0, 0], "CineRate": 8}, 8),
        ({"FrameTimeVector": [0, 50], "CineRate": 9}, 9),
        ({"FrameTime": -1, "CineRate": 0}, None),
        ({}, None),
    ],
)
def test_trap_03_rate_comes_from_the_tags_in_order_of_trust(
    tmp_path: Path, tags: dict, fps: float | None
) -> None:
    rgb = cine()
    with open_video(save(dataset(rgb, "RGB", **tags), tmp_path / "v.dcm", rgb.tobytes())) as reader:
        assert reader.frame_seconds.shape == (6,)
        assert reader.frame_seconds[0] == 0
        if fps is None:
            assert reader.fps is None
            assert np.isnan(reader.frame_seconds[1:]).all()
        else:
            assert reader.fps == pytest.approx(fps)
            np.testing.assert_allclose(reader.frame_seconds, np.arange(6) / fps)


def test_trap_03_uneven_frame_times_are_kept(tmp_path: Path) -> None:
    rgb = cine()
    vector = [0, 33, 50, 33, 50, 33]
    data = dataset(rgb, "RGB", FrameTimeVector=vector, FrameTime=33, FrameIncrementPointer=0x00181065)
    with open_video(save(data, tmp_path / "v.dcm", rgb.tobytes())) as reader:
        np.testing.assert_allclose(reader.frame_seconds, np.cumsum(vector) / 1000)
        assert reader.fps == pytest.approx(5 / 0.199)


def jpeg_cine(count: int) -> list[bytes]:
    buffers = [io.BytesIO() for _ in range(count)]
    for frame, buffer in zip(cine(count), buffers, strict=True):
        Image.fromarray(frame).save(buffer, "JPEG")
    return [buffer.getvalue() for buffer in buffers]


@pytest.mark.parametrize("has_bot", [True, False])
@pytest.mark.parametrize("fragments", [1, 2])
def test_trap_01_frames_of_a_dicom_are_counted(tmp_path: Path, has_bot: bool, fragments: int) -> None:
    pixels = encapsulate(jpeg_cine(6), has_bot=has_bot, fragments_per_frame=fragments)
    data = dataset(cine(6), "YBR_FULL_422")
    path = save(data, tmp_path / "v.dcm", pixels, uid.JPEGBaseline8Bit)
    assert [number_of(frame) for frame in read_all(path)] == list(range(6))
    if fragments == 1:
        data.NumberOfFrames = 9
        path = save(data, tmp_path / "more.dcm", pixels, uid.JPEGBaseline8Bit)
        assert [number_of(frame) for frame in read_all(path)] == list(range(6))


def test_trap_01_truncated_dicom_gives_its_whole_frames(tmp_path: Path) -> None:
    rgb = cine(8)
    plain = save(dataset(rgb, "RGB"), tmp_path / "plain.dcm", rgb.tobytes())
    jpeg = save(
        dataset(rgb, "YBR_FULL_422"), tmp_path / "jpeg.dcm", encapsulate(jpeg_cine(8)), uid.JPEGBaseline8Bit
    )
    for path in (plain, jpeg):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        found = [number_of(frame) for frame in read_all(path)]
        assert found == list(range(len(found)))
        assert 3 <= len(found) < 8


@pytest.mark.parametrize("implicit", [True, False])
def test_trap_02_dicom_without_its_preamble_and_suffix(tmp_path: Path, implicit: bool) -> None:
    rgb = cine()
    data = dataset(rgb, "RGB", FrameTime=40)
    data.PixelData = rgb.tobytes()
    data["PixelData"].VR = "OB"
    path = tmp_path / "IM_0001.avi"
    data.save_as(path, implicit_vr=implicit, little_endian=True)
    assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_all(path), rgb)


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian]
)
def test_other_ways_of_writing_plain_pixels(tmp_path: Path, syntax: str) -> None:
    rgb = cine()
    np.testing.assert_array_equal(
        read_all(save(dataset(rgb, "RGB"), tmp_path / "v.dcm", rgb.tobytes(), syntax)), rgb
    )


def test_refusals_say_why_and_hold_no_name(tmp_path: Path) -> None:
    rgb = cine()
    no_pixels = dataset(rgb, "RGB")
    no_pixels.file_meta = FileMetaDataset()
    no_pixels.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    no_pixels.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    save(dataset(rgb, "YBR_FULL_422"), tmp_path / "mpeg.dcm", encapsulate([b"0000"]), uid.MPEG4HP41)
    save(
        dataset(rgb, "YBR_FULL_422"),
        tmp_path / "bad.dcm",
        encapsulate([b"no jpeg!"] * 6),
        uid.JPEGBaseline8Bit,
    )
    reasons = {
        "report": "without pictures",
        "mpeg": "MPEG stream",
        "bad": "frame 0 is damaged",
    }
    for name, reason in reasons.items():
        with pytest.raises(DecodeError, match=reason) as caught:
            open_video(tmp_path / f"{name}.dcm")
        assert "SECRET" not in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(DecodeError, match="DICOM file, which decord"):
        open_video(tmp_path / "bad.dcm", backend="decord")


def test_nothing_of_the_patient_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rgb = cine()
    path = save(dataset(rgb, "RGB"), tmp_path / "v.dcm", rgb.tobytes())
    with open_video(path) as reader:
        reader.read([0])
        assert "SECRET" not in repr(vars(reader)) + str(reader._tags)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real files is not here")
def test_trap_04_real_echo_is_grey_where_it_should_be() -> None:
    with open_video(SHARED / "dicom" / "color3d_jpeg_baseline.dcm") as reader:
        assert (reader.num_frames, reader.channels) == (120, 3)
        assert reader.fps == pytest.approx(30, abs=0.01)
        frame = reader.read([60])[0].astype(int)
    tissue = frame[100:300, 200:400]
    assert np.abs(tissue - tissue.mean(axis=-1, keepdims=True)).mean() < 3
    # one tag holds the frame time in ms
    with open_video(SHARED / "dicom" / "dcm4che_US-PAL-8-10x-echo.dcm") as reader:
        assert reader.frame_seconds[1] == pytest.approx(0.076)
