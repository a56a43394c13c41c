"""Small videos for the tests of the video room; every frame carries its number in black and white blocks."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

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
) -> Path:
    """Encode numbered pictures; ``ticks`` are presentation times in 1/1000 s instead of a constant rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = 12
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(number, height=height, width=width), format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# name of the file, codec, further arguments: every way of storing frames that the readers must get right
KINDS: dict[str, tuple[str, dict]] = {
    "mjpeg.avi": ("mjpeg", {"pixel_format": "yuvj420p"}),
    "h264_b_frames.mp4": ("libx264", {"options": {"g": "48", "bf": "3", "b-adapt": "0"}}),
    "h264_open_gop.mkv": (
        "libx264",
        {"options": {"x264-params": "keyint=12:open-gop=1:bframes=3:b-adapt=0"}},
    ),
    "h264_b_frames.avi": ("libx264", {"options": {"g": "20", "bf": "2", "b-adapt": "0"}}),
    "grey.mkv": ("ffv1", {"pixel_format": "gray"}),
    "variable_rate.mp4": (
        "libx264",
        {"ticks": [int(33 * i + 7 * (i % 3) + (i > 30) * 200) for i in range(60)]},
    ),
    "late_start.mkv": ("libx264", {"ticks": [5000 + 40 * i for i in range(60)], "options": {"bf": "2"}}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg4_b_frames.avi": ("mpeg4", {"b_frames": 2}),
    "mpeg2.mpg": ("mpeg2video", {"b_frames": 2}),
    "vp9.webm": ("libvpx-vp9", {"options": {"cpu-used": "8", "deadline": "realtime"}}),
    "hevc.mp4": ("libx265", {"options": {"x265-params": "log-level=none:keyint=16:bframes=3"}}),
    "ffv1.mkv": ("ffv1", {}),
}


def write_kind(folder: Path, name: str) -> Path:
    """Write one of ``KINDS``; gives its path."""
    codec, arguments = KINDS[name]
    return write_video(folder / name, codec, **arguments)
