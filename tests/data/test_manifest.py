from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.data import read_manifest, write_manifest
from echossl.errors import ManifestError


def make(folder: Path, text: str, files: tuple[str, ...] = ("a.avi", "b.avi", "c.avi")) -> Path:
    for name in files:
        (folder / name).touch()
    path = folder / "manifest.csv"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path, **options) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, **options)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_smallest_manifest(tmp_path):
    table = read_manifest(make(tmp_path, "path,patient_id\na.avi,007\nb.avi,1e3\n"))
    assert table["path"].tolist() == [str(tmp_path / "a.avi"), str(tmp_path / "b.avi")]
    assert table["patient_id"].tolist() == ["007", "1e3"]
    assert table["study_id"].tolist() == ["007", "1e3"]
    assert list(table.columns) == ["path", "patient_id", "study_id"]


@pytest.mark.parametrize("name", ["NA", "None", "nan", "TRUE", "0x10", "1.0", "00"])
def test_ids_are_text_as_they_stand(tmp_path, name):
    path = make(tmp_path, f"path,patient_id,study_id\na.avi,{name},s{name}\nb.avi,p,\n")
    table = read_manifest(path)
    assert table["patient_id"].tolist() == [name, "p"]
    assert table["study_id"].tolist() == ["s" + name, "p"]


def test_trap_15_empty_label_is_not_assessed_and_never_negative(tmp_path):
    text = "path,patient_id,severe_as,ef,grade\na.avi,1,1,55.5,severe\nb.avi,2,,NA,\nc.avi,3,0,,none\n"
    table = read_manifest(make(tmp_path, text), binary_columns=["severe_as"])
    np.testing.assert_array_equal(table["severe_as"], [1, np.nan, 0])
    np.testing.assert_array_equal(table["ef"], [55.5, np.nan, np.nan])
    assert table["grade"].isna().tolist() == [False, True, False]
    assert (table["severe_as"] == 0).sum() == 1


def test_none_among_words_is_a_class_and_among_numbers_an_empty_cell(tmp_path):
    text = "path,patient_id,grade,only,ef,fps,severe_as\n"
    text += "a.avi,1,None,None,55.5,None,1\nb.avi,2,Mild,,None,30,None\nc.avi,3,NA,None,40,,0\n"
    table = read_manifest(make(tmp_path, text), binary_columns=["severe_as"])
    assert table["grade"].fillna("-").tolist() == ["None", "Mild", "-"]
    assert table["only"].fillna("-").tolist() == ["None", "-", "None"]
    np.testing.assert_array_equal(table["ef"], [55.5, np.nan, 40])
    np.testing.assert_array_equal(table["fps"], [np.nan, 30, np.nan])
    np.testing.assert_array_equal(table["severe_as"], [1, np.nan, 0])
    write_manifest(table, tmp_path / "again.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "again.csv"), table)


def test_every_fault_is_named_at_once(tmp_path):
    rows = [
        "path,patient_id,study_id,split,fps,severe_as",
        "a.avi,1,s1,train,30,1",
        "a.avi,1,s1,train,,0",
        ",1,s1,train,,",
        "b.avi,,s2,test,,",
        "gone.avi,2,s2,test,zero,maybe",
        "c.avi,1,s1,test,-3,2",
        "d.avi,3,s1,,,0",
    ]
    path = make(tmp_path, "\n".join(rows), ("a.avi", "b.avi", "c.avi", "d.avi"))
    faults = faults_of(path, binary_columns=["severe_as"])
    expected = [
        "row 4: path is empty",
        "row 5: patient_id is empty",
        f"row 3: {tmp_path}/a.avi stands already in row 2",
        f"row 6: no such file {tmp_path}/gone.avi",
        "row 7: patient 1 is in split test, but in row 2 in split train",
        "row 8: split is empty while other rows have one",
        "row 8: study s1 belongs to patient 3, but in row 2 to patient 1",
        "row 6: fps is 'zero'",
        "row 7: fps is '-3'",
        "row 6: severe_as is 'maybe', expected 0, 1 or empty",
        "row 7: severe_as is '2', expected 0, 1 or empty",
    ]
    assert len(faults) == len(expected)
    for fault, start in zip(faults, expected, strict=True):
        assert fault.startswith(start)


def test_missing_columns(tmp_path):
    assert faults_of(make(tmp_path, "file,patient\na.avi,1\n")) == [
        "row 1: the column 'path' is missing; found file, patient",
        "row 1: the column 'patient_id' is missing; found file, patient",
    ]
    path = make(tmp_path, "path,patient_id\na.avi,1\n")
    assert faults_of(path, binary_columns=["as"]) == [
        "row 1: the label column 'as' is missing; found path, patient_id"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the file is empty"),
        ("path,patient_id\n", "the table has no rows"),
        ("path;patient_id\na.avi;1\n", "separated by semicolons"),
        ("path,patient_id\na.avi,1,2\n", "row 2: found 3 cells, expected 2"),
        ("path,patient_id,path\na.avi,1,a.avi\n", "the column 'path' stands there 2 times"),
    ],
)
def test_files_that_are_no_table(tmp_path, text, fault):
    assert fault in "\n".join(faults_of(make(tmp_path, text)))


