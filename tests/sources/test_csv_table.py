from pathlib import Path

import pandas as pd
import pytest
from layout_csv import OPTIONS, build_csv

from echossl.config.sources import CsvSource
from echossl.data.labels import encode_labels
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.sources import index_source
from echossl.data.sources.csv_table import index_csv
from echossl.errors import ConfigError, UserError

FILES = ("a.avi", "sub/b.avi", "1.2.840.10.avi")


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    table = folder / "table.csv"
    table.write_bytes(text.encode(encoding))
    return table


def index(table: Path, **settings) -> pd.DataFrame:
    return index_csv(table, CsvSource(**settings))


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_any_separator_line_end_and_byte_order_mark(folder, sign, end, encoding):
    rows = [["path", "patient_id", "EF"], ["a.avi", "007", "55"], ["sub/b.avi", "8", ""]]
    found = index(write(folder, end.join(sign.join(row) for row in rows) + end, encoding))
    assert found["path"].tolist() == [str(folder / "a.avi"), str(folder / "sub/b.avi")]
    assert found["patient_id"].tolist() == ["007", "8"]
    assert found["EF"].tolist() == ["55", ""]
    assert not found.attrs["note"]


def test_separators_inside_quoted_texts(folder):
    found = index(write(folder, 'path;patient_id;report\na.avi;1;"one, two; three\nnext line"\n'))
    assert found["report"].tolist() == ["one, two; three\nnext line"]


def test_columns_are_mapped_and_the_rest_are_labels(folder):
    table = write(folder, "File,MRN,Ansicht,severe_as,view\na.avi,1,PLAX,1,odd\nsub/b.avi,2,A4C,NA,odd\n")
    found = index(table, columns={"path": "File", "patient_id": "MRN", "view": "Ansicht", "AS": "severe_as"})
    assert found.columns.tolist() == ["path", "patient_id", "view", "AS"]
    assert found["view"].tolist() == ["PLAX", "A4C"]
    assert found["AS"].tolist() == ["1", ""]
    assert found.attrs["note"] == "columns that make way for others given their name: 1 (first: view)"


def test_one_column_can_be_two_of_the_manifest(folder):
    table = write(folder, "File,EF\na.avi,50\nsub/b.avi,60\n")
    found = index(table, columns={"path": "File", "patient_id": "File"})
    assert found["patient_id"].tolist() == ["a.avi", "sub/b.avi"]


def test_paths_start_at_a_folder_and_take_a_suffix(folder):
    table = write(folder / "sub", "path,patient_id\na,1\nsub/b.AVI,2\n1.2.840.10,3\n")
    (folder / "sub" / "b.AVI").touch()
    for suffix in (".avi", "avi"):
        found = index(table, videos=folder, suffix=suffix)
        names = [Path(path).relative_to(folder).as_posix() for path in found["path"]]
        assert names == ["a.avi", "sub/b.AVI", "1.2.840.10.avi"]


def test_absolute_paths_and_folders_of_frames(folder):
    found = index(write(folder, f"path,patient_id\n{folder / 'a.avi'},1\nsub,2\n"), videos=Path("/nowhere"))
    assert found["path"].tolist() == [str(folder / "a.avi")]
    found = index(write(folder, "path,patient_id\nsub,2\n"))
    assert found["path"].tolist() == [str(folder / "sub")]


def test_decimal_commas_become_points(folder):
    table = write(folder, "path;patient_id;EF;Note;n\na.avi;1,5;55,5;1,5 or so;1\nsub/b.avi;2;60;2,0;2\n")
    found = index(table)
    assert found["EF"].tolist() == ["55.5", "60"]
    assert found["Note"].tolist() == ["1,5 or so", "2,0"]
    assert found["patient_id"].tolist() == ["1,5", "2"]
    assert found.attrs["note"] == "columns with decimal commas, which became points: 1 (first: EF)"


