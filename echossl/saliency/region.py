"""Where a reference region lies in the pixels that a network saw: a table of boxes or masks, or a phantom."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from echossl.errors import UserError
from echossl.phantom.truth import read_truth
from echossl.phantom.walls import wall_mask
from echossl.video.sector import Placement, place

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
BOX = ("x0", "y0", "x1", "y1")
UNNAMED = "region"


@dataclass(frozen=True)
class Regions:
    """The regions of many videos.

    Attributes:
        path: a phantom folder or a table.
        table: the rows of the table, with absolute paths; None for a phantom.
    """

    path: Path
    table: pd.DataFrame | None

    @classmethod
    def open(cls, path: Path) -> "Regions":
        """Read a table, or take a phantom folder.

        A table has the columns ``path`` (relative ones start at its folder) and either ``x0, y0, x1, y1``
        (left, top, right, bottom in pixels of the video file, the last two excluded) or ``mask`` (a grey
        picture of the video's size, inside where it is not black); and if wanted ``region`` (a name, such as
        valve) and ``frame``. A row without a frame holds for all frames. With frames, each frame of a clip
        takes the rows of the frame nearest to it. Several rows of one frame are joined.

        Raises:
            UserError: if it is neither, or a row cannot be used.
        """
        return cls(path, None if path.is_dir() else _read_table(path))

    def of(self, video: Path, stored: pd.Series, indices: Indices, size: int) -> dict[str, Floats]:
        """The regions of a clip, by name: (frames, size, size) covered share of each pixel, 0..1.

        Leaflets are about as thin as a pixel of the store: rounding to yes or no would lose most of a valve.

        Args:
            video: the video.
            stored: its row of the store's table, with the placement.
            indices: frames of the clip, (frames,).
            size: height and width of the store's frames.

        Returns:
            Empty if the table has no row of this video.
        """
        if self.table is None:
            walls = _covered(wall_mask(self.path, video)[indices], stored, size)
            return {"valve": phantom_region(self.path, video, stored, indices, size), "walls": walls}
        own = self.table[self.table["path"] == str(video)]
        return {
            str(name): _covered(_masks(rows, stored, indices), stored, size)
            for name, rows in own.groupby("region", sort=False)
        }

    def phase(self, video: Path, indices: Indices) -> npt.NDArray[np.float64] | None:
        """Place in the beat of each frame, 0 at the R wave to 1 at the next; None if nobody knows."""
        return None if self.table is not None else read_truth(self.path, video).phase[indices]


def phantom_region(folder: Path, video: Path, stored: pd.Series, indices: Indices, size: int) -> Floats:
    """The aortic valve's leaflets of a phantom video, in the frames of a clip.

    Args:
        folder: the phantom's folder.
        video: the video.
        stored: its row of the store's table, with the placement.
        indices: frames of the clip, (frames,).
        size: height and width of the store's frames.

    Returns:
        (frames, size, size) covered share, 0..1.

    Raises:
        UserError: if the truth is of a video of other frames.
    """
    mask = read_truth(folder, video).valve_mask
    expected = (stored["num_frames"], stored["source_height"], stored["source_width"])
    if mask.shape != tuple(int(value) for value in expected):
        raise UserError(
            f"{video}: the truth in {folder} is of {mask.shape} frames x height x width, the store holds "
            f"{tuple(int(value) for value in expected)}; give the phantom that the videos are from"
        )
    return _covered(mask[indices], stored, size)


def _covered(masks: npt.NDArray[np.bool_], stored: pd.Series, size: int) -> Floats:
    """Masks (frames, source height, source width) through the store's window: (frames, size, size), 0..1."""
    names = ("top", "left", "height", "width", "source_height", "source_width")
    where = Placement(**{name: int(stored[name]) for name in names}, size=size)
    covered: npt.NDArray[np.uint8] = place(masks.astype(np.uint8) * 255, where)
    return covered.astype(np.float32) / np.float32(255)


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a table of regions (.csv) or a phantom folder")
    table = pd.read_csv(path, dtype={"path": str, "region": str, "mask": str})
    has_boxes = set(BOX) <= set(table)
    if "path" not in table or not (has_boxes or "mask" in table):
        raise UserError(
            f"{path}: found the columns {', '.join(map(str, table))}, expected path and x0 y0 x1 y1 or mask"
        )
    for name in ("frame", "mask", *BOX):
        if name not in table:
            table[name] = np.nan
    table["region"] = table["region"].fillna(UNNAMED) if "region" in table else UNNAMED
    table["path"] = [str((path.parent / name).absolute()) for name in table["path"]]
    table["mask"] = [name if pd.isna(name) else str(path.parent / name) for name in table["mask"]]
    for number, row in enumerate(table.to_dict("records"), start=2):
        if pd.isna(row["mask"]) and not (row["x0"] < row["x1"] and row["y0"] < row["y1"]):
            raise UserError(
                f"{path}: row {number}: found x {row['x0']} to {row['x1']}, y {row['y0']} to {row['y1']}, "
                "expected x0 < x1 and y0 < y1, or a mask"
            )
    return table


def _masks(rows: pd.DataFrame, stored: pd.Series, indices: Indices) -> npt.NDArray[np.bool_]:
    """The rows of one region of one video as masks of these frames, in the file's pixels."""
    shape = (int(stored["source_height"]), int(stored["source_width"]))
    always = _joined(rows[rows["frame"].isna()], shape)
    known = rows.dropna(subset="frame").astype({"frame": int})
    at_frames = {int(str(frame)): _joined(own, shape) for frame, own in known.groupby("frame")}
    if not at_frames:
        return np.repeat(always[None], len(indices), axis=0)
    places = np.array(sorted(at_frames))
    nearest = [places[np.abs(places - index).argmin()] for index in indices]
    return np.stack([always | at_frames[int(frame)] for frame in nearest])


def _joined(rows: pd.DataFrame, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    for row in rows.to_dict("records"):
        if pd.isna(row["mask"]):
            x0, y0, x1, y1 = (max(0, round(float(row[name]))) for name in BOX)
            mask[y0:y1, x0:x1] = True
        else:
            mask |= _read_mask(Path(row["mask"]), shape)
    return mask


def _read_mask(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    try:
        with Image.open(path) as picture:
            mask = np.asarray(picture.convert("L")) > 0
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a picture ({error}); give a PNG") from error
    if mask.shape != shape:
        raise UserError(
            f"{path}: found {mask.shape[0]} x {mask.shape[1]} pixels, expected {shape[0]} x {shape[1]}, "
            "as the video has; draw the mask on a frame of the file"
        )
    return mask
