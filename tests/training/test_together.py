"""Where one of several processes fails, all end at once, and one line says why."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed import Store

from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.errors import EchosslError
from echossl.runs import RunFolder
from echossl.training.together import Together

LONGEST_SECONDS = 300


def run_two(*command: str) -> tuple[list[int], list[str]]:
    """Exit codes of both processes, and what each says on standard error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | place | {"OMP_NUM_THREADS": "1", "RANK": str(number), "LOCAL_RANK": str(number)},
        )
        for number in range(2)
    ]
    try:
        said = [process.communicate(timeout=LONGEST_SECONDS)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], said


def write_config(store: DataConfig, out: Path, **changes: object) -> PretrainConfig:
    values = {
        "data": store,
        "out": out,
        "clip": {"num_frames": 4},
        "encoder": {"name": "compact3d", "width": 4},
        "optimiser": {"steps": 6, "warmup_steps": 2},
        "batch_size": 4,
        "checkpoint_every": 2,
        "hardware": {"device": "cpu", "precision": "fp32"},
        "wandb": {"mode": "disabled"},
    }
    config = PretrainConfig.model_validate(values | changes)
    out.with_suffix(".json").write_text(config.model_dump_json())
    return config


def only_line(said: str) -> str:
    """The line of echossl; torch may warn of a connection that is lost."""
    [line] = [line for line in said.splitlines() if line.startswith("echossl:")]
    assert "Traceback" not in said
    return line


def require_silence(said: str) -> None:
    """Nothing of echossl, whatever torch warns of."""
    assert "echossl:" not in said
    assert "Traceback" not in said


class LostStore(Store):
    """A store whose keeper has gone."""

    def check(self, *_: object) -> bool:
        raise RuntimeError("connection was reset")

    def compare_set(self, *_: object) -> bytes:
        raise RuntimeError("connection was reset")


def test_the_error_is_said_where_the_keeper_of_the_store_has_gone() -> None:
    with pytest.raises(EchosslError, match="the disk is full"), Together(LostStore()):
        raise EchosslError("the disk is full")


def test_a_look_that_fails_ends_all(labelled: DataConfig, tmp_path: Path) -> None:
    look = {"every": 2, "keep_best": "effective_rank"}
    config = write_config(labelled, tmp_path / "run", monitor=look)
    RunFolder.open(config.out, config, command="pretrain")
    (config.out / "encoder_best.safetensors").mkdir()  # cannot be replaced by a file
    codes, said = run_two("-m", "echossl", "pretrain", str(tmp_path / "run.json"))
    assert codes == [1, 1]
    assert "encoder_best.safetensors: cannot be written" in only_line(said[0])
    require_silence(said[1])


def test_what_all_meet_is_said_once(store: DataConfig, tmp_path: Path) -> None:
    write_config(store, tmp_path / "run")
    codes, said = run_two("-m", "echossl", "pretrain", str(tmp_path / "run.json"), "batch_size=3")
    assert codes == [2, 2]
    assert "batch_size: 3 patients cannot be shared evenly by 2 processes" in only_line(said[0])
    require_silence(said[1])


def test_a_wrong_setting_is_said_once(tmp_path: Path) -> None:
    """It is found before the processes know of each other."""
    codes, said = run_two("-m", "echossl", "pretrain", "batch_size=x", f"out={tmp_path}")
    assert codes == [2, 2]
    assert "batch_size: found 'x'" in said[0]
    require_silence(said[1])


def test_a_process_that_waits_for_ever_is_ended() -> None:
    codes, said = run_two(str(Path(__file__).with_name("failing_rank.py")), "1")
    assert codes == [1, 1]
    assert "process 1: the disk is full" in said[1]
    require_silence(said[0])
