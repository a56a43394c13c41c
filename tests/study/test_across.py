"""Studies of several sources: which runs there are, what they may open, and every figure of the table."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn import metrics
from small_sources import CLASSES, RECIPE, TRAIN, settings, study_of
from small_study import stamps

from echossl.config.data import FusionConfig
from echossl.config.recipes import FullRecipe
from echossl.config.report import ReportConfig
from echossl.config.study import StudyConfig
from echossl.errors import RunFolderError, UserError
from echossl.evaluation.shared_classes import SHARED_FIGURES, penalty_index
from echossl.study import run_study
from echossl.study.across_pooled import collect_pairs
from echossl.study.across_run import adapt_across
from echossl.study.across_summary import summary_text
from echossl.study.cells import cell_name, plan_cells, plan_pretrainings
from echossl.study.folder_page import folder_page
from echossl.study.places import places
from echossl.study.sweep import plan_text, write_table
from echossl.study.tasks import do_task, plan_tasks

PLAIN = {"name": "plain", "title": "Plain", "recipe": RECIPE}


@pytest.fixture(scope="module")
def finished(sources: list[dict], tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    config = study_of(sources, tmp_path_factory.mktemp("finished") / "study")
    for task in plan_tasks(config):
        do_task(task)
    write_table(config)
    return config


@pytest.fixture(scope="module")
def table(finished: StudyConfig) -> pd.DataFrame:
    return pd.read_csv(finished.out / "results.csv", keep_default_na=False)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Every path that is opened, or given to a file that was written, while the test runs, in order."""
    paths: list[str] = []
    is_on = [True]

    def note(event: str, arguments: tuple) -> None:
        place = {"open": 0, "os.rename": 1}.get(event)
        if is_on[0] and place is not None and isinstance(arguments[place], str | os.PathLike):
            paths.append(os.fspath(arguments[place]))

    sys.addaudithook(note)  # it stays for good, and listens until the test ends
    yield paths
    is_on[0] = False


def test_every_meaning_of_the_axes_is_a_set_of_sources(sources: list[dict], tmp_path: Path) -> None:
    config = study_of(sources, tmp_path)
    found = {
        (arm.name, place.name): tuple(
            "+".join(one.name for one in group) for group in (place.pretrained, place.adapted, place.tested)
        )
        for arm in config.arms
        for place in places(config, arm)
    }
    assert len(found) == 6 + 3 + 3 + 3
    assert found["fused", "north_for_south"] == ("north+west", "north", "south")
    assert found["own", "south"] == ("south", "south", "north+south+west")
    assert found["absent", "without_south"] == ("north+west", "north+west", "south")
    assert found["unlabelled", "without_south"] == ("north+south+west", "north+west", "south")
    trainings = {one.out.name: one for one in plan_pretrainings(config)}
    assert len(trainings) == 3 + 3 + 3 + 1
    fused = trainings["own-north+west-seed0"]
    assert (fused.fusion.name, fused.fusion.sampling) == ("north", "uniform")
    assert [one.name for one in fused.fusion.sources] == ["west"]
    assert trainings["own-west-seed0"].fusion == FusionConfig()
    assert str(trainings["own-west-seed0"].data.manifest) == sources[2]["manifest"]
    assert "cells:         15, 0 finished" in plan_text(config)


def test_loso_never_opens_the_held_out_source_before_the_classifier_is_done(
    sources: list[dict], tmp_path: Path, opened: list[str]
) -> None:
    config = study_of(sources, tmp_path / "study")
    tasks = {task.name: task for task in plan_tasks(config)}
    cell = tasks["absent/without_south/fraction0.5-draw0-seed0"]
    assert cell.needs == "own-north+west-seed0"
    do_task(tasks[cell.needs])
    do_task(cell)
    folders = {source["name"]: str(Path(source["manifest"]).parent) for source in sources}
    opens = {
        name: [place for place, path in enumerate(opened) if path.startswith(f"{folder}/")]
        for name, folder in folders.items()
    }
    written = [
        place for place, path in enumerate(opened) if path == str(cell.config.out / "model.safetensors")
    ]
    assert opens["north"]
    assert opens["west"]
    assert min(opens["south"]) > max(written)
    assert max(opens["north"]) < min(written)
    opened.clear()
    # the other meaning, and proof that the watch sees what it is to see
    do_task(tasks["all-north+south+west-seed0"])
    assert any(path.startswith(folders["south"] + "/store") for path in opened)


