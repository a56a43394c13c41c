"""Chest radiograph readers: ids, views, splits and findings against the tables, words for what is wrong."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from layout_chest import CHEXPERT
from layouts import LAYOUTS

from echossl.adapt import finetune
from echossl.config.adapt import FinetuneConfig, LabelBudget
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.encoder import ViTConfig
from echossl.config.recipes import ProbeRecipe
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import read_manifest
from echossl.data.prepare import prepare
from echossl.data.sources import index_source
from echossl.data.sources.chest import FINDINGS, names_in
from echossl.errors import UserError

NAMES = ("chestxray14", "chexpert", "mimic_cxr", "vindr_cxr", "padchest")
WORDS = {"1.0": "1", "0.0": "0", "-1.0": "uncertain", "": ""}


@pytest.fixture(scope="module")
def roots(phantom_videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chest")
    for name in NAMES:
        (folder / name).mkdir()
        LAYOUTS[name].build(phantom_videos, folder / name)
    return folder


@pytest.fixture
def index(roots, tmp_path):
    def run(name, *options, root=None):
        return index_source(name, root or roots / name, out=tmp_path / "manifest.csv", options=options)

    return run


def text(path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_chestxray14_follows_its_lists_and_its_named_findings(roots, index):
    table = index("chestxray14")
    rows = text(roots / "chestxray14" / "Data_Entry_2017.csv").set_index("Image Index")
    lists = {
        name: (roots / "chestxray14" / f"{name}_list.txt").read_text().split()
        for name in ("train_val", "test")
    }
    assert len(table) == len(lists["train_val"]) + len(lists["test"]) == len(rows) - 1
    assert "in neither list of a split: 1" in table.attrs["note"]
    for row in table.to_dict("records"):
        name = row["path"].rsplit("/", 1)[1]
        named = set(rows.loc[name, "Finding Labels"].split("|"))
        assert row["split"] == ("test" if name in lists["test"] else "train")
        assert row["patient_id"] == rows.loc[name, "Patient ID"]
        assert row["view"] == rows.loc[name, "View Position"].lower()
        for column, (own,) in names_in("chestxray14").items():
            assert row[column] == str(int(own in named))


def test_chexpert_keeps_doubt_and_silence_apart(roots, index):
    both, table = index("chexpert", "frontal=false"), index("chexpert")
    assert (len(both), len(table)) == (32, 16)
    assert set(table["view"]) == {"ap", "pa"}
    assert set(both["view"]) == {"ap", "pa", "lateral"}
    assert table.groupby("patient_id")["split"].first().value_counts().to_dict() == {"train": 6, "val": 2}
    assert "left out, not frontal by the table: 16" in table.attrs["note"]
    rows = pd.concat([text(path) for path in (roots / "chexpert").rglob("*.csv")]).set_index("Path")
    own = {own: column for column, (own, *_) in names_in("chexpert").items()}
    for row in both.fillna("").to_dict("records"):
        place = row["path"].split("/chexpert/")[1]
        assert row["patient_id"] == place.split("/")[2]
        assert row["study_id"] == "_".join(place.split("/")[2:4])
        assert {row[own[name]] for name in CHEXPERT} <= {"1", "0", "uncertain", ""}
        for name in CHEXPERT:
            assert row[own[name]] == WORDS[rows.loc[place, name]]
    counts = (both[list(own.values())] == "uncertain").sum().sum()
    assert f"{counts} cells are uncertain" in both.attrs["note"]


def test_chexpert_silence_may_be_a_no_by_a_setting(index):
    table, zero = index("chexpert"), index("chexpert", "unmentioned=zero")
    findings = [name for name in table if name in FINDINGS]
    silent = table[findings].isna()
    assert silent.to_numpy().any()
    assert (zero[findings].to_numpy()[silent] == "0").all()
    assert (zero[findings].to_numpy()[~silent] == table[findings].to_numpy()[~silent]).all()


def test_mimic_cxr_has_the_labels_of_its_studies_and_the_published_splits(roots, index):
    table = index("mimic_cxr", "frontal=false")
    labels = text(roots / "mimic_cxr" / "mimic-cxr-2.0.0-chexpert.csv.gz").set_index("study_id")
    splits = text(roots / "mimic_cxr" / "mimic-cxr-2.0.0-split.csv.gz").set_index("dicom_id")["split"]
    own = {own: column for column, (own, *_) in names_in("chexpert").items()}
    assert len(table) == 32
    for row in table.fillna("").to_dict("records"):
        dicom = row["path"].rsplit("/", 1)[1].removesuffix(".jpg")
        assert row["split"] == {"validate": "val"}.get(splits[dicom], splits[dicom])
        assert f"/p{row['patient_id'][:2]}/p{row['patient_id']}/s{row['study_id']}/" in row["path"]
        found = (
            labels.loc[row["study_id"]] if row["study_id"] in labels.index else dict.fromkeys(CHEXPERT, "")
        )
        assert all(row[own[name]] == WORDS[found[name]] for name in CHEXPERT)
    assert "2 pictures are of studies without any" in table.attrs["note"]
    assert (table["view"] == "").sum() == 1
    frontal = index("mimic_cxr")
    assert len(frontal) == 16
    assert set(frontal["view"]) == {"ap", "pa"}
    assert set(index("mimic_cxr", "labeller=negbio")["edema"].dropna()) == {"1"}


@pytest.mark.parametrize(("reader", "share"), [("majority", None), ("any", 0), ("R8", 1), ("R10", 1)])
def test_vindr_cxr_makes_one_of_several_readers(roots, index, reader, share):
    table = index("vindr_cxr", f"reader={reader}").fillna("").set_index("patient_id")
    rows = text(roots / "vindr_cxr" / "annotations" / "image_labels_train.csv")
    test = text(roots / "vindr_cxr" / "annotations" / "image_labels_test.csv").set_index("image_id")
    assert table["split"].value_counts().to_dict() == {"train": 6, "test": 2}
    for picture, votes in rows.groupby("image_id"):
        for column, (own,) in names_in("vindr_cxr").items():
            if share == 1:
                expected = "".join(votes.loc[votes["rad_id"] == reader, own])
            elif share == 0:
                expected = str(int("1" in set(votes[own])))
            else:
                yes, no = (votes[own] == "1").sum(), (votes[own] == "0").sum()
                expected = "uncertain" if yes == no else str(int(yes > no))
            assert table.loc[picture, column] == expected
    for picture in test.index:
        assert table.loc[picture, "cardiomegaly"] == test.loc[picture, "Cardiomegaly"]
    assert "each picture is taken for a patient of its own" in index("vindr_cxr").attrs["note"]


def test_vindr_cxr_says_which_readers_there_are(index):
    with pytest.raises(UserError, match=r"reader: .* has none 'R99'; found R10, R8, R9"):
        index("vindr_cxr", "reader=R99")


def test_padchest_reads_its_lists_and_who_made_them(roots, index):
    table = index("padchest", "frontal=false")
    assert len(table) == 32
    assert "split" not in table
    assert set(table["view"]) == {"pa", "l", "ap_horizontal"}
    expected = {
        "normal": {"no_finding"},
        "pleural effusion": {"pleural_effusion", "cardiomegaly"},
        "laminar atelectasis": {"atelectasis"},
    }
    rows = text(roots / "padchest" / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz")
    rows = rows.set_index("ImageID")
    findings = list(names_in("padchest"))
    for row in table.fillna("").to_dict("records"):
        own = rows.loc[row["path"].rsplit("/", 1)[1]]
        named = own["Labels"].strip("[]'").split("'")[0]
        present = {name for name in findings if row.get(name) == "1"}
        assert present == expected.get(named, set())
        assert all(
            row.get(name) == ("0" if named in expected else "") for name in findings if name not in present
        )
    assert len(index("padchest")) == 24
    physician = index("padchest", "labels_by=physician")
    by = rows.loc[[path.rsplit("/", 1)[1] for path in physician["path"]], "MethodLabel"].to_numpy()
    assert physician.loc[by != "Physician", "cardiomegaly"].isna().all()
    assert physician.loc[by == "Physician", "cardiomegaly"].notna().any()


def test_the_same_finding_has_the_same_column_everywhere(index):
    columns = {name: set(index(name)) for name in NAMES}
    shared = set.intersection(*columns.values()) - {"path", "patient_id", "view", "source"}
    assert {
        "atelectasis",
        "cardiomegaly",
        "consolidation",
        "edema",
        "no_finding",
        "pleural_effusion",
    } <= shared
    assert {"pneumonia", "pneumothorax"} <= shared
    for column, names in FINDINGS.items():
        assert column == column.lower().replace(" ", "_")
        assert names
    # no name of a data set means two findings
    for name in ("chestxray14", "chexpert", "vindr_cxr", "padchest"):
        own = [word.lower() for words in names_in(name).values() for word in words]
        assert len(own) == len(set(own))
    assert len(names_in("chestxray14")) == 15  # fourteen and no finding
    assert len(names_in("chexpert")) == 14


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("chestxray14", "Data_Entry_2017.csv", "Finding Labels"),
        ("chexpert", "CheXpert-v1.0-small/train.csv", "AP/PA"),
        ("mimic_cxr", "mimic-cxr-2.0.0-metadata.csv.gz", "ViewPosition"),
        ("mimic_cxr", "mimic-cxr-2.0.0-chexpert.csv.gz", "Edema"),
        ("vindr_cxr", "annotations/image_labels_test.csv", "Pleural effusion"),
        ("padchest", "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", "Projection"),
    ],
)
def test_a_missing_column_is_named_in_one_line(roots, index, tmp_path, name, table, column):
    root = shutil.copytree(roots / name, tmp_path / "copy")
    text(root / table).drop(columns=column).to_csv(root / table, index=False)
    with pytest.raises(UserError, match=f"the column '{column}' is missing; found ") as caught:
        index(name, root=root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "table", "change", "words"),
    [
        (
            *("chestxray14", "Data_Entry_2017.csv"),
            *(("Pleural_Thickening", "Tickening"), "row 4: finding 'tickening'"),
        ),
        ("chestxray14", "test_list.txt", None, r"test_list\.txt: no such file"),
        (
            *("chexpert", "CheXpert-v1.0-small/train.csv"),
            *(("-1.0", "2.0"), r"is '2\.0', expected 1, 0, -1 or empty"),
        ),
        (
            *("chexpert", "CheXpert-v1.0-small/train.csv"),
            *(("/study1/", "/"), "row 2: Path is .*, expected RELEASE/train/"),
        ),
        ("mimic_cxr", "mimic-cxr-2.0.0-negbio.csv.gz", None, r"found no mimic-cxr-2\.0\.0-negbio\.csv\.gz"),
        (
            *("vindr_cxr", "annotations/image_labels_train.csv"),
            *(("rad_id", "who"), "has no column rad_id, so any cannot"),
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(roots, tmp_path, name, table, change, words):
    root = shutil.copytree(roots / name, tmp_path / "copy")
    path = root / table
    if change is None:
        path.unlink()
    else:
        path.write_text(path.read_text().replace(*change))
    options = {"mimic_cxr": ("labeller=negbio",), "vindr_cxr": ("reader=any",)}.get(name, ())
    with pytest.raises(UserError, match=words) as caught:
        index_source(name, root, out=tmp_path / "manifest.csv", options=options)
    assert "\n" not in str(caught.value)


def test_from_a_downloaded_layout_to_predictions(roots, tmp_path):
    """CheXpert, indexed, prepared and fine-tuned with doubt counted as present."""
    out = tmp_path / "manifest.csv"
    index_source("chexpert", roots / "chexpert", out=out)
    prepare(PrepareConfig(manifest=out, out=tmp_path / "store", size=32, workers=1))
    columns = ("edema", "pneumonia", "fracture")
    config = FinetuneConfig(
        data=DataConfig(manifest=out, store=tmp_path / "store"),
        out=tmp_path / "run",
        encoder=ViTConfig(width=16, depth=1, heads=2, patch=8, patch_frames=1),
        clip=ClipConfig(num_frames=1, clip_seconds=0.1),
        labels=LabelBudget(columns=columns, fraction=1.0, uncertain="one"),
        recipe=ProbeRecipe(inverse_regularisations=(1.0,)),
        test_split="val",
        hardware=HardwareConfig(device="cpu", precision="fp32"),
    )
    predictions = pd.read_csv(finetune(config))
    table = read_manifest(out, binary_columns=columns, uncertain="one")
    test = table[table["split"] == "val"].groupby("study_id")[list(columns)].max().dropna(how="all")
    assert np.isfinite(predictions[[f"{name}_score" for name in columns]]).all(axis=None)
    pd.testing.assert_frame_equal(
        predictions.set_index("study_id")[list(columns)].sort_index(), test, check_dtype=False
    )
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["uncertain"]["counted_as"] == "one"
    assert result["uncertain"]["cells"]["train"]
