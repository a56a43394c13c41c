"""Columns of a manifest reach the studies or videos they belong to; what differs is refused or said."""

import numpy as np
import pandas as pd
import pytest

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.spoken import as_text, result_rows, write_answers
from echossl.evaluation.tables import TableColumns, read_manifest_table, read_table

ROWS = 48
CONFIG = EvaluationConfig(resamples=100)
SEX = CONFIG.model_copy(update={"subgroups": ("sex",)})


def _videos(folder) -> pd.DataFrame:
    """Two videos of a study, two studies of a patient; labels, velocity and sex of each video."""
    rows = np.arange(ROWS)
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"patient_id": rows // 4, "study_id": rows // 2})
    table["path"] = [str(folder / "videos" / f"{row}.avi") for row in rows]
    table["split"], table["ill"] = "test", generator.permutation(rows % 2) * (rows // 8 % 2)
    table["ill_score"] = table["ill"] + generator.normal(size=ROWS)
    table["sex"] = np.where(rows // 4 % 2, "F", "M")
    table["peak_velocity_m_per_s"] = generator.uniform(1, 5, ROWS).round(2)
    return table


@pytest.fixture
def both(tmp_path):
    """predictions.csv of videos with absolute paths, manifest.csv with paths from its folder."""
    table = _videos(tmp_path)
    keys = ["patient_id", "study_id", "path"]
    table[[*keys, "split", "ill", "ill_score"]].to_csv(tmp_path / "predictions.csv", index=False)
    manifest = table[[*keys, "sex", "peak_velocity_m_per_s"]]
    manifest = manifest.assign(path=[f"videos/{row}.avi" for row in range(ROWS)])
    manifest.sample(frac=1, random_state=0).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path, table


def test_videos_are_found_by_their_path(both) -> None:
    folder, table = both
    manifest = read_manifest_table(folder / "manifest.csv")
    (found,) = evaluate_file(folder / "predictions.csv", SEX, manifest=manifest)
    assert found.unit == "videos"
    (one,) = found.correlations
    assert one.values == tuple(table["peak_velocity_m_per_s"])
    assert {group.group: group.studies for group in found.subgroups} == {"F": ROWS // 2, "M": ROWS // 2}
    same = manifest.assign(path=table["path"].iloc[0], patient_id="0")
    with pytest.raises(UserError, match="column sex: rows of one video have"):
        evaluate_file(folder / "predictions.csv", SEX, manifest=same)
    with pytest.raises(UserError, match="none of its videos is in the manifest; patient_id and path of both"):
        evaluate_file(folder / "predictions.csv", SEX, manifest=manifest.assign(path="x.avi"))
    with pytest.raises(UserError, match="its rows are videos, but the manifest has no column path"):
        evaluate_file(folder / "predictions.csv", SEX, manifest=manifest.drop(columns="path"))


def test_a_column_of_the_predictions_joins_a_manifest_of_videos(both) -> None:
    folder, _ = both
    predictions = pd.read_csv(folder / "predictions.csv").assign(vendor=np.arange(ROWS) % 3)
    predictions.to_csv(folder / "predictions.csv", index=False)
    config = CONFIG.model_copy(update={"subgroups": ("sex", "vendor")})
    manifest = read_manifest_table(folder / "manifest.csv")
    (found,) = evaluate_file(folder / "predictions.csv", config, manifest=manifest)
    vendors = [group.studies for group in found.subgroups if group.column == "vendor"]
    assert vendors == [ROWS // 3] * 3


def test_rows_of_parts_have_their_own_counts(both) -> None:
    folder, _ = both
    manifest = read_manifest_table(folder / "manifest.csv")
    unknown = manifest["patient_id"].isin(["0", "1"])
    manifest["peak_velocity_m_per_s"] = manifest["peak_velocity_m_per_s"].where(~unknown, "")
    answers = evaluate_file(folder / "predictions.csv", SEX, manifest=manifest)
    rows = {row.metric: row for row in result_rows(answers)}
    assert rows["auroc"].num_patients == 12
    assert rows["auroc"].num_positive == answers[0].counts.positive_patients
    for metric, patients in (("auroc[sex=F]", 6), ("spearman_peak_velocity_m_per_s", 10)):
        assert (rows[metric].num_patients, rows[metric].num_positive) == (patients, None)
    results, *_ = write_answers(answers, folder / "out")
    written = pd.read_csv(results).set_index("metric")
    assert written.loc["auroc[sex=F]", "num_patients"] == 6
    assert np.isnan(written.loc["auroc[sex=F]", "num_positive"])


def _by_study(folder) -> pd.DataFrame:
    table = pd.read_csv(folder / "predictions.csv").drop(columns="path").drop_duplicates("study_id")
    table.to_csv(folder / "studies.csv", index=False)
    return table


def test_columns_that_nobody_asked_for_stop_nothing(both) -> None:
    folder, _ = both
    _by_study(folder)
    manifest = read_manifest_table(folder / "manifest.csv")
    grades = np.where(np.arange(ROWS) % 2, "mild", "severe")
    manifest = manifest.assign(as_grade=grades, discordant=np.arange(ROWS) % 3 % 2, valve_area_cm2="wide")
    (found,) = evaluate_file(folder / "studies.csv", CONFIG, manifest=manifest)
    assert found.correlations == ()
    assert found.grades is None
    assert found.subgroups == ()
    assert found.missing["grades"].startswith("column as_grade: videos of one study have")
    assert "column peak_velocity_m_per_s: videos of one study" in found.missing["correlations"]
    assert "column valve_area_cm2: holds what is no number" in found.missing["correlations"]
    assert found.missing["subgroups"].startswith("column discordant: videos of one study")
    assert "no scores by grade: column as_grade: videos" in as_text(found)
    for asked in ({"grades": "as_grade"}, {"correlate": ("peak_velocity_m_per_s",)}):
        config = CONFIG.model_copy(update=asked)
        with pytest.raises(UserError, match="videos of one study have"):
            evaluate_file(folder / "studies.csv", config, manifest=manifest)


def test_strata_are_kept_in_correlations(both) -> None:
    folder, _ = both
    config = CONFIG.model_copy(update={"stratified": True})
    manifest = read_manifest_table(folder / "manifest.csv")
    found, plain = (
        evaluate_file(folder / "predictions.csv", settings, manifest=manifest)[0].correlations[0]
        for settings in (config, CONFIG)
    )
    assert found.spearman.value == plain.spearman.value
    assert found.spearman.low != plain.spearman.low


def test_a_parquet_manifest_is_read_as_its_csv(both) -> None:
    pytest.importorskip("pyarrow")
    folder, _ = both
    manifest = pd.read_csv(folder / "manifest.csv").assign(marked=1.0, half=np.float64(0.5))
    manifest.loc[0, "marked"] = np.nan
    manifest.to_parquet(folder / "manifest.parquet")
    found = read_manifest_table(folder / "manifest.parquet")
    pd.testing.assert_frame_equal(
        found.drop(columns=["marked", "half"]).reset_index(drop=True),
        read_manifest_table(folder / "manifest.csv"),
    )
    assert set(found["marked"]) == {"", "1"}
    assert set(found["half"]) == {"0.5"}
    (folder / "bad.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match=r"bad.parquet: not a Parquet file"):
        read_manifest_table(folder / "bad.parquet")


def test_words_without_an_effect(both) -> None:
    folder, _ = both
    with pytest.raises(UserError, match="its rows are videos, as its column path says, so --study study_id"):
        read_table(folder / "predictions.csv", TableColumns(study="study_id"))
    _by_study(folder).drop_duplicates("patient_id").to_csv(folder / "patients.csv", index=False)
    config = CONFIG.model_copy(update={"proportions": "wilson", "prevalence": 0.1})
    (found,) = evaluate_file(folder / "patients.csv", config)
    assert found.missing["points"].endswith("no effect of prevalence=0.1, proportions=wilson")
    none = config.model_copy(update={"operating_points": (), "validation_split": "test"})
    (found,) = evaluate_file(folder / "patients.csv", none)
    assert "without them no effect of" in found.missing["points"]
