"""Ultrasound files with a patient in them, and the ids that they must become."""

import hashlib
from pathlib import Path

from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset


def write(path: Path, *, syntax: str = uid.ExplicitVRLittleEndian, frames: int = 2, **tags: object) -> Path:
    """An ultrasound file with a patient in it; a tag of None is left out."""
    data = Dataset()
    values = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1",
        "SOPInstanceUID": uid.generate_uid(),
        "Modality": "US",
        "PatientName": "SECRETNAME^PATIENT",
        "PatientID": "SECRETID",
        "PatientBirthDate": "19480229",
        "StudyDate": "20110317",
        "AccessionNumber": "SECRETACCESSION",
        "StudyInstanceUID": "1.2.987654321.1",
        "SeriesDescription": "SECRETSERIES",
    } | tags
    if frames:
        values |= {"Rows": 4, "Columns": 6, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
        values |= {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
        values |= {"NumberOfFrames": frames, "FrameTime": 40, "PixelData": bytes(range(24)) * frames}
    for name, value in values.items():
        if value is not None:
            setattr(data, name, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def expected_id(value: str, salt: str) -> str:
    return hashlib.blake2b(value.encode(), key=salt.encode()).hexdigest()[:16]
