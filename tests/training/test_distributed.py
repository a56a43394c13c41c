"""Two processes compute what one does: loss, gradient, statistics, figures and weights."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import echossl
from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.training.distributed import average_gradients, collected, largest, share_batch_norm

PROGRAM = Path(__file__).with_name("ranks.py")


def run(num_ranks: int, *words: str) -> list[str]:
    """What each process says on standard output."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(num_ranks),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::FutureWarning,error::DeprecationWarning",  # what torch will drop
    }
    processes = [
        subprocess.Popen(
            [sys.executable, PROGRAM, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | place | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(num_ranks)
    ]
    end = time.monotonic() + 300
    while None in [process.poll() for process in processes]:
        if any(process.returncode for process in processes) or time.monotonic() > end:
            for process in processes:
                process.kill()  # what waits for another that has failed
        time.sleep(0.1)
    texts = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * num_ranks, texts
    return [said for said, _ in texts]


def write_config(store: DataConfig, out: Path) -> Path:
    config = PretrainConfig.model_validate(
        {
            "data": store,
            "out": out,
            "clip": {"num_frames": 4},
            "encoder": {"name": "compact3d", "width": 4},
            "augment": {"noise": 0.05},
            "optimiser": {"steps": 6, "warmup_steps": 2},
            "batch_size": 4,
            "checkpoint_every": 4,
            "log_every": 1,
            "hardware": {"device": "cpu", "precision": "fp32"},
        }
    )
    path = out.with_suffix(".json")
    path.write_text(config.model_dump_json())
    return path


@pytest.fixture(scope="module")
def folder(store: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process and of two; each also makes a whole run."""
    folder = tmp_path_factory.mktemp("ranks")
    for num_ranks in (1, 2):
        path = write_config(store, folder / f"run{num_ranks}")
        said = run(num_ranks, "gradients", str(folder), str(path))
        path.with_suffix(".said").write_text(json.dumps(said))
    return folder


def test_trap_22_loss_and_gradient_are_those_of_one_process(folder: Path) -> None:
    one = torch.load(folder / "1_0.pt", weights_only=True)
    for rank in range(2):
        two = torch.load(folder / f"2_{rank}.pt", weights_only=True)
        assert two.keys() == one.keys()
        torch.testing.assert_close(two["loss"], one["loss"], rtol=1e-6, atol=1e-6)
        flat = [
            torch.cat([value.flatten().double() for name, value in found.items() if name.startswith("grad")])
            for found in (one, two)
        ]
        assert torch.cosine_similarity(*flat, dim=0).item() == pytest.approx(1, abs=1e-6)
        assert (flat[1].norm() / flat[0].norm()).item() == pytest.approx(1, abs=1e-5)


def test_trap_22_the_cached_gradient_is_that_of_one_process_at_once(folder: Path) -> None:
    one = torch.load(folder / "cached_1_0.pt", weights_only=True)
    for rank in range(2):
        two = torch.load(folder / f"cached_2_{rank}.pt", weights_only=True)
        assert two.keys() == one.keys()
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("name", ["moco", "vicreg"])
def test_every_objective_of_the_whole_batch_is_that_of_one_process(folder: Path, name: str) -> None:
    """Loss, metrics, gradient, statistics, the queue and whose keys it holds, after a step and an update."""
    one = torch.load(folder / f"{name}_1_0.pt", weights_only=True)
    for rank in range(2):
        two = torch.load(folder / f"{name}_2_{rank}.pt", weights_only=True)
        assert two.keys() == one.keys()
        for key, value in one.items():
            if not key.startswith("grad"):
                torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5, msg=key)
        flat = [
            torch.cat([value.flatten().double() for key, value in found.items() if key.startswith("grad")])
            for found in (one, two)
        ]
        assert flat[0].norm() > 0.1
        assert (flat[1] - flat[0]).norm() < 1e-4 * flat[0].norm()
    if name == "moco":
        assert one["metric moco/queue_filled"] == pytest.approx(8 / 12)
        assert one["buffer objective.parts.moco.queue.patients"][:8].tolist() == [0, 1, 2, 3, 0, 5, 6, 3]


def test_running_statistics_are_those_of_one_process(folder: Path) -> None:
    one, two = (torch.load(folder / name, weights_only=True) for name in ("1_0.pt", "2_1.pt"))
    for name in one:
        if name.startswith("buffer"):
            torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-6)


def test_a_run_of_two_processes_logs_the_figures_of_one(folder: Path) -> None:
    one, two = (
        [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("run1", "run2")
    )
    assert [line.keys() for line in one] == [line.keys() for line in two]
    assert [line["step"] for line in two] == [1, 2, 3, 4, 5, 6]
    for first, second in zip(one, two, strict=True):
        for name in first.keys() - {"clips_per_second"}:
            assert second[name] == pytest.approx(first[name], rel=2e-3, abs=1e-3), (name, first["step"])
    names = [path.name for path in (folder / "run2" / "checkpoints").iterdir()]
    assert sorted(names) == ["step_000000004.pt", "step_000000006.pt"]


def test_one_process_says_where_the_encoder_is(folder: Path) -> None:
    for num_ranks in (1, 2):
        expected = [f"encoder: {folder / f'run{num_ranks}' / 'encoder.safetensors'}\n", ""][:num_ranks]
        assert json.loads((folder / f"run{num_ranks}.said").read_text()) == expected


def test_the_weights_have_the_names_of_one_process(folder: Path) -> None:
    one, two = (echossl.load(folder / name).state_dict() for name in ("run1", "run2"))
    assert one.keys() == two.keys()


def test_without_torchrun_nothing_is_shared_or_changed() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    module(torch.rand(4, 2)).sum().backward()
    gradient = module[0].weight.grad.clone()
    average_gradients(module)
    share_batch_norm(module, torch.device("cpu"))
    assert torch.equal(module[0].weight.grad, gradient)
    assert type(module[1]) is nn.BatchNorm1d
    assert largest(15, torch.device("cpu")) == 15
    assert collected((("a.avi", "gone"),), torch.device("cpu")) == (("a.avi", "gone"),)
    assert not torch.distributed.is_initialized()
