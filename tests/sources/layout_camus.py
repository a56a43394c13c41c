"""CAMUS in small, in both distributions: NIfTI with lists of splits, and MHD/RAW in two halves."""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from phantom_frames import grey_frames

VIEWS = ("4CH", "2CH")
SPACING_MM = 0.308
LISTS = {"training": (0, 1, 2), "validation": (3,), "testing": (4,)}


def build_camus(phantom_manifest: pd.DataFrame, root: Path) -> Path:
    """``database_nifti`` and ``database_split``; the root to index, which holds both.

    Pixels are half as high as wide, and the first axis of an array is the width, as in the real files.
    """
    base = root / "database_nifti"
    names = {}
    for number, videos in _patients(phantom_manifest):
        name = f"patient{number + 1:04d}"
        names[number] = name
        for view, path in zip(VIEWS, videos["path"], strict=False):
            frames, fps = _half_beat(path)
            tall = np.repeat(frames, 2, axis=1)
            stem = base / name / f"{name}_{view}"
            stem.parent.mkdir(parents=True, exist_ok=True)
            for what, array in (("half_sequence", tall), ("ED", tall[0]), ("ES", tall[-1])):
                _write_nifti(Path(f"{stem}_{what}.nii.gz"), array)
                _write_nifti(Path(f"{stem}_{what}_gt.nii.gz"), np.zeros_like(array))
            _write_info(stem.with_name(f"Info_{view}.cfg"), number, len(frames), fps, ef="EF")
    (root / "database_split").mkdir()
    for kind, places in LISTS.items():
        lines = [name for number, name in names.items() if number % 5 in places]
        file = root / "database_split" / f"subgroup_{kind}.txt"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def build_camus_first(phantom_manifest: pd.DataFrame, root: Path) -> Path:
    """The first distribution: ``training/`` and ``testing/``, whose patients are numbered alike.

    Its Info files state no frame rate.
    """
    counts = {"training": 0, "testing": 0}
    for number, videos in _patients(phantom_manifest):
        half = "testing" if number % 5 == 4 else "training"
        counts[half] += 1
        name = f"patient{counts[half]:04d}"
        for view, path in zip(VIEWS, videos["path"], strict=False):
            frames, _ = _half_beat(path)
            stem = root / half / name / f"{name}_{view}"
            stem.parent.mkdir(parents=True, exist_ok=True)
            for what, array in (("sequence", frames), ("ED", frames[:1]), ("ES", frames[-1:])):
                _write_mhd(Path(f"{stem}_{what}.mhd"), array)
                if half == "training" and what != "sequence":
                    _write_mhd(Path(f"{stem}_{what}_gt.mhd"), np.zeros_like(array))
            _write_info(stem.with_name(f"Info_{view}.cfg"), number, len(frames), None, ef="LVef")
    return root


def ejection_fraction(number: int) -> float:
    """Percent, of the patient with this number."""
    return 35.0 + 5.5 * (number % 7)


def _patients(phantom_manifest: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    groups = phantom_manifest.groupby("patient_id", sort=True)
    return [(number, videos) for number, (_, videos) in enumerate(groups)]


def _half_beat(path: str) -> tuple[np.ndarray, float]:
    frames, fps = grey_frames(path)
    return frames[: max(2, len(frames) // 2)], fps


def _write_nifti(path: Path, frames: np.ndarray) -> None:
    """(height, width) or (frames, height, width), to width x height [x frames]."""
    spacing = (SPACING_MM, SPACING_MM / 2, 1.0)
    affine = np.diag([-spacing[0], -spacing[1], 1.0, 1.0])
    image = nibabel.Nifti1Image(np.ascontiguousarray(frames.T), affine)
    image.header.set_zooms(spacing[: frames.ndim])
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _write_mhd(path: Path, frames: np.ndarray) -> None:
    count, height, width = frames.shape
    raw = path.with_suffix(".raw")
    raw.write_bytes(frames.tobytes())
    lines = (
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
        f"ElementSpacing = {SPACING_MM} {SPACING_MM} 1",
        f"DimSize = {width} {height} {count}",
        "ElementType = MET_UCHAR",
        f"ElementDataFile = {raw.name}",
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_info(path: Path, number: int, num_frames: int, fps: float | None, *, ef: str) -> None:
    lines = [
        "ED: 1",
        f"ES: {num_frames}",
        f"NbFrame: {num_frames}",
        f"Sex: {'MF'[number % 2]}",
        f"Age: {50 + number}",
        f"ImageQuality: {('Good', 'Medium', 'Poor')[number % 3]}",
        f"{ef}: {ejection_fraction(number):.1f}",
        *([f"FrameRate: {fps:.1f}"] if fps else []),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
