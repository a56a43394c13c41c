"""Files that claim more than anybody has: sizes of 65,535 x 65,535 pixels and 2^31, a billion frames."""

import gzip
import struct
import zlib
from collections.abc import Callable

from fuzz_samples import (
    FILES,
    HEIGHT,
    METAIMAGE,
    NUM_FRAMES,
    WIDTH,
    dicom,
    nifti,
    picture,
    pillow_frame,
    rle_frame,
)
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

HUGE_METAIMAGE = METAIMAGE.replace(f"{WIDTH} {HEIGHT} {NUM_FRAMES}", "65535 65535 1000000000")


def patched(name: str, mark: bytes, offset: int, form: str, *values: int) -> bytes:
    """A good file with other numbers at an offset from its first mark."""
    content = bytearray(FILES[name]())
    struct.pack_into(form, content, content.index(mark) + offset, *values)
    return bytes(content)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size, with the check sum that belongs to the claim."""
    good = picture("PNG")
    header = b"IHDR" + struct.pack(">2L", width, height) + good[24:29]
    return good[:12] + header + struct.pack(">L", zlib.crc32(header)) + good[33:]


LIARS: dict[str, list[Callable[[], bytes]]] = {
    "mjpeg.avi": [
        # the main header's number of frames, width and height; those of the stream
        lambda: patched("mjpeg.avi", b"avih", 24, "<L", 10**9),
        lambda: patched("mjpeg.avi", b"avih", 40, "<2L", 65535, 65535),
        lambda: patched("mjpeg.avi", b"strh", 40, "<L", 10**9),
        lambda: patched("mjpeg.avi", b"strf", 12, "<2L", 65535, 65535),
        lambda: patched("mjpeg.avi", b"strf", 12, "<2L", 2**31, 2**31),
        lambda: patched("mjpeg.avi", b"idx1", 4, "<L", 2**31),
    ],
    "mpeg4.avi": [
        lambda: patched("mpeg4.avi", b"strh", 40, "<L", 10**9),
        lambda: patched("mpeg4.avi", b"strf", 12, "<2L", 2**31 - 1, 2**31 - 1),
    ],
    "h264.mp4": [
        # number of samples; number in a run and its time; the picture's size in the track and the sample
        lambda: patched("h264.mp4", b"stsz", 12, ">L", 10**9),
        lambda: patched("h264.mp4", b"stsz", 8, ">2L", 1, 10**9),
        lambda: patched("h264.mp4", b"stts", 12, ">L", 10**9),
        lambda: patched("h264.mp4", b"stts", 16, ">L", 2**31),
        lambda: patched("h264.mp4", b"tkhd", 80, ">2L", 2**32 - 1, 2**32 - 1),
        lambda: patched("h264.mp4", b"avc1", 28, ">2H", 65535, 65535),
        lambda: patched("h264.mp4", b"moov", -4, ">L", 2**31),
    ],
    "animation.gif": [lambda: patched("animation.gif", b"GIF89a", 6, "<2H", 65535, 65535)],
    "picture.jpg": [
        lambda: patched("picture.jpg", b"\xff\xc0", 5, ">2H", 65535, 65535),
        lambda: patched("picture.jpg", b"\xff\xc0", 5, ">2H", 5000, 5000),
    ],
    "picture.bmp": [
        lambda: patched("picture.bmp", b"BM", 18, "<2L", 65535, 65535),
        lambda: patched("picture.bmp", b"BM", 18, "<2L", 2**31, 2**31),
    ],
    "explicit.dcm": [
        lambda: dicom(ExplicitVRLittleEndian, NumberOfFrames=10**9),
        lambda: dicom(ExplicitVRLittleEndian, Rows=65535, Columns=65535),
        lambda: dicom(ExplicitVRLittleEndian, Rows=0),
        lambda: dicom(ExplicitVRLittleEndian, NumberOfFrames=-5),
        lambda: dicom(ExplicitVRLittleEndian, SamplesPerPixel=65535),
        lambda: dicom(ExplicitVRLittleEndian, BitsAllocated=64, BitsStored=64),
        lambda: dicom(ExplicitVRLittleEndian, BitsAllocated=13, BitsStored=99),
        lambda: dicom(ExplicitVRLittleEndian, PhotometricInterpretation="PALETTE COLOR"),
    ],
    "deflated.dcm": [lambda: dicom(DeflatedExplicitVRLittleEndian, NumberOfFrames=10**9, Rows=65535)],
    "jpeg.dcm": [
        lambda: dicom(JPEGBaseline8Bit, pillow_frame("JPEG"), NumberOfFrames=10**9),
        lambda: dicom(JPEGBaseline8Bit, pillow_frame("JPEG"), Rows=65535, Columns=65535),
    ],
    "rle.dcm": [
        lambda: dicom(RLELossless, rle_frame, NumberOfFrames=10**9),
        lambda: dicom(RLELossless, rle_frame, Rows=65535, Columns=65535),
    ],
    "jpeg2000.dcm": [
        lambda: dicom(JPEG2000Lossless, pillow_frame("JPEG2000", no_jp2=True, mct=0), channels=1, Rows=65535)
    ],
    "picture.png": [
        lambda: patched("picture.png", b"IDAT", -4, ">L", 2**31 - 1),
        lambda: png_of_size(65535, 65535),
        lambda: png_of_size(2**31 - 1, 2**31 - 1),
        lambda: png_of_size(2**31, 2**31),
        lambda: png_of_size(5000, 5000),
        lambda: png_of_size(0, 0),
    ],
    "volume.nii": [
        lambda: nifti(32767, 32767, 32767),
        lambda: nifti(32767, 32767, 32767, 32767, 32767, 32767, 32767),
        lambda: nifti(-1, -1, -1),
        lambda: nifti(0, 0, 0),
    ],
    "volume.nii.gz": [lambda: gzip.compress(nifti(32767, 32767, 32767), mtime=0)],
    "volume.mhd": [
        f"{HUGE_METAIMAGE}volume.raw\n".encode,
        f"{METAIMAGE}/dev/zero\n".encode,
    ],
    "volume.mha": [
        lambda: f"{HUGE_METAIMAGE}LOCAL\n".encode() + bytes(1000),
        lambda: METAIMAGE.replace("NDims = 3", "NDims = 1000000000").encode() + b"LOCAL\n",
        lambda: METAIMAGE.replace("CompressedData = False", "CompressedData = True").encode() + b"LOCAL\nxx",
    ],
}
