import pytest
import torch
from torch import nn

from echossl.config.training import HardwareConfig
from echossl.errors import ConfigError
from echossl.training.hardware import Hardware


def resolve(**values: object) -> Hardware:
    return Hardware.resolve(HardwareConfig.model_validate(values))


def test_auto_finds_what_is_there() -> None:
    hardware = resolve()
    assert hardware.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert hardware.workers == 0


def test_auto_takes_bfloat16_only_where_the_processor_has_it() -> None:
    flags = torch.cpu.get_capabilities()
    has_it = any(flags.get(name, False) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    assert resolve(device="cpu").precision == ("bf16" if has_it else "fp32")


@pytest.mark.parametrize(("precision", "expected"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_the_precision_is_that_of_the_arithmetic(precision: str, expected: torch.dtype) -> None:
    hardware = resolve(device="cpu", precision=precision)
    assert hardware.precision == precision
    layer = nn.Linear(4, 4)
    with hardware.autocast():
        assert layer(torch.ones(2, 4)).dtype == expected
    assert layer.weight.dtype == torch.float32


def test_place_lays_convolutions_out_channels_last() -> None:
    module = resolve(device="cpu").place(nn.Sequential(nn.Conv3d(4, 8, 3), nn.Linear(3, 3)))
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert module[0].weight.device.type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x", "meta"])
def test_unknown_devices_are_refused_in_words(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"hardware\.device: found '{name}', expected auto, cpu, cuda"):
        resolve(device=name)


def test_a_gpu_that_is_not_there_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"'cuda:97', but PyTorch sees \d+ GPUs"):
        resolve(device="cuda:97")
