"""The real data of the check as files that the readers take, and a table of them for echossl index csv.

    .venv/bin/python experiments/studies/real_check_files.py camus_a4c data runs/real_check/camus_a4c
    .venv/bin/python experiments/studies/real_check_files.py pocus_lung data runs/real_check/pocus_lung

Writes videos.csv into the last folder, and for CAMUS a folder of two PNG files for each patient, which hold
the pixels unchanged. Two frames have no rate: the one in the table is assumed, and only makes a clip of them.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from echossl.errors import EchosslError, UserError
from echossl.files import atomic_path

TABLE_NAME = "videos.csv"
EF_LIMIT = 45  # percent; below it the ejection fraction counts as reduced
ASSUMED_RATE = 2.0  # a clip of one second is then the two frames
PHASES = ("ED", "ES")
POSITIVE, NEGATIVE = "pneumonia", "regular"


def camus_videos(data: Path, out: Path) -> pd.DataFrame:
    """End-diastole and end-systole of each patient as a folder of two pictures.

    Args:
        data: holds ``camus_a4c/camus_a4c_112.npz`` (images, patient, phase) and ``camus_a4c_ef.csv``.
        out: each patient becomes a folder below ``frames`` here.

    Returns:
        ``path, patient_id, study_id, fps, view, ef`` and ``ef_below_45``, empty without ``ef``, by patient.

    Raises:
        UserError: if a file is missing, or a patient has not one frame of each phase.
    """
    arrays, table = (_required(data / "camus_a4c" / f"camus_a4c_{name}") for name in ("112.npz", "ef.csv"))
    ef = pd.read_csv(table, dtype={"patient": str}).set_index("patient")["ef_arealength_pct"]
    with np.load(arrays) as content:
        images, patients, phases = (content[name] for name in ("images", "patient", "phase"))
    rows = []
    for patient in sorted(set(patients.tolist())):
        own = patients == patient
        if sorted(phases[own].tolist()) != sorted(PHASES):
            found = ", ".join(phases[own].tolist())
            raise UserError(f"{arrays}: patient {patient} has the frames {found}, expected one ED and one ES")
        folder = out / "frames" / patient
        folder.mkdir(parents=True, exist_ok=True)
        for number, phase in enumerate(PHASES):
            with atomic_path(folder / f"{number}_{phase}.png") as path:
                Image.fromarray(images[own & (phases == phase)][0]).save(path, format="png")
        rows.append({"path": str(folder.absolute()), "patient_id": patient, "ef": ef.loc[patient]})
    videos = pd.DataFrame(rows).assign(fps=ASSUMED_RATE, view="a4c")
    # whose ejection fraction is not known has no label, not a negative one
    reduced = (videos["ef"] < EF_LIMIT).astype("Int64").mask(videos["ef"].isna())
    return videos.assign(study_id=videos["patient_id"], ef_below_45=reduced)


def lung_videos(data: Path, out: Path) -> pd.DataFrame:
    """The lung clips as they are, each a study of its own.

    A patient is whoever shares a ``group`` or a ``patient_id`` of the data set: groups are made of file
    names, which begin with the finding, and alone would set clips of one patient apart.

    Args:
        data: holds ``MANIFEST.csv`` and ``pocus_lung``.
        out: not written to.

    Returns:
        ``path, patient_id, study_id, fps, finding`` and ``pneumonia``: 1 of pneumonia, 0 of a regular lung,
        empty of all else, which is not asked.

    Raises:
        UserError: if the table is missing or lists no lung clip.
    """
    del out
    path = _required(data / "MANIFEST.csv")
    listed = pd.read_csv(path, dtype={"file": str})
    clips = listed[listed["file"].str.startswith("pocus_lung/") & listed["kind"].str.endswith("video")]
    clips = clips.reset_index(drop=True)
    if clips.empty:
        raise UserError(f"{path}: lists no file below pocus_lung")
    group, patient = (clips["note"].str.extract(rf"\b{name}=([^;]*)")[0] for name in ("group", "patient_id"))
    names = clips["file"].map(lambda name: Path(name).stem)
    return pd.DataFrame(
        {
            "path": [str((data / name).absolute()) for name in clips["file"]],
            "patient_id": joined_patients(group, patient),
            "study_id": names,
            "fps": clips["fps"],
            "finding": clips["label"],
            "pneumonia": clips["label"].map({POSITIVE: "1", NEGATIVE: "0"}).fillna(""),
        }
    )


def joined_patients(*names: pd.Series) -> list[str]:
    """One name (``p00``, ``p01``, ...) for all rows that share any of theirs, directly or through others."""
    owners = list(range(len(names[0])))
    for column in names:
        first: dict[object, int] = {}
        for row, name in enumerate(column):
            other = first.setdefault(name, row)
            old, new = owners[row], owners[other]
            owners = [new if owner == old else owner for owner in owners]
    return [f"p{code:02d}" for code in pd.factorize(np.array(owners))[0]]


def _required(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the folder of the real data")
    return path


SETS: dict[str, Callable[[Path, Path], pd.DataFrame]] = {"camus_a4c": camus_videos, "pocus_lung": lung_videos}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=SETS)
    parser.add_argument("data", type=Path, help="folder of the real data")
    parser.add_argument("out", type=Path, help="folder that is written to")
    given = parser.parse_args()
    try:
        table = SETS[given.name](given.data, given.out)
    except EchosslError as error:
        sys.exit(f"real_check_files.py: {error}")
    given.out.mkdir(parents=True, exist_ok=True)
    # the table comes last: where it is, everything is there
    with atomic_path(given.out / TABLE_NAME) as path:
        table.to_csv(path, index=False)
    patients = table["patient_id"].nunique()
    print(f"{given.out / TABLE_NAME}: {len(table)} videos of {patients} patients")


if __name__ == "__main__":
    main()
