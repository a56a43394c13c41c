"""Opening: AVI by its table, MPEG-4 by the first bytes of its packets, files open before, absurd sizes."""

import os
import struct
import time
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from video_samples import number_of, write_kind, write_video

from echossl.errors import DecodeError
from echossl.video import open_video
from echossl.video.index import build_index
from echossl.video.mpeg4 import picture_type
from echossl.video.opened import IDLE_VIDEOS, IdleVideos, read_through
from echossl.video.orientation import may_be_turned
from echossl.video.packets import AviPackets, KeptPackets
from echossl.video.pyav import PyavReader


def settle(path: Path) -> Path:
    """Make a file look old enough to be kept open."""
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def indexed(path: Path, *, through: bool):
    """The packets of a file, by its table or read through; with the container's time stamps."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        make = KeptPackets if through else AviPackets.find
        return make(path, container, stream)


@pytest.mark.parametrize("name", ["mjpeg.avi", "mjpeg_odd.avi", "raw.avi"])
def test_the_table_of_an_avi_gives_what_reading_through_gives(tmp_path: Path, name: str) -> None:
    path = write_kind(tmp_path, name)
    fast, slow = indexed(path, through=False), indexed(path, through=True)
    assert fast is not None
    assert fast.num_bytes == 0
    assert fast.times == slow.times
    np.testing.assert_array_equal(fast.is_key, slow.is_key)
    for position in range(60):
        assert bytes(fast.packet(position)) == bytes(slow.packet(position))
    fast.close()
    with pytest.raises(av.FFmpegError):
        fast.packet(0)


@pytest.mark.parametrize("name", ["mjpeg_sound.avi", "mpeg4.avi", "mjpeg_422.mp4"])
def test_other_files_are_read_through(tmp_path: Path, name: str) -> None:
    assert indexed(write_kind(tmp_path, name), through=False) is None


@pytest.mark.parametrize("damage", ["size", "place", "missing", "cut"])
def test_a_table_that_is_wrong_is_not_believed(tmp_path: Path, damage: str) -> None:
    path = write_kind(tmp_path, "mjpeg.avi")
    data = bytearray(path.read_bytes())
    table = data.rindex(b"idx1") + 8
    entry = table + 16 * 30
    if damage == "size":
        struct.pack_into("<I", data, entry + 12, 17)
    if damage == "place":
        struct.pack_into("<I", data, entry + 8, 11)
    if damage == "missing":
        del data[entry : entry + 16]
        struct.pack_into("<I", data, table - 4, 16 * 59)
    if damage == "cut":
        del data[table - 8 :]
    path.write_bytes(data)
    with open_video(path) as reader:
        assert [number_of(frame) for frame in reader.read(range(60))] == list(range(60))


def test_a_chunk_that_is_not_what_the_table_says_is_damaged(tmp_path: Path) -> None:
    path = write_kind(tmp_path, "mjpeg.avi")
    with av.open(str(path)) as container:
        place = container.streams.video[0].index_entries[20].pos
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, place + 4, 12)
    path.write_bytes(data)
    with open_video(path) as reader:
        with pytest.raises(DecodeError, match=r"frame 20 is damaged .*export it again"):
            reader.read([20])
        assert number_of(reader.read([21])[0]) == 21


@pytest.mark.parametrize("name", ["mpeg4.avi", "mpeg4_odd.mp4", "mpeg4_b_frames.mp4"])
def test_mpeg4_packets_tell_the_frames_without_decoding(tmp_path: Path, name: str) -> None:
    path = write_kind(tmp_path, name)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        expected = [PictureType(frame.pict_type).name for frame in container.decode(stream)]
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        types = [picture_type(memoryview(packet)) for packet in packets]
    assert sorted(types) == sorted(expected)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        index = build_index(path, container, stream)
        # decoding, which opens the codec, was not needed
        assert not stream.codec_context.is_open
    assert index.num_frames == 60


def test_mpeg4_packets_that_may_make_no_frame_are_counted_by_decoding(tmp_path: Path) -> None:
    path = write_kind(tmp_path, "mpeg4_b_frames.avi")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert build_index(path, container, stream).num_frames == 60
        assert stream.codec_context.is_open
    assert picture_type(memoryview(b"\0\0\1\xb6\x50" + bytes(20))) is None
    assert picture_type(memoryview(b"\0\0\1\xb6\x50" + bytes(40))) == "P"
    assert picture_type(memoryview(b"\0\0\1\xb2DivX503b1393p\0\0\1\xb6\x10" + bytes(40))) is None
    assert picture_type(memoryview(bytes(100))) is None


def test_a_file_that_is_opened_again_is_not_read_again(tmp_path: Path) -> None:
    path = settle(write_kind(tmp_path, "h264_b_frames.mp4"))
    with PyavReader(path) as first:
        opened = first._opened
        whole = first.read(range(60))
        with PyavReader(path) as second:
            assert second._opened is not opened
            np.testing.assert_array_equal(second.read([31, 7]), whole[[31, 7]])
    with PyavReader(path) as third:
        assert third._opened is opened
        np.testing.assert_array_equal(third.read([40, 2, 41]), whole[[40, 2, 41]])


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    path = settle(write_video(tmp_path / "v.avi", "mjpeg", num_frames=10, pixel_format="yuvj420p"))
    with open_video(path) as reader:
        assert reader.num_frames == 10
    settle(write_video(path, "mjpeg", num_frames=12, pixel_format="yuvj420p"))
    with open_video(path) as reader:
        assert reader.num_frames == 12


def test_a_file_that_was_written_just_now_is_not_kept(tmp_path: Path) -> None:
    """Its time stamp would not tell a further change in the same moment."""
    path = write_kind(tmp_path, "mjpeg.avi")
    with PyavReader(path) as reader:
        assert reader._key is None
    assert all(str(path) != key[0] for key in IDLE_VIDEOS._idle)


def test_few_and_small_videos_are_kept(tmp_path: Path) -> None:
    idle = IdleVideos()
    paths = [settle(write_video(tmp_path / f"{n}.avi", "mpeg4", num_frames=3)) for n in range(6)]
    for path in paths:
        video, key = idle.take(path)
        idle.put_back(key, video)
    assert [key[0] for key in idle._idle] == [str(path) for path in paths[2:]]
    big = read_through(paths[0])
    big.index.packets.num_bytes = 2**40
    idle.put_back(("big", 0, 0, 0), big)
    assert ("big", 0, 0, 0) not in idle._idle


def test_kept_avi_files_are_released(tmp_path: Path) -> None:
    idle = IdleVideos()
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0
    for number in range(12):
        path = write_video(tmp_path / f"{number}.avi", "mjpeg", num_frames=3, pixel_format="yuvj420p")
        video, key = idle.take(settle(path))
        idle.put_back(key, video)
    assert before == 0 or len(list(Path("/proc/self/fd").iterdir())) <= before + idle.MOST_VIDEOS


def test_a_kept_file_works_in_a_forked_process(tmp_path: Path) -> None:
    path = settle(write_kind(tmp_path, "mjpeg.avi"))
    with open_video(path) as reader:
        whole = reader.read(range(60))
    child = os.fork()
    if child == 0:
        with open_video(path) as reader:
            right = bool((reader.read([50, 3]) == whole[[50, 3]]).all())
        os._exit(0 if right else 1)
    with open_video(path) as reader:
        np.testing.assert_array_equal(reader.read(range(60)), whole)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_pictures_of_absurd_size_are_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", "rawvideo", num_frames=2, pixel_format="bgr24")
    data = bytearray(path.read_bytes())
    head = data.index(b"strf") + 8
    struct.pack_into("<ii", data, head + 4, 10_000, 8_000)
    path.write_bytes(data)
    with pytest.raises(DecodeError, match="more than 64 megapixels"):
        open_video(path)


def test_a_thousand_million_declared_frames_are_not_believed(tmp_path: Path) -> None:
    path = write_kind(tmp_path, "mjpeg.avi")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 24, 10**9)
    struct.pack_into("<I", data, data.index(b"strh") + 40, 10**9)
    path.write_bytes(data)
    with open_video(path) as reader:
        assert reader.num_frames == 60


def test_only_files_that_say_so_are_looked_at_for_a_turn(tmp_path: Path) -> None:
    for name in ("h264_b_frames.mp4", "raw_yuv.mov", "vp9.webm", "grey.mkv", "mjpeg.avi"):
        path = write_kind(tmp_path, name)
        with av.open(str(path)) as container:
            assert not may_be_turned(path, container.format.name)
    path.write_bytes(bytes(100))
    assert may_be_turned(path, "mov,mp4")


@pytest.mark.parametrize("count", [10**6, 10**9])
def test_mp4_that_declares_frames_without_end_is_short_or_refused(tmp_path: Path, count: int) -> None:
    path = write_kind(tmp_path, "raw_yuv.mov")
    data = bytearray(path.read_bytes())
    struct.pack_into(">I", data, data.index(b"stsz") + 12, count)
    struct.pack_into(">I", data, data.index(b"stts") + 12, count)
    path.write_bytes(data)
    with suppress(DecodeError), open_video(path) as reader:
        assert reader.num_frames <= 60
