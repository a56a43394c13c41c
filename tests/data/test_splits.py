import numpy as np
import pandas as pd
import pytest

from echossl.data import LabelSubset, assign_splits, label_subset, patient_labels, split_validation
from echossl.errors import UserError


def patients_table(positives: int, negatives: int, unknown: int = 0, videos: int = 2) -> pd.DataFrame:
    labels = [1.0] * positives + [0.0] * negatives + [np.nan] * unknown
    rows = [
        {"path": f"{number}_{video}.avi", "patient_id": f"p{number:04d}", "severe_as": label}
        for number, label in enumerate(labels)
        for video in range(videos)
    ]
    return pd.DataFrame(rows)


def shuffled_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.sample(frac=1, random_state=3)


def test_trap_15_unassessed_rows_are_neither_negative_nor_counted():
    table = pd.DataFrame(
        {
            "patient_id": ["a", "a", "b", "c", "c", "d"],
            "severe_as": [0, 1, np.nan, np.nan, 0, 1],
        }
    )
    assert patient_labels(table, "severe_as").to_dict() == {"a": 1, "c": 0, "d": 1}


def test_patient_labels_refuses_what_is_no_label():
    table = patients_table(2, 2)
    with pytest.raises(UserError, match="no label column 'as'"):
        patient_labels(table, "as")
    with pytest.raises(UserError, match="severe_as holds 2"):
        patient_labels(table.assign(severe_as=2.0), "severe_as")


@pytest.mark.parametrize("stratify", [None, "severe_as"])
def test_trap_11_no_patient_on_both_sides(stratify):
    table = patients_table(40, 150, 10, videos=3)
    table["study_id"] = table["path"]
    split = assign_splits(table, {"train": 0.8, "test": 0.2}, seed=0, stratify=stratify)
    assert table.assign(split=split).groupby("patient_id")["split"].nunique().max() == 1
    assert split.index.equals(table.index)
    assert (split == "train").mean() == pytest.approx(0.8, abs=0.01)


def test_splits_are_stratified():
    table = patients_table(21, 79, 20)
    split = assign_splits(table, {"train": 0.6, "val": 0.1, "test": 0.3}, seed=5, stratify="severe_as")
    patients = table.assign(split=split).drop_duplicates("patient_id")
    for label, total in ((1, 21), (0, 79)):
        counts = patients.loc[patients["severe_as"] == label, "split"].value_counts()
        for name, share in (("train", 0.6), ("val", 0.1), ("test", 0.3)):
            assert counts[name] == pytest.approx(share * total, abs=1.5)


def test_splits_do_not_depend_on_the_order_of_rows_or_videos():
    table = patients_table(10, 40)
    shares = {"train": 0.7, "test": 0.3}
    split = assign_splits(table, shares, seed=1, stratify="severe_as")
    again = assign_splits(shuffled_rows(table), shares, seed=1, stratify="severe_as")
    pd.testing.assert_series_equal(again.sort_index(), split)
    single = table.drop_duplicates("patient_id")
    pd.testing.assert_series_equal(
        assign_splits(single, shares, seed=1, stratify="severe_as"), split.loc[single.index]
    )
    other = assign_splits(table, shares, seed=2, stratify="severe_as")
    assert (other != split).any()


def test_splits_of_text_classes():
    table = patients_table(9, 31).assign(view=lambda table: np.where(table["severe_as"] == 1, "A4C", "PLAX"))
    split = assign_splits(table, {"a": 0.5, "b": 0.5}, seed=0, stratify="view")
    counts = table.assign(split=split).drop_duplicates("patient_id").groupby(["view", "split"]).size()
    assert counts.between(4, 16).all()


def test_splits_refuse_nonsense():
    table = patients_table(2, 2)
    with pytest.raises(UserError, match="add up to 1"):
        assign_splits(table, {"train": 0.8, "test": 0.3}, seed=0, stratify=None)
    with pytest.raises(UserError, match="add up to 1"):
        assign_splits(table, {}, seed=0, stratify=None)
    with pytest.raises(UserError, match="no column 'as'"):
        assign_splits(table, {"train": 0.5, "test": 0.5}, seed=0, stratify="as")
    with pytest.raises(UserError, match=r"4 patients are too few for a share of 0\.05 in 'val'"):
        assign_splits(table, {"train": 0.95, "val": 0.05}, seed=0, stratify=None)


def subset_of(table: pd.DataFrame, fraction: float, draw: int = 0) -> LabelSubset:
    return label_subset(table, column="severe_as", fraction=fraction, draw=draw)


