from pathlib import Path

import numpy as np
import pytest

from echossl.data import blocks, decode
from echossl.data.decode import Treatment, decode_video
from echossl.errors import DecodeError
from echossl.video.grey import to_grey
from echossl.video.reader import open_video
from echossl.video.sector import find_sector, place, placement


def source_of(path: Path) -> np.ndarray:
    with open_video(path) as reader:
        return to_grey(reader.read(range(reader.num_frames)))


def write_sector_video(write_video, path: Path, num_frames: int = 30) -> np.ndarray:
    """A video that is dark outside of a fan, but for a bright text in a corner."""
    import av

    frames = np.zeros((num_frames, 120, 160), dtype=np.uint8)
    rows, columns = np.mgrid[:120, :160]
    distance = np.hypot(rows - 5, columns - 80)
    fan = (distance > 6) & (distance < 105) & (np.abs(columns - 80) < 0.8 * (rows - 3))
    generator = np.random.default_rng(0)
    frames[:, fan] = generator.integers(60, 220, (num_frames, int(fan.sum())), dtype=np.uint8)
    frames[:, 2:8, 2:30] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "gray"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return frames


@pytest.mark.parametrize("mode", ["mask_and_crop", "mask", "keep"])
def test_modes_against_the_plain_order_of_steps(write_video, tmp_path, mode):
    path = tmp_path / "fan.avi"
    write_sector_video(write_video, path)
    source = source_of(path)
    sector = find_sector(source)
    video = decode_video(str(path), Treatment(size=64, sector=mode))
    where = video.seen.placement
    masked = source if mode == "keep" else np.where(sector.mask, source, 0).astype(np.uint8)
    np.testing.assert_array_equal(video.frames, place(masked, where))
    assert (where.source_height, where.source_width, where.size) == (120, 160, 64)
    if mode == "mask_and_crop":
        assert where == placement(sector, 64)
    else:
        # the square around the whole picture
        assert (where.height, where.width) == (160, 160)


def test_trap_7_text_outside_the_sector_is_gone(write_video, tmp_path):
    path = tmp_path / "fan.avi"
    write_sector_video(write_video, path)
    # the whole picture of 160 in a square of 64: the text is within the first 12 columns, below the padding
    kept = decode_video(str(path), Treatment(size=64, sector="keep")).frames[:, :16, :12]
    masked = decode_video(str(path), Treatment(size=64, sector="mask")).frames[:, :16, :12]
    assert kept.max() > 200
    assert masked.max() == 0


@pytest.mark.parametrize("num_frames", [1, 63, 64, 65, 200])
def test_a_long_video_is_decoded_in_blocks_with_the_same_result(
    write_video, tmp_path, monkeypatch, num_frames
):
    path = tmp_path / "long.avi"
    frames = write_video(path, num_frames=num_frames)
    whole = decode_video(str(path), Treatment(size=32, sector="keep"))
    np.testing.assert_array_equal(whole.frames, frames)
    monkeypatch.setattr(blocks, "MOST_BYTES_IN_MEMORY", 1000)
    again = decode_video(str(path), Treatment(size=32, sector="keep"))
    np.testing.assert_array_equal(again.frames, frames)
    np.testing.assert_array_equal(again.seen.frame_seconds, whole.seen.frame_seconds)


def test_the_rate_of_the_file_is_believed_over_that_of_the_manifest(write_video, tmp_path):
    path = tmp_path / "video.avi"
    write_video(path, num_frames=30, fps=25)
    video = decode_video(str(path), Treatment(size=32), fps=99.0)
    assert video.seen.fps == 25
    np.testing.assert_allclose(video.seen.frame_seconds, np.arange(30) / 25)


class RatelessReader:
    """An open file that says no rate, as some DICOM files do."""

    num_frames, height, width, channels, fps = 4, 8, 8, 1, None
    frame_seconds = np.array([0, np.nan, np.nan, np.nan])


def test_trap_3_no_frame_rate_is_invented():
    times, fps = decode.frame_times(RatelessReader(), "a.dcm", 20.0)
    np.testing.assert_allclose(times, [0, 0.05, 0.1, 0.15])
    assert fps == 20
    with pytest.raises(DecodeError, match=r"a\.dcm: the file does not say its frame rate; add it"):
        decode.frame_times(RatelessReader(), "a.dcm", None)
