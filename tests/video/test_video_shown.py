"""Pictures as a player shows them: turned, mirrored, trimmed by an edit list, with oblong pixels, in grey."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_samples import KINDS, SHARED, number_of, write_kind, write_trimmed, write_turned, write_video

from echossl.errors import DecodeError, UserError
from echossl.video import open_video
from echossl.video.grey import to_grey
from echossl.video.pixels import Turn, full_of_limited, turn_of_matrix
from echossl.video.pyav import PyavReader

# display matrix (a, b, c, d) and the same by NumPy: quarter turns, then mirror images
TURNS = {
    "quarter_right": ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
    "half": ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2)),
    "quarter_left": ((0, -1, 1, 0), lambda frame: np.rot90(frame, 1)),
    "left_to_right": ((-1, 0, 0, 1), np.fliplr),
    "upside_down": ((1, 0, 0, -1), np.flipud),
    "transposed": ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
}


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    return write_video(folder / "v.mp4", "libx264", num_frames=20, pixel_width_by_height=Fraction(3, 2))


def open_or_skip(path: Path, backend: str):
    try:
        return open_video(path, backend=backend)
    except DecodeError:
        raise
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", TURNS)
def test_pictures_are_turned_as_a_player_shows_them(tmp_path: Path, upright: Path, name: str) -> None:
    matrix, turn = TURNS[name]
    path = write_turned(upright, tmp_path / "turned.mp4", matrix)
    with open_video(upright) as plain, open_video(path) as reader:
        expected = np.stack([turn(frame) for frame in plain.read(range(20))])
        assert (reader.height, reader.width) == expected.shape[1:3]
        order = [19, 0, 7, 7, 12]
        np.testing.assert_array_equal(reader.read(order), expected[order])
        grey = np.stack([turn(frame) for frame in plain.read_grey(range(20))])
        np.testing.assert_array_equal(reader.read_grey(order), grey[order])
        # the picture stays as wide as it was high
        is_quarter = matrix[0] == 0
        assert reader.pixel_aspect == pytest.approx(1.5 if is_quarter else 2 / 3)


@pytest.mark.parametrize("backend", ["decord", "torchcodec"])
def test_other_backends_refuse_turned_pictures(tmp_path: Path, upright: Path, backend: str) -> None:
    open_or_skip(upright, backend).close()
    path = write_turned(upright, tmp_path / "turned.mp4", TURNS["half"][0])
    with pytest.raises(DecodeError, match=f"{backend} is not exact.*use backend auto"):
        open_video(path, backend=backend)


def test_slanted_pictures_are_refused(tmp_path: Path, upright: Path) -> None:
    path = write_turned(upright, tmp_path / "slanted.mp4", (1, 1, -1, 1))
    with pytest.raises(DecodeError, match=r"slanted.*export it upright"):
        open_video(path)


def test_ffmpeg_agrees_on_the_direction_of_a_turn(tmp_path: Path, upright: Path) -> None:
    path = write_turned(upright, tmp_path / "turned.mp4", TURNS["quarter_left"][0])
    with av.open(str(path)) as container:
        # degrees against the clock
        assert next(container.decode(video=0)).rotation == 90


def test_every_point_goes_where_the_matrix_says() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for matrix, _ in TURNS.values():
        a, b, c, d = matrix
        turn = turn_of_matrix(np.array([[a, b, 0], [c, d, 0], [0, 0, 1]]))
        assert turn is not None
        turned = turn.of(picture)
        for y in range(3):
            for x in range(4):
                column = a * x + c * y + (3 if a < 0 else 0) + (2 if c < 0 else 0)
                row = b * x + d * y + (3 if b < 0 else 0) + (2 if d < 0 else 0)
                assert turned[row, column] == picture[y, x]
    assert Turn().is_none
    assert turn_of_matrix(np.zeros((3, 3), dtype=int)) is None


@pytest.mark.parametrize("backend", ["pyav", "decord", "torchcodec"])
@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(4, 3), Fraction(8, 9)])
def test_pixels_that_are_not_square(tmp_path: Path, backend: str, ratio: Fraction) -> None:
    path = write_video(tmp_path / "v.mp4", "libx264", num_frames=3, pixel_width_by_height=ratio)
    with open_or_skip(path, backend) as reader:
        assert reader.pixel_aspect == pytest.approx(float(1 / ratio))


def test_pixels_as_thin_as_threads_are_a_slip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", "libx264", num_frames=3, pixel_width_by_height=Fraction(1, 50))
    with open_video(path) as reader:
        assert reader.pixel_aspect == 1.0


@pytest.mark.parametrize(
    ("name", "first"), [("h264_b_frames.mp4", 17), ("mpeg4_b_frames.mp4", 17), ("mjpeg_422.mp4", 17)]
)
@pytest.mark.parametrize("backend", ["pyav", "decord", "torchcodec"])
def test_frames_before_an_edit_are_not_shown(tmp_path: Path, name: str, first: int, backend: str) -> None:
    """Copying a part of a file leaves packets before the part in it, with times below zero."""
    source = write_kind(tmp_path, name)
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        ticks = int(first / 30 / stream.time_base)
    path = write_trimmed(source, tmp_path / "trimmed.mp4", ticks)
    with av.open(str(path)) as container:
        reference = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert number_of(reference[0]) == first
    open_or_skip(write_kind(tmp_path, "mjpeg.avi"), backend).close()
    # where every frame is a key frame, those before the edit are not even read
    if backend != "pyav" and not name.startswith("mjpeg"):
        with pytest.raises(DecodeError, match=f"{backend} is not exact"):
            open_video(path, backend=backend)
        return
    with open_video(path) as reader:
        assert reader.num_frames == len(reference) == reader.declared_frames
        assert reader.frame_seconds[0] == 0
        assert reader.fps == pytest.approx(30)
        order = np.random.default_rng(0).permutation(len(reference))
        np.testing.assert_array_equal(reader.read(order), np.stack(reference)[order])


@pytest.mark.parametrize("name", KINDS)
def test_grey_is_the_luma_of_the_colours(tmp_path: Path, name: str) -> None:
    """Within 3 levels where the colours are RGB colours; hardly ever more than 2."""
    with open_video(write_kind(tmp_path, name)) as reader:
        colours = reader.read(range(20))
        # away from the blocks, whose edges have colours that RGB does not hold
        rows = slice(0, reader.height * 5 // 8)
        grey = reader.read_grey(range(20))
        assert grey.shape == (20, reader.height, reader.width)
        difference = np.abs(grey.astype(int) - to_grey(colours))[:, rows]
        assert difference.max() <= 3
        assert (difference > 2).mean() < 0.01
        order = [5, 19, 5, 0]
        np.testing.assert_array_equal(reader.read_grey(order), grey[order])
        with pytest.raises(IndexError):
            reader.read_grey([60])


@pytest.mark.parametrize(("height", "width"), [(64, 96), (720, 1280)])
@pytest.mark.parametrize("is_full", [False, True])
def test_grey_of_every_shade_is_exact(tmp_path: Path, height: int, width: int, is_full: bool) -> None:
    """Without colour nothing is rounded twice: black is 0, white is 255, for small and for large pictures."""
    path = tmp_path / "v.mkv"
    shades = np.linspace(0, 255, width).round().astype(np.uint8)
    stored = shades if is_full else np.rint(shades * (219 / 255) + 16).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"qp": "0"})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if is_full else "yuv420p"
        picture = np.full((height * 3 // 2, width), 128, np.uint8)
        picture[:height] = stored
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    with open_video(path) as reader:
        grey = reader.read_grey([0])[0]
        assert np.abs(grey.astype(int) - to_grey(reader.read([0]))[0]).max() <= 1
        assert np.abs(grey[0].astype(int) - shades).max() <= (0 if is_full else 1)
        assert (grey.min(), grey.max()) == (0, 255)


def test_grey_of_bt709_goes_through_rgb(tmp_path: Path) -> None:
    with open_video(write_kind(tmp_path, "h264_bt709.mp4")) as reader:
        np.testing.assert_array_equal(reader.read_grey([3, 9]), to_grey(reader.read([3, 9])))


def test_a_closed_reader_stays_closed(upright: Path) -> None:
    reader = PyavReader(upright)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read([0])


def test_limited_range_is_stretched_to_full_range() -> None:
    luma = np.arange(256, dtype=np.uint8)
    expected = np.clip((luma.astype(float) - 16) * 255 / 219, 0, 255)
    found = full_of_limited(luma)
    assert np.abs(found - expected).max() < 1
    assert (np.diff(found.astype(int)) >= 0).all()
    assert (found[16], found[235]) == (0, 255)


def colours_before_clipping(picture: av.VideoFrame) -> np.ndarray:
    """Red, green, blue (height, width, 3) of a BT.601 picture as real numbers, also outside 0..255."""
    planes = []
    for plane in picture.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width].astype(float)
        down, right = -(-picture.height // plane.height), -(-picture.width // plane.width)
        planes.append(rows.repeat(down, 0).repeat(right, 1)[: picture.height, : picture.width])
    luma = (planes[0] - 16) * 255 / 219
    blue, red = ((plane - 128) * 255 / 224 for plane in planes[1:])
    return np.stack([luma + 1.402 * red, luma - 0.344 * blue - 0.714 * red, luma + 1.772 * blue], axis=-1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real files is not here")
def test_grey_of_real_files_is_the_luma_of_their_colours() -> None:
    """Within 2 levels wherever the colours are RGB colours."""
    files = sorted((SHARED / "pocus_lung").rglob("*.[am][vp][i4]"))[::4]
    assert len(files) > 10
    for path in files:
        with av.open(str(path)) as container:
            picture = next(container.decode(video=0))
        with open_video(path) as reader:
            difference = np.abs(reader.read_grey([0]).astype(int) - to_grey(reader.read([0])))[0]
        if picture.format.name not in {"yuv420p", "yuv444p"} or picture.color_range == 2:
            continue
        exact = colours_before_clipping(picture)
        is_shown = ((exact >= -0.5) & (exact <= 255.5)).all(axis=-1)
        assert is_shown.mean() > 0.2, path
        assert difference[is_shown].max() <= 2, path
