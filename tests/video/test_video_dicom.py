"""DICOM cines: colour, depth, times, frame counts, and nothing of the patient in any message."""

import copy
import logging
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from dicom_samples import SECRETS, cine, dataset, read_all, save  # noqa: E402
from pydicom import uid  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from video_samples import SHARED  # noqa: E402

from echossl.errors import DecodeError  # noqa: E402
from echossl.video import open_video  # noqa: E402


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


def private_dataset() -> Dataset:
    """A data set with the patient also in sequences, in private elements and in damaged values."""
    data = dataset(cine(), "RGB", FrameTime=40)
    person = Dataset()
    person.PatientName, person.PatientID = "SECRETNAME^NESTED", "SECRETID"
    data.ReferencedPatientSequence = [person]
    data.private_block(0x0029, "SECRETDOCTOR", create=True).add_new(1, "LO", "SECRETNAME")
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.PatientName = "SECRETNAME^REGION"
    data.SequenceOfUltrasoundRegions = [region]
    return data


def assert_silent(found: object) -> None:
    text = repr(found) + str(found) + repr(getattr(found, "__dict__", ""))
    assert not [secret for secret in SECRETS if secret in text]


def inside(found: object, seen: set[int]) -> list[object]:
    """Every object that an object holds, as far as it is of our package or a container."""
    if id(found) in seen:
        return []
    seen.add(id(found))
    held = list(getattr(found, "__dict__", {}).values())
    held += list(found.values()) if isinstance(found, dict) else []
    held += list(found) if isinstance(found, list | tuple | set) else []
    return [found, *(deep for part in held for deep in inside(part, seen))]


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian])
def test_nothing_of_the_patient_is_kept(tmp_path: Path, syntax: str) -> None:
    path = save(private_dataset(), tmp_path / "v.dcm", cine().tobytes(), syntax)
    with open_video(path) as reader:
        reader.read([0])
        for part in inside(reader, set()):
            # the inflated bytes of a deflated file are the file itself
            if not hasattr(part, "read") or part is reader:
                assert_silent(part)


def test_nothing_of_the_patient_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good = save(private_dataset(), tmp_path / "v.dcm", cine().tobytes())
    whole = good.read_bytes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for cut in range(140, len(whole) - cine().nbytes + 20, 7):
            path = tmp_path / "cut.dcm"
            path.write_bytes(whole[:cut])
            with pytest.raises(DecodeError) as error:
                open_video(path)
            assert_silent(error.value)
            assert_silent(pickle.loads(pickle.dumps(error.value)))  # noqa: S301 - what workers do
            assert "\n" not in str(error.value)
    assert not caught
    assert capfd.readouterr() == ("", "")
    assert_silent(caplog.text)


@pytest.mark.parametrize(
    ("element", "count", "is_fatal"),
    [
        (b"\x28\x00\x08\x00IS", 2, False),  # Number of Frames
        (b"\x18\x00\x63\x10DS", 2, False),  # Frame Time
        (b"\x28\x00\x04\x00CS", 4, True),  # Photometric Interpretation
        (b"\x02\x00\x10\x00UI", 10, True),  # Transfer Syntax UID
    ],
)
def test_values_that_cannot_be_read_are_not_quoted(
    tmp_path: Path, element: bytes, count: int, is_fatal: bool
) -> None:
    """A name in an element that is read: it stays where it is."""
    good = save(private_dataset(), tmp_path / "v.dcm", cine().tobytes()).read_bytes()
    start = good.index(element) + 8
    path = tmp_path / "damaged.dcm"
    path.write_bytes(good[:start] + b"SECRETNAME"[:count] + good[start + count :])
    if is_fatal:
        with pytest.raises(DecodeError) as error:
            open_video(path)
        assert "SECR" not in str(error.value)
    else:
        with open_video(path) as reader:
            assert "SE" not in repr(vars(reader))


def test_readers_close_their_file(tmp_path: Path) -> None:
    path = save(dataset(cine(), "RGB"), tmp_path / "v.dcm", cine().tobytes())
    reader = open_video(path)
    file = copy.copy(vars(reader))["_file"]
    assert not file.closed
    reader.close()
    reader.close()
    assert file.closed


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
