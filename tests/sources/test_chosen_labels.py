"""Which class maps become columns: every map can be asked for somewhere, and is what it says."""

import math
from typing import get_args

import pandas as pd
import pytest
from layouts import LAYOUTS

from echossl.config.sources import MimicIvEchoSource, PhantomSource
from echossl.data.labels import CLASS_MAPS, encode_labels
from echossl.data.severity import ACC_AHA_2020, EACVI_ASE_2017, grade_from
from echossl.data.sources import SOURCES, index_source
from echossl.data.sources.grades import MEASUREMENTS, RULES, discordance, grade_columns
from echossl.data.sources.phantom import LABELS, index_phantom
from echossl.errors import ConfigError

SOURCES_WITH_LABELS = ("mimic_iv_echo", "tmed2", "phantom", "camus", "echonet_dynamic", "echonet_pediatric")
GRADES = {"none": 0, "mild": 1, "moderate": 2, "severe": 3}
LEAST = {"as_severe": 3, "as_significant": 2, "as_any": 1}
ROWS = [
    (2.3, 10.0, math.nan),
    (3.2, 30.0, 0.7),
    (4.0, math.nan, 1.2),
    (math.nan, math.nan, 0.9),
    (math.nan,) * 3,
    (1.2, 4.0, 2.5),
    (2.7, 25.0, 1.4),
]
MEASURED = pd.DataFrame(ROWS, columns=list(MEASUREMENTS), index=list("abcdefg"))


def possible(source: str) -> set[str]:
    """The names that the settings of a source take."""
    item = get_args(SOURCES[source][0].model_fields["labels"].annotation)[0]
    members = get_args(item)
    return {
        name for member in members for name in ([member] if isinstance(member, str) else get_args(member))
    }


def index(name: str, phantom_videos: pd.DataFrame, folder, *options: str) -> pd.DataFrame:
    layout = LAYOUTS[name]
    built = folder / "data"
    if not built.is_dir():
        built.mkdir()
        layout.build(phantom_videos, built)
    return index_source(name, built, out=folder / "manifest.csv", options=options)


def test_every_class_map_can_be_asked_for():
    assert {name for source in SOURCES_WITH_LABELS for name in possible(source)} == set(CLASS_MAPS)


@pytest.mark.parametrize("source", SOURCES_WITH_LABELS)
def test_one_that_is_impossible_is_refused_with_those_that_are(tmp_path, source):
    with pytest.raises(ConfigError, match=r"labels\.0.*found 'as_sever'") as caught:
        index_source(source, tmp_path, out=tmp_path / "manifest.csv", options=["labels=[as_sever]"])
    assert all(repr(name) in str(caught.value) for name in possible(source))


@pytest.mark.parametrize("source", [name for name in SOURCES_WITH_LABELS if name != "phantom"])
def test_all_columns_that_can_be_asked_for_and_none(phantom_videos, tmp_path, source):
    names = sorted(possible(source))
    every = index(source, phantom_videos, tmp_path, f"labels=[{','.join(names)}]")
    assert set(names) <= set(every.columns)
    none = index(source, phantom_videos, tmp_path, "labels=[]")
    assert not set(CLASS_MAPS) & set(none.columns)
    assert len(none) == len(every)
    for name in names:
        assert (encode_labels(every, name) >= 0).any()


def test_of_the_phantom(phantom_root):
    bare = index_phantom(phantom_root, PhantomSource())
    names = tuple(sorted(possible("phantom")))
    table = index_phantom(phantom_root, PhantomSource(labels=names))
    assert table.columns.tolist() == [*bare.columns, *names]
    assert table[bare.columns.tolist()].equals(bare)
    assert set(LABELS) <= set(bare.columns)
    assert table["as_acc_aha_2020"].tolist() == table["as_grade"].tolist()
    assert table["as_severe"].tolist() == table["severe_as"].tolist()


def test_grades_follow_their_rule_and_cuts_the_grade_by_acc_aha():
    found = grade_columns(MEASURED, [*RULES, *LEAST])
    for row, measured in MEASURED.iterrows():
        if measured.isna().all():
            assert found.loc[row].isna().all()
            continue
        for rule in (ACC_AHA_2020, EACVI_ASE_2017):
            assert found.loc[row, rule.name] == grade_from(*measured, rule=rule).grade
        grade = GRADES[grade_from(*measured).grade]
        for name, least in LEAST.items():
            assert found.loc[row, name] == float(grade >= least)
    assert found.loc["a", ["as_acc_aha_2020", "as_eacvi_ase_2017"]].tolist() == ["mild", "none"]
    assert grade_columns(MEASURED, []).shape == (len(MEASURED), 0)


def test_discordance_needs_both_sides():
    expected = [math.nan, 1.0, 1.0, math.nan, math.nan, 0.0, 0.0]
    pd.testing.assert_series_equal(discordance(MEASURED), pd.Series(expected, index=MEASURED.index))


def test_the_reader_and_the_measurements_are_told_apart(phantom_videos, tmp_path):
    table = index("mimic_iv_echo", phantom_videos, tmp_path, "labels=[panecho_as,as_eacvi_ase_2017]")
    assert "as_acc_aha_2020" not in table
    words = {"mild": "mild or moderate", "moderate": "mild or moderate", "severe": "severe"}
    assert table["panecho_as"].fillna("").tolist() == [words.get(w, "") for w in table["as_reported"]]
    graded = [
        grade_from(*row, rule=EACVI_ASE_2017).grade
        for row in table[list(MEASUREMENTS)].itertuples(index=False)
    ]
    assert table["as_eacvi_ase_2017"].tolist() == graded


def test_defaults_stay_with_acc_aha():
    assert MimicIvEchoSource().labels == ("as_acc_aha_2020", "as_severe")
    assert PhantomSource().labels == ()
