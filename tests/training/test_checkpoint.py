import logging
import resource
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from echossl.config.training import OptimiserConfig
from echossl.errors import EchosslError
from echossl.training.checkpoint import Checkpoints
from echossl.training.optimiser import build_optimiser


def network(seed: int) -> tuple[nn.Module, torch.optim.AdamW]:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(4 * 8, 2))
    module = module.to(memory_format=torch.channels_last_3d)
    return module, build_optimiser(module, OptimiserConfig())


def advance(module: nn.Module, optimiser: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        clips = torch.rand(4, 1, 4, 4, 4, generator=torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        module(clips).square().sum().backward()
        optimiser.step()


def states(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_trap_23_going_on_equals_never_having_stopped(tmp_path: Path) -> None:
    whole, whole_optimiser = network(0)
    advance(whole, whole_optimiser, range(10))
    first, first_optimiser = network(0)
    advance(first, first_optimiser, range(6))
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(6, first, first_optimiser)
    second, second_optimiser = network(99)
    assert checkpoints.restore(second, second_optimiser) == 6
    advance(second, second_optimiser, range(6, 10))
    expected, found = states(whole), states(second)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_nothing_saved_is_step_0_and_changes_nothing(tmp_path: Path) -> None:
    module, optimiser = network(0)
    before = states(module)
    assert Checkpoints(tmp_path / "none", keep=2).restore(module, optimiser) == 0
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    module, optimiser = network(0)
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (5, 100, 20, 1000):
        checkpoints.save(step, module, optimiser)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in checkpoints.paths] == ["step_000000100.pt", "step_000001000.pt"]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """One wrong byte in the weights: still a file that torch.load reads."""
    content = path.read_bytes()
    weights = torch.load(path, weights_only=True)["module"]["3.weight"].numpy().tobytes()
    assert content.count(weights) == 1
    path.write_bytes(content.replace(weights, b"\x01" + weights[1:]))


def another_file(path: Path) -> None:
    path.write_text("not a checkpoint")


@pytest.mark.parametrize("damage", [cut_short, emptied, flipped, another_file])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_used(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    module, optimiser = network(0)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(5, module, optimiser)
    before = states(module)
    advance(module, optimiser, range(3))
    checkpoints.save(8, module, optimiser)
    damage(tmp_path / "step_000000008.pt")
    again, again_optimiser = network(1)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.restore(again, again_optimiser) == 5
    assert "step_000000008.pt: damaged" in caplog.text
    assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())


def test_trap_23_all_damaged_is_an_error_and_no_fresh_start(tmp_path: Path) -> None:
    module, optimiser = network(0)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(5, module, optimiser)
    cut_short(tmp_path / "step_000000005.pt")
    with pytest.raises(EchosslError, match="every checkpoint is damaged"):
        checkpoints.restore(module, optimiser)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("bomb"),)


def test_trap_32_a_pickle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({"step": 3, "module": Bomb()}, folder / "step_000000003.pt")
    with pytest.raises(EchosslError, match="damaged"):
        Checkpoints(folder, keep=2).restore(*network(0))
    assert not (tmp_path / "bomb").exists()


def test_a_killed_save_leaves_the_last_whole_one_and_is_cleaned_up(tmp_path: Path) -> None:
    module, optimiser = network(0)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(5, module, optimiser)
    (tmp_path / ".step_000000010.x7.pt").write_bytes(b"half")
    assert checkpoints.restore(module, optimiser) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000005.pt"]


def test_a_full_disk_is_said_in_one_line_and_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    module, optimiser = network(0)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(5, module, optimiser)
    before = states(module)
    advance(module, optimiser, range(3))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # no file may grow beyond
    try:
        with pytest.raises(EchosslError, match=r"step_000000008\.pt: cannot be written \(.*") as caught:
            checkpoints.save(8, module, optimiser)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "the newest whole checkpoint is step_000000005.pt" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000005.pt"]
    assert checkpoints.restore(module, optimiser) == 5
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