def test_a_tested_source_may_not_even_exist_while_others_learn(sources: list[dict], tmp_path: Path) -> None:
    changed = [*sources[:2], sources[2] | {"store": "nowhere", "manifest": "nowhere"}]
    config = study_of(changed, tmp_path / "study")
    tasks = {task.name: task for task in plan_tasks(config)}
    cell = tasks["absent/without_west/fraction0.5-draw0-seed0"]
    assert do_task(tasks[str(cell.needs)]).is_file()
    with pytest.raises(UserError, match="nowhere"):
        do_task(cell)
    assert (cell.config.out / "model.safetensors").is_file()
    assert not cell.is_finished
    # the whole study says so before anything is begun
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        run_study(config)


def test_a_row_for_each_cell_and_figure_that_scikit_learn_finds_too(
    finished: StudyConfig, table: pd.DataFrame
) -> None:
    cells = table[(table["draw"] != "all")]
    pairs = 6 + 9 + 3 + 3
    assert len(cells) == pairs * len(SHARED_FIGURES)
    for row in cells.itertuples():
        plan = next(
            cell
            for cell in plan_cells(finished)
            if cell.arm.name == row.arm
            and cell.place
            and "+".join(one.name for one in cell.place.adapted) == row.adapted_on
            and row.tested_on in [one.name for one in cell.place.tested]
        )
        scores = pd.read_csv(plan.config.out / f"predictions-{row.tested_on}.csv", keep_default_na=False)
        assert row.value == pytest.approx(slow_figure(scores, row.classes.split("|"), row.metric), abs=1e-5)
        assert float(row.low) <= row.value <= float(row.high)


def slow_figure(scores: pd.DataFrame, classes: list[str], metric: str) -> float:
    scores = scores[scores["grade"].isin(classes)]
    shares = scores[[f"grade_score_{name}" for name in classes]].to_numpy()
    shares = shares / shares.sum(axis=1, keepdims=True)
    truth = scores["grade"].map(classes.index).to_numpy()
    one_hot, called = truth[:, None] == np.arange(len(classes)), shares.argmax(axis=1)
    if metric == "auroc":
        return float(metrics.roc_auc_score(one_hot, shares, average="macro"))
    if metric == "auprc":
        return float(metrics.average_precision_score(one_hot, shares, average="macro"))
    if metric == "f1":
        return float(metrics.f1_score(truth, called, average="macro"))
    return float(metrics.balanced_accuracy_score(truth, called))


def test_means_penalties_and_differences_follow_from_the_cells(table: pd.DataFrame) -> None:
    cells = table[table["draw"] != "all"].query("metric == 'auroc'")
    pooled = table[table["draw"] == "all"]
    unseen = cells[cells["adapted_on"] != cells["tested_on"]].groupby("arm")["value"].mean()
    means = pooled.query("metric == 'auroc' and tested_on == 'unseen'").set_index("arm")["value"]
    for arm in ("fused", "own", "absent", "unlabelled"):
        assert means[arm] == pytest.approx(unseen[arm], abs=1e-5)
    # who is adapted to each source is compared with the first of those, all but one with the first of these
    for first, other in (("fused", "own"), ("absent", "unlabelled")):
        assert means[f"{first} - {other}"] == pytest.approx(unseen[first] - unseen[other], abs=1e-5)
    row = cells.query("arm == 'own' and adapted_on == 'south'")["value"]
    found = pooled.query("arm == 'own' and metric == 'auroc_penalty' and adapted_on == 'south'")["value"]
    assert found.tolist() == pytest.approx([float(penalty_index(row.to_numpy()))], abs=1e-3)
    adjusted = pooled[pooled["metric"] == "auroc_p_value_holm"]["value"]
    raw = pooled[pooled["metric"] == "auroc_p_value"]["value"]
    smaller, larger = sorted(raw)
    assert sorted(adjusted) == pytest.approx(
        [min(1, 2 * smaller), min(1, max(2 * smaller, larger))], abs=1e-5
    )


def test_the_summary_says_what_is_held_out(finished: StudyConfig) -> None:
    results = collect_pairs(finished)
    assert "recipes are fixed, nothing is chosen" in summary_text(finished, results)
    chosen = finished.arms[0].model_copy(update={"recipe": FullRecipe(steps=2, evaluate_every=1)})
    other = finished.model_copy(update={"arms": (chosen, *finished.arms[1:])})
    assert "25% are held out to choose settings on" in summary_text(other, results)


