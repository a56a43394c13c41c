"""TMED-2 in small: stills of 112 x 112 in three sets, and the tables of three folds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from phantom_frames import grey_frames
from PIL import Image

SIDE = 112
VIEWS = ("PLAX", "PSAX", "A4C", "A2C", "A4CorA2CorOther")
DIAGNOSES = {"none": "no_AS", "mild": "mild_AS", "moderate": "moderate_AS", "severe": "severe_AS"}
SETS = {
    "both": "view_and_diagnosis_labeled_set/labeled",
    "rest": "view_and_diagnosis_labeled_set/unlabeled",
    "view": "view_labeled_set/labeled",
    "none": "unlabeled_set/unlabeled_set",
}
SPLITS = ("train", "train", "train", "val", "test")
TWO_STUDIES = 1
COLUMNS = [
    "query_key",
    "view_label",
    "diagnosis_label",
    "SourceFolder",
    "view_classifier_split",
    "diagnosis_classifier_split",
]


@dataclass(frozen=True)
class Picture:
    """One still: its key, what is known of it, and which set it lies in."""

    key: str
    patient: int
    study: int
    view: str
    diagnosis: str
    kind: str

    def row(self, fold: int) -> tuple[str, ...]:
        """A row of the tables of a fold. The second study of a patient is in another split than the first."""
        split = SPLITS[(self.patient + fold + 3 * (self.study - 1)) % len(SPLITS)]
        by_view = split if self.kind in {"both", "view"} else "unlabeled"
        by_diagnosis = split if self.kind == "both" else "not_used"
        return self.key, self.view, self.diagnosis, SETS[self.kind], by_view, by_diagnosis


def build_tmed2(phantom_manifest: pd.DataFrame, root: Path) -> Path:
    """``approved_users_only`` with its pictures and tables; the root to index, which holds that folder.

    Of five patients the third has views but no diagnosis, the fifth neither. The patient with number 1 has
    two studies, in different splits.
    """
    base = root / "approved_users_only"
    pictures = []
    for number, (_, videos) in enumerate(phantom_manifest.groupby("patient_id", sort=True)):
        pictures += _write_patient(base, number, videos)
    for fold in range(3):
        _write_fold(base, fold, pictures)
    labelled = [(p.key, p.view, p.diagnosis) for p in pictures if p.kind in {"both", "view"}]
    pd.DataFrame(labelled, columns=COLUMNS[:3]).to_csv(base / "labels_per_image.csv", index=False)
    return root


def _write_patient(base: Path, number: int, videos: pd.DataFrame) -> list[Picture]:
    grade = DIAGNOSES[videos["as_grade"].iloc[0]]
    if grade == "mild_AS" and number % 2:
        grade = "mildtomod_AS"
    set_of_patient = {2: "view", 4: "none"}.get(number % 5, "both")
    pictures = []
    for study in range(1, 3 if number == TWO_STUDIES else 2):
        for place, path in enumerate(videos["path"]):
            frames, _ = grey_frames(path)
            # the last picture of a labelled study has no labels
            last = set_of_patient == "both" and place == len(videos) - 1
            kind = "rest" if last else set_of_patient
            picture = Picture(
                key=f"{number}s{study}_{place}.png",
                patient=number,
                study=study,
                view=VIEWS[(number + place) % 5] if kind in {"both", "view"} else "Not_Provided",
                diagnosis=grade if kind == "both" else "Not_Provided",
                kind=kind,
            )
            _write_picture(base / SETS[kind] / picture.key, frames[study * len(frames) // 3])
            pictures.append(picture)
    return pictures


def _write_picture(path: Path, frame: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame).resize((SIDE, SIDE)).save(path)


def _write_fold(base: Path, fold: int, pictures: list[Picture]) -> None:
    for subset in ("DEV479", "DEV165"):
        folder = base / subset
        folder.mkdir(exist_ok=True)
        for part, kinds in (("labeled", {"both", "view"}), ("unlabeled", {"rest", "none"})):
            rows = [picture.row(fold) for picture in pictures if picture.kind in kinds]
            table = pd.DataFrame(rows, columns=COLUMNS)
            table.to_csv(folder / f"TMED2_fold{fold}_{part}part.csv", index=False)
