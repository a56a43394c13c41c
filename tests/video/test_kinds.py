"""What a path holds: told by content, whatever the name says; what holds no frames is refused by its kind."""

import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from video_samples import picture, write_video

from echossl.errors import DecodeError
from echossl.video import open_video
from echossl.video.kinds import HEAD_BYTES, is_dicom, is_metaimage, is_nifti, kind_of, picture_name


def still(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(1)).save(buffer, name)
    return buffer.getvalue()


def gif(num_frames: int) -> bytes:
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(picture(number)) for number in range(num_frames))
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=40)
    return buffer.getvalue()


def nifti(version: int = 1, order: str = "<") -> bytes:
    kind = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version]
    header = kind.header_class(endianness=order)
    return bytes(kind(np.ones((4, 5), np.uint8), np.eye(4), header=header).to_bytes())


def archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("a.png", b"12345")
    elif kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("a.png"))
    elif kind == "npz":
        np.savez(buffer, frames=np.zeros(4))
    elif kind == "npy":
        np.save(buffer, np.zeros(4))
    return buffer.getvalue()


KNOWN = {
    **{name: (still(name), "still") for name in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "JPEG2000")},
    "gif of one": (gif(1), "still"),
    "gif of three": (gif(3), "container"),
    "nifti": (nifti(), "nifti"),
    "nifti big-endian": (nifti(order=">"), "nifti"),
    "nifti 2": (nifti(2), "nifti"),
    "nifti 2 big-endian": (nifti(2, ">"), "nifti"),
    "nifti packed": (gzip.compress(nifti()), "nifti"),
    "nifti 2 packed": (gzip.compress(nifti(2)), "nifti"),
    "metaimage": (b"ObjectType = Image\nNDims = 2\n", "metaimage"),
    "metaimage of windows": (b"Comment = x\r\nNDims = 2\r\nDimSize = 4 4\r\n", "metaimage"),
    "dicom": (bytes(128) + b"DICM" + bytes(8), "dicom"),
    "dicom that is also a tiff": (b"II*\x00" + bytes(124) + b"DICM" + bytes(8), "dicom"),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("suffix", [".avi", "", ".PNG"])
def test_trap_02_the_kind_is_told_by_content(tmp_path: Path, name: str, suffix: str) -> None:
    content, kind = KNOWN[name]
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    assert kind_of(path) == kind


def test_folders_and_videos(tmp_path: Path) -> None:
    assert kind_of(tmp_path) == "frames"
    assert kind_of(write_video(tmp_path / "still.png.mkv", "ffv1", num_frames=2)) == "container"


OTHERS = {
    "empty": (b"", "is empty"),
    "zip": (archive("zip"), "zip archive"),
    "npz": (archive("npz"), "zip archive"),
    "npy": (archive("npy"), "NumPy array"),
    "tar": (archive("tar"), "tar archive"),
    "text packed": (gzip.compress(b"path,patient_id\n" * 50), "gzip file that holds no NIfTI"),
    "tar packed": (gzip.compress(archive("tar")), "gzip file that holds no NIfTI"),
    "cut gzip": (gzip.compress(nifti())[:9], "gzip file that holds no NIfTI"),
    "damaged gzip": (b"\x1f\x8b\x08" + bytes(range(255)), "gzip file that holds no NIfTI"),
    "table": (b"path,patient_id\na.avi,1\n" * 400, "text file"),
    "table of umlauts": ("Befund: Ä\n".encode() * 800, "text file"),
    "table that begins like a BMP": (b"BMI,age\n23,70\n", "text file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5 file"),
    "matlab": (b"MATLAB 5.0 MAT-file, Platform: x" + bytes(300), "MATLAB file"),
    "parquet": (b"PAR1\x15\x04" + bytes(99), "Parquet"),
    "pdf": (b"%PDF-1.7\n\x80\x81", "PDF"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(50), "7z archive"),
    "jpeg xl": (b"\xff\x0a" + bytes(50), "JPEG XL, which Pillow cannot read"),
    "heic": (b"\x00\x00\x00\x18ftypheic" + bytes(80), "picture .*HEIF"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_holds_no_frames_is_refused_by_its_kind(tmp_path: Path, name: str) -> None:
    content, reason = OTHERS[name]
    path = tmp_path / "file.mp4"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=reason) as caught:
        open_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="no such file"):
        kind_of(tmp_path / "absent")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    with pytest.raises(DecodeError, match="no such file"):
        kind_of(tmp_path / "link")


@pytest.mark.parametrize("name", ["PNG", "nifti", "metaimage", "gif of one"])
def test_only_video_containers_have_a_choice_of_backend(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(KNOWN[name][0])
    with pytest.raises(DecodeError, match="which decord cannot read; use backend auto"):
        open_video(path, backend="decord")


def test_motion_jpeg_2000_is_no_still() -> None:
    signature = b"\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftyp"
    assert picture_name(signature + b"jp2 ") == "JPEG 2000"
    assert picture_name(signature + b"mjp2") is None


def test_headers_are_told_from_noise() -> None:
    """One in billions of random files may pass for a header of these, none of a few thousand does."""
    generator = random.Random(0)
    for _ in range(2000):
        noise = generator.randbytes(600)
        assert not is_nifti(noise)
        assert not is_metaimage(noise)
        assert not is_dicom(noise)
    for content, kind in KNOWN.values():
        assert is_metaimage(content[:HEAD_BYTES]) == (kind == "metaimage")
    assert not is_nifti(nifti()[:340])
    analyze = bytearray(nifti())
    analyze[344:348] = bytes(4)
    assert not is_nifti(bytes(analyze))
