"""Every backend gives the frame that was asked for, whatever the order, codec and container."""

from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest
from video_samples import BITS, KINDS, number_of, picture, write_kinds, write_video

from echossl.config.video import ClipConfig, ClipPolicy
from echossl.errors import DecodeError, UserError
from echossl.video import clip_indices, duration_seconds, open_video
from echossl.video.pyav import PyavReader
from echossl.video.sampling import clip_starts

NUM_FRAMES = 60


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_kinds(tmp_path_factory.mktemp("videos"))


# what a library gets wrong, and therefore refuses
REFUSED = {
    "decord": {
        "av1.mp4",
        "h264_b_frames.avi",
        "h264_b_frames.ts",
        "h264_open_gop.mkv",
        "hevc.mp4",
        "hevc_open_gop.mkv",
        "mjpeg_odd.avi",
        "mpeg2.mpg",
        "mpeg4_b_frames.avi",
        "mpeg4_b_frames.mp4",
        "mpeg4_odd.mp4",
        "picture.gif",
        "vp9_odd.webm",
    },
    "torchcodec": {
        "h264_b_frames.avi",
        "h264_b_frames.ts",
        "mjpeg_odd.avi",
        "mpeg2.mpg",
        "mpeg4_b_frames.avi",
        "mpeg4_odd.mp4",
        "picture.gif",
        "vp9_odd.webm",
    },
    "pyav": set[str](),
}


EXACT = [(name, backend) for backend in REFUSED for name in KINDS if name not in REFUSED[backend]]
INEXACT = [(name, backend) for backend in REFUSED for name in sorted(REFUSED[backend])]
CLIP = ClipConfig(clip_seconds=0.5, num_frames=12)


def open_or_skip(videos: dict[str, Path], name: str, backend: str):
    if name not in videos:
        pytest.skip(f"PyAV has no encoder for {name}")
    try:
        return open_video(videos[name], backend=backend)
    except DecodeError:
        raise
    except UserError:
        pytest.skip(f"{backend} is not usable here")


def sequential(path: Path, pixel_format: str) -> np.ndarray:
    """The plain reference: decode everything in order and convert every frame by itself."""
    with av.open(str(path)) as container:
        arrays = [frame.to_ndarray(format=pixel_format) for frame in container.decode(video=0)]
    return np.stack(arrays)


def test_number_survives_the_picture() -> None:
    assert [number_of(picture(n)) for n in range(2**BITS)] == list(range(2**BITS))


@pytest.mark.parametrize(("name", "backend"), INEXACT)
def test_a_backend_that_would_be_inexact_says_so(videos: dict[str, Path], name: str, backend: str) -> None:
    open_or_skip(videos, "mjpeg.avi", backend).close()
    with pytest.raises(DecodeError, match=f"{backend} is not exact on such"):
        open_or_skip(videos, name, backend)


@pytest.mark.parametrize(("name", "backend"), EXACT)
def test_random_access_equals_sequential_decoding(videos: dict[str, Path], name: str, backend: str) -> None:
    with open_or_skip(videos, name, backend) as reader:
        assert reader.num_frames == NUM_FRAMES
        order = np.random.default_rng(3).integers(0, NUM_FRAMES, 50)
        frames = reader.read(order)
        assert frames.shape == (50, reader.height, reader.width, reader.channels)
        assert frames.dtype == np.uint8
        assert [number_of(frame) for frame in frames] == order.tolist()
        np.testing.assert_array_equal(frames, reader.read(range(NUM_FRAMES))[order])


@pytest.mark.parametrize(("name", "backend"), EXACT)
def test_pixels_equal_plain_decoding(videos: dict[str, Path], name: str, backend: str) -> None:
    with open_or_skip(videos, name, backend) as reader:
        reference = sequential(videos[name], "gray" if reader.channels == 1 else "rgb24")
        np.testing.assert_array_equal(
            reader.read(range(reader.num_frames)),
            reference.reshape(len(reference), *reader.read([0]).shape[1:]),
        )


@pytest.mark.parametrize(("name", "backend"), EXACT)
def test_clips_of_every_policy_equal_plain_decoding(videos: dict[str, Path], name: str, backend: str) -> None:
    with open_or_skip(videos, name, backend) as reader:
        reference = sequential(videos[name], "gray" if reader.channels == 1 else "rgb24")
        for start in starts_of_all_policies(duration_seconds(reader.frame_seconds)):
            indices = clip_indices(reader.frame_seconds, start_seconds=start, clip=CLIP)
            found = reader.read(indices)
            np.testing.assert_array_equal(found, reference[indices].reshape(found.shape))


