import json
import sys
from pathlib import Path

import pytest

from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.errors import ConfigError
from echossl.training.logging import NoLog
from echossl.training.pretrain import pretrain
from echossl.training.tensorboard_log import TensorBoardLog, open_tensorboard, require_tensorboard


def read_back(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of every figure, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_not_wanted_is_an_object_that_does_nothing(tmp_path: Path) -> None:
    require_tensorboard(wanted=False)
    with open_tensorboard(tmp_path, wanted=False, resumed_step=0) as log:
        assert isinstance(log, NoLog)
        log.write(1, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_figures_can_be_read_at_once_and_after_closing(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    require_tensorboard(wanted=True)
    with open_tensorboard(tmp_path, wanted=True, resumed_step=0) as log:
        log.write(10, {"loss": 0.5, "learning_rate": 0.25})
        assert read_back(tmp_path / "tensorboard") == {"loss": [(10, 0.5)], "learning_rate": [(10, 0.25)]}
        log.write(20, {"loss": 0.25})
        log.artifact(tmp_path / "encoder.safetensors")
        log.media(20, "film", tmp_path / "film.mp4")
    assert read_back(tmp_path / "tensorboard")["loss"] == [(10, 0.5), (20, 0.25)]


@pytest.mark.parametrize("resumed_step", [0, 10, 20, 25])
def test_no_step_is_doubled_after_a_resume(tmp_path: Path, resumed_step: int) -> None:
    pytest.importorskip("tensorboard")
    with TensorBoardLog(tmp_path) as log:
        for step in (10, 20, 30):
            log.write(step, {"loss": 1.0})
    with TensorBoardLog(tmp_path, resumed_step=resumed_step) as log:
        for step in (10, 20, 30, 40):
            if step > resumed_step:
                log.write(step, {"loss": 2.0})
    found = read_back(tmp_path)["loss"]
    assert found == [(step, 1.0 if step <= resumed_step else 2.0) for step in (10, 20, 30, 40)]


def test_the_missing_package_is_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"tensorboard: the package is missing; pip install 'echossl\[tens"):
        require_tensorboard(wanted=True)


def test_a_run_writes_the_figures_of_metrics_jsonl(store: DataConfig, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    out = tmp_path / "run"
    config = PretrainConfig.model_validate(
        {
            "data": store,
            "out": out,
            "clip": {"num_frames": 4},
            "encoder": {"name": "compact3d", "width": 4},
            "objectives": [{"name": "frame_order"}],
            "optimiser": {"steps": 4, "warmup_steps": 1},
            "batch_size": 4,
            "log_every": 2,
            "hardware": {"device": "cpu", "precision": "fp32"},
            "tensorboard": True,
        }
    )
    pretrain(config)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    found = read_back(out / "tensorboard")
    assert found.keys() == lines[0].keys() - {"step"}
    for name, values in found.items():
        assert values == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines]