def test_one_percent_of_800_patients():
    subset = subset_of(patients_table(168, 632, unknown=100), 0.01)
    assert (len(subset.patients), subset.positives, subset.assessed) == (8, 2, 800)
    assert subset.patients == tuple(sorted(subset.patients))
    assert set(subset.positive_patients) | set(subset.negative_patients) == set(subset.patients)
    labels = patient_labels(patients_table(168, 632, unknown=100), "severe_as")
    assert labels[list(subset.positive_patients)].eq(1).all()
    assert labels[list(subset.negative_patients)].eq(0).all()


@pytest.mark.parametrize(("positives", "negatives"), [(2, 98), (21, 79), (50, 50), (97, 3), (168, 632)])
@pytest.mark.parametrize("draw", [0, 7])
def test_trap_14_fractions_are_nested_and_keep_the_prevalence(positives, negatives, draw):
    table = patients_table(positives, negatives, unknown=5, videos=1)
    total = positives + negatives
    before: set[str] = set()
    before_positive: set[str] = set()
    for count in range(4, total + 1, max(1, total // 40)):
        subset = subset_of(table, count / total, draw)
        assert len(subset.patients) == count
        assert before <= set(subset.patients)
        assert before_positive <= set(subset.positive_patients)
        assert subset.positives >= 2
        assert len(subset.negative_patients) >= 2
        wanted = np.clip(count * positives / total, 2, count - 2)
        assert abs(subset.positives - wanted) <= 0.5 + 1e-9
        before, before_positive = set(subset.patients), set(subset.positive_patients)
    assert len(subset_of(table, 1.0, draw).patients) == total


def test_draws_differ_and_every_patient_can_be_drawn():
    table = patients_table(20, 80, videos=1)
    drawn = [subset_of(table, 0.1, draw).patients for draw in range(80)]
    assert len(set(drawn)) == 80
    counts = pd.Series([patient for patients in drawn for patient in patients]).value_counts()
    assert len(counts) == 100
    # 80 draws of 10 %: 8 on average, standard deviation 2.7
    assert counts.max() <= 20


def test_label_subset_does_not_depend_on_the_order_of_rows_or_videos():
    table = patients_table(20, 80)
    expected = subset_of(table, 0.1)
    assert subset_of(shuffled_rows(table), 0.1) == expected
    assert subset_of(table.drop_duplicates("patient_id"), 0.1) == expected


@pytest.mark.parametrize(
    ("positives", "negatives", "fraction", "words"),
    [
        (1, 99, 0.5, "1 positive and 99 negative"),
        (99, 0, 0.5, "99 positive and 0 negative"),
        (60, 240, 0.01, "0.01 of 300 assessed patients is 3, expected at least 4; take 0.01333 or more"),
        (20, 20, 0.0, "above 0 and at most 1"),
        (20, 20, 1.5, "above 0 and at most 1"),
    ],
)
def test_label_subset_refuses_what_cannot_be(positives, negatives, fraction, words):
    with pytest.raises(UserError, match=words):
        subset_of(patients_table(positives, negatives), fraction)


def test_half_a_patient_rounds_up_whatever_the_last_bit_says():
    # 0.29 × 50 is 14.499999999999998 in floating point
    assert len(subset_of(patients_table(25, 25), 0.29).patients) == 15


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.99])
@pytest.mark.parametrize(("positives", "negatives"), [(2, 2), (2, 6), (6, 2), (21, 79)])
def test_trap_14_validation_comes_out_of_the_budget(share, positives, negatives):
    subset = subset_of(patients_table(positives, negatives), 1.0)
    train, validation = split_validation(subset, share=share, draw=0)
    assert set(train) | set(validation) == set(subset.patients)
    assert not set(train) & set(validation)
    for side in (train, validation):
        assert side == tuple(sorted(side))
        assert set(side) & set(subset.positive_patients)
        assert set(side) & set(subset.negative_patients)


def test_validation_is_stratified_and_drawn():
    subset = subset_of(patients_table(20, 60), 1.0)
    _, validation = split_validation(subset, share=0.25, draw=0)
    assert len(validation) == 20
    assert len(set(validation) & set(subset.positive_patients)) == 5
    assert split_validation(subset, share=0.25, draw=0)[1] == validation
    assert split_validation(subset, share=0.25, draw=1)[1] != validation
    with pytest.raises(UserError, match="between 0 and 1"):
        split_validation(subset, share=1.0, draw=0)
