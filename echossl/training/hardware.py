"""Where and how the arithmetic is done: device, precision, memory layout."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import nn

from echossl.config.training import HardwareConfig
from echossl.distributed import world_size
from echossl.errors import ConfigError

Network = TypeVar("Network", bound=nn.Module)
# instructions without which bfloat16 convolutions on a CPU are slower than float32 ones
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "sve_bf16")


@dataclass(frozen=True)
class Hardware:
    """The settings, resolved on this machine.

    Attributes:
        device: where tensors live.
        precision: ``bf16`` is autocast to bfloat16 with float32 weights.
        workers: processes that read batches; 0 reads in the main one.
    """

    device: torch.device
    precision: Literal["bf16", "fp32"]
    workers: int

    @classmethod
    def resolve(cls, config: HardwareConfig) -> "Hardware":
        """Find out what ``auto`` means here.

        Raises:
            ConfigError: if the device does not exist, or has no bfloat16 although it was asked for.
        """
        device = _device(config.device)
        has_bfloat16 = _has_bfloat16(device)
        if config.precision == "bf16" and device.type == "cuda" and not has_bfloat16:
            raise ConfigError("hardware.precision: this GPU has no bf16; set it to auto or fp32")
        if config.precision == "auto":
            return cls(device, "bf16" if has_bfloat16 else "fp32", config.workers)
        return cls(device, config.precision, config.workers)

    def autocast(self) -> torch.autocast:
        """The context in which networks run."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def place(self, module: Network) -> Network:
        """Move a module to the device, its convolutions in the layout that is fastest there."""
        # memory_format is documented, but missing from the type stubs
        return module.to(device=self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]


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
