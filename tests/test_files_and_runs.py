"""Files are whole or absent; a run folder is never taken over by another run."""

import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from echossl.config.adapt import FinetuneConfig
from echossl.config.data import DataConfig
from echossl.config.training import HardwareConfig, PretrainConfig
from echossl.config.video import ClipConfig
from echossl.errors import DecodeError, RunFolderError
from echossl.files import atomic_path, write_json, write_text
from echossl.runs import RunFolder


def config(**changes: object) -> PretrainConfig:
    values = {"data": DataConfig(manifest=Path("m.csv"), store=Path("s")), "out": Path("o")}
    return PretrainConfig.model_validate(values | changes)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_written_file_has_ordinary_permissions(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "a.json").stat().st_mode == plain.stat().st_mode


def test_what_json_cannot_say_is_refused_and_null_in_a_result(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": math.inf})
    assert not list(tmp_path.iterdir())
    run = RunFolder.open(tmp_path / "run", config(), command="pretrain")
    run.finish({"last": {"loss": math.nan, "step": 3}, "list": (math.inf, 0.5, "nan")})
    assert run.result == {"last": {"loss": None, "step": 3}, "list": [None, 0.5, "nan"]}
    with pytest.raises(ValidationError, match="finite number"):
        ClipConfig(clip_seconds=math.inf)


def test_the_same_settings_continue(tmp_path: Path) -> None:
    first = RunFolder.open(tmp_path / "run", config(), command="pretrain")
    recorded = first.record
    again = RunFolder.open(tmp_path / "run", config(), command="pretrain")
    assert again.record == recorded
    assert recorded["versions"]["torch"].startswith("2.")
    assert recorded["config"]["seed"] == 0
    assert {"command", "argv", "git", "host"} <= set(recorded)


def test_hardware_and_place_may_change(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", config(), command="pretrain")
    moved = config(out=Path("elsewhere"), hardware=HardwareConfig(workers=2))
    RunFolder.open(tmp_path / "run", moved, command="pretrain")


def test_trap_23_other_settings_are_refused_with_what_differs(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", config(), command="pretrain")
    with pytest.raises(RunFolderError) as caught:
        RunFolder.open(tmp_path / "run", config(seed=1, batch_size=8), command="pretrain")
    message = str(caught.value)
    assert "seed: 0 there, 1 asked for" in message
    assert "batch_size: 32 there, 8 asked for" in message
    assert "learning_rate" not in message


def test_trap_23_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunFolderError, match=r"not empty and holds no run\.json"):
        RunFolder.open(tmp_path, config(), command="pretrain")
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_run_is_finished_once_its_result_stands(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path / "run", config(), command="pretrain")
    assert run.result is None
    run.finish({"steps": 3})
    assert run.result == {"steps": 3}
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == {"steps": 3}


def test_a_folder_without_a_record_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="give the folder of a run"):
        _ = RunFolder(tmp_path).record


def test_every_setting_survives_the_record(tmp_path: Path) -> None:
    finetune = FinetuneConfig(data=DataConfig(manifest=Path("m"), store=Path("s")), out=Path("o"))
    run = RunFolder.open(tmp_path / "run", finetune, command="finetune")
    assert FinetuneConfig.model_validate(run.record["config"]) == finetune


def test_a_decode_error_survives_a_process_boundary() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(DecodeError("a.avi", "no frames")))  # noqa: S301 - our own bytes
    assert str(error) == "a.avi: no frames"
    assert error.path == Path("a.avi")
