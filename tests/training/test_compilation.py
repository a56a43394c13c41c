"""Compiled encoders: equal values and gradients, the same names, plain in evaluation, refused in words."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.training import HardwareConfig, PretrainConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.files import load_encoder
from echossl.errors import ConfigError, UserError
from echossl.training.compilation import compile_encoders, why_not_compiled
from echossl.training.hardware import Hardware
from echossl.training.pretrain import pretrain

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(
    why_not_compiled(CPU) is not None, reason=f"torch.compile: {why_not_compiled(CPU)}"
)
CLIPS = torch.rand(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> None:
    torch.compiler.reset()


def make_encoder() -> Encoder:
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=4), size=16, mean=0.3, std=0.2
    )
    return build_encoder(metadata)


def gradients(encoder: Encoder, use: Callable[[Encoder], Tensor]) -> list[Tensor]:
    encoder.zero_grad()
    torch.autograd.backward(use(encoder).square().sum())
    return [parameter.grad for parameter in encoder.parameters() if parameter.grad is not None]


USES: dict[str, Callable[[Encoder], Tensor]] = {
    "forward": lambda encoder: encoder(CLIPS),
    "feature_map": lambda encoder: encoder.feature_map(CLIPS),
    "tokens": lambda encoder: encoder.tokens(CLIPS),
}


@pytest.mark.parametrize("name", USES)
def test_values_gradients_and_statistics_are_those_of_the_plain_encoder(name: str) -> None:
    plain, compiled = make_encoder(), make_encoder()
    compile_encoders(compiled, may_fail=False, backend="eager")
    expected, found = gradients(plain, USES[name]), gradients(compiled, USES[name])
    assert len(expected) == len(found) > 5
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))
    # the names too, without a prefix; running means moved once
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(value, plain.state_dict()[key]) for key, value in compiled.state_dict().items())
    assert dict(compiled.named_modules()).keys() == dict(plain.named_modules()).keys()


class Counting:
    """A backend that counts what it is asked to compile."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        del inputs
        self.graphs += 1
        return graph.forward


def test_only_training_is_compiled_and_as_one_graph() -> None:
    encoder, backend = make_encoder(), Counting()
    compile_encoders(nn.ModuleList([encoder]), may_fail=False, backend=backend)  # type: ignore[arg-type]
    encoder.eval()
    encoder(CLIPS)
    encoder.feature_map(CLIPS[:, :, :2])
    assert backend.graphs == 0
    encoder.train()
    encoder(CLIPS)
    encoder(CLIPS)
    assert backend.graphs == 1


def test_a_copy_uses_its_own_weights() -> None:
    encoder = make_encoder()
    compile_encoders(encoder, may_fail=False, backend="eager")
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert other(CLIPS).abs().max() == 0
    assert encoder(CLIPS).abs().max() > 0


def failing(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
    del graph, inputs
    raise NotImplementedError("no such operator")


def test_what_cannot_be_compiled_is_an_error_or_runs_plain(caplog: pytest.LogCaptureFixture) -> None:
    strict, lenient = make_encoder(), make_encoder()
    compile_encoders(strict, may_fail=False, backend=failing)  # type: ignore[arg-type]
    with pytest.raises(
        UserError, match=r"hardware\.compile: torch cannot compile compact3d .*; set it to off"
    ):
        strict(CLIPS)
    compile_encoders(lenient, may_fail=True, backend=failing)  # type: ignore[arg-type]
    expected = make_encoder()(CLIPS)
    assert torch.equal(lenient(CLIPS), expected)
    assert "compact3d" in caplog.text
    caplog.clear()
    lenient(CLIPS)
    assert caplog.text == ""


def resolve(**values: object) -> Hardware:
    return Hardware.resolve(HardwareConfig.model_validate({"device": "cpu"} | values))


def test_a_cpu_compiles_only_when_it_is_asked_to() -> None:
    assert not resolve().compile
    assert not resolve(compile="off").compile
    assert resolve().record()["compile"] == "off"


@needs_compiler
def test_on_is_on() -> None:
    assert resolve(compile="on").compile
    assert not resolve(compile="on").compile_may_fail
    assert "compile on" in str(resolve(compile="on"))


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"hardware\.compile: no C\+\+ compiler is found"):
        resolve(compile="on")


def test_compiled_and_computed_again_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="set compile to off, or checkpoint_activations to false"):
        resolve(compile="on", checkpoint_activations=True)


def encoder_of_run(store: DataConfig, out: Path, *, device: str, compile_: str) -> dict[str, Tensor]:
    config = PretrainConfig.model_validate(
        {
            "data": store,
            "out": out,
            "clip": {"num_frames": 4},
            "encoder": {"name": "compact3d", "width": 4},
            "optimiser": {"steps": 2, "warmup_steps": 0, "learning_rate": 1e-4},
            "batch_size": 4,
            "hardware": {"device": device, "precision": "fp32", "compile": compile_},
        }
    )
    encoder = load_encoder(pretrain(config))
    hardware = json.loads((out / "result.json").read_text())["hardware"]
    assert hardware["compile"] == compile_
    return encoder.state_dict()


@needs_compiler
def test_a_run_that_compiles_writes_the_file_of_one_that_does_not(store: DataConfig, tmp_path: Path) -> None:
    plain = encoder_of_run(store, tmp_path / "off", device="cpu", compile_="off")
    with torch.compiler.set_stance(
        "force_eager"
    ):  # a C++ compiler takes minutes for the kernels of a network
        compiled = encoder_of_run(store, tmp_path / "on", device="cpu", compile_="on")
    assert plain.keys() == compiled.keys()
    assert all(torch.equal(value, compiled[name]) for name, value in plain.items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_run_of_real_kernels_ends_nearly_where_a_plain_one_does(store: DataConfig, tmp_path: Path) -> None:
    plain, compiled = (
        encoder_of_run(store, tmp_path / name, device="cuda", compile_=name) for name in ("off", "on")
    )
    for name, value in plain.items():
        assert torch.allclose(value.float(), compiled[name].float(), atol=1e-3), name
