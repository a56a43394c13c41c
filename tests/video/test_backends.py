"""The choice of decoders, and what is said about those that are missing or broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from video_samples import KINDS, write_kind

from echossl.errors import DecodeError
from echossl.video import open_video
from echossl.video.backends import FASTEST_EXACT, BackendState, describe_backends
from echossl.video.pyav import PyavReader

NAMES = [
    "PyAV",
    "decord",
    "torchcodec",
    "pydicom",
    "JPEG",
    "JPEG lossless",
    "JPEG-LS",
    "JPEG 2000",
    "HTJ2K",
    "RLE",
    "JPEG XL",
    "Pillow",
    "nibabel",
    "MetaImage",
]
PRINT = """
import json, dataclasses
from echossl.video.backends import describe_backends
print(json.dumps([dataclasses.asdict(state) for state in describe_backends()]))
"""
READ = """
import sys
from echossl.video import open_video
with open_video(sys.argv[1]) as reader:
    print(reader.read([3]).shape[0])
"""


def run(folder: Path, *command: str) -> str:
    """Output of a Python process that finds packages in a folder first."""
    done = subprocess.run(
        [sys.executable, "-c", *command],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def break_package(folder: Path, name: str, line: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(line + "\n")


def test_every_decoder_is_described() -> None:
    states = {state.name: state for state in describe_backends()}
    assert list(states) == NAMES
    assert states["PyAV"].usable
    assert states["Pillow"].usable
    assert states["PyAV"].version[0].isdigit()
    for state in states.values():
        assert isinstance(state, BackendState)
        assert state.usable == (not state.reason)
        assert state.reads
        assert "\n" not in state.reason


@pytest.mark.parametrize("name", ["decord", "torchcodec"])
def test_usable_means_that_a_video_opens(tmp_path: Path, name: str) -> None:
    state = next(state for state in describe_backends() if state.name == name)
    if not state.usable:
        pytest.skip(f"{name} is not usable here")
    with open_video(write_kind(tmp_path, "mjpeg.avi"), backend=name) as reader:
        assert reader.num_frames == 60


def test_missing_and_broken_packages_are_told_and_never_raise(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    break_package(folder, "decord", "raise ModuleNotFoundError('No module named decord', name='decord')")
    break_package(folder, "torchcodec", "raise RuntimeError('Could not load libtorchcodec\\nmany\\nlines')")
    break_package(folder, "pydicom", "raise OSError('libsomething.so.6: cannot open shared object file')")
    break_package(folder, "imagecodecs", "import there_is_no_such_package")
    break_package(folder, "nibabel", "this is not Python")
    states = {state["name"]: state for state in json.loads(run(folder, PRINT))}
    assert list(states) == NAMES
    assert "is not installed" in states["decord"]["reason"]
    assert 'pip install "echossl[decord]"' in states["decord"]["reason"]
    assert "does not load (Could not load libtorchcodec)" in states["torchcodec"]["reason"]
    assert "apt-get install ffmpeg" in states["torchcodec"]["reason"]
    for name in ("pydicom", "JPEG", "JPEG 2000", "RLE"):
        assert "libsomething.so.6" in states[name]["reason"]
        assert "echossl[dicom]" in states[name]["reason"]
    assert "there_is_no_such_package" in states["JPEG XL"]["reason"]
    assert not states["nibabel"]["usable"]
    assert states["PyAV"]["usable"]


def test_auto_needs_no_optional_package(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    for name in ("decord", "torchcodec", "pydicom"):
        break_package(folder, name, "raise RuntimeError('broken')")
    path = write_kind(tmp_path, "h264_b_frames.mp4")
    assert run(folder, READ, str(path)).split() == ["1"]


@pytest.mark.parametrize("name", KINDS)
def test_auto_reads_everything(tmp_path: Path, name: str) -> None:
    assert FASTEST_EXACT == "pyav"
    with open_video(write_kind(tmp_path, name)) as reader:
        assert reader.num_frames == 60
        assert isinstance(reader, PyavReader)


def test_a_backend_for_videos_reads_no_other_kind(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "still.png"
    Image.new("L", (20, 10)).save(path)
    for backend in ("pyav", "decord", "torchcodec"):
        with pytest.raises(DecodeError, match="use backend auto"):
            open_video(path, backend=backend)
