import math

import numpy as np
import pandas as pd
import pytest

from echossl.data.labels import (
    ALIASES,
    CLASS_MAPS,
    UNKNOWN_WORDS,
    apply_class_map,
    class_map_of,
    describe,
    encode_labels,
    encode_multilabel,
)
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.severity import GRADES, grade_from
from echossl.errors import UserError

TMED = ("no_AS", "mild_AS", "mildtomod_AS", "moderate_AS", "severe_AS")
NAN = math.nan


def series(*values: object) -> pd.Series:
    return pd.Series(list(values), name="raw", dtype=object)


def same(found: pd.Series, *expected: object) -> bool:
    return pd.Series(found.tolist(), dtype=object).equals(pd.Series(list(expected), dtype=object))


@pytest.mark.parametrize("class_map", CLASS_MAPS.values(), ids=lambda class_map: class_map.name)
def test_every_map_is_whole(class_map):
    assert CLASS_MAPS[class_map.name] is class_map
    assert set(class_map.values.values()) <= set(class_map.classes)
    # no class that nothing leads to
    assert class_map.below is not None or set(class_map.values.values()) == set(class_map.classes)
    assert len(set(class_map.classes)) == len(class_map.classes) >= 2
    assert class_map.kind != "binary" or len(class_map.classes) == 2
    assert all(raw == raw.lower() for raw in class_map.values)
    line = class_map.describe()
    assert line.startswith(f"{class_map.name} ({class_map.kind}: ")
    assert class_map.rule in line
    assert class_map.source in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("tmed_3class", (0, 1, 1, 2, 2)),
        ("tmed_binary", (0, 1, 1, 1, 1)),
        ("tmed_mod_severe", (0, 1, 1, 1, 2)),
        ("tmed_4class", (0, 1, 1, 2, 3)),
        ("tmed_5class", (0, 1, 2, 3, 4)),
    ],
)
def test_tmed_maps_as_published(name, codes):
    class_map = CLASS_MAPS[name]
    found = apply_class_map(series(*TMED), class_map)
    if class_map.kind == "binary":
        assert same(found, *(float(code) for code in codes))
    else:
        assert same(found, *(class_map.classes[code] for code in codes))
    table = pd.DataFrame({name: found})
    assert encode_labels(table, name).tolist() == list(codes)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("as_acc_aha_2020", (0, 1, 2, 3)),
        ("as_eacvi_ase_2017", (0, 1, 2, 3)),
        ("as_severe", (0, 0, 0, 1)),
        ("as_significant", (0, 0, 1, 1)),
        ("as_any", (0, 1, 1, 1)),
        ("panecho_as", (0, 1, 1, 2)),
    ],
)
def test_maps_of_the_four_grades(name, codes):
    found = apply_class_map(series(*GRADES), CLASS_MAPS[name])
    assert encode_labels(pd.DataFrame({name: found}), name).tolist() == list(codes)


def test_binary_cuts_agree_with_the_measurements():
    for hundredths in range(100, 600, 7):
        graded = grade_from(hundredths / 100)
        cuts = {
            name: apply_class_map(series(graded.grade), CLASS_MAPS[name])[0]
            for name in CLASS_MAPS
            if name in ("as_any", "as_significant", "as_severe")
        }
        assert cuts["as_severe"] == (hundredths >= 400)
        assert cuts["as_significant"] == (hundredths >= 300)
        assert cuts["as_any"] == (hundredths >= 200)


@pytest.mark.parametrize(("name", "limit"), [("ef_below_50", 50), ("ef_below_40", 40)])
def test_ejection_fraction_is_cut_below(name, limit):
    values = [limit - 0.01, limit, limit + 0.01, 6.9, 97.0, NAN, ""]
    found = apply_class_map(series(*values), CLASS_MAPS[name])
    assert same(found, 1.0, 0.0, 0.0, 1.0, 0.0, NAN, NAN)
    assert same(apply_class_map(series("55 %", "35%"), CLASS_MAPS[name]), 0.0, 1.0)


@pytest.mark.parametrize("value", ["0.55", 0.55, "1", 101, -3, "high", "inf"])
def test_a_fraction_is_no_percentage(value):
    with pytest.raises(UserError, match=r"raw: row 1: found .*, expected a percentage above 1"):
        apply_class_map(series("55", value), CLASS_MAPS["ef_below_50"])


