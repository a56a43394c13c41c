"""Which videos the monitors look at, and what is refused before anything is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from test_monitoring import config

from echossl.config.data import DataConfig
from echossl.config.monitors import MonitorConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.training.monitors.videos import choose_videos, evenly
from echossl.training.pretrain import pretrain

NO_EFFECT = [
    ({"column": "severe_as"}, "every is 0, so column would do nothing"),
    ({"every": 2, "fit_split": "val"}, "fit_split does nothing without labels"),
    ({"every": 2, "keep_best": "effective_rank", "split": "test"}, "test split; set split"),
    (
        {"every": 2, "column": "severe_as", "keep_best": "knn_auroc", "fit_split": "test"},
        "test split; set fit_split",
    ),
]


@pytest.mark.parametrize(("monitor", "message"), NO_EFFECT)
def test_settings_without_effect_are_refused(monitor: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MonitorConfig.model_validate(monitor)


FAULTS = [
    (
        {"every": 1, "split": "valid"},
        r"monitor.split: no video of split 'valid', .* has the splits 'train', 'val'",
    ),
    ({"every": 1, "column": "severe_as", "fit_split": "fit"}, r"monitor.fit_split: no video of split 'fit'"),
    ({"every": 1, "column": "severe"}, r"monitor.column: manifest: no label column 'severe'"),
    (
        {"every": 1, "column": "as_grade"},
        r"monitor.column: .*as_grade is ordinal, not binary; kNN and probe need",
    ),
    ({"every": 1, "column": "path"}, r"monitor.column: manifest: row 2: path is .*, expected 0, 1 or empty"),
    ({"every": 1, "leak_columns": ["scanner"]}, r"monitor.leak_columns: .* has no column 'scanner'"),
    ({"every": 1, "leak_columns": ["patient_id"]}, r"patient_id has 0 values with 5 or more patients"),
    ({"every": 1, "keep_best": "auroc"}, r"keep_best: found 'auroc', .* take one of effective_rank"),
    ({"every": 1, "keep_best": "knn_auroc"}, r"keep_best: found 'knn_auroc', .*; set monitor.column"),
    (
        {"every": 1, "column": "severe_as", "fit_split": "val"},
        r"severe_as has 2 positive and 3 negative patients .* expected 5 of each",
    ),
]


@pytest.mark.parametrize(("monitor", "message"), FAULTS)
def test_faults_are_found_before_anything_is_written(
    labelled: DataConfig, tmp_path: Path, monitor: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        pretrain(config(labelled, tmp_path / "run", monitor))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_manifest_without_splits_is_told_of(labelled: DataConfig, tmp_path: Path) -> None:
    table = read_manifest(labelled.manifest).drop(columns="split")
    write_manifest(table, tmp_path / "manifest.csv")
    data = DataConfig(manifest=tmp_path / "manifest.csv", store=labelled.store)
    with pytest.raises(UserError, match=r"monitor.split: no video of split 'val', .* has no splits"):
        pretrain(config(data, tmp_path / "run", {"every": 1}))


def test_few_patients_and_videos_are_the_same_each_time_and_keep_the_classes(labelled: DataConfig) -> None:
    store = ClipStore.open(labelled.store)
    settings = MonitorConfig(every=1, column="severe_as", most_patients=3, videos_per_patient=1)
    videos = choose_videos(settings, labelled.manifest, store)
    assert videos.equals(choose_videos(settings, labelled.manifest, store))
    assert set(videos["split"]) == {"train", "val"}
    for _, part in videos.groupby("split"):
        assert part["patient_id"].nunique() == len(part) == 3
        assert {0, 1} <= set(part["label"])
    assert store.paths[videos["row"].to_numpy()].tolist() == videos["path"].tolist()
    everything = choose_videos(MonitorConfig(every=1), labelled.manifest, store)
    assert sorted(set(everything["patient_id"])) == [f"p{number}" for number in range(4, 10)]
    assert len(everything) == 12
    assert set(everything["label"]) == {-1}


@pytest.mark.parametrize(("count", "most"), [(1, 1), (5, 9), (10, 3), (1000, 7)])
def test_spread_is_even_from_first_to_last(count: int, most: int) -> None:
    picked = evenly(count, most)
    assert len(picked) == min(count, most)
    assert picked[0] == 0
    assert len(picked) == 1 or picked[-1] == count - 1
    steps = np.diff(picked)
    assert not len(steps) or steps.max() - steps.min() <= 1
