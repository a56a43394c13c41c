"""What is opened and what is refused: damaged, cut, empty, misnamed files; times and rates."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from video_samples import number_of, picture, write_kind, write_video

from echossl.errors import DecodeError
from echossl.video import duration_seconds, open_video
from echossl.video.times import presentation_times


def packet_places(path: Path) -> list[int]:
    """Where the packets lie in a file, in bytes from its beginning."""
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    # MPEG-PS does not say
    return [
        path.stat().st_size * i // len(places) if place is None else place for i, place in enumerate(places)
    ]


def numbers(path: Path) -> list[int]:
    with open_video(path) as reader:
        return [number_of(frame) for frame in reader.read(range(reader.num_frames))]


def test_trap_01_frame_count_is_counted_not_declared(tmp_path: Path) -> None:
    """An AVI header that promises 210 frames where 40 are stored."""
    path = write_video(tmp_path / "v.avi", "mjpeg", num_frames=40, pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    header, stream = data.find(b"avih"), data.find(b"strh")
    assert struct.unpack_from("<I", data, header + 24)[0] == 40
    struct.pack_into("<I", data, header + 24, 210)
    struct.pack_into("<I", data, stream + 40, 210)
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 210
    with open_video(path) as reader:
        assert reader.num_frames == 40
        assert len(reader.frame_seconds) == 40
        assert reader.fps == pytest.approx(30)
    assert numbers(path) == list(range(40))


@pytest.mark.parametrize(
    "name", ["mjpeg.avi", "vp9.webm", "mpeg4.avi", "mpeg4_b_frames.avi", "h264_open_gop.mkv", "mpeg2.mpg"]
)
@pytest.mark.parametrize("share", [0.5, 0.77])
def test_trap_01_truncated_file_gives_the_frames_that_decode(tmp_path: Path, name: str, share: float) -> None:
    path = write_kind(tmp_path, name)
    places = packet_places(path)
    path.write_bytes(path.read_bytes()[: places[int(len(places) * share)] + 40])
    found = numbers(path)
    assert 5 < len(found) < 60
    # a B-frame whose later neighbour is cut off may be missing, but nothing is shown in a wrong place
    assert found[:-3] == list(range(len(found) - 3))
    assert found == sorted(set(found))


def test_trap_01_truncated_mp4_with_its_index_in_front(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "2", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    for rest in (b"", bytes(len(data) - len(data) * 2 // 3)):
        path.write_bytes(data[: len(data) * 2 // 3] + rest)
        found = numbers(path)
        assert 10 < len(found) < 60
        assert found[:-3] == list(range(len(found) - 3))


def test_damage_in_the_middle_is_never_shown_as_a_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", "mjpeg", num_frames=40, pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    start = data.find(b"\xff\xd8", packet_places(path)[20])
    end = data.find(b"\xff\xd9", start)
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    with open_video(path) as reader:
        assert reader.num_frames == 40
        assert [number_of(frame) for frame in reader.read([19, 21])] == [19, 21]
        with pytest.raises(DecodeError, match=r"v\.avi: frame 20 .*export it again"):
            reader.read([19, 20, 21])
        assert number_of(reader.read([39])[0]) == 39


def test_trap_02_the_suffix_is_not_believed(tmp_path: Path) -> None:
    data = write_kind(tmp_path, "h264_b_frames.mp4").read_bytes()
    for name in ("really_mp4.avi", "no_suffix", "UPPER.MP4", "not_dicom.dcm", "odd:name #1.mp4"):
        path = tmp_path / name
        path.write_bytes(data)
        assert numbers(path) == list(range(60))


def test_trap_03_rate_and_times_are_those_of_the_file(tmp_path: Path) -> None:
    ticks = [int(33 * i + 7 * (i % 3) + (i > 30) * 200) for i in range(60)]
    with open_video(write_kind(tmp_path, "variable_rate.mp4")) as reader:
        np.testing.assert_allclose(reader.frame_seconds, np.array(ticks) / 1000, atol=1e-3)
        assert reader.fps == pytest.approx(59 / (ticks[-1] / 1000), rel=0.01)
    with open_video(write_kind(tmp_path, "late_start.mkv")) as reader:
        np.testing.assert_allclose(reader.frame_seconds, np.arange(60) * 0.04, atol=1e-3)
        assert reader.fps == pytest.approx(25)
        assert duration_seconds(reader.frame_seconds) == pytest.approx(2.4, abs=0.01)


def test_presentation_times_believe_the_times_more_than_the_header() -> None:
    from fractions import Fraction

    seconds, fps = presentation_times([10, 20, 30, 40], Fraction(1, 100), Fraction(5))
    np.testing.assert_allclose(seconds, [0, 0.1, 0.2, 0.3])
    assert fps == pytest.approx(10)
    assert presentation_times([0, 33, 67, 100], Fraction(1, 1000), Fraction(30))[1] == 30
    seconds, fps = presentation_times([0, 0, 5], Fraction(1, 100), Fraction(20))
    np.testing.assert_allclose(seconds, [0, 0.05, 0.1])
    assert fps == 20
    seconds, fps = presentation_times([None, None, 3], Fraction(1, 100), None)
    assert fps is None
    assert seconds[0] == 0
    assert np.isnan(seconds[1:]).all()
    assert presentation_times([7], Fraction(1, 100), None) == (pytest.approx([0.0]), None)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.avi", b"", "file is empty"),
        ("text.mp4", b"hello\n" * 500, "not a video|is no video"),
        ("table.csv", b"path,patient_id\n" * 50, "not a video|is no video"),
        (
            "list.mp4",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.mp4\n#EXT-X-ENDLIST\n",
            "no video|not a video",
        ),
        ("zeros.avi", bytes(5000), "no video|not a video"),
        ("noise.avi", np.random.default_rng(0).bytes(5000), "no video|not a video"),
    ],
)
def test_what_is_no_video_is_refused_in_words(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=reason) as caught:
        open_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="no such file"):
        open_video(tmp_path / "absent.avi")
    with pytest.raises(DecodeError, match="is a folder"):
        open_video(tmp_path)


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(DecodeError, match="no video"):
        open_video(path)


def test_see_through_gif_lies_on_black(tmp_path: Path) -> None:
    path = tmp_path / "v.gif"
    layers = []
    for number in range(5):
        layer = np.zeros((40, 60, 4), np.uint8)
        layer[:, 10 * number : 10 * number + 10] = 255
        layers.append(Image.fromarray(layer))
    layers[0].save(path, save_all=True, append_images=layers[1:], duration=50, disposal=2)
    with open_video(path) as reader:
        frames = reader.read(range(5))
        np.testing.assert_allclose(reader.frame_seconds, np.arange(5) * 0.05)
    for number, frame in enumerate(frames):
        assert frame[:, 10 * number : 10 * number + 10].min() == 255
        assert frame.sum() == 255 * 3 * 40 * 10
