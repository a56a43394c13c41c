"""The plan of a study: every cell once, the same label draws for every arm."""

from pathlib import Path

import pytest

from echossl.config.adapt import FrozenRecipe, PixelRecipe
from echossl.config.data import DataConfig
from echossl.config.objective import ContrastiveConfig
from echossl.config.study import ArmConfig, PretrainingConfig, StudyConfig
from echossl.study.cells import plan_cells, plan_pretrainings, pretraining_folder

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