def test_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(tmp_path / "manifest.csv")
    (tmp_path / "latin.csv").write_bytes("path,patient_id\nMüller.avi,1\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="not a CSV file in UTF-8"):
        read_manifest(tmp_path / "latin.csv")


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path):
    # byte order mark, a blank row, a report over two lines
    text = '\ufeffpath,patient_id,report\na.avi,1,"two\nlines, here"\n,,\nb.avi,,\n'
    assert faults_of(make(tmp_path, text)) == ["row 4: patient_id is empty; every video needs one"]


def test_a_wrong_root_does_not_flood_the_screen(tmp_path):
    rows = "".join(f"gone{number}.avi,{number}\n" for number in range(5000))
    faults = faults_of(make(tmp_path, "path,patient_id\n" + rows))
    assert len(faults) == 11
    assert faults[-1] == "... and 4990 more rows like the last one"


def test_split_values_are_free_and_an_empty_column_counts_as_none(tmp_path):
    free = read_manifest(make(tmp_path, "path,patient_id,split\na.avi,1,fold 3\nb.avi,2,9\n"))
    assert free["split"].tolist() == ["fold 3", "9"]
    assert "split" not in read_manifest(make(tmp_path, "path,patient_id,split\na.avi,1,\nb.avi,2,\n"))


def test_unnamed_columns_are_left_alone(tmp_path):
    table = read_manifest(make(tmp_path, "path,patient_id,code,many\na.avi,1,0,0\nb.avi,2,x,7\n"))
    assert table["code"].tolist() == ["0", "x"]
    assert table["many"].tolist() == [0, 7]


def test_a_folder_of_pictures_is_a_video(tmp_path):
    (tmp_path / "clip_1").mkdir()
    table = read_manifest(make(tmp_path, "path,patient_id\nclip_1/,1\nclip_2,2\n"), lenient=True)
    assert table["path"].tolist() == [str(tmp_path / "clip_1"), str(tmp_path / "clip_2")]
    assert faults_of(tmp_path / "manifest.csv")[0].startswith("row 3: no such file")


def test_leniently_only_what_a_look_at_the_videos_tells_passes(tmp_path):
    text = "path,patient_id,split\na.avi,1,train\ngone.avi,1,test\nb.avi,,test\n"
    with pytest.raises(ManifestError) as caught:
        read_manifest(make(tmp_path, text), lenient=True)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/manifest.csv: row 4: patient_id is empty; every video needs one"
    ]


def test_written_and_read_again_it_is_the_same(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "elsewhere"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.avi").touch()
    table = pd.DataFrame(
        {
            "path": [str(inside / "a.avi"), str(outside / "a.avi")],
            "patient_id": ["007", "NA"],
            "study_id": ["s,1", "NA"],
            "split": ["train", "test"],
            "fps": [30.0, 29.97],
            "report": ['says "none",\nthen stops', ""],
            "severe_as": [1.0, np.nan],
        }
    )
    write_manifest(table, inside / "manifest.csv")
    text = (inside / "manifest.csv").read_text()
    assert text.splitlines()[1].startswith('a.avi,007,"s,1",train,30.0,')
    assert str(outside / "a.avi") in text
    assert ",1\n" in text
    assert ",1.0" not in text
    again = read_manifest(inside / "manifest.csv", binary_columns=["severe_as"])
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert [path.name for path in inside.iterdir() if path.name.startswith(".")] == []


def test_a_report_in_the_place_of_a_path_is_no_file(tmp_path):
    path = make(tmp_path, f"path,patient_id\na.avi,1\n{'severe stenosis ' * 40},2\n")
    assert faults_of(path)[0].startswith("row 3: no such file")


def test_parquet(tmp_path):
    (tmp_path / "a.avi").touch()
    table = pd.DataFrame({"path": ["a.avi"], "patient_id": ["007"], "severe_as": [True]})
    path = tmp_path / "manifest.parquet"
    try:
        table.to_parquet(path)
    except ImportError:
        path.write_bytes(b"PAR1")
        with pytest.raises(ManifestError, match="needs pyarrow"):
            read_manifest(path)
        return
    again = read_manifest(path, binary_columns=["severe_as"])
    assert again["patient_id"].tolist() == ["007"]
    assert again["severe_as"].tolist() == [1]
