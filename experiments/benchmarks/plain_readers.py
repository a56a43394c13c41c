"""How clips are read without the package: plain use of each library, as a tutorial shows it."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import av
import numpy as np
from clip_files import FRAMES_PER_CLIP
from scipy import ndimage

from echossl.data import ClipStore

ReadClip = Callable[[Path, int], np.ndarray]


def usable(path: Path) -> dict[str, ReadClip]:
    """The ways that work for a file, each tried once."""
    ways: dict[str, ReadClip] = (
        {"pydicom, the whole file, then a slice": pydicom_whole}
        if path.suffix == ".dcm"
        else {
            "PyAV: open, seek, decode": pyav_seek,
            "decord: open, get_batch": decord_batch,
            "torchcodec: open, get_frames_in_range": torchcodec_range,
            "OpenCV: open, seek, read": opencv_seek,
            "OpenCV: the whole file, then a slice": opencv_whole,
            "published loader: the whole file as float RGB, then a slice": published,
        }
    )
    found = {}
    for name, way in ways.items():
        try:
            way(path, 3)
        except (ImportError, OSError, RuntimeError) as error:
            print(f"left out: {name}: {str(error).splitlines()[0]}")
            continue
        found[name] = way
    return found


def pyav_seek(path: Path, start: int) -> np.ndarray:
    """Seek to the key frame before, decode on, keep what is wanted."""
    frames: list[np.ndarray] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        wanted = int(start / float(stream.average_rate) / float(stream.time_base))
        container.seek(wanted, stream=stream)
        for frame in container.decode(stream):
            if frame.pts >= wanted:
                frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == FRAMES_PER_CLIP:
                break
    return np.stack(frames)


def decord_batch(path: Path, start: int) -> np.ndarray:
    """Decord on one thread."""
    decord = import_module("decord")
    reader = decord.VideoReader(str(path), num_threads=1)
    return reader.get_batch(list(range(start, start + FRAMES_PER_CLIP))).asnumpy()


def torchcodec_range(path: Path, start: int) -> np.ndarray:
    """Torchcodec with its defaults."""
    decoders = import_module("torchcodec.decoders")
    return decoders.VideoDecoder(str(path)).get_frames_in_range(start, start + FRAMES_PER_CLIP).data.numpy()


def opencv_seek(path: Path, start: int) -> np.ndarray:
    """OpenCV, set to the frame by its number."""
    cv2 = import_module("cv2")
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, start)
    frames = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(FRAMES_PER_CLIP)]
    capture.release()
    return np.stack(frames)


def opencv_whole(path: Path, start: int) -> np.ndarray:
    """Every frame of the file, of which 16 are used."""
    cv2 = import_module("cv2")
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (answer := capture.read())[0]:
        frames.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return np.stack(frames[start : start + FRAMES_PER_CLIP])


def published(path: Path, start: int) -> np.ndarray:
    """Every frame to float RGB in one array, channels first, then the clip, as published echo loaders do."""
    cv2 = import_module("cv2")
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    height, width = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    video = np.zeros((count, height, width, 3), dtype=np.uint8)
    for number in range(count):
        video[number] = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    whole = video.transpose((3, 0, 1, 2)).astype(np.float32)
    whole -= whole.mean()
    whole /= whole.std()
    return whole[:, start : start + FRAMES_PER_CLIP]


def pydicom_whole(path: Path, start: int) -> np.ndarray:
    """``pixel_array`` of the file."""
    pydicom = import_module("pydicom")
    return pydicom.dcmread(path).pixel_array[start : start + FRAMES_PER_CLIP]


def memory_copies(store: ClipStore) -> dict[str, Callable[[int], object]]:
    """The same bytes copied out of memory: one block, and frame by frame as a clip in time needs it."""
    videos = [np.array(store.frames(row)) for row in range(len(store))]
    place = np.empty((FRAMES_PER_CLIP, store.size, store.size), dtype=np.uint8)
    indices = np.linspace(0, 28, FRAMES_PER_CLIP).astype(np.int64)
    rows = np.random.default_rng(2).integers(0, len(videos), 997).tolist()

    def block(turn: int) -> None:
        first = 7 * turn % 90
        np.copyto(place, videos[rows[turn % 997]][first : first + FRAMES_PER_CLIP])

    def strided(turn: int) -> None:
        np.take(videos[rows[turn % 997]], indices + 7 * turn % 90, axis=0, out=place, mode="clip")

    return {"memory copy of one block": block, "memory copy frame by frame": strided}


def scipy_augment(frames: np.ndarray, turn: int, order: int) -> np.ndarray:
    """Rotation, flip, pad and crop of each frame by itself."""
    generator = np.random.default_rng(turn)
    angle, (top, left) = generator.uniform(-10, 10), generator.integers(0, 17, 2)
    height, width = frames.shape[1:3]
    padding = ((8, 8), (8, 8), (0, 0))[: frames.ndim - 1]
    out = np.empty(frames.shape, dtype=np.float32)
    for place, frame in zip(out, frames, strict=True):
        turned = ndimage.rotate(frame.astype(np.float32), angle, reshape=False, order=order)[:, ::-1]
        place[...] = np.pad(turned, padding)[top : top + height, left : left + width]
    return out / 255


def forget_files(folder: Path) -> None:
    """Drop the files below a folder from the page cache, as far as the system does so."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
