"""The plan of a study: every cell once, the same label draws for every arm."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from echossl.config import load_config
from echossl.config.adapt import FrozenRecipe, PixelRecipe
from echossl.config.data import DataConfig
from echossl.config.objective import ContrastiveConfig
from echossl.config.probe import ProbeConfig
from echossl.config.study import ArmConfig, PretrainingConfig, StudyConfig
from echossl.errors import RunFolderError
from echossl.files import write_json
from echossl.runs import RunFolder
from echossl.study.cells import plan_cells, plan_pretrainings, pretraining_folder

EXPERIMENTS = Path(__file__).parents[2] / "experiments" / "studies"

PRETRAININGS = (
    PretrainingConfig(name="pairs", objectives=(ContrastiveConfig(),)),
    PretrainingConfig(name="unused", objectives=(ContrastiveConfig(),)),
)
ARMS = (
    ArmConfig(name="pairs", title="Pairs", start="pairs", recipe=FrozenRecipe()),
    ArmConfig(name="fresh", title="Fresh", recipe=FrozenRecipe()),
    ArmConfig(name="pixels", title="Pixels", recipe=PixelRecipe(), seeds=1),
)


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    return StudyConfig(
        data=DataConfig(manifest=tmp_path / "manifest.csv", store=tmp_path / "store"),
        out=tmp_path,
        pretrainings=PRETRAININGS,
        arms=ARMS,
        fractions=(0.01, 0.02),
        draws=3,
        seeds=2,
        first_seed=5,
    )


def test_only_what_an_arm_starts_from_is_pretrained(study: StudyConfig) -> None:
    runs = list(plan_pretrainings(study))
    assert [run.out.name for run in runs] == ["pairs-seed5", "pairs-seed6"]
    assert [run.seed for run in runs] == [5, 6]
    assert runs[0].objectives == PRETRAININGS[0].objectives


def test_every_cell_once_in_a_folder_of_its_own(study: StudyConfig) -> None:
    cells = list(plan_cells(study))
    # the pixels have one seed: 2 arms x 2 fractions x 3 draws x 2 seeds, and 2 x 3 of the pixels
    assert len(cells) == 24 + 6
    assert len({cell.config.out for cell in cells}) == len(cells)


def test_trap_14_label_draws_are_the_same_for_every_arm(study: StudyConfig) -> None:
    budgets: dict[str, set[str]] = {}
    for cell in plan_cells(study):
        budgets.setdefault(cell.arm.name, set()).add(cell.config.labels.model_dump_json())
    assert budgets["pairs"] == budgets["fresh"] == budgets["pixels"]
    assert len(budgets["pairs"]) == 6


def test_a_cell_starts_from_the_pretraining_of_its_seed(study: StudyConfig) -> None:
    for cell in plan_cells(study):
        expected = pretraining_folder(study, "pairs", cell.seed) if cell.arm.name == "pairs" else None
        assert cell.config.start == expected
        assert cell.config.seed == cell.seed


def test_every_arm_is_treated_alike(study: StudyConfig) -> None:
    """What differs between two arms is the start and the recipe, nothing else."""
    first, second = (
        next(cell.config for cell in plan_cells(study) if cell.arm.name == name)
        for name in ("pairs", "fresh")
    )
    allowed = {"out", "start", "recipe"}
    different = {name for name in type(first).model_fields if getattr(first, name) != getattr(second, name)}
    assert different <= allowed


def test_a_pretraining_may_have_settings_of_its_own(study: StudyConfig) -> None:
    own = PretrainingConfig(
        name="pairs",
        objectives=(ContrastiveConfig(),),
        start="weights.pt",
        clip={"clip_seconds": 0.2, "num_frames": 4},
        encoder={"name": "r3d_18"},
        augment={"flip": 0.5},
        optimiser={"steps": 7},
        batch_size=6,
    )
    arm = ArmConfig(
        name="pairs", title="Pairs", start="pairs", recipe=FrozenRecipe(), clip_from="settings", seeds=1
    )
    fresh = ArmConfig(name="fresh", title="Fresh", start="unused", recipe=FrozenRecipe())
    changed = study.model_validate(
        study.model_dump() | {"pretrainings": (own, PRETRAININGS[1]), "arms": (arm, fresh)}
    )
    runs = {run.out.name: run for run in plan_pretrainings(changed)}
    for name in ("clip", "encoder", "augment", "optimiser", "batch_size", "start"):
        assert getattr(runs["pairs-seed5"], name) == getattr(own, name)
        if name != "start":
            assert getattr(runs["unused-seed5"], name) == getattr(study, name)
    assert runs["unused-seed5"].start == "random"
    cells = {cell.arm.name: cell.config for cell in plan_cells(changed)}
    assert (cells["pairs"].clip_from, cells["fresh"].clip_from) == ("settings", "start")
    assert cells["pairs"].clip == study.clip


def test_clips_from_the_settings_without_effect_are_refused(study: StudyConfig) -> None:
    for start in ("pairs", "random"):
        arm = ArmConfig(name="a", title="A", start=start, recipe=FrozenRecipe(), clip_from="settings")
        with pytest.raises(ValidationError, match="clip_from of arm a has no effect"):
            study.model_validate(study.model_dump() | {"arms": (arm,)})


def test_pretrainings_that_share_a_name_are_refused(study: StudyConfig) -> None:
    twice = (PRETRAININGS[0], PRETRAININGS[0])
    with pytest.raises(ValidationError, match="pretrainings share a name: pairs, pairs"):
        study.model_validate(study.model_dump() | {"pretrainings": twice})


def test_runs_of_an_older_version_are_accepted(study: StudyConfig) -> None:
    """Their record lacks the settings that did not exist yet."""
    run = next(iter(plan_pretrainings(study)))
    recorded = run.model_dump(mode="json")
    del recorded["start"]
    write_json(run.out / "run.json", {"config": recorded})
    assert RunFolder.open(run.out, run, command="pretrain").path == run.out
    other = run.model_copy(update={"start": "weights.pt"})
    with pytest.raises(RunFolderError, match="start: 'random' there"):
        RunFolder.open(run.out, other, command="pretrain")


@pytest.mark.parametrize("view", ["valve", "sector"])
def test_the_study_of_objectives_treats_all_alike(view: str) -> None:
    study = load_config(StudyConfig, EXPERIMENTS / f"objectives_{view}.yaml")
    runs = list(plan_pretrainings(study))
    assert len({run.optimiser.steps for run in runs}) == 1
    assert len({run.batch_size for run in runs}) == 1
    assert {arm.start for arm in study.arms} == {one.name for one in study.pretrainings} | {"random"}
    for one in study.pretrainings:
        recipes = sorted(arm.recipe.name for arm in study.arms if arm.start == one.name)
        assert recipes in (["frozen"], ["frozen", "full"])
    # those are probed that were pre-trained
    probe = load_config(ProbeConfig, EXPERIMENTS / f"probe_{view}.yaml")
    names = [arm.start.removesuffix("-seed{seed}") for arm in probe.arms]
    assert names == [*(one.name for one in study.pretrainings), "random", "pixels"]
    assert probe.folder == study.out / "pretrain"
