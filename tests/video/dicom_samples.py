"""Small DICOM files for the tests of the DICOM reader."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from video_samples import picture

from echossl.video import open_video

SECRETS = ("SECRETNAME", "SECRETID", "19480229", "987654321", "SECRETDOCTOR")
STUDY = "1.2.826.0.1.987654321"


def dataset(frames: np.ndarray, photometric: str, *, bits: int = 8, **tags: object) -> Dataset:
    """A minimal ultrasound data set of (n, height, width[, 3]) stored values, with a patient in it."""
    data = Dataset()
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    data.SOPInstanceUID = uid.generate_uid()
    data.StudyInstanceUID = STUDY
    data.Modality = "US"
    data.PatientName, data.PatientID, data.PatientBirthDate = "SECRETNAME^PATIENT", "SECRETID", "19480229"
    data.ReferringPhysicianName = "SECRETDOCTOR"
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
    if uid.UID(syntax).is_transfer_syntax:
        data.save_as(path, enforce_file_format=True)
    else:
        # pydicom knows neither JPEG XL nor what is made up
        data.preamble = bytes(128)
        data.save_as(path, implicit_vr=False, little_endian=True, force_encoding=True)
    return path


def cine(count: int = 6) -> np.ndarray:
    """RGB pictures (count, height, width, 3) that carry their numbers."""
    return np.stack([picture(number) for number in range(count)])


def to_ybr(rgb: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 full range, the YBR_FULL of DICOM PS3.3 C.7.6.3.1.2."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.rint(np.clip(rgb @ matrix.T + [0, 128, 128], 0, 255)).astype(np.uint8)


def jpeg_cine(count: int, **options: object) -> list[bytes]:
    return [as_jpeg(frame, **options) for frame in cine(count)]


def as_jpeg(frame: np.ndarray, mode: str | None = None, **options: object) -> bytes:
    """A JPEG; with mode YCbCr the values are stored as they are, without a conversion of colours."""
    buffer = io.BytesIO()
    Image.fromarray(frame, mode).save(buffer, "JPEG", **{"quality": 95, **options})
    return buffer.getvalue()


def read_all(path: Path) -> np.ndarray:
    with open_video(path) as reader:
        frames = reader.read(range(reader.num_frames))
        assert frames.shape[1:] == (reader.height, reader.width, reader.channels)
        return frames
