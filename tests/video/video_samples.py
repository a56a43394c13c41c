"""Small videos for the tests of the video room; every frame carries its number in black and white blocks."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np

from echossl.video import VideoReader, open_video

HEIGHT, WIDTH, BITS = 64, 96, 10
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def picture(number: int, *, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """RGB (height, width, 3): a moving pattern, and below it the number in binary."""
    rows, columns = np.mgrid[:height, :width]
    shade = 110 + 60 * np.sin((columns + 3 * number) / 9) * np.cos((rows - number) / 7)
    coloured = np.stack([shade, 0.8 * shade, 0.6 * shade], axis=-1)
    bits = [number >> bit & 1 for bit in range(BITS)]
    side = width // BITS
    coloured[-height // 4 :, : side * BITS] = np.repeat(bits, side)[None, :, None] * 235 + 10
    return coloured.astype(np.uint8)


def read(path: Path) -> np.ndarray:
    """All frames of a path, (n, height, width, channels)."""
    with open_video(path) as reader:
        assert len(reader.frame_seconds) == reader.num_frames
        assert reader.frame_seconds[0] == 0
        return reader.read(range(reader.num_frames))


def look(path: Path) -> VideoReader:
    """What a path says of itself; it is closed."""
    with open_video(path) as reader:
        return reader


def number_of(frame: np.ndarray) -> int:
    """Read the number back from a decoded frame (height, width, 1 or 3)."""
    height, width, _ = frame.shape
    side = width // BITS
    strip = frame[-height // 8 : -2, : side * BITS].mean(axis=(0, 2)).reshape(BITS, side)
    return int(
        sum(
            int(value > 128) << bit for bit, value in enumerate(strip[:, side // 4 : -side // 4].mean(axis=1))
        )
    )


def write_video(
    path: Path,
    codec: str,
    *,
    num_frames: int = 60,
    fps: int = 30,
    ticks: Sequence[int] | None = None,
    pixel_format: str = "yuv420p",
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    height: int = HEIGHT,
    width: int = WIDTH,
    colour: dict[str, int] | None = None,
    pixel_width_by_height: Fraction | None = None,
    with_sound: bool = False,
) -> Path:
    """Encode numbered pictures; ``ticks`` are presentation times in 1/1000 s instead of a constant rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = 12
        for name, value in (colour or {}).items():
            setattr(stream.codec_context, name, value)
        if pixel_width_by_height is not None:
            stream.codec_context.sample_aspect_ratio = pixel_width_by_height
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=16000) if with_sound else None
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(number, height=height, width=width), format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
            if sound is not None:
                container.mux(sound.encode(silence()))
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def silence() -> av.AudioFrame:
    """1,024 samples of nothing to hear."""
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    sound.sample_rate = 16000
    return sound