def test_only_shared_classes_are_compared(table: pd.DataFrame) -> None:
    found = table[table["draw"] != "all"].groupby(["adapted_on", "tested_on"])["classes"].first()
    assert found["north", "north"] == "none|mild|severe"
    assert found["north", "west"] == found["south", "west"] == "none|severe"
    assert found["north+south", "west"] == "none|severe"
    assert found["west", "west"] == "none|severe|other"


def test_sister_trap_03_the_order_of_a_sources_classes_changes_nothing(
    sources: list[dict], tmp_path: Path
) -> None:
    tables = []
    for number, turned in enumerate((False, True)):
        own = [one | {"assessed": one["assessed"][:: -1 if turned else 1]} for one in sources]
        arm = PLAIN | {"adapt_on": "all_but_one"}
        config = study_of(own, tmp_path / str(number), arms=[arm])
        cell = next(plan_cells(config))
        adapt_across(cell.config)
        tables.append(pd.read_csv(cell.config.out / "predictions-north.csv"))
    pd.testing.assert_frame_equal(*tables)
    # no source that was learned from assesses it: its logit is where it began
    assert np.log(tables[0]["grade_score_mild"]).std() > 0
    without_mild = [one | {"assessed": ["none", "severe"]} for one in sources]
    cells = {
        cell_name(config, cell): cell for cell in plan_cells(study_of(without_mild, config.out, arms=[arm]))
    }
    with pytest.raises(UserError, match=r"grade is 'mild' in \d+ rows of a source .* assess none, severe"):
        adapt_across(cells["plain/without_south/fraction0.5-draw0-seed0"].config)


def test_each_source_gives_the_same_share_as_if_it_were_alone(finished: StudyConfig) -> None:
    alone = finished.out / "cells/own/west/fraction0.5-draw0-seed0/budget.csv"
    among = finished.out / "cells/absent/without_north/fraction0.5-draw0-seed0/budget.csv"
    one, several = pd.read_csv(alone), pd.read_csv(among)
    assert several["patient_id"].str.startswith(("south:", "west:")).all()
    own = several[several["patient_id"].str.startswith("west:")].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, one.reset_index(drop=True))
    assert len(one) == round(0.5 * (TRAIN - 1) + 1e-9)


def test_what_is_finished_is_not_done_again(finished: StudyConfig) -> None:
    before = stamps(finished.out)
    assert run_study(finished) == []
    assert stamps(finished.out) == before
    cell = next(plan_cells(finished))
    other = finished.model_copy(update={"classes": (*CLASSES, "more")})
    with pytest.raises(RunFolderError, match=r"labels.classes"):
        run_study(other)
    assert cell_name(finished, cell) == "fused/north_for_south/fraction0.5-draw0-seed0"


def test_the_page_of_a_study_of_one_source_refuses_it(finished: StudyConfig) -> None:
    with pytest.raises(UserError, match=r"results.csv: of a study of several sources.*summary.md"):
        folder_page(finished.out, ReportConfig())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": 1}, "found one, expected two or more"),
        ({"data": {"manifest": "m", "store": "s"}}, "data has no effect beside sources"),
        ({"question": "grade_at_least_mild"}, "question and wandb have no effect"),
        (
            {"arms": [PLAIN | {"recipe": {"name": "pixels"}}]},
            "pixels leaves no classifier",
        ),
        (
            {"arms": [PLAIN | {"start": "own", "encoder": {"name": "resnet50"}}]},
            "encoder of arm plain has no",
        ),
        (
            {"sources": 0, "data": {"manifest": "m", "store": "s"}},
            "sources of pretraining fused has no effect without several sources",
        ),
    ],
)
def test_settings_without_effect_are_refused(
    changes: dict, words: str, sources: list[dict], tmp_path: Path
) -> None:
    content = settings(sources, tmp_path) | changes
    content |= {"sources": sources[: changes["sources"]]} if "sources" in changes else {}
    with pytest.raises(ValidationError, match=words):
        StudyConfig.model_validate(content)


def test_classes_that_do_not_fit_are_refused(
    sources: list[dict], tmp_path: Path, finished: StudyConfig
) -> None:
    few = [sources[0] | {"assessed": ["none", "mild"]}, *sources[1:]]
    with pytest.raises(UserError, match="north and south have 1 assessed classes in common"):
        run_study(study_of(few, tmp_path / "a"))
    with pytest.raises(UserError, match="assessed of source west: 'other' is none of the classes none, mild"):
        run_study(study_of(sources, tmp_path / "b", classes=CLASSES[:3]))
    with pytest.raises(UserError, match="grade is not the name of a class map; give its classes"):
        run_study(study_of(sources, tmp_path / "c", classes=[]))
