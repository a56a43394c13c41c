"""Frames of DICOM files are found without reading them, and each is read alone."""

import os
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from dicom_samples import as_jpeg, cine, dataset, jpeg_cine, read_all, save  # noqa: E402
from pydicom import uid  # noqa: E402
from pydicom.encaps import encapsulate, encapsulate_extended  # noqa: E402
from video_samples import number_of  # noqa: E402

from echossl.errors import DecodeError  # noqa: E402
from echossl.video import open_video  # noqa: E402

COUNTERS = Path("/proc/self/io")
NATIVE = "1.2.840.10008.1.2.1"


def numbers(path: Path) -> list[int]:
    return [number_of(frame) for frame in read_all(path)]


@contextmanager
def bytes_read() -> Iterator[Callable[[], int]]:
    """How many bytes this process has asked the system for."""

    def count() -> int:
        return int(COUNTERS.read_text().split("rchar: ")[1].split()[0])

    own = -count() + count()
    start = count()
    yield lambda: count() - start - own


def split(jpeg: bytes, parts: int) -> list[bytes]:
    size = (len(jpeg) // parts + 2) // 2 * 2
    return [jpeg[start : start + size] for start in range(0, len(jpeg), size)]


def items(fragments: list[bytes], table: list[int] | None) -> bytes:
    """Encapsulated pixels with any offset table."""
    offsets = b"".join(struct.pack("<L", offset) for offset in table or [])
    padded = [offsets, *(fragment + b"\0" * (len(fragment) % 2) for fragment in fragments)]
    return b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<L", len(part)) + part for part in padded)


def encapsulated(count: int, parts: int, table: str) -> bytes:
    """Frames in several fragments each."""
    frames = [split(jpeg, parts) for jpeg in jpeg_cine(count)]
    starts, position = [], 0
    for fragments in frames:
        starts.append(position)
        position += sum(8 + len(part) + len(part) % 2 for part in fragments)
    tables = {
        "none": None,
        "true": starts,
        "zeros": [0] * count,
        "shifted": [start + 8 for start in starts],
        "short": starts[:1],
    }
    return items([part for fragments in frames for part in fragments], tables[table])


@pytest.mark.parametrize("declared", [6, 9])
@pytest.mark.parametrize("table", ["none", "true", "zeros", "shifted", "short"])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_trap_01_frames_of_a_dicom_are_counted(tmp_path: Path, parts: int, table: str, declared: int) -> None:
    """Whatever the header promises and the table says; a promise of too many frames needs a true table."""
    data = dataset(cine(6), "YBR_FULL_422")
    data.NumberOfFrames = declared
    path = save(data, tmp_path / "v.dcm", encapsulated(6, parts, table), uid.JPEGBaseline8Bit)
    assert numbers(path) == list(range(6))
    with open_video(path) as reader:
        assert reader.declared_frames == declared
        assert number_of(reader.read([4])[0]) == 4


def test_extended_offset_tables_are_understood(tmp_path: Path) -> None:
    data = dataset(cine(6), "YBR_FULL_422")
    pixels, offsets, lengths = encapsulate_extended(jpeg_cine(6))
    data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = offsets, lengths
    assert numbers(save(data, tmp_path / "v.dcm", pixels, uid.JPEGBaseline8Bit)) == list(range(6))
    # over several fragments it says what no end marker could
    fragments = [part for jpeg in jpeg_cine(6) for part in split(jpeg + bytes(20), 3)]
    sizes = np.array([8 + len(part) + len(part) % 2 for part in fragments])
    starts = np.concatenate([[0], np.cumsum(sizes)[2:-1:3]])
    data.ExtendedOffsetTable = starts.astype("<u8").tobytes()
    path = save(data, tmp_path / "w.dcm", items(fragments, None), uid.JPEGBaseline8Bit)
    assert numbers(path) == list(range(6))
    data.ExtendedOffsetTable = np.array([2**63 + 5] * 6, dtype="<u8").tobytes()
    path = save(data, tmp_path / "x.dcm", encapsulate(jpeg_cine(6)), uid.JPEGBaseline8Bit)
    assert numbers(path) == list(range(6))


@pytest.mark.parametrize("table", ["none", "true"])
@pytest.mark.parametrize("parts", [1, 3])
def test_trap_01_truncated_files_give_their_whole_frames(tmp_path: Path, parts: int, table: str) -> None:
    data = dataset(cine(8), "YBR_FULL_422")
    path = save(data, tmp_path / "v.dcm", encapsulated(8, parts, table), uid.JPEGBaseline8Bit)
    whole = path.read_bytes()
    ends = [whole.index(jpeg[-60:]) + 60 for jpeg in jpeg_cine(8)]
    for cut in range(ends[0] + 8, len(whole), len(whole) // 23):
        path.write_bytes(whole[:cut])
        # a fragment's padding byte belongs to it
        expected = [number for number, end in enumerate(ends) if end + 1 <= cut]
        assert numbers(path) in (expected, list(range(len(expected) + 1)))
        assert len(numbers(path)) - sum(end <= cut for end in ends) <= 0


def test_trap_01_truncated_plain_files_give_their_whole_frames(tmp_path: Path) -> None:
    rgb = cine(8)
    path = save(dataset(rgb, "RGB"), tmp_path / "v.dcm", rgb.tobytes())
    whole = path.read_bytes()
    start = len(whole) - rgb.nbytes
    for count in (1, 3, 7):
        for extra in (0, 1, rgb[0].nbytes - 1):
            path.write_bytes(whole[: start + count * rgb[0].nbytes + extra])
            assert numbers(path) == list(range(count))
    path.write_bytes(whole[: start + 100])
    with pytest.raises(DecodeError, match="no frame is in the file whole"):
        open_video(path)


@pytest.mark.skipif(not COUNTERS.exists(), reason="the system does not count the bytes that are read")
@pytest.mark.parametrize("parts", [1, 4])
def test_one_frame_is_read_without_the_others(tmp_path: Path, parts: int) -> None:
    """Of 300 frames of 20 kB: 8 bytes of each fragment, the header, and the frames asked for."""
    generator = np.random.default_rng(0)
    frame = generator.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    jpeg = as_jpeg(frame)
    data = dataset(np.empty((300, 96, 96, 3), dtype=np.uint8), "YBR_FULL_422")
    fragments = [part for _ in range(300) for part in split(jpeg, parts)]
    starts = (np.arange(300) * sum(8 + len(p) + len(p) % 2 for p in split(jpeg, parts))).tolist()
    path = save(data, tmp_path / "v.dcm", items(fragments, starts), uid.JPEGBaseline8Bit)
    open_video(path).close()
    with bytes_read() as count, open_video(path) as reader:
        opening = count()
        reader.read([150])
        one = count() - opening
    assert len(jpeg) <= one < len(jpeg) + 200
    headers = 2**15
    assert opening < headers + 300 * 8 * parts + 300 * 4 + len(jpeg)


@pytest.mark.skipif(not COUNTERS.exists(), reason="the system does not count the bytes that are read")
def test_a_plain_frame_is_read_from_its_place(tmp_path: Path) -> None:
    """A file of 12 GB, of which nothing but the last frame is filled."""
    rgb = cine(1)
    data = dataset(rgb, "RGB", FrameTime=40)
    data.NumberOfFrames = 650_000
    path = save(data, tmp_path / "v.dcm", b"")
    size = path.stat().st_size
    nbytes = rgb[0].nbytes
    os.truncate(path, size + 650_000 * nbytes)
    with path.open("r+b") as file:
        # 32 bits cannot hold such a length
        file.seek(size - 4)
        file.write(b"\xff\xff\xff\xff")
        file.seek(size + 649_999 * nbytes)
        file.write(rgb.tobytes())
    with bytes_read() as count, open_video(path) as reader:
        assert reader.num_frames == 650_000
        np.testing.assert_array_equal(reader.read([649_999]), rgb)
        assert count() < 2**17 + 2 * nbytes


def test_many_frames_are_found_soon(tmp_path: Path) -> None:
    grey = np.zeros((1, 8, 8), dtype=np.uint8)
    data = dataset(grey, "MONOCHROME2")
    data.NumberOfFrames = 10_000
    path = save(data, tmp_path / "v.dcm", items([as_jpeg(grey[0])] * 10_000, None), uid.JPEGBaseline8Bit)
    open_video(path).close()
    start = time.process_time()
    with open_video(path) as reader:
        assert reader.num_frames == 10_000
    assert time.process_time() - start < 2


@pytest.mark.parametrize("syntax", [NATIVE, uid.DeflatedExplicitVRLittleEndian, uid.JPEGBaseline8Bit])
@pytest.mark.parametrize(
    ("rows", "columns", "frames", "reason"),
    [
        (65535, 65535, 1, "64 megapixels"),
        (65535, 65535, 10**9, "64 megapixels"),
        (8000, 8000, 1, "no frame is in the file whole|is damaged"),
        (8000, 8001, 1, "64 megapixels"),
        (0, 96, 1, "declares a picture of 0 x 96 pixels"),
        (64, 96, 10**9, ""),
        (64, 96, 2**31 - 1, ""),
        (64, 96, 0, ""),
        (64, 96, -5, ""),
    ],
)
def test_absurd_headers_cost_nothing(
    tmp_path: Path, syntax: str, rows: int, columns: int, frames: int, reason: str
) -> None:
    rgb = cine(4)
    data = dataset(rgb, "YBR_FULL_422" if syntax == uid.JPEGBaseline8Bit else "RGB")
    data.Rows, data.Columns, data.NumberOfFrames = rows, columns, frames
    pixels = encapsulate(jpeg_cine(4)) if syntax == uid.JPEGBaseline8Bit else rgb.tobytes()
    path = save(data, tmp_path / "v.dcm", pixels, syntax)
    tracemalloc.start()
    if reason:
        with pytest.raises(DecodeError, match=reason):
            open_video(path)
    else:
        assert numbers(path) == list(range(4 if frames > 1 else 1))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_absurd_lengths_cost_nothing(tmp_path: Path) -> None:
    rgb = cine(2)
    data = dataset(rgb, "RGB", FrameTimeVector=[0, 40])
    whole = save(data, tmp_path / "v.dcm", rgb.tobytes()).read_bytes()
    path = tmp_path / "w.dcm"
    tracemalloc.start()
    for place in range(132, len(whole) - rgb.nbytes, 7):
        path.write_bytes(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
        with suppress(DecodeError), open_video(path) as reader:
            assert reader.num_frames <= 2
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_million_empty_pieces_are_refused(tmp_path: Path) -> None:
    data = dataset(cine(1), "YBR_FULL_422")
    path = save(data, tmp_path / "v.dcm", items([b""], None), uid.JPEGBaseline8Bit)
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\xfe\xff\x00\xe0\0\0\0\0" * 1_000_100)
    with pytest.raises(DecodeError, match="over 1,000,000 pieces of pixels"):
        open_video(path)
