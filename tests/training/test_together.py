"""Where one of several processes fails, all end at once, and one line says why."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.distributed import Store

from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.errors import EchosslError
from echossl.runs import RunFolder
from echossl.training.together import Together


class Nursery:
    """Runs commands as two processes of one run, without importing torch for each; see ``nursery.py``."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder = process, folder

    def run_two(self, *words: str, share_of_waits: float = 1.0) -> tuple[list[int], list[str]]:
        """Exit codes of both processes, and what each says.

        Args:
            words: of the command line of echossl, or a script and its words.
            share_of_waits: less than 1 where only one process fails, which need not wait for another's word.
        """
        order = {"words": words, "folder": str(self.folder), "share_of_waits": share_of_waits}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        codes = json.loads(self.process.stdout.readline())
        return codes, [(self.folder / f"said-by-{number}.txt").read_text() for number in range(2)]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("nursery.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        yield Nursery(process, tmp_path_factory.mktemp("said"))
        process.stdin.close()


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


def test_a_look_that_fails_ends_all(nursery: Nursery, labelled: DataConfig, tmp_path: Path) -> None:
    look = {"every": 2, "keep_best": "effective_rank"}
    config = write_config(labelled, tmp_path / "run", monitor=look)
    RunFolder.open(config.out, config, command="pretrain")
    (config.out / "encoder_best.safetensors").mkdir()  # cannot be replaced by a file
    codes, said = nursery.run_two("pretrain", str(tmp_path / "run.json"), share_of_waits=0.2)
    assert codes == [1, 1]
    assert "encoder_best.safetensors: cannot be written" in only_line(said[0])
    require_silence(said[1])


def test_what_all_meet_is_said_once(nursery: Nursery, store: DataConfig, tmp_path: Path) -> None:
    write_config(store, tmp_path / "run")
    codes, said = nursery.run_two("pretrain", str(tmp_path / "run.json"), "batch_size=3")
    assert codes == [2, 2]
    assert "batch_size: 3 patients cannot be shared evenly by 2 processes" in only_line(said[0])
    require_silence(said[1])


def test_a_wrong_setting_is_said_once(nursery: Nursery, tmp_path: Path) -> None:
    """It is found before the processes know of each other."""
    codes, said = nursery.run_two("pretrain", "batch_size=x", f"out={tmp_path}")
    assert codes == [2, 2]
    assert "batch_size: found 'x'" in said[0]
    require_silence(said[1])


def test_a_process_that_waits_for_ever_is_ended(nursery: Nursery) -> None:
    codes, said = nursery.run_two(str(Path(__file__).with_name("failing_rank.py")), "1", share_of_waits=0.2)
    assert codes == [1, 1]
    assert "process 1: the disk is full" in said[1]
    require_silence(said[0])
