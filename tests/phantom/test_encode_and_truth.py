from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import generate_frames

from echossl.config.phantom import PhantomConfig
from echossl.errors import UserError
from echossl.phantom.anatomy import sample_patient
from echossl.phantom.encode import write_video
from echossl.phantom.render import render_video
from echossl.phantom.truth import read_truth, truth_path, write_truth

PATIENT = sample_patient(0, 5)
RENDERED = render_video(
    PATIENT,
    1,
    PhantomConfig(out=Path("unused"), beats=(0.6, 0.7), frames_per_second=(31, 47), image_height=(80, 90)),
)
RATE = RENDERED.beats.frames_per_second
TAGS = {
    "patient_id": "P00005",
    "sex": "F",
    "age": 71,
    "study": "P00005_S1",
    "video": 1,
    "cm_per_pixel": 0.1,
    "compressed": 1,
}


def written(tmp_path, container, **tags) -> Path:
    path = tmp_path / f"P00005_1.{container}"
    write_video(path, RENDERED.frames, RATE, container, TAGS | tags)
    return path


def difference(frames):
    return np.abs(frames.astype(int) - RENDERED.frames).mean()


@pytest.mark.parametrize(("container", "codec"), [("avi", "mjpeg"), ("mp4", "h264")])
def test_a_decoder_gives_the_frames_back(tmp_path, container, codec):
    with av.open(str(written(tmp_path, container))) as opened:
        stream = opened.streams.video[0]
        assert stream.codec_context.name == codec
        assert float(stream.average_rate) == pytest.approx(RATE, abs=0.01)
        decoded = list(opened.decode(stream))
        frames = np.stack([frame.to_ndarray(format="rgb24")[..., 0] for frame in decoded])
    assert frames.shape == RENDERED.frames.shape
    assert difference(frames) < 4
    seconds = np.array([frame.time for frame in decoded])
    np.testing.assert_allclose(np.diff(seconds), 1 / RATE, atol=2e-3)


def test_h264_uses_the_limited_range_and_b_frames(tmp_path):
    with av.open(str(written(tmp_path, "mp4"))) as opened:
        decoded = list(opened.decode(video=0))
    luma = np.stack([frame.to_ndarray()[: frame.height] for frame in decoded])
    assert np.percentile(luma, 1) >= 14
    assert np.percentile(luma, 99.9) <= 236
    assert np.median(luma[:, -3:, :2]) == 16
    assert any(int(frame.pict_type) == 3 for frame in decoded)


def test_uncompressed_dicom_is_exact(tmp_path):
    data = pydicom.dcmread(written(tmp_path, "dcm", compressed=0))
    assert data.file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"
    assert (data.pixel_array == RENDERED.frames).all()


def test_compressed_dicom_holds_one_jpeg_a_frame(tmp_path):
    data = pydicom.dcmread(written(tmp_path, "dcm"))
    assert data.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert data.LossyImageCompression == "01"
    parts = generate_frames(data.PixelData, number_of_frames=int(data.NumberOfFrames))
    frames = np.stack([np.asarray(Image.open(BytesIO(part))) for part in parts])
    assert frames.shape == RENDERED.frames.shape
    assert difference(frames) < 3


def test_dicom_tags_say_what_a_reader_needs_and_name_nobody(tmp_path):
    data = pydicom.dcmread(written(tmp_path, "dcm"))
    assert float(data.FrameTime) == pytest.approx(1000 / RATE, abs=1e-3)
    assert data.FrameIncrementPointer == 0x00181063
    assert data.PhotometricInterpretation == "MONOCHROME2"
    assert (data.Rows, data.Columns) == RENDERED.frames.shape[1:]
    assert data.SOPClassUID.name == "Ultrasound Multi-frame Image Storage"
    assert data.SOPInstanceUID == data.file_meta.MediaStorageSOPInstanceUID
    assert str(data.PatientName) == "PHANTOM^P00005"
    assert data.PatientBirthDate == ""
    region = data.SequenceOfUltrasoundRegions[0]
    assert region.PhysicalDeltaX == 0.1
    assert region.PhysicalUnitsXDirection == 3


def test_two_videos_of_a_study_share_its_id_and_not_their_own(tmp_path):
    first = pydicom.dcmread(written(tmp_path, "dcm", video=1))
    second = pydicom.dcmread(written(tmp_path, "dcm", video=2))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


@pytest.mark.parametrize("container", ["avi", "mp4", "dcm"])
def test_the_same_frames_are_the_same_bytes(tmp_path, container):
    assert written(tmp_path / "a", container).read_bytes() == written(tmp_path / "b", container).read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyError):
        write_video(tmp_path / "a.dcm", RENDERED.frames, RATE, "dcm", {})
    assert list(tmp_path.iterdir()) == []


def test_truth_comes_back_as_it_was(tmp_path):
    video = tmp_path / "videos" / "P00005" / "P00005_1.avi"
    write_truth(truth_path(tmp_path, video), PATIENT, RENDERED)
    truth = read_truth(tmp_path, video)
    assert truth.valve_mask.dtype == bool
    assert (truth.valve_mask == RENDERED.valve_mask).all()
    assert (truth.phase == RENDERED.beats.phase).all()
    wanted = {"severity", "opening", "thickness_cm", "heart_rate_per_min", "ejection_fraction", "rv_depth_cm"}
    assert wanted <= set(truth.latents)
    assert truth.latents["severity"] == PATIENT.severity
    assert truth.latents["nuisance_gain"] == RENDERED.nuisances["gain"]
    assert truth.latents["frames_per_second"] == RATE


def test_the_mask_takes_a_bit_a_pixel_at_most(tmp_path):
    path = truth_path(tmp_path, Path("P00005_1.avi"))
    write_truth(path, PATIENT, RENDERED)
    assert path.stat().st_size < RENDERED.valve_mask.size / 8


def test_missing_truth_is_named(tmp_path):
    with pytest.raises(UserError, match=r"P00009_1\.npz: no such file"):
        read_truth(tmp_path, Path("P00009_1.mp4"))