def write_trimmed(source: Path, path: Path, ticks: int) -> Path:
    """Copy a video so that an edit list leaves out its first ``ticks``; the packets stay in the file."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - ticks, packet.dts - ticks, stream
                out.mux(packet)
    return path


def write_turned(source: Path, path: Path, matrix: Sequence[int]) -> Path:
    """Copy an MP4 file with the display matrix (a, b, c, d), whole numbers, in its track's header."""
    data = bytearray(source.read_bytes())
    place = data.index(b"tkhd") + 44
    for offset, number in zip((0, 4, 12, 16), matrix, strict=True):
        data[place + offset : place + offset + 4] = (number << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path


X264_B = {"g": "48", "bf": "3", "b-adapt": "0"}
# name of the file, codec, further arguments: every way of storing frames that the readers must get right
KINDS: dict[str, tuple[str, dict]] = {
    "mjpeg.avi": ("mjpeg", {"pixel_format": "yuvj420p"}),
    "mjpeg_422.mp4": ("mjpeg", {"pixel_format": "yuvj422p"}),
    "mjpeg_odd.avi": ("mjpeg", {"pixel_format": "yuvj420p", "height": 63, "width": 97}),
    "mjpeg_sound.avi": ("mjpeg", {"pixel_format": "yuvj420p", "with_sound": True}),
    "raw.avi": ("rawvideo", {"pixel_format": "bgr24"}),
    "raw_yuv.mov": ("rawvideo", {"pixel_format": "yuyv422"}),
    "h264_b_frames.mp4": ("libx264", {"options": X264_B}),
    "h264_sound.mp4": ("libx264", {"options": X264_B, "with_sound": True}),
    "h264_open_gop.mkv": (
        "libx264",
        {"options": {"x264-params": "keyint=12:open-gop=1:bframes=3:b-adapt=0"}},
    ),
    "h264_b_frames.avi": ("libx264", {"options": {"g": "20", "bf": "2", "b-adapt": "0"}}),
    "h264_422.mp4": ("libx264", {"pixel_format": "yuv422p", "options": X264_B}),
    "h264_444_odd.mkv": ("libx264", {"pixel_format": "yuv444p", "height": 63, "width": 97}),
    "h264_full_range.mp4": ("libx264", {"pixel_format": "yuvj420p", "options": X264_B}),
    "h264_bt709.mp4": ("libx264", {"colour": {"colorspace": 1, "color_primaries": 1, "color_trc": 1}}),
    "h264_b_frames.ts": ("libx264", {"options": X264_B}),
    "grey.mkv": ("ffv1", {"pixel_format": "gray"}),
    "variable_rate.mp4": (
        "libx264",
        {"ticks": [int(33 * i + 7 * (i % 3) + (i > 30) * 200) for i in range(60)]},
    ),
    "late_start.mkv": ("libx264", {"ticks": [5000 + 40 * i for i in range(60)], "options": {"bf": "2"}}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg4_odd.mp4": ("mpeg4", {"height": 63, "width": 97}),
    "mpeg4_b_frames.avi": ("mpeg4", {"b_frames": 2}),
    "mpeg4_b_frames.mp4": ("mpeg4", {"b_frames": 2}),
    "mpeg2.mpg": ("mpeg2video", {"b_frames": 2}),
    "vp9.webm": ("libvpx-vp9", {"options": {"cpu-used": "8", "deadline": "realtime"}}),
    "vp9_odd.webm": (
        "libvpx-vp9",
        {"height": 63, "width": 97, "options": {"cpu-used": "8", "deadline": "realtime"}},
    ),
    "hevc.mp4": ("libx265", {"options": {"x265-params": "log-level=none:keyint=16:bframes=3"}}),
    "hevc_open_gop.mkv": (
        "libx265",
        {"options": {"x265-params": "log-level=none:keyint=16:bframes=3:open-gop=1"}},
    ),
    "av1.mp4": ("libsvtav1", {"options": {"preset": "12", "svtav1-params": "keyint=16"}}),
    "ffv1.mkv": ("ffv1", {}),
    "picture.gif": ("gif", {"pixel_format": "rgb8", "fps": 25}),
}


def write_kind(folder: Path, name: str) -> Path:
    """Write one of ``KINDS``; gives its path."""
    codec, arguments = KINDS[name]
    if codec == "libsvtav1":
        return in_child(write_video, folder / name, codec, **arguments)
    return write_video(folder / name, codec, **arguments)


def in_child(write: Callable[..., Path], path: Path, *given: object, **arguments: object) -> Path:
    """Write in a process of its own: as root this encoder makes its caller a real-time process for good,
    and nothing else gets that core again.
    """
    process = get_context("spawn").Process(target=write, args=(path, *given), kwargs=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0, path
    return path


def write_kinds(folder: Path) -> dict[str, Path]:
    """Write all ``KINDS`` that this PyAV can encode."""
    found = {}
    for name, (codec, _) in KINDS.items():
        try:
            av.Codec(codec, "w")
        except ValueError:
            continue
        found[name] = write_kind(folder, name)
    return found
