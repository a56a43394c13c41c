import shutil

import numpy as np
import pandas as pd
import pytest

from echossl.adapt.budget import Budget, draw_budget, of_split, readable
from echossl.adapt.tasks import resolve_task
from echossl.config.adapt import LabelBudget
from echossl.data.store import ClipStore
from echossl.errors import EchosslError, UserError
from echossl.training.bad_videos import BadVideos


def _table(num_patients: int = 100) -> pd.DataFrame:
    rows = []
    for number in range(num_patients):
        for video in range(1 + number % 3):
            rows.append(
                {
                    "row": len(rows),
                    "patient_id": f"{number:03d}",
                    "study_id": f"s{number:03d}",
                    "duration_seconds": 1.0,
                    "split": "test" if number % 5 == 4 else "train",
                    "severe_as": np.nan if number % 10 == 0 else float(number % 4 == 0),
                    "video": video,
                }
            )
    return pd.DataFrame(rows)


def test_budget_is_a_share_of_the_assessed_training_patients() -> None:
    table = _table()
    budget = draw_budget(table, LabelBudget(fraction=0.2), split="train")
    assessed = table[(table["split"] == "train") & table["severe_as"].notna()]
    assert budget.assessed == assessed["patient_id"].nunique()
    chosen = set(budget.train_patients) | set(budget.validation_patients)
    assert len(chosen) == round(0.2 * budget.assessed)
    assert chosen <= set(assessed["patient_id"])
    assert set(budget.videos["patient_id"]) == chosen


def test_trap_14_validation_patients_come_out_of_the_budget() -> None:
    budget = draw_budget(_table(), LabelBudget(fraction=0.2, validation_share=0.25), split="train")
    assert not set(budget.train_patients) & set(budget.validation_patients)
    assert len(budget.validation_patients) == round(0.25 * budget.videos["patient_id"].nunique())
    for videos in (budget.training_videos, budget.validation_videos):
        assert set(videos["label"]) == {0.0, 1.0}
    both = pd.concat([budget.training_videos, budget.validation_videos])["row"]
    assert sorted(both) == sorted(budget.videos["row"])


def test_fractions_of_one_draw_are_nested_and_draws_differ() -> None:
    def patients(fraction: float, draw: int) -> set[str]:
        return set(
            draw_budget(_table(), LabelBudget(fraction=fraction, draw=draw), split="train").videos[
                "patient_id"
            ]
        )

    assert patients(0.1, 0) < patients(0.3, 0) < patients(1.0, 0)
    assert patients(0.3, 0) != patients(0.3, 1)


def test_video_that_is_not_assessed_is_no_negative() -> None:
    table = _table()
    table.loc[(table["video"] == 1), "severe_as"] = np.nan
    budget = draw_budget(table, LabelBudget(fraction=1.0), split="train")
    used = table[table["row"].isin(budget.videos["row"])]
    assert used["severe_as"].notna().all()


def test_study_is_positive_if_any_of_its_videos_is() -> None:
    table = _table()
    table.loc[(table["patient_id"] == "001") & (table["video"] == 1), "severe_as"] = 1.0
    videos = draw_budget(table, LabelBudget(fraction=1.0), split="train").videos
    assert videos.loc[videos["patient_id"] == "001", "label"].tolist() == [1.0, 1.0]


def test_two_studies_of_a_patient_keep_their_own_labels() -> None:
    table = _table()
    later = (table["patient_id"] == "002") & (table["video"] == 2)
    table.loc[later, ["study_id", "severe_as"]] = ["s002b", 1.0]
    videos = draw_budget(table, LabelBudget(fraction=1.0), split="train").videos
    own = videos[videos["patient_id"] == "002"].set_index("study_id")["label"]
    assert own["s002b"] == 1.0
    assert own["s002"].tolist() == [0.0, 0.0]


def test_every_label_that_was_used_is_written_down(tmp_path) -> None:
    budget = draw_budget(_table(), LabelBudget(fraction=0.2), split="train")
    budget.write(tmp_path / "budget.csv", resolve_task(LabelBudget()))
    written = pd.read_csv(tmp_path / "budget.csv", dtype={"patient_id": str})
    assert list(written.columns) == ["patient_id", "role", "positive"]
    roles = written.groupby("role")["patient_id"].apply(set).to_dict()
    assert roles == {"train": set(budget.train_patients), "validation": set(budget.validation_patients)}
    assert set(written.loc[written["positive"] == 1, "patient_id"]) == {
        patient for patient, code in budget.strata.items() if code
    }


def test_missing_split_column_and_unknown_split_are_clear_errors() -> None:
    with pytest.raises(UserError, match="no split column; make it with echossl index"):
        of_split(_table().drop(columns="split"), "train")
    with pytest.raises(UserError, match="no stored video in split 'validate'; found test, train"):
        of_split(_table(), "validate")


@pytest.fixture
def cut_store(toy, tmp_path) -> ClipStore:
    """The store whose last shard has lost the frames of its last video."""
    shutil.copytree(toy.store.path, tmp_path / "store")
    last = max(tmp_path.glob("store/frames-?????.bin"))
    last.write_bytes(last.read_bytes()[: -(toy.store.size**2)])
    return ClipStore.open(tmp_path / "store")


def _budget_of(table: pd.DataFrame) -> Budget:
    return Budget(table.reset_index(drop=True), tuple(sorted(set(table["patient_id"]))), (), {}, 10)


def test_labelled_videos_that_turned_bad_are_left_out_and_named(cut_store, tmp_path) -> None:
    last = len(cut_store) - 1
    table = cut_store.table.assign(row=range(len(cut_store)))
    # the patient has another video
    table.loc[last, "patient_id"] = table["patient_id"].iloc[last - 1]
    bad = BadVideos(tmp_path, num_videos=len(table), most=0.05)
    left = readable(_budget_of(table), cut_store, bad)
    assert left.videos["row"].tolist() == list(range(last))
    assert pd.read_csv(tmp_path / "bad_videos.csv")["path"].tolist() == [cut_store.paths[last]]
    with pytest.raises(EchosslError, match="1 of 50 videos cannot be read"):
        readable(_budget_of(table), cut_store, BadVideos(tmp_path / "other", num_videos=50, most=0.01))


def test_a_labelled_patient_is_never_lost_silently(cut_store, tmp_path) -> None:
    table = cut_store.table.assign(row=range(len(cut_store)))
    owner = table["patient_id"].iloc[-1]
    table = table[(table["patient_id"] != owner) | (table["row"] == len(table) - 1)]
    with pytest.raises(EchosslError, match=f"no video of the labelled patient {owner} can be read"):
        readable(_budget_of(table), cut_store, BadVideos(tmp_path, num_videos=len(table), most=0.5))
