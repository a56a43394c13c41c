"""Frames to the file kinds of a clinic: MJPEG in AVI, H.264 in MP4, multi-frame DICOM."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from echossl.config.phantom import Container
from echossl.files import atomic_path

Frames = NDArray[np.uint8]

JPEG_QUALITY = 95


def write_video(
    path: Path, frames: Frames, frames_per_second: float, container: Container, tags: dict[str, str | float]
) -> None:
    """Write grey frames (frames, height, width) with even height and width; the file is whole or absent.

    Args:
        path: where to.
        frames: uint8 grey values.
        frames_per_second: frame rate, with two decimals.
        container: file kind.
        tags: for DICOM: ``patient_id``, ``sex``, ``age``, ``study``, ``video``, ``cm_per_pixel``,
            ``compressed`` (1 or 0), and ``view`` where it is another than the parasternal long axis.

    Raises:
        ValueError: if a picture, ``png``, is given several frames.
    """
    with atomic_path(path) as temporary:
        if container == "png":
            if len(frames) != 1:
                raise ValueError(f"{path}: found {len(frames)} frames, expected one in a picture")
            Image.fromarray(frames[0]).save(temporary, "PNG")
        elif container == "dcm":
            _write_dicom(temporary, frames, frames_per_second, tags)
        elif container == "mp4":
            _write_stream(temporary, frames, frames_per_second, "libx264", "yuv420p")
        else:
            _write_stream(temporary, frames, frames_per_second, "mjpeg", "yuvj420p")


def _write_stream(path: Path, frames: Frames, frames_per_second: float, codec: str, pixels: str) -> None:
    """Grey values become luma: as they are in JPEG, squeezed to 16-235 in H.264, as each standard wants."""
    _, height, width = frames.shape
    if codec == "libx264":
        luma = (16 + np.arange(256) * (219 / 255) + 0.5).astype(np.uint8)[frames]
        # slower presets look ahead, and on small pictures read memory never written: other bytes each time
        options = {"crf": "13", "preset": "ultrafast", "bf": "2", "g": "30"}
    else:
        luma = frames
        options = {"qmin": "1", "qmax": "2"}
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    with av.open(str(path), "w") as container:
        rate = Fraction(round(frames_per_second * 100), 100)
        # both codecs are for pictures, which the stubs cannot know
        stream = cast("av.VideoStream", container.add_stream(codec, rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        # one thread: the same bytes on any machine, and the other cores make other patients
        stream.thread_count = 1
        for frame in luma:
            picture[:height] = frame
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, pixels)))
        container.mux(stream.encode(None))


def _write_dicom(path: Path, frames: Frames, frames_per_second: float, tags: dict[str, str | float]) -> None:
    compressed = bool(tags["compressed"])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(tags["study"]), str(tags["video"])])
    meta.TransferSyntaxUID = JPEGBaseline8Bit if compressed else ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    _identify(data, tags)
    _describe_pixels(data, frames, frames_per_second, float(tags["cm_per_pixel"]))
    if compressed:
        data.LossyImageCompression = "01"
        data.LossyImageCompressionMethod = "ISO_10918_1"
        data.PixelData = encapsulate([_jpeg(frame) for frame in frames])
        data["PixelData"].is_undefined_length = True
    else:
        data.PixelData = frames.tobytes()
    data.save_as(path, enforce_file_format=True)


def _identify(data: FileDataset, tags: dict[str, str | float]) -> None:
    """Placeholders where a real file names a person, a place or a day."""
    study = str(tags["study"])
    data.PatientName, data.PatientID = f"PHANTOM^{tags['patient_id']}", str(tags["patient_id"])
    data.PatientSex, data.PatientAge = str(tags["sex"]), f"{int(tags['age']):03d}Y"
    data.PatientBirthDate, data.ReferringPhysicianName = "", ""
    data.StudyInstanceUID = generate_uid(entropy_srcs=["study", study])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["series", study])
    data.StudyID, data.AccessionNumber = "1", ""
    data.StudyDate, data.StudyTime = "20000101", "120000"
    data.StudyDescription = f"Synthetic {tags.get('view', 'parasternal long axis')}"
    data.Modality, data.Manufacturer, data.ManufacturerModelName = "US", "echossl", "phantom"
    data.SeriesNumber, data.InstanceNumber = 1, int(tags["video"])
    data.BurnedInAnnotation = "NO"


def _describe_pixels(
    data: FileDataset, frames: Frames, frames_per_second: float, cm_per_pixel: float
) -> None:
    count, height, width = frames.shape
    data.NumberOfFrames, data.Rows, data.Columns = count, height, width
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.FrameTime = round(1000 / frames_per_second, 4)
    data.FrameIncrementPointer = 0x00181063
    data.CineRate = data.RecommendedDisplayFrameRate = round(frames_per_second)
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = width - 1, height - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = round(cm_per_pixel, 6)
    data.SequenceOfUltrasoundRegions = [region]


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
