"""The five chest radiograph data sets in small: stills of the phantom under their tables and folders.

Four pictures of each of eight patients, some lateral where the data set has such; label cells of every kind
that the data set knows. Column names are those that the data sets publish.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from phantom_frames import grey_frames
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from echossl.data.sources.chest import names_in

SIDE = 64
CHEXPERT = [own for own, *_ in names_in("chexpert").values()]
SPLITS = ("train", "train", "train", "train", "validate", "validate", "test", "test")


def build_chestxray14(manifest: pd.DataFrame, root: Path) -> Path:
    """``Data_Entry_2017.csv``, the lists, and pictures in two folders; the last picture is in no list."""
    rows, lists = [], {"train_val": [], "test": []}
    for number, shot, picture in _pictures(manifest):
        name = f"{number + 1:08d}_{shot:03d}.png"
        _save(picture, root / f"images_{1 + number % 2:03d}" / "images" / name)
        named = ["No Finding", "Edema|Effusion", "Pleural_Thickening", "Effusion"][(number + shot) % 4]
        view = ("PA", "AP")[shot % 2]
        rows.append((name, named, shot, number + 1, "057Y", "M", view, 2682, 2749, 0.143, 0.143))
        lists["test" if SPLITS[number] == "test" else "train_val"].append(name)
    lists["test"].pop()
    columns = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender"]
    columns += ["View Position", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "Data_Entry_2017.csv", index=False)
    for name, names in lists.items():
        (root / f"{name}_list.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return root


def build_chexpert(manifest: pd.DataFrame, root: Path) -> Path:
    """``CheXpert-v1.0-small`` with the tables of train and valid; pictures of one name in many folders."""
    base = root / "CheXpert-v1.0-small"
    rows = {"train": [], "valid": []}
    for number, shot, picture in _pictures(manifest):
        split = "valid" if SPLITS[number] == "validate" else "train"
        side = ("frontal", "lateral")[shot % 2]
        place = f"{split}/patient{number + 1:05d}/study{1 + shot // 2}/view{1 + shot % 2}_{side}.jpg"
        _save(picture, base / place)
        position = "" if side == "lateral" else ("AP", "PA", "LL")[number % 3]
        cells = _cells(number, shot // 2)
        rows[split].append((f"{base.name}/{place}", "Female", 68, side.title(), position, *cells))
    columns = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT]
    for split, own in rows.items():
        pd.DataFrame(own, columns=columns).to_csv(base / f"{split}.csv", index=False)
    return root


def build_mimic_cxr(manifest: pd.DataFrame, root: Path) -> Path:
    """The gzipped tables and ``files/``; the last study has no labels, one picture no view."""
    pictures, labels = [], {}
    for number, shot, picture in _pictures(manifest):
        subject, study = str(10000032 + number), str(50414267 + 10 * number + shot // 2)
        name = f"{number:08x}-{shot:08x}"
        _save(picture, root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}" / f"{name}.jpg")
        view = ("AP", "LATERAL", "PA", "LL")[shot] if number else ("AP", "", "PA", "LL")[shot]
        pictures.append((name, subject, study, view, 3056, SPLITS[number]))
        labels[study] = (subject, study, *_cells(number, shot // 2))
    labels.popitem()
    table = pd.DataFrame(
        pictures, columns=["dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "split"]
    )
    start = root / "mimic-cxr-2.0.0-"
    table.drop(columns="split").to_csv(f"{start}metadata.csv.gz", index=False)
    table[["dicom_id", "study_id", "subject_id", "split"]].to_csv(f"{start}split.csv.gz", index=False)
    found = pd.DataFrame(labels.values(), columns=["subject_id", "study_id", *CHEXPERT])
    found.to_csv(f"{start}chexpert.csv.gz", index=False)
    found.assign(Edema=1.0).to_csv(f"{start}negbio.csv.gz", index=False)
    return root


def build_vindr_cxr(manifest: pd.DataFrame, root: Path) -> Path:
    """``annotations/`` and DICOM files; one picture a patient, as nobody knows whose they are."""
    names = [own for own, *_ in names_in("vindr_cxr").values()]
    train, test = [], []
    for number, shot, picture in _pictures(manifest):
        if shot:
            continue
        name, split = f"{number:032x}", "test" if SPLITS[number] == "test" else "train"
        _save_dicom(picture, root / split / f"{name}.dicom")
        cells = [(number + place) % 3 == 0 for place in range(len(names))]
        if split == "test":
            test.append((name, *map(int, cells)))
            continue
        # of three readers the last disagrees; the first picture has two alone, who then disagree
        readers = ("R8", "R9", "R10") if number else ("R8", "R10")
        for reader in readers:
            own = [cell != (reader == "R10") for cell in cells]
            train.append((name, reader, *map(int, own)))
    (root / "annotations").mkdir()
    for split, rows, keys in (("train", train, ["image_id", "rad_id"]), ("test", test, ["image_id"])):
        table = pd.DataFrame(rows, columns=[*keys, *names])
        table.to_csv(root / "annotations" / f"image_labels_{split}.csv", index=False)
    return root


def build_padchest(manifest: pd.DataFrame, root: Path) -> Path:
    """The gzipped table with its unnamed column of row numbers, and 16-bit pictures in numbered folders."""
    rows = []
    for number, shot, picture in _pictures(manifest):
        name, folder = f"{number}_{shot}_image.png", str(number % 3)
        place = root / folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.astype(np.uint16) * 256).save(place)
        named = ["['normal']", "['pleural effusion', 'cardiomegaly']", "['laminar atelectasis', '']", "[]"]
        cell = named[(number + shot) % 4] if shot < 3 else "['exclude', 'cardiomegaly']"
        view = ("PA", "L", "AP_horizontal", "PA")[shot]
        method = ("Physician", "RNN_model")[number % 2]
        rows.append(
            (name, folder, 20140915, f"study{number}_{shot // 2}", f"pat{number}", view, method, cell)
        )
    columns = ["ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "Projection", "MethodLabel"]
    table = pd.DataFrame(rows, columns=[*columns, "Labels"])
    table.to_csv(root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz")
    return root


def _pictures(manifest: pd.DataFrame) -> Iterator[tuple[int, int, np.ndarray]]:
    """Number of the patient, of the picture, and the picture."""
    for number, (_, videos) in enumerate(manifest.groupby("patient_id", sort=True)):
        frames, _ = grey_frames(videos["path"].iloc[0])
        for shot in range(4):
            still = Image.fromarray(frames[shot * len(frames) // 4]).resize((SIDE, SIDE))
            yield number, shot, np.asarray(still)


def _cells(number: int, study: int) -> list[object]:
    """One label of each kind after another."""
    kinds = (1.0, 0.0, -1.0, np.nan, 0.0, 1.0, np.nan)
    return [kinds[(3 * number + study + place) % len(kinds)] for place in range(len(CHEXPERT))]


def _save(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _save_dicom(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID, dataset.Modality = SecondaryCaptureImageStorage, "DX"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = picture.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = picture.tobytes()
    dataset.save_as(path, enforce_file_format=True)
