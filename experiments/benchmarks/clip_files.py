"""The files that the benchmarks read: three usual forms of echo videos, and some for the store."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAMES_PER_CLIP = 16
KINDS = ("112 x 112 MJPEG AVI", "600 x 800 H.264 MP4", "480 x 640 JPEG DICOM")


def speckle(num_frames: int, height: int, width: int, *, seed: int) -> np.ndarray:
    """Grey pictures (num_frames, height, width) uint8 of a speckled fan that beats."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    depth = np.hypot(rows + 0.1 * height, columns - width / 2)
    angle = np.abs(np.arctan2(columns - width / 2, rows + 0.1 * height))
    inside = (angle < 0.75) & (depth < height)
    texture = generator.rayleigh(40, (2 * height, width))
    frames = np.empty((num_frames, height, width), dtype=np.uint8)
    for number, frame in enumerate(frames):
        beat = int(0.05 * height * (1 + np.sin(2 * np.pi * number / 30)))
        wall = 1 + np.exp(-(((depth - 0.5 * height - beat) / (0.06 * height)) ** 2))
        frame[...] = np.clip(texture[beat : beat + height] * wall * inside, 0, 255)
    return frames


def write_kind(folder: Path, kind: str) -> Path:
    """Write one of ``KINDS``; gives its path."""
    if kind == KINDS[0]:
        return write_video(
            folder / "small.avi", speckle(150, 112, 112, seed=0), "mjpeg", "yuvj420p", {"q:v": "3"}
        )
    if kind == KINDS[1]:
        frames = speckle(300, 600, 800, seed=1)
        return write_video(
            folder / "large.mp4", frames, "libx264", "yuv420p", {"g": "250", "preset": "medium"}
        )
    return write_dicom(folder / "cine.dcm", speckle(90, 480, 640, seed=2))


def write_video(
    path: Path, frames: np.ndarray, codec: str, pixel_format: str, options: dict[str, str]
) -> Path:
    """Encode grey frames at 30 per second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], pixel_format
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.repeat(frame[..., None], 3, axis=-1), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def write_dicom(path: Path, frames: np.ndarray) -> Path:
    """Write frames as a multi-frame ultrasound DICOM file in JPEG baseline, colour as scanners do."""
    import io

    from PIL import Image
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import (
        JPEGBaseline8Bit,
        UltrasoundMultiFrameImageStorage,
        generate_uid,
    )

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        UltrasoundMultiFrameImageStorage,
        generate_uid(),
    )
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
        "US",
    )
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = (
        3,
        "YBR_FULL_422",
        0,
    )
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = len(frames), *frames.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.FrameTime = 33.3
    encoded = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(np.repeat(frame[..., None], 3, axis=-1)).save(buffer, "JPEG", quality=90)
        encoded.append(buffer.getvalue())
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, implicit_vr=False, little_endian=True)
    return path


def write_store_videos(folder: Path) -> Path:
    """Sixty-four small videos of 32 patients and their manifest; gives the manifest's path."""
    folder.mkdir(parents=True)
    lines = ["path,patient_id"]
    for number in range(64):
        name = f"{number:02d}.avi"
        write_video(folder / name, speckle(120, 112, 112, seed=number), "mjpeg", "yuvj420p", {"q:v": "3"})
        lines.append(f"{name},p{number // 2}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest
