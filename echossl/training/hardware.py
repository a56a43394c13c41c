"""Where and how the arithmetic is done: device, precision, memory layout."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import nn

from echossl.config.training import HardwareConfig
from echossl.distributed import world_size
from echossl.errors import ConfigError
from echossl.training.compilation import compile_encoders, why_not_compiled
from echossl.training.loss_scale import LossScale
from echossl.training.recompute import recompute_activations

Network = TypeVar("Network", bound=nn.Module)
# instructions without which bfloat16 convolutions on a CPU are slower than float32 ones
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "sve_bf16")


@dataclass(frozen=True)
class Hardware:
    """The settings, resolved on this machine.

    Attributes:
        device: where tensors live.
        precision: ``bf16`` and ``fp16`` are autocast to bfloat16 and float16 with float32 weights.
        workers: processes that read batches; 0 reads in the main one.
        checkpoint_activations: whether encoders compute activations again instead of keeping them.
        compile: whether encoders are compiled while they train.
        compile_may_fail: whether one that cannot be compiled runs without.
    """

    device: torch.device
    precision: Literal["bf16", "fp16", "fp32"]
    workers: int
    checkpoint_activations: bool = False
    compile: bool = False
    compile_may_fail: bool = False

    @classmethod
    def resolve(cls, config: HardwareConfig) -> "Hardware":
        """Find out what ``auto`` means here.

        Raises:
            ConfigError: if the device does not exist, cannot compute in the precision asked for, or cannot
                compile.
        """
        device = _device(config.device)
        has_bfloat16 = _has_bfloat16(device)
        if config.precision == "bf16" and device.type == "cuda" and not has_bfloat16:
            raise ConfigError("hardware.precision: this GPU has no bf16; set it to auto or fp32")
        if config.precision == "fp16" and device.type == "cpu":
            raise ConfigError("hardware.precision: fp16 is for GPUs; on a CPU set it to auto, bf16 or fp32")
        if config.precision == "auto":
            precision: Literal["bf16", "fp16", "fp32"] = "bf16" if has_bfloat16 else "fp32"
        else:
            precision = config.precision
        return cls(
            device,
            precision,
            config.workers,
            config.checkpoint_activations,
            compile=_compiles(config, device),
            compile_may_fail=config.compile == "auto",
        )

    def record(self) -> dict[str, str | int | bool]:
        """The settings as they were resolved, by their names in the configuration."""
        on_gpu = self.device.type == "cuda"
        return {
            "device": str(self.device),
            "device_name": torch.cuda.get_device_name(self.device) if on_gpu else "CPU",
            "precision": self.precision,
            "compile": "on" if self.compile else "off",
            "channels_last": True,
            "checkpoint_activations": self.checkpoint_activations,
            "workers": self.workers,
        }

    def __str__(self) -> str:
        """One line for a person."""
        found = self.record()
        name = f" ({found['device_name']})" if self.device.type == "cuda" else ""
        recomputed = ", activations computed again" if self.checkpoint_activations else ""
        return (
            f"{self.device}{name}, {self.precision}, channels-last, compile {found['compile']}, "
            f"{self.workers} readers{recomputed}"
        )

    def autocast(self) -> torch.autocast:
        """The context in which networks run."""
        half = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, half, enabled=self.precision != "fp32")

    def loss_scale(self) -> LossScale:
        """What keeps small gradients from vanishing in float16; scales nothing in other precisions."""
        return LossScale(self.device.type, enabled=self.precision == "fp16")

    def place(self, module: Network) -> Network:
        """Move a module to the device, its convolutions in the layout that is fastest there.

        Its encoders are told to compute activations again, or are compiled, if that was asked for.
        """
        if self.compile:
            compile_encoders(module, may_fail=self.compile_may_fail)
        if self.checkpoint_activations:
            recompute_activations(module)
        module = module.to(device=self.device)
        for parameter in module.parameters():
            # all at once, as Module.to has it, is refused where kernels of pictures, which have 4 axes, are
            if parameter.ndim == 5:
                parameter.data = parameter.data.to(memory_format=torch.channels_last_3d)
        return module


def _compiles(config: HardwareConfig, device: torch.device) -> bool:
    missing = why_not_compiled(device)
    if config.compile == "on" and config.checkpoint_activations:
        raise ConfigError(
            "hardware.compile: does not go with checkpoint_activations; set compile to off, or "
            "checkpoint_activations to false"
        )
    if config.compile == "on" and missing:
        raise ConfigError(f"hardware.compile: {missing}; install it, or set compile to auto or off")
    if config.compile == "auto":
        return device.type == "cuda" and not missing and not config.checkpoint_activations
    return config.compile == "on"


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and torch.cuda.is_available() and world_size() > 1:
        return torch.device("cuda", torch.cuda.current_device())  # the one of this process
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"hardware.device: found {name!r}, expected auto, cpu, cuda or cuda:N") from error
    if device.type not in {"cpu", "cuda"}:
        raise ConfigError(f"hardware.device: found {name!r}, expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"hardware.device: found {name!r}, but PyTorch sees {torch.cuda.device_count()} GPUs; "
            "take auto or cpu"
        )
    return device


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in CPU_BFLOAT16)