def starts_of_all_policies(duration: float) -> list[float]:
    """Three starts at random, then three spread, the centre, and as many as cover the video."""
    generator = np.random.default_rng(0)
    starts = {
        policy: clip_starts(policy, duration, clip=CLIP, count=3, generator=generator)
        for policy in get_args(ClipPolicy)
    }
    assert {policy: len(found) for policy, found in starts.items() if policy != "all"} == {
        "random": 3,
        "uniform": 3,
        "centre": 1,
    }
    # clips end to end from the first moment to the last
    assert len(starts["all"]) == np.ceil(duration / CLIP.clip_seconds - 1e-6)
    assert (starts["all"][0], starts["all"][-1]) == (0, pytest.approx(duration - CLIP.clip_seconds))
    return [float(start) for found in starts.values() for start in found]


@pytest.mark.parametrize("name", KINDS)
def test_single_frames_and_blocks_equal_one_pass(videos: dict[str, Path], name: str) -> None:
    with open_or_skip(videos, name, "pyav") as reader:
        whole = reader.read(range(NUM_FRAMES))
        for index in (59, 0, 31, 30, 47, 48, 12, 11, 13, 58):
            np.testing.assert_array_equal(reader.read([index])[0], whole[index])
        blocks = [reader.read(range(first, min(first + 7, NUM_FRAMES))) for first in range(0, NUM_FRAMES, 7)]
        np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_sparse_clips_of_many_b_frames(tmp_path: Path) -> None:
    """Frames that nothing refers to are skipped while decoding; those asked for must not be."""
    path = write_video(
        tmp_path / "v.mp4",
        "libx264",
        num_frames=100,
        options={"bf": "5", "b-adapt": "0", "b-pyramid": "strict"},
    )
    generator = np.random.default_rng(0)
    with open_video(path) as reader:
        whole = reader.read(range(100))
        for stride in (1, 2, 3, 5):
            for start in generator.integers(0, 100 - 16 * stride + stride, 4):
                indices = np.arange(start, start + 16 * stride, stride)[:16]
                np.testing.assert_array_equal(reader.read(indices), whole[indices])


def test_all_intra_decodes_only_what_is_asked_for(videos: dict[str, Path]) -> None:
    with PyavReader(videos["mjpeg.avi"]) as reader:
        index = reader._opened.decoder._index
        np.testing.assert_array_equal(index.start, np.arange(NUM_FRAMES))
        reader.read([40])
        assert reader._opened.decoder._position == 40
        assert reader._opened.decoder._run_start == 40


def test_a_run_goes_on_where_the_last_read_ended(videos: dict[str, Path]) -> None:
    with PyavReader(videos["h264_b_frames.mp4"]) as reader:
        reader.read(range(10))
        first = reader._opened.decoder._position
        reader.read(range(10, 20))
        assert reader._opened.decoder._run_start == 0
        assert 10 < first < reader._opened.decoder._position


def test_two_readers_at_once_do_not_disturb_each_other(videos: dict[str, Path]) -> None:
    with open_video(videos["mjpeg.avi"]) as one:
        with open_video(videos["h264_b_frames.mp4"]) as other:
            assert number_of(other.read([33])[0]) == 33
            assert number_of(one.read([21])[0]) == 21
        assert [number_of(frame) for frame in one.read([5, 4, 3])] == [5, 4, 3]


def test_grey_files_have_one_channel(videos: dict[str, Path]) -> None:
    for backend in ("pyav", "torchcodec", "decord"):
        with open_or_skip(videos, "grey.mkv", backend) as reader:
            assert reader.channels == 1
            assert number_of(reader.read([9])[0]) == 9


@pytest.mark.parametrize("backend", ["pyav", "decord", "torchcodec"])
def test_closing_twice_is_allowed(videos: dict[str, Path], backend: str) -> None:
    with open_or_skip(videos, "mjpeg.avi", backend) as reader:
        reader.read([3])
        reader.close()


def test_indices_outside_the_video_are_refused(videos: dict[str, Path]) -> None:
    with open_video(videos["mjpeg.avi"]) as reader:
        assert reader.read([]).shape == (0, 64, 96, 3)
        for index in (-1, 60):
            with pytest.raises(IndexError, match="0 to 59"):
                reader.read([0, index])
