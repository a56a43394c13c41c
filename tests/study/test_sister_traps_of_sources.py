"""Traps of studies of several sources: choice on the test split, leaking patients, pictures as patients."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_sources import RECIPE, study_of

from echossl.config.evaluation import BootstrapConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.errors import UserError
from echossl.evaluation.shared_classes import read_shared_scores, resampled_shared_figures
from echossl.study.across_run import adapt_across
from echossl.study.cells import Cell, plan_cells

RESAMPLES = BootstrapConfig(resamples=100)


def first_cell(sources: list[dict], out: Path) -> Cell:
    arm = {"name": "plain", "title": "Plain", "recipe": RECIPE | {"evaluate_every": 1}}
    return next(plan_cells(study_of(sources, out, arms=[arm])))


def with_table(source: dict, path: Path, change) -> dict:
    """The same source with another manifest."""
    write_manifest(change(read_manifest(Path(source["manifest"]))), path)
    return source | {"manifest": str(path)}


def test_sister_trap_01_labels_of_the_test_split_change_no_score(sources: list[dict], tmp_path: Path) -> None:
    def other_answers(table: pd.DataFrame) -> pd.DataFrame:
        is_test = table["split"] == "test"
        turned = {"none": "severe", "severe": "none"}
        return table.assign(grade=table["grade"].where(~is_test, table["grade"].replace(turned)))

    changed = [with_table(one, tmp_path / f"{one['name']}.csv", other_answers) for one in sources]
    tables = []
    for number, own in enumerate((sources, changed)):
        cell = first_cell(own, tmp_path / str(number))
        adapt_across(cell.config)
        tables.append(pd.read_csv(cell.config.out / "predictions-north.csv"))
    assert not tables[0]["grade"].equals(tables[1]["grade"])
    pd.testing.assert_frame_equal(*(table.drop(columns="grade") for table in tables))


def test_sister_trap_02_a_patient_in_two_splits_is_refused(sources: list[dict], tmp_path: Path) -> None:
    def leaking(table: pd.DataFrame) -> pd.DataFrame:
        first_test = table.index[table["split"] == "test"][0]
        return table.assign(patient_id=table["patient_id"].mask(table.index == first_test, "p01"))

    path = tmp_path / "north.csv"
    leaky = leaking(read_manifest(Path(sources[0]["manifest"])))
    leaky.to_csv(path, index=False)
    changed = [sources[0] | {"manifest": str(path)}, *sources[1:]]
    with pytest.raises(UserError, match=r"patient p01 is in split test, but in row .* in split train"):
        adapt_across(first_cell(changed, tmp_path / "study").config)


def scored(path: Path, *, pictures: int) -> Path:
    """Thirty patients of three classes, each with as many equal studies."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(30):
        shares = generator.dirichlet(np.ones(3))
        for picture in range(pictures):
            keys = {"patient_id": f"p{number:02d}", "study_id": f"s{number:02d}_{picture}", "split": "test"}
            scores = {f"grade_score_{name}": share for name, share in zip("abc", shares, strict=True)}
            rows.append(keys | {"grade": "abc"[number % 3]} | scores)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_sister_trap_04_more_pictures_of_the_same_patients_narrow_no_interval(tmp_path: Path) -> None:
    one, five = (
        read_shared_scores(scored(tmp_path / f"{count}.csv", pictures=count), "grade", ("a", "b", "c"))
        for count in (1, 5)
    )
    assert len(five.codes) == 5 * len(one.codes)
    found = [resampled_shared_figures(scores, RESAMPLES, stream=0) for scores in (one, five)]
    assert found[0] == pytest.approx(found[1], abs=1e-12, nan_ok=True)


def test_other_classes_of_a_table_meet_the_same_patients_and_other_sources_do_not(tmp_path: Path) -> None:
    path = scored(tmp_path / "scores.csv", pictures=1)
    two, turned = (read_shared_scores(path, "grade", classes) for classes in (("a", "b"), ("b", "a")))
    found = resampled_shared_figures(two, RESAMPLES, stream=0)
    assert found == pytest.approx(resampled_shared_figures(turned, RESAMPLES, stream=0), nan_ok=True)
    assert not np.array_equal(found, resampled_shared_figures(two, RESAMPLES, stream=1))