def test_none_is_a_word_among_words_and_an_empty_cell_among_numbers(folder):
    """No stenosis is a finding; the EF that a program did not have is none."""
    header = "path,patient_id,as_acc_aha_2020,EF,as_severe\n"
    rows = "a.avi,1,None,None,None\nsub/b.avi,2,Mild,55.5,1\n1.2.840.10.avi,3,NA,NA,NA\n"
    found = index(write(folder, header + rows))
    assert found["as_acc_aha_2020"].tolist() == ["None", "Mild", ""]
    assert found["EF"].tolist() == ["", "55.5", ""]
    assert found["as_severe"].tolist() == ["", "1", ""]
    write_manifest(found, folder / "manifest.csv")
    table = read_manifest(folder / "manifest.csv")
    assert encode_labels(table, "as_acc_aha_2020").tolist() == [0, 1, -1]
    assert encode_labels(table, "as_severe").tolist() == [-1, 1, -1]


def test_files_that_are_not_there_are_left_out_and_said(folder):
    found = index(write(folder, "path,patient_id\na.avi,1\ngone.avi,2\n"))
    assert len(found) == 1
    assert f"not there and left out: 1 (first: row 3, {folder / 'gone.avi'})" in found.attrs["note"]


def test_columns_without_a_name_and_empty_rows_are_left_out(folder):
    found = index(write(folder, ",path,patient_id,\n0,a.avi,1,\n,,,\n1,sub/b.avi,2,\n"))
    assert found.columns.tolist() == ["path", "patient_id"]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("path,patient_id\n", "none of the 0 files"),
        (
            "path,patient_id\ngone.avi,2\n",
            r"none of the 1 files .* row 2, .*gone\.avi; say where .*videos=FOLDER",
        ),
        ("path,patient_id\na.avi\n", "row 2: found 1 cells, expected 2; quote texts"),
        ("path,patient_id,path\na.avi,1,a.avi\n", "row 1: the column 'path' stands there 2 times; keep one"),
        (
            "File,patient_id\na.avi,1\n",
            r"no column 'path'; say which it is with columns\.path=NAME; found File, pat",
        ),
        ("path,MRN\na.avi,1\n", r"no column 'patient_id'; say which it is with columns\.patient_id=NAME"),
        ("path,patient_id\na.avi,\n", "row 2: patient_id is empty"),
        ("path,patient_id\na.avi,1\n,2\n", "row 3: path is empty"),
        ("path;patient_id\na.avi;1;2\n", "row 2: found 3 cells, expected 2; quote texts that hold a ';'"),
        ("x" * 200_000, "field larger than field limit"),
        ("PK\x03\x04", "a workbook of a spreadsheet program"),
    ],
)
def test_tables_that_cannot_be(folder, text, words):
    with pytest.raises(UserError, match=words):
        index(write(folder, text))


def test_a_column_that_is_not_there(folder):
    table = write(folder, "Datei,patient_id\na.avi,1\n")
    with pytest.raises(
        UserError, match=r"columns\.path=Date: no such column, did you mean Datei\? found Datei, pat"
    ):
        index(table, columns={"path": "Date"})
    with pytest.raises(UserError, match="no such table"):
        index(folder / "gone.csv")
    with pytest.raises(UserError, match="not a CSV file in UTF-8"):
        index(write(folder, "path,patient_id\nä.avi,1\n", "latin-1"))


def test_the_words_of_the_command_line(phantom_videos, tmp_path):
    table = build_csv(phantom_videos, tmp_path)
    out = tmp_path / "manifest.csv"
    index_source("csv", table, out=out, options=OPTIONS)
    found = read_manifest(out, binary_columns=["severe_as"])
    assert found["patient_id"].tolist() == phantom_videos["patient_id"].tolist()
    assert found["study_id"].tolist() == phantom_videos["study_id"].tolist()
    assert found["severe_as"].tolist() == phantom_videos["severe_as"].tolist()
    assert found["Vmax"].tolist() == pytest.approx(phantom_videos["peak_velocity_m_per_s"].tolist(), abs=0.06)
    with pytest.raises(ConfigError, match=r"colums: no such option, did you mean columns\?"):
        index_source("csv", table, out=out, options=["colums.path=Datei"])
