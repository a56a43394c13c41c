"""What is told of a video, and frames that are read alone, equal what the store would hold."""

from dataclasses import fields
from pathlib import Path

import av
import numpy as np
import pytest

from echossl.data import blocks
from echossl.data.decode import LookedAt, Treatment, decode_video, look_at_video, read_placed
from echossl.errors import DecodeError
from echossl.video.doppler import blank_doppler
from echossl.video.grey import to_grey
from echossl.video.reader import open_video
from echossl.video.sector import find_sector, full_sector, place, placement, search_indices

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
HEIGHT, WIDTH = 120, 160


def coloured_frames(num_frames: int, *, with_flow: bool) -> np.ndarray:
    """A fan of speckle with text beside it and, if asked, flow in red and blue; RGB."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    fan = (np.hypot(rows - 14, columns - 80) < 95) & (np.abs(columns - 80) < 0.8 * (rows - 12))
    generator = np.random.default_rng(0)
    speckle = generator.integers(40, 200, (num_frames, HEIGHT // 2, WIDTH // 2)).repeat(2, 1).repeat(2, 2)
    frames = np.repeat((speckle * fan)[..., None], 3, axis=-1).astype(np.uint8)
    frames[:, 2:8, 2:30] = 255
    for number, frame in enumerate(frames if with_flow else ()):
        jet = np.hypot(rows - 70, columns - 76 - number % 8) < 12
        frame[jet] = (230, 60, 0) if number % 3 else (0, 80, 230)
    return frames


def write_coloured(path: Path, codec: str, num_frames: int, *, with_flow: bool = True) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt = {"mjpeg": "yuvj444p", "libx264": "yuv420p"}[codec]
        stream.codec_context.gop_size = 12
        for frame in coloured_frames(num_frames, with_flow=with_flow):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


@pytest.fixture(scope="module")
def flowing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("flowing")
    return {
        "mjpeg": write_coloured(folder / "a.avi", "mjpeg", 40),
        "libx264": write_coloured(folder / "a.mp4", "libx264", 40),
    }


def read(path: str, indices: list[int], seen: LookedAt, *, blank: bool) -> np.ndarray:
    return read_placed(
        path, indices, placement=seen.placement, outline=seen.outline, blank_doppler=blank and seen.doppler
    )


@pytest.mark.parametrize("mode", ["mask_and_crop", "mask", "keep"])
@pytest.mark.parametrize("doppler", ["keep", "blank"])
@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_frames_read_alone_equal_those_of_the_whole_video(flowing, codec, doppler, mode):
    path = flowing[codec]
    video = decode_video(path, Treatment(size=48, sector=mode, doppler=doppler))
    assert video.seen.doppler
    for indices in ([0], [39, 3, 3, 17], list(range(40)), [20, 19, 18]):
        found = read(path, indices, video.seen, blank=doppler == "blank")
        np.testing.assert_array_equal(found, video.frames[indices])
    assert read(path, [], video.seen, blank=False).shape == (0, 48, 48)


@pytest.mark.parametrize("mode", ["mask_and_crop", "mask", "keep"])
@pytest.mark.parametrize("doppler", ["keep", "blank"])
def test_looking_tells_what_decoding_does(flowing, doppler, mode):
    path = flowing["libx264"]
    video = decode_video(path, Treatment(size=48, sector=mode, doppler=doppler))
    seen = look_at_video(path, Treatment(size=48, sector=mode, doppler=doppler))
    assert seen.num_frames == len(video.frames) == 40
    assert seen.blank_doppler is (doppler == "blank")
    np.testing.assert_array_equal(seen.frame_seconds, video.seen.frame_seconds)
    for name in {field.name for field in fields(seen)} - {"frame_seconds", "cm_per_pixel"}:
        assert getattr(seen, name) == getattr(video.seen, name), name
    assert np.isnan(seen.cm_per_pixel)
    assert np.isnan(video.seen.cm_per_pixel)
    assert (seen.outline == ()) is (mode == "keep")


@pytest.mark.parametrize("doppler", ["keep", "blank"])
def test_flow_is_blanked_before_the_colours_are_lost(flowing, doppler):
    path = flowing["mjpeg"]
    with open_video(path) as reader:
        colours, grey = reader.read(range(40)), reader.read_grey(range(40))
    sector = find_sector(grey[search_indices(40)])
    expected = to_grey(blank_doppler(colours)) if doppler == "blank" else grey
    video = decode_video(path, Treatment(size=48, doppler=doppler))
    np.testing.assert_array_equal(video.frames, place(expected * sector.mask, placement(sector, 48)))


@pytest.mark.parametrize("doppler", ["keep", "blank"])
def test_a_video_without_flow_is_not_touched(tmp_path, doppler):
    path = write_coloured(tmp_path / "b.avi", "mjpeg", 20, with_flow=False)
    video = decode_video(path, Treatment(size=48, doppler=doppler))
    assert not video.seen.doppler
    np.testing.assert_array_equal(video.frames, decode_video(path, Treatment(size=48)).frames)


@pytest.mark.parametrize("doppler", ["keep", "blank"])
def test_small_blocks_change_nothing(flowing, monkeypatch, doppler):
    path = flowing["libx264"]
    whole = decode_video(path, Treatment(size=48, doppler=doppler))
    monkeypatch.setattr(blocks, "MOST_BYTES_IN_MEMORY", 1000)
    monkeypatch.setattr(blocks, "MOST_BYTES_PER_BLOCK", 7 * HEIGHT * WIDTH * 3)
    again = decode_video(path, Treatment(size=48, doppler=doppler))
    np.testing.assert_array_equal(again.frames, whole.frames)
    for name in ("outline", "placement", "doppler"):
        assert getattr(again.seen, name) == getattr(whole.seen, name)


@pytest.mark.parametrize("num_frames", [1, 2, 3])
@pytest.mark.parametrize("mode", ["mask_and_crop", "mask", "keep"])
def test_a_few_frames_work_in_every_mode(tmp_path, num_frames, mode):
    path = write_coloured(tmp_path / "c.avi", "mjpeg", num_frames)
    for doppler in ("keep", "blank"):
        video = decode_video(path, Treatment(size=32, sector=mode, doppler=doppler))
        assert video.frames.shape == (num_frames, 32, 32)
        found = read(path, [num_frames - 1], video.seen, blank=doppler == "blank")
        np.testing.assert_array_equal(found, video.frames[-1:])


def write_volume(path: Path, frames: np.ndarray, spacing_mm: tuple[float, float]) -> str:
    """A MetaImage file of frames (n, height, width); spacing across and down."""
    count, height, width = frames.shape
    path.with_suffix(".raw").write_bytes(frames.tobytes())
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        f"DimSize = {width} {height} {count}",
        f"ElementSpacing = {spacing_mm[0]} {spacing_mm[1]} 1",
        "ElementType = MET_UCHAR",
        f"ElementDataFile = {path.with_suffix('.raw').name}",
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_trap_06_the_window_is_square_in_cm(tmp_path):
    """Pixels twice as wide as high: a disc of 80 x 40 pixels is round."""
    rows, columns = np.mgrid[:200, :120]
    disc = np.hypot((rows - 100) / 40, (columns - 60) / 20) < 1
    frames = np.random.default_rng(0).integers(60, 200, (12, 200, 120)) * disc
    path = write_volume(tmp_path / "a.mhd", frames.astype(np.uint8), (0.308, 0.154))
    video = decode_video(path, Treatment(size=64), fps=20)
    where = video.seen.placement
    assert abs(where.height * 0.154 - where.width * 0.308) <= 0.308
    lit = video.frames.max(axis=0) > 40
    assert abs(lit.any(axis=1).sum() - lit.any(axis=0).sum()) <= 2
    assert video.seen.cm_per_pixel == pytest.approx(0.0154 * where.height / 64)
    np.testing.assert_array_equal(read(path, [5, 2], video.seen, blank=False), video.frames[[5, 2]])
    kept = decode_video(path, Treatment(size=64, sector="keep"), fps=20)
    assert kept.seen.placement == placement(full_sector(200, 120), 64, pixel_aspect=0.5)


def test_another_file_under_the_same_name_is_noticed(flowing, tmp_path):
    path = tmp_path / "a.avi"
    path.write_bytes(Path(flowing["mjpeg"]).read_bytes())
    video = decode_video(str(path), Treatment(size=32))
    write_coloured(path, "mjpeg", 10)
    np.testing.assert_array_equal(read(str(path), [9], video.seen, blank=False).shape, (1, 32, 32))
    with pytest.raises(DecodeError, match="has changed since the store was made"):
        read(str(path), [10], video.seen, blank=False)


@pytest.mark.parametrize(
    ("name", "doppler"), [("derived_vividE95_jpegbaseline.dcm", True), ("color3d_jpeg_baseline.dcm", False)]
)
def test_real_echo(name, doppler):
    path = SHARED / "dicom" / name
    if not path.is_file():
        pytest.skip(f"the real file is not at {path}")
    seen = look_at_video(str(path), Treatment(size=112))
    assert seen.doppler is doppler
    with open_video(path) as reader:
        assert seen.cm_per_pixel == pytest.approx(reader.cm_per_pixel * seen.placement.height / 112)
