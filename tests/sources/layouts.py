"""Every layout of a data set that ``echossl index`` knows, and how a small copy is built and indexed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from layout_camus import build_camus, build_camus_first
from layout_chest import (
    build_chestxray14,
    build_chexpert,
    build_mimic_cxr,
    build_padchest,
    build_vindr_cxr,
)
from layout_csv import OPTIONS, build_csv
from layout_dicom import build_dicom
from layout_echonet_dynamic import build_echonet_dynamic
from layout_echonet_lvh import build_echonet_lvh
from layout_echonet_pediatric import build_echonet_pediatric
from layout_folder import build_folder
from layout_mimic_iv_echo import build_mimic_iv_echo
from layout_tmed2 import build_tmed2
from phantom_frames import link

Build = Callable[[pd.DataFrame, Path], Path | None]


@dataclass(frozen=True)
class Layout:
    """One layout.

    Attributes:
        source: the name that ``echossl index`` takes, written as people write it.
        build: makes the copy from the phantom's manifest below a folder; gives what is to be indexed, or None
            if that is the folder.
        label: a label column that must be there, or empty.
        options: words for the source; ``{folder}`` is where its own files may lie.
        brings_splits: whether the published data set has splits.
    """

    source: str
    build: Build
    label: str = ""
    options: tuple[str, ...] = ()
    brings_splits: bool = False

    def words(self, folder: Path) -> list[str]:
        """The options, with the folder filled in."""
        return [word.format(folder=folder) for word in self.options]


def build_archive(phantom_manifest: pd.DataFrame, root: Path) -> Path:
    """Videos as an export leaves them, a folder per patient."""
    for path, patient in zip(phantom_manifest["path"], phantom_manifest["patient_id"], strict=True):
        link(path, root / patient / Path(path).name)
    return root


LAYOUTS = {
    "folder": Layout("folder", build_archive),
    "frame_folders": Layout("folder", build_folder, options=("frame_folders=true", "fps=25")),
    "csv": Layout("CSV", build_csv, "severe_as", OPTIONS),
    "dicom": Layout("dicom", build_dicom, options=("salt_file={folder}/salt.txt",)),
    "echonet_dynamic": Layout("EchoNet-Dynamic", build_echonet_dynamic, "ef_below_50", brings_splits=True),
    "echonet_lvh": Layout("EchoNet-LVH", build_echonet_lvh, brings_splits=True),
    "echonet_pediatric": Layout(
        "EchoNet-Pediatric", build_echonet_pediatric, "ef_below_50", brings_splits=True
    ),
    "tmed2": Layout("TMED-2", build_tmed2, "tmed_3class", brings_splits=True),
    "camus": Layout("CAMUS", build_camus, "ef_below_50", brings_splits=True),
    "camus_first": Layout("camus", build_camus_first, "ef_below_50", ("fps=50",), brings_splits=True),
    "mimic_iv_echo": Layout("MIMIC-IV-ECHO", build_mimic_iv_echo, "as_severe"),
    "chestxray14": Layout("ChestXray14", build_chestxray14, "pleural_effusion", brings_splits=True),
    "chexpert": Layout("CheXpert", build_chexpert, "edema", brings_splits=True),
    "mimic_cxr": Layout("MIMIC-CXR", build_mimic_cxr, "edema", brings_splits=True),
    "vindr_cxr": Layout("VinDr-CXR", build_vindr_cxr, "cardiomegaly", brings_splits=True),
    "padchest": Layout("PadChest", build_padchest, "cardiomegaly"),
}