@pytest.mark.parametrize("class_map", CLASS_MAPS.values(), ids=lambda class_map: class_map.name)
def test_trap_15_what_nobody_knows_is_never_a_class(class_map):
    words = [
        "",
        "NA",
        "N/A",
        "nan",
        NAN,
        None,
        pd.NA,
        "Not_Provided",
        " not_provided ",
        "Uncertain",
        "-1",
        -1.0,
    ]
    words += sorted(UNKNOWN_WORDS)
    found = apply_class_map(series(*words), class_map)
    assert found.isna().all()
    table = pd.DataFrame({class_map.name: found})
    assert (encode_labels(table, class_map.name) == -1).all()
    # also where the words stand in the manifest themselves
    assert (encode_labels(pd.DataFrame({class_map.name: words}), class_map.name) == -1).all()


def test_trap_15_codes_do_not_depend_on_the_rows():
    names = ["severe", "none", NAN, "moderate", "mild", "none"]
    table = pd.DataFrame({"as_acc_aha_2020": names})
    assert encode_labels(table, "as_acc_aha_2020").tolist() == [3, 0, -1, 2, 1, 0]
    backwards = table.iloc[::-1]
    assert encode_labels(backwards, "as_acc_aha_2020").tolist() == [0, 1, 2, -1, 0, 3]
    # a table in which a class does not occur numbers the others as ever
    assert encode_labels(table.iloc[[0, 3]], "as_acc_aha_2020").tolist() == [3, 2]


def test_trap_15_classes_are_never_taken_from_the_data():
    table = pd.DataFrame({"finding": ["b", "a", "b"]})
    for kind in ("multiclass", "ordinal"):
        with pytest.raises(UserError, match="its classes must be given in order; maps are as_acc_aha_2020"):
            encode_labels(table, "finding", kind=kind)
    with pytest.raises(UserError, match=r"row 2: finding is 'b', expected 0, 1 or empty"):
        encode_labels(table, "finding")
    assert encode_labels(table, "finding", classes=("b", "a")).tolist() == [0, 1, 0]
    assert encode_labels(table, "finding", kind="ordinal", classes=("a", "b")).tolist() == [1, 0, 1]


@pytest.mark.parametrize("class_map", CLASS_MAPS.values(), ids=lambda class_map: class_map.name)
def test_an_unknown_value_is_named_with_its_row(class_map):
    with pytest.raises(UserError, match=r"raw: row 7: found 'sometimes'"):
        apply_class_map(pd.Series(["", "sometimes"], index=[3, 7], name="raw"), class_map)
    table = pd.DataFrame({class_map.name: [NAN, "sometimes"]})
    with pytest.raises(UserError, match=rf"row 3: {class_map.name} is 'sometimes', expected .* or empty"):
        encode_labels(table, class_map.name)


def test_classes_and_case_are_taken_as_they_are_written():
    assert same(apply_class_map(series("Severe", " NONE ", "mild"), CLASS_MAPS["as_severe"]), 1.0, 0.0, 0.0)
    assert same(
        apply_class_map(series(1, 0, "1.0", "not severe"), CLASS_MAPS["as_severe"]), 1.0, 0.0, 1.0, 0.0
    )
    assert same(apply_class_map(series("early", "MILD_as"), CLASS_MAPS["tmed_3class"]), "early", "early")


def test_a_map_applied_twice_changes_nothing():
    for class_map in CLASS_MAPS.values():
        if class_map.below is None:
            once = apply_class_map(series(*class_map.values), class_map)
            assert same(apply_class_map(once, class_map), *once)


def test_the_columns_of_the_phantom_are_described():
    assert describe("severe_as") == CLASS_MAPS["as_severe"].describe()
    assert describe("as_grade") == CLASS_MAPS["as_acc_aha_2020"].describe()
    assert describe("as_severe") == describe("severe_as")
    assert describe("peak_velocity_m_per_s") is None
    assert class_map_of("mine") is None
    assert set(ALIASES.values()) <= set(CLASS_MAPS)


