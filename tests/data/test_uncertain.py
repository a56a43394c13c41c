"""The word uncertain in columns of 0 and 1: ignored, or counted as one of them, and always counted."""

import numpy as np
import pandas as pd
import pytest

from echossl.data.labels import encode_multilabel
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.uncertain import resolve_uncertain
from echossl.errors import ManifestError

TEXT = """path,patient_id,split,edema,fracture,note
a.png,1,train,uncertain,0,uncertain
b.png,2,train,-1,1,1
c.png,3,test,1,,0
d.png,4,test,Uncertain,-1.0,0
e.png,5,test,0,NA,1
"""
BOTH = ["edema", "fracture"]
UNKNOWN = np.nan


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(("policy", "value"), [("ignore", UNKNOWN), ("zero", 0.0), ("one", 1.0)])
def test_every_policy_fills_the_uncertain_cells_alone(manifest, policy, value):
    table = read_manifest(manifest, binary_columns=BOTH, files_needed=False, uncertain=policy)
    np.testing.assert_array_equal(table["edema"], [value, value, 1, value, 0])
    # what was never assessed stays so
    np.testing.assert_array_equal(table["fracture"], [0, 1, UNKNOWN, value, UNKNOWN])
    expected = np.array([[value, 0], [value, 1], [1, UNKNOWN], [value, value], [0, UNKNOWN]], np.float32)
    np.testing.assert_array_equal(encode_multilabel(table, BOTH), expected)


def test_cells_are_counted_by_split_and_column(manifest):
    table = read_manifest(manifest, binary_columns=BOTH, files_needed=False)
    assert table.attrs["uncertain"] == {"train": {"edema": 2}, "test": {"edema": 1, "fracture": 1}}
    assert read_manifest(manifest, binary_columns=["note"], files_needed=False).attrs["uncertain"] == {
        "train": {"note": 1}
    }


def test_columns_that_are_not_asked_for_stay_as_they_are(manifest, tmp_path):
    table = read_manifest(manifest, binary_columns=["fracture"], files_needed=False)
    assert table["edema"].tolist() == ["uncertain", "-1", "1", "Uncertain", "0"]
    write_manifest(table, tmp_path / "again.csv")
    again = read_manifest(tmp_path / "again.csv", binary_columns=BOTH, files_needed=False, uncertain="one")
    np.testing.assert_array_equal(again["edema"], [1, 1, 1, 1, 0])


def test_other_words_are_still_refused(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("path,patient_id,edema\na.png,1,perhaps\nb.png,2,-2\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, binary_columns=["edema"], files_needed=False)
    lines = str(caught.value).splitlines()
    assert [line.split(": ", 1)[1] for line in lines] == [
        "row 2: edema is 'perhaps', expected 0, 1 or empty (not assessed), or uncertain",
        "row 3: edema is '-2', expected 0, 1 or empty (not assessed), or uncertain",
    ]


def test_a_table_without_splits_counts_as_one():
    cells = pd.DataFrame({"edema": ["uncertain", "0", ""]})
    found = resolve_uncertain(cells, ["edema", "absent"], "zero")
    assert found.counts == {"all": {"edema": 1}}
    assert found.table["edema"].tolist() == ["0", "0", ""]
    assert cells["edema"].tolist() == ["uncertain", "0", ""]
