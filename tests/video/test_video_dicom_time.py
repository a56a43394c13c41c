"""Times and sizes that a DICOM header states, in order of trust."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from dicom_samples import cine, dataset, save  # noqa: E402
from pydicom.dataset import Dataset  # noqa: E402
from video_samples import SHARED  # noqa: E402

from echossl.video import VideoReader, open_video  # noqa: E402
from echossl.video.dicom_time import frame_times  # noqa: E402

UNEVEN = [0, 33, 50, 33, 50, 33]


def opened(folder: Path, **tags: object) -> VideoReader:
    rgb = cine()
    with open_video(save(dataset(rgb, "RGB", **tags), folder / "v.dcm", rgb.tobytes())) as reader:
        return reader


def expected_fps(tags: dict) -> float | None:
    """The rule as plain as can be."""
    vector = tags.get("FrameTimeVector")
    is_vector_usable = vector is not None and len(vector) >= 6 and all(gap > 0 for gap in vector[1:6])
    from_vector = 5 / (sum(vector[1:6]) / 1000) if is_vector_usable else None
    if tags.get("FrameIncrementPointer") == 0x00181065 and from_vector:
        return from_vector
    if (tags.get("FrameTime") or 0) > 0:
        return 1000 / tags["FrameTime"]
    for fps in (from_vector, tags.get("CineRate"), tags.get("RecommendedDisplayFrameRate")):
        if (fps or 0) > 0:
            return fps
    return None


@pytest.mark.parametrize("pointer", [None, 0x00181063, 0x00181065])
def test_trap_03_rate_comes_from_the_tags_in_order_of_trust(pointer: int | None) -> None:
    choices = {
        "FrameTime": (None, 0, -1, 40),
        "FrameTimeVector": (None, [0, 0, 0, 0, 0, 0], [0, 50], UNEVEN),
        "CineRate": (None, 0, 20),
        "RecommendedDisplayFrameRate": (None, 0, 5),
    }
    for values in product(*choices.values()):
        tags = {name: value for name, value in zip(choices, values, strict=True) if value is not None}
        if pointer is not None:
            tags["FrameIncrementPointer"] = pointer
        data = Dataset()
        for name, value in tags.items():
            setattr(data, name, value)
        (seconds, fps), expected = frame_times(data, 6), expected_fps(tags)
        assert seconds.shape == (6,)
        assert seconds[0] == 0
        if expected is None:
            assert fps is None
            assert np.isnan(seconds[1:]).all()
        else:
            assert fps == pytest.approx(expected), tags
            assert seconds[-1] == pytest.approx(5 / expected)


def test_trap_03_uneven_frame_times_are_kept(tmp_path: Path) -> None:
    reader = opened(tmp_path, FrameTimeVector=UNEVEN, FrameTime=33, FrameIncrementPointer=0x00181065)
    np.testing.assert_allclose(reader.frame_seconds, np.cumsum(UNEVEN) / 1000)
    # a vector of a longer video that was cut is of use for its frames
    reader = opened(tmp_path, FrameTimeVector=[*UNEVEN, 9000])
    np.testing.assert_allclose(reader.frame_seconds, np.cumsum(UNEVEN) / 1000)


def test_trap_03_times_are_those_of_the_file(tmp_path: Path) -> None:
    reader = opened(tmp_path, FrameTime=0, CineRate=20, RecommendedDisplayFrameRate=5)
    assert reader.fps == 20
    np.testing.assert_allclose(reader.frame_seconds, np.arange(6) / 20)
    reader = opened(tmp_path)
    assert reader.fps is None
    assert np.isnan(reader.frame_seconds[1:]).all()


@pytest.mark.parametrize("value", ["1e-320", "1e400", "nan", "", "40 "])
def test_odd_numbers_are_no_rates(tmp_path: Path, value: str) -> None:
    opened(tmp_path, FrameTime="99.125", CineRate=10)
    path = tmp_path / "v.dcm"
    path.write_bytes(path.read_bytes().replace(b"99.125", value.encode().ljust(6)))
    with open_video(path) as reader:
        assert reader.fps == (25 if value == "40 " else 10)
        assert np.isfinite(reader.frame_seconds).all()


def region(**changes: object) -> Dataset:
    """A two-dimensional tissue region of 0.05 cm pixels within the pictures of 64 x 96."""
    values = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.05,
        "PhysicalDeltaY": 0.05,
        "RegionLocationMinX0": 5,
        "RegionLocationMinY0": 5,
        "RegionLocationMaxX1": 90,
        "RegionLocationMaxY1": 60,
    } | changes
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


DOPPLER = region(
    RegionSpatialFormat=3, RegionDataType=3, PhysicalUnitsXDirection=4, PhysicalUnitsYDirection=7
)
SIZES = [
    ({}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region()]}, 0.05, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(PhysicalDeltaX=0.04)]}, 0.05, 1.25),
    ({"SequenceOfUltrasoundRegions": [region(PhysicalDeltaY=-0.05)]}, 0.05, 1.0),
    ({"SequenceOfUltrasoundRegions": [DOPPLER, region(PhysicalDeltaY=0.06)]}, 0.06, 1.2),
    # colour flow, if there is no tissue
    ({"SequenceOfUltrasoundRegions": [region(RegionDataType=2, PhysicalDeltaY=0.06), region()]}, 0.05, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(RegionDataType=2, PhysicalDeltaY=0.06)]}, 0.06, 1.2),
    # not a picture, not centimetres, nothing, or not of this picture
    ({"SequenceOfUltrasoundRegions": [DOPPLER]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": []}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [Dataset()]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(PhysicalUnitsYDirection=0)]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(PhysicalDeltaX=0.0)]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(PhysicalDeltaY=float("nan"))]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(RegionLocationMaxX1=200)]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(RegionLocationMaxX1=96)]}, 0.05, 1.0),
    # a picture is neither a hair nor a room high
    ({"SequenceOfUltrasoundRegions": [region(PhysicalDeltaX=1.0, PhysicalDeltaY=1.0)]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(PhysicalDeltaX=0.001, PhysicalDeltaY=0.001)]}, None, 1.0),
    ({"SequenceOfUltrasoundRegions": [region(PhysicalDeltaX=0.005)]}, 0.05, 1.0),
    ({"PixelAspectRatio": [4, 3]}, None, 4 / 3),
    ({"PixelAspectRatio": [0, 0]}, None, 1.0),
    ({"PixelSpacing": [0.3, 0.2]}, 0.03, 1.5),
    ({"ImagerPixelSpacing": [0.3, 0.3]}, 0.03, 1.0),
    ({"PixelSpacing": [0.3, 0.2], "ImagerPixelSpacing": [0.9, 0.9]}, 0.03, 1.5),
    ({"PixelSpacing": [0.3, 0.2], "PixelAspectRatio": [1, 1]}, 0.03, 1.0),
    ({"PixelSpacing": [0.3, 0.2], "SequenceOfUltrasoundRegions": [region()]}, 0.05, 1.0),
    ({"PixelSpacing": [0.0, 0.2]}, None, 1.0),
]


@pytest.mark.parametrize(("tags", "cm_per_pixel", "pixel_aspect"), SIZES)
def test_size_of_a_pixel(tmp_path: Path, tags: dict, cm_per_pixel: float | None, pixel_aspect: float) -> None:
    reader = opened(tmp_path, **tags)
    assert reader.cm_per_pixel == (None if cm_per_pixel is None else pytest.approx(cm_per_pixel))
    assert reader.pixel_aspect == pytest.approx(pixel_aspect)


REAL = {
    "JPGLosslessP14SV1_1s_1f_8b": (0.0254767, 1.0),
    "OBXXXX1A_rle_2frame": (0.0262288, 1.0),
    "color3d_jpeg_baseline": (0.0510497, 1.0),
    "dcm4che_US-PAL-8-10x-echo": (None, 1.0),
    "dcm4che_US-RGB-8-esopecho": (None, 4 / 3),
    "dcm4che_YBR_422_uncompressed": (0.00616, 1.0),
    "dcm4che_YBR_FULL-RLE": (0.0095368, 1.0),
    "dcm4che_will-jxl_vividE95": (0.027239, 1.0),
    "derived_vividE95_jpegbaseline": (0.027239, 1.0),
    "examples_jpeg2k": (None, 1.0),
    "examples_rgb_color": (None, 1.0),
    # made smaller from 480 x 640 with the regions of the larger picture
    "examples_ybr_color": (None, 1.0),
}


@pytest.mark.parametrize("name", REAL)
def test_size_of_a_pixel_of_real_files(name: str) -> None:
    path = SHARED / "dicom" / f"{name}.dcm"
    if not path.is_file():
        pytest.skip("the folder of real files is not here")
    cm_per_pixel, pixel_aspect = REAL[name]
    with open_video(path) as reader:
        assert reader.cm_per_pixel == (
            None if cm_per_pixel is None else pytest.approx(cm_per_pixel, rel=1e-4)
        )
        assert reader.pixel_aspect == pytest.approx(pixel_aspect)