def test_binary_labels_from_a_manifest(tmp_path):
    for name in "abcd":
        (tmp_path / name).touch()
    table = pd.DataFrame({"path": [str(tmp_path / name) for name in "abcd"], "patient_id": list("abcd")})
    table["severe_as"] = [1.0, 0.0, NAN, 1.0]
    table["as_grade"] = ["severe", "none", NAN, "severe"]
    table["as_significant"] = [1.0, NAN, NAN, 1.0]
    write_manifest(table, tmp_path / "manifest.csv")
    again = read_manifest(tmp_path / "manifest.csv")
    assert encode_labels(again, "severe_as").tolist() == [1, 0, -1, 1]
    assert encode_labels(again, "as_grade").tolist() == [3, 0, -1, 3]
    assert encode_labels(again, "as_grade").dtype == np.int64
    both = encode_multilabel(again, ["severe_as", "as_significant"])
    assert both.dtype == np.float32
    expected = np.array([[1, 1], [0, NAN], [NAN, NAN], [1, 1]], np.float32)
    np.testing.assert_array_equal(both, expected)


def test_kinds_and_classes_that_cannot_be():
    table = pd.DataFrame({"as_severe": [0, 1], "tmed_3class": ["none", "early"], "finding": [0, 1]})
    with pytest.raises(UserError, match="as_severe is binary, not ordinal"):
        encode_labels(table, "as_severe", kind="ordinal")
    with pytest.raises(UserError, match="tmed_3class is ordinal, not binary"):
        encode_multilabel(table, ["as_severe", "tmed_3class"])
    with pytest.raises(UserError, match="the classes of tmed_3class are none, early, significant, not early"):
        encode_labels(table, "tmed_3class", classes=("early", "none", "significant"))
    with pytest.raises(UserError, match="no label column 'other'; found as_severe, tmed_3class, finding"):
        encode_labels(table, "other")
    with pytest.raises(UserError, match="two different classes or more"):
        encode_labels(table, "finding", classes=("0", "0"))
    with pytest.raises(UserError, match="no columns given"):
        encode_multilabel(table, [])


def test_a_class_of_many_has_no_numbers():
    # 0 and 1 are the codes of a binary column only; in another they may follow any order
    with pytest.raises(UserError, match=r"row 2: tmed_3class is '0'"):
        encode_labels(pd.DataFrame({"tmed_3class": [0, 1]}), "tmed_3class")
    with pytest.raises(UserError, match=r"row 2: finding is '1'"):
        encode_labels(pd.DataFrame({"finding": [1]}), "finding", kind="ordinal", classes=("low", "high"))


def test_trap_15_none_is_the_class_where_one_is_called_so():
    """A spreadsheet says None for no stenosis, a program says it for no value."""
    words = ["None", "Mild", "Severe", "None", None, "NA"]
    grades = pd.DataFrame({"as_acc_aha_2020": words, "mine": words})
    assert encode_labels(grades, "as_acc_aha_2020").tolist() == [0, 1, 3, 0, -1, -1]
    assert encode_labels(grades, "mine", classes=("none", "mild", "severe")).tolist() == [0, 1, 2, 0, -1, -1]
    found = apply_class_map(series(*words), CLASS_MAPS["as_acc_aha_2020"])
    assert same(found, "none", "mild", "severe", "none", NAN, NAN)
    assert same(apply_class_map(series(*words), CLASS_MAPS["as_severe"]), 0.0, 0.0, 1.0, 0.0, NAN, NAN)
    only_none = apply_class_map(series("None", "None"), CLASS_MAPS["as_acc_aha_2020"])
    assert same(only_none, "none", "none")


@pytest.mark.parametrize("words", [["1", "None", "0"], [1, "None", 0], ["None", "None", None]])
def test_trap_15_none_is_no_class_beside_numbers(words):
    expected = [{"1": 1, "0": 0}.get(str(word), -1) for word in words]
    for column in ("as_severe", "finding"):
        assert encode_labels(pd.DataFrame({column: words}), column).tolist() == expected
    found = apply_class_map(series(*words), CLASS_MAPS["as_severe"])
    assert found.fillna(-1).tolist() == expected
    assert apply_class_map(series("None", "55"), CLASS_MAPS["ef_below_50"]).isna().tolist() == [True, False]
