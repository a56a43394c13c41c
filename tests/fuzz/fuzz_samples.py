"""Tiny good files of every kind that the readers know, to be damaged."""

import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

# decord needs rows of whole 64 bytes
HEIGHT, WIDTH, NUM_FRAMES = 32, 64, 6


def pictures(channels: int = 3) -> np.ndarray:
    """A moving wave: uint8 (NUM_FRAMES, HEIGHT, WIDTH, channels)."""
    frames, rows, columns, colours = np.mgrid[:NUM_FRAMES, :HEIGHT, :WIDTH, :channels]
    return (128 + 90 * np.sin((columns + 4 * frames + 9 * colours) / 5) * np.cos(rows / 6)).astype(np.uint8)


def container(
    suffix: str, codec: str, pixel_format: str = "yuv420p", *, scale: int = 1, **options: str
) -> bytes:
    """A video file in memory; ``scale`` makes its pictures larger."""
    target = io.BytesIO()
    with av.open(target, "w", format=suffix) as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT * scale, WIDTH * scale, pixel_format
        for picture in pictures().repeat(scale, axis=1).repeat(scale, axis=2):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return target.getvalue()


def gif() -> bytes:
    """An animation."""
    first, *others = [Image.fromarray(picture) for picture in pictures()]
    return picture_bytes(first, "GIF", save_all=True, append_images=others, duration=40)


def picture_bytes(image: Image.Image, form: str, **options: object) -> bytes:
    """A picture as a file in memory."""
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def picture(form: str, **options: object) -> bytes:
    """A single picture in a format of Pillow."""
    return picture_bytes(Image.fromarray(pictures()[0]), form, **options)


def dicom(
    syntax: str,
    encode: Callable[[np.ndarray], bytes] | None = None,
    *,
    channels: int = 3,
    **claims: object,
) -> bytes:
    """A cine; ``encode`` compresses one frame, ``claims`` are tags that say something else than is true."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["fuzz"])
    order = {
        "is_implicit_VR": syntax == ImplicitVRLittleEndian,
        "is_little_endian": syntax != ExplicitVRBigEndian,
    }
    data = FileDataset(None, {}, preamble=bytes(128), file_meta=meta, **order)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns, data.NumberOfFrames = HEIGHT, WIDTH, NUM_FRAMES
    data.SamplesPerPixel, data.PlanarConfiguration = channels, 0
    is_ycc = syntax == JPEGBaseline8Bit
    data.PhotometricInterpretation = "MONOCHROME2" if channels == 1 else "YBR_FULL_422" if is_ycc else "RGB"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.FrameTime = 7, 0, 40
    frames = pictures(channels)
    if encode is None:
        data.PixelData = frames.tobytes()
    else:
        data.PixelData = encapsulate([encode(frame.squeeze()) for frame in frames])
        data["PixelData"].is_undefined_length = True
    data["PixelData"].VR = "OB"
    for tag, value in claims.items():
        setattr(data, tag, value)
    target = io.BytesIO()
    data.save_as(target, enforce_file_format=True)
    return target.getvalue()


def pillow_frame(form: str, **options: object) -> Callable[[np.ndarray], bytes]:
    """An encoder of one frame."""
    return lambda frame: picture_bytes(Image.fromarray(frame), form, **options)


def rle_frame(frame: np.ndarray) -> bytes:
    """One RGB frame in run lengths (PS3.5, annex G): literal runs of every row of every colour."""
    segments = []
    for colour in range(3):
        rows = frame[..., colour]
        segment = b"".join(bytes([WIDTH - 1]) + row.tobytes() for row in rows)
        segments.append(segment + bytes(len(segment) % 2))
    offsets = 64 + np.cumsum([0, *(len(segment) for segment in segments[:-1])])
    return struct.pack("<16L", 3, *offsets, *[0] * 12) + b"".join(segments)


def jpegls_frame(frame: np.ndarray) -> bytes:
    """One frame in JPEG-LS."""
    import imagecodecs

    return imagecodecs.jpegls_encode(frame)


def nifti(*sides: int) -> bytes:
    """A NIfTI-1 volume: 348 bytes of header, 4 of no extension, pixels in Fortran order."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    sides = sides or (WIDTH, HEIGHT, NUM_FRAMES)
    struct.pack_into("<8h", header, 40, len(sides), *sides, *[1] * (7 - len(sides)))
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, 1, 0.3, 0.3, 0.04, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    header[123] = 2 | 8
    header[344:348] = b"n+1\0"
    return bytes(header) + pictures(1).tobytes()


METAIMAGE = f"""ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
ElementSpacing = 0.3 0.3 40
DimSize = {WIDTH} {HEIGHT} {NUM_FRAMES}
ElementType = MET_UCHAR
ElementDataFile = """

# what the file is called, and its content; together they hold every way into the readers
FILES: dict[str, Callable[[], bytes]] = {
    "mjpeg.avi": lambda: container("avi", "mjpeg", "yuvj420p"),
    "mpeg4.avi": lambda: container("avi", "mpeg4"),
    "h264.mp4": lambda: container("mp4", "libx264", bf="0", g="3"),
    "h264_b.mp4": lambda: container("mp4", "libx264", bf="2", g="4"),
    "h264_b.avi": lambda: container("avi", "libx264", bf="2", g="4"),
    # x265 writes beyond its memory when pictures are lower than 64
    "hevc.mp4": lambda: container(
        "mp4", "libx265", scale=2, **{"x265-params": "log-level=none:keyint=4:pools=none"}
    ),
    "vp9.webm": lambda: container("webm", "libvpx-vp9", **{"cpu-used": "8", "deadline": "realtime"}),
    "ffv1.mkv": lambda: container("matroska", "ffv1", level="3"),
    "mpeg2.mpg": lambda: container("mpeg", "mpeg2video", bf="2"),
    "animation.gif": gif,
    "picture.png": lambda: picture("PNG"),
    "picture.jpg": lambda: picture("JPEG"),
    "picture.tif": lambda: picture("TIFF", compression="tiff_lzw"),
    "picture.bmp": lambda: picture("BMP"),
    "picture.webp": lambda: picture("WEBP"),
    "explicit.dcm": lambda: dicom(ExplicitVRLittleEndian),
    "implicit.dcm": lambda: dicom(ImplicitVRLittleEndian, channels=1),
    "big_endian.dcm": lambda: dicom(ExplicitVRBigEndian),
    "deflated.dcm": lambda: dicom(DeflatedExplicitVRLittleEndian),
    "jpeg.dcm": lambda: dicom(JPEGBaseline8Bit, pillow_frame("JPEG")),
    "rle.dcm": lambda: dicom(RLELossless, rle_frame),
    "jpeg2000.dcm": lambda: dicom(JPEG2000Lossless, pillow_frame("JPEG2000", no_jp2=True, mct=0), channels=1),
    "jpeg2000_colour.dcm": lambda: dicom(JPEG2000, pillow_frame("JPEG2000", no_jp2=True, mct=0)),
    "jpegls.dcm": lambda: dicom(JPEGLSLossless, jpegls_frame, channels=1),
    "volume.nii": nifti,
    "volume.nii.gz": lambda: gzip.compress(nifti(), mtime=0),
    "volume.mha": lambda: f"{METAIMAGE}LOCAL\n".encode() + pictures(1).tobytes(),
    "volume.mhd": f"{METAIMAGE}volume.raw\n".encode,
}


def write_companions(path: Path) -> None:
    """Write what a file needs beside it: the pixels of ``volume.mhd``."""
    (path.parent / "volume.raw").write_bytes(pictures(1).tobytes())
