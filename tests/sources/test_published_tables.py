"""Tables and listed files: what owners, spreadsheets and archive programs do to them."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from echossl.data.sources.listed import FileIndex, match_files, walk_files
from echossl.data.sources.tables import (
    find_all,
    find_table,
    joined,
    known_numbers,
    numbers,
    read_header,
    read_table,
    split_names,
    strictest_splits,
)
from echossl.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def relative(path: Path | None, root: Path) -> str | None:
    return path and path.relative_to(root).as_posix()


@pytest.mark.parametrize(
    "text",
    [
        "FileName,EF,Split\na,55,TRAIN\n\nb,,VAL\n",
        "\ufeffFileName,EF,Split\r\na,55,TRAIN\r\n\r\nb,,VAL\r\n",
        ",FileName,EF,Split\n0,a,55,TRAIN\n\n1,b,,VAL\n",
        "filename, ef ,SPLIT,FPS\n a ,55 ,TRAIN,5\n\nb,,VAL,5\n",
        'Split,"EF","FileName"\nTRAIN,"55","a"\n,,\nVAL,,"b"',
    ],
)
def test_a_table_however_it_was_saved(tmp_path, text):
    path = tmp_path / "FileList.csv"
    path.write_bytes(text.encode())
    table = read_table(path, ["FileName", "EF", "Split"], optional=["Nothing"])
    assert table.columns.tolist() == ["FileName", "EF", "Split"]
    assert table.to_numpy().tolist() == [["a", "55", "TRAIN"], ["b", "", "VAL"]]
    # rows as a spreadsheet counts, the empty one too
    assert table.index.tolist() == [2, 4]


def test_a_gzipped_table_is_found_and_read(tmp_path):
    path = tmp_path / "1.0" / "Long-Table.csv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"a,b\n1,x\n2,Y\n3,x\n"))
    assert find_table(tmp_path, "long-table.csv") == path
    assert read_table(path, ["a"], only={"b": {"x"}})["a"].tolist() == ["1", "3"]
    assert read_table(path, ["a", "b"], only={"b": {"y"}}).index.tolist() == [3]
    assert read_header(path) == ["a", "b"]


def test_a_filter_on_a_column_that_is_missing_is_said(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(UserError, match=r"a\.csv: the column 'kind' is missing; found a"):
        read_table(tmp_path / "a.csv", ["a"], only={"kind": {"x"}})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the column 'EF' is missing; found an empty file"),
        (b",A\n0,1\n", r"the column 'EF' is missing; found \(unnamed\), A"),
        (b"A,EF\n1,2\n3\n", "row 3: found 1 cells, expected 2 or more; is the file whole"),
        (b"A,EF\n\xff\xfe,2\n", "not a CSV file in UTF-8"),
    ],
)
def test_what_is_no_such_table_is_one_line(tmp_path, content, words):
    path = tmp_path / "FileList.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_table(path, ["EF"])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_archive_is_one_line(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 1000)[:20])
    with pytest.raises(UserError, match="download or save it again"):
        read_table(path, ["a"])
    path.write_bytes(b"a\n1\n")
    with pytest.raises(UserError, match="download or save it again"):
        read_header(path)


def test_the_highest_level_wins_and_versions_come_in_order(tmp_path):
    touch(tmp_path, "set/0.10/list.csv", "set/0.9/LIST.csv", "set/1.0/old/list.csv", "__MACOSX/list.csv")
    found = [relative(path, tmp_path) for path in find_all(tmp_path, "List.csv")]
    assert found == ["set/0.9/LIST.csv", "set/0.10/list.csv"]
    with pytest.raises(UserError, match="give the folder of one of them"):
        find_table(tmp_path, "list.csv")
    with pytest.raises(UserError, match=r"found no other\.csv here or in the folders below"):
        find_table(tmp_path, "other.csv")
    with pytest.raises(UserError, match="no such folder"):
        find_table(tmp_path / "gone", "list.csv")
    touch(tmp_path, "x/a4c/Videos/v.avi")
    assert find_all(tmp_path, "A4C", folders=True) == [tmp_path / "x" / "a4c"]
    assert find_all(tmp_path / "x" / "a4c", "A4C", folders=True) == [tmp_path / "x" / "a4c"]


@pytest.mark.parametrize(
    ("listed", "on_disk"),
    [
        ("0X1A", "Videos/0X1A.avi"),
        ("0X1A.avi", "Videos/0X1A.avi"),
        ("0X1A.avi", "Videos/0x1a.AVI"),
        ("0X1A.avi", "Videos/0X1A"),
        ("0X1A", "Batch3/deep/0X1A.mp4"),
        ("1.2.840.5", "a/1.2.840.5"),
        ("1.2.840.5", "a/1.2.840.5.dcm"),
        ("files/P10/x.dcm", "files/p10/x.dcm"),
        ("files\\p10\\x", "mirror/files/p10/x.dcm"),
        ("/p10/x.dcm", "files/p10/x.dcm"),
    ],
)
def test_files_are_found_whatever_case_and_suffix(tmp_path, listed, on_disk):
    touch(tmp_path, on_disk, "Videos/0X1A0.avi", "files/p11/x.dcm", "a/1.2.840.50", ".hidden/0X1A.avi")
    assert relative(FileIndex([tmp_path]).find(listed), tmp_path) == on_disk


def test_what_is_not_there_is_none(tmp_path):
    index = FileIndex([touch(tmp_path, "a/x.avi", "._y.avi", "__MACOSX/a/z.avi")])
    for name in ("y", "z", "b/x.avi", "x.avi.avi", "1"):
        assert index.find(name) is None


def test_the_exact_name_wins_and_two_of_a_name_are_an_error(tmp_path):
    touch(tmp_path, "one/x.avi", "one/x.mp4", "two/y.avi", "three/Y.AVI")
    index = FileIndex([tmp_path])
    assert relative(index.find("x.mp4"), tmp_path) == "one/x.mp4"
    with pytest.raises(UserError, match=r"x is there as one/x\.avi and as one/x\.mp4; keep one"):
        index.find("x")
    with pytest.raises(UserError, match="keep one"):
        index.find("y.avi")
    first_two = FileIndex([tmp_path / "two", tmp_path / "three"])
    assert relative(first_two.find("y.avi"), tmp_path) == "two/y.avi"


def test_linked_folders_are_walked_once(tmp_path):
    touch(tmp_path / "disk", "p/a.avi")
    root = touch(tmp_path / "root", "b.avi")
    (root / "p").symlink_to(tmp_path / "disk" / "p")
    (root / "p" / "up").symlink_to(root)
    assert sorted(relative(path, root) for path in walk_files(root)) == ["b.avi", "p/a.avi"]


def test_rows_without_file_and_files_without_row_are_counted(tmp_path):
    touch(tmp_path, "v/a.avi", "v/b.avi", "v/extra_10.avi", "v/extra_9.avi", "v/notes.txt")
    table = pd.DataFrame({"name": ["a", "lost1", "b", "lost2"]}, index=[2, 3, 4, 5])
    listing = tmp_path / "list.csv"
    matched = match_files(table, "name", FileIndex([tmp_path]), listing)
    assert [Path(path).name for path in matched.table["path"]] == ["a.avi", "b.avi"]
    assert matched.table.index.tolist() == [2, 4]
    assert "listed in list.csv (of 4) but not there: 2 (first: lost1)" in matched.note
    assert f"not listed in list.csv: 2 (first: {tmp_path / 'v' / 'extra_9.avi'})" in matched.note
    with pytest.raises(UserError, match=r"none of the 1 files that it lists is below .*, the first is lost1"):
        match_files(table.iloc[1:2], "name", FileIndex([tmp_path]), listing)
    twice = pd.DataFrame({"name": ["a", "A.avi"]}, index=[2, 3])
    with pytest.raises(UserError, match=r"list\.csv: row 3: A\.avi is listed twice"):
        match_files(twice, "name", FileIndex([tmp_path]), listing)


def test_numbers_are_read_defensively():
    cells = pd.Series(["55.5", "", "NA", "high", "inf", "-3", "1e1"], name="EF")
    values, odd = numbers(cells)
    assert values.fillna(-99).tolist() == [55.5, -99, -99, -99, -99, -3, 10]
    assert odd == ["high", "inf"]
    values, note = known_numbers(cells, between=(0, 100))
    assert values.fillna(-99).tolist() == [55.5, -99, -99, -99, -99, -99, 10]
    assert note == "EF not assessed because no number above 0 and up to 100: 3 (first: high)"
    assert known_numbers(cells[:3], between=(0, 100))[1] == ""


def test_split_words(tmp_path):
    listing = tmp_path / "list.csv"
    cells = pd.Series(["TRAIN", "val", "Test", "validation"], index=[2, 3, 4, 5])
    assert split_names(cells, listing).tolist() == ["train", "val", "test", "val"]
    with pytest.raises(UserError, match=r"list\.csv: row 6: split is 'holdout', expected train, val or test"):
        split_names(pd.Series(["train", "holdout"], index=[2, 6]), listing)


def test_notes_without_words_are_left_out():
    assert joined("", "a", "", "b") == "a; b"


def test_trap_11_the_strictest_split_of_a_patient():
    rows = [("a", "train"), ("a", "test"), ("a", "val"), ("b", "val"), ("b", "train"), ("c", "train")]
    rows += [("d", ""), ("e", "fold 3"), ("e", "train")]
    patients, splits = (pd.Series(cells) for cells in zip(*rows, strict=True))
    expected = {"a": "test", "b": "val", "c": "train", "e": "train"}
    assert strictest_splits(patients, splits) == expected
    assert strictest_splits(patients[::-1], splits[::-1]) == expected
