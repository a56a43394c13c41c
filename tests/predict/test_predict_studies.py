"""Folders, files and tables become studies by a rule that is said."""

from pathlib import Path

import pandas as pd
import pytest

from echossl.config.predict import PredictConfig, words_of
from echossl.errors import ManifestError, UserError
from echossl.predict.studies import find_studies


def named(*studies, **changes):
    return find_studies(PredictConfig(model=Path("run"), studies=studies, **changes))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")


def by_study(found) -> dict[str, list[str]]:
    groups = found.videos.groupby("study_id", sort=False)["path"]
    return {str(study): [Path(path).name for path in own] for study, own in groups}


def test_a_folder_with_files_is_one_study_with_all_that_lies_below(tmp_path) -> None:
    touch(tmp_path / "s1" / "b10.avi", tmp_path / "s1" / "b9.avi", tmp_path / "s1" / "more" / "c")
    found = named(tmp_path / "s1")
    assert by_study(found) == {"s1": ["b9.avi", "b10.avi", "c"]}
    assert found.videos["patient_id"].tolist() == ["s1"] * 3


def test_a_folder_without_files_holds_a_study_in_each_sub_folder(tmp_path) -> None:
    touch(tmp_path / "in" / "s1" / "a.avi", tmp_path / "in" / "s2" / "series" / "a.dcm")
    (tmp_path / "in" / "s3").mkdir()
    touch(tmp_path / "in" / ".hidden")
    found = named(tmp_path / "in")
    assert by_study(found) == {"s1": ["a.avi"], "s2": ["a.dcm"]}
    assert found.studies["study_id"].tolist() == ["s1", "s2", "s3"]
    assert [(one.study_id, one.path) for one in found.refused] == [("s3", str(tmp_path / "in" / "s3"))]


def test_files_of_one_folder_are_one_study(tmp_path) -> None:
    touch(tmp_path / "x" / "a.avi", tmp_path / "y" / "b.avi", tmp_path / "x" / "c.avi")
    found = named(tmp_path / "x" / "a.avi", tmp_path / "y" / "b.avi", tmp_path / "x" / "c.avi")
    assert by_study(found) == {"x": ["a.avi", "c.avi"], "y": ["b.avi"]}


def test_folders_of_one_name_are_told_apart(tmp_path) -> None:
    touch(tmp_path / "p1" / "exam" / "a.avi", tmp_path / "p2" / "exam" / "a.avi")
    found = named(tmp_path / "p1" / "exam", tmp_path / "p2" / "exam")
    assert by_study(found) == {"p1/exam": ["a.avi"], "p2/exam": ["a.avi"]}


def test_a_table_says_who_is_who_and_missing_files_are_refused(tmp_path) -> None:
    touch(tmp_path / "a.avi", tmp_path / "b.avi")
    (tmp_path / "new.csv").write_text(
        "path,patient_id,study_id,fps\na.avi,007,e1,20\nb.avi,007,e2,\nc.avi,008,e3,\n"
    )
    found = named(tmp_path / "new.csv", fps=30.0)
    assert found.videos["patient_id"].tolist() == ["007", "007"]
    assert found.videos["fps"].tolist() == [20.0, 30.0]
    assert [(one.study_id, one.reason) for one in found.refused] == [("e3", "no such file")]
    assert found.studies["study_id"].tolist() == ["e1", "e2", "e3"]


def test_pictures_of_a_folder_are_a_video_if_asked_for(tmp_path) -> None:
    touch(tmp_path / "s1" / "cine" / "1.png", tmp_path / "s1" / "cine" / "2.png", tmp_path / "s1" / "a.avi")
    assert by_study(named(tmp_path / "s1")) == {"s1": ["a.avi"]}
    assert "left out: 2 .png" in named(tmp_path / "s1").notes[0]
    assert by_study(named(tmp_path / "s1", frame_folders=True)) == {"s1": ["a.avi", "cine"]}


def test_what_is_not_there_or_named_twice_is_an_error(tmp_path) -> None:
    touch(tmp_path / "s1" / "a.avi")
    (tmp_path / "t.csv").write_text("path,patient_id,study_id\ns1/a.avi,p,s1\n")
    with pytest.raises(UserError, match="absent: no such file or folder"):
        named(tmp_path / "absent")
    with pytest.raises(UserError, match="study s1 is named twice"):
        named(tmp_path / "s1", tmp_path / "t.csv")
    (tmp_path / "bad.csv").write_text("file\na.avi\n")
    with pytest.raises(ManifestError, match="the column 'path' is missing"):
        named(tmp_path / "bad.csv")


def test_words_of_the_command_line(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "a=b" / "x.avi", tmp_path / "set.yaml")
    words = words_of(["run", "a=b", "it's", "set.yaml", "fps=20"], out=Path("o"))
    assert words == ["set.yaml", "model=run", "studies=['a=b','it''s']", "out=o", "fps=20"]


def test_settings_without_effect_are_refused() -> None:
    base = {"model": Path("run"), "studies": (Path("s"),)}
    with pytest.raises(ValueError, match="target has no effect with rule youden"):
        PredictConfig(**base, rule="youden", target=0.8)
    with pytest.raises(ValueError, match="method has no effect with overlays=0"):
        PredictConfig(**base, overlays=0, method="occlusion")


def test_a_rate_is_never_invented(tmp_path) -> None:
    touch(tmp_path / "s1" / "a.avi")
    assert pd.isna(named(tmp_path / "s1").videos["fps"]).all()
