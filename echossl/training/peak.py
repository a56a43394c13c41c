"""What a device could do at most, and how many operations a step takes: the share of it that is used."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

Answer = TypeVar("Answer")

# Dense operations per second in bfloat16 with sums in float32, 1e12/s, as the makers' data sheets give them
# (https://www.nvidia.com/en-us/data-center/h200/ and its like: half of what is printed "with sparsity").
# A name counts if all its words are in the device's; the first that fits is taken.
PUBLISHED: tuple[tuple[str, float], ...] = (
    ("B200", 2250.0),
    ("GH200", 989.4),
    ("H200 NVL", 835.5),
    ("H200", 989.4),
    ("H100 NVL", 835.5),
    ("H100 PCIe", 756.5),
    ("H100", 989.4),
    ("H800", 989.4),
    ("H20", 148.0),
    ("A100", 311.8),
    ("A800", 311.8),
    ("A40", 149.7),
    ("A30", 165.2),
    ("A10G", 70.0),
    ("A10", 124.9),
    ("L40S", 362.1),
    ("L40", 181.1),
    ("L4", 121.0),
    ("V100", 125.0),  # float16: it has no bfloat16
    ("T4", 65.1),  # float16
    ("RTX 6000 Ada", 364.2),
    ("RTX A6000", 154.8),
    ("RTX 5090", 209.5),
    ("RTX 4090", 165.2),  # GeForce: half rate where sums are in float32
    ("RTX 4080", 97.5),
    ("RTX 3090 Ti", 80.0),
    ("RTX 3090", 71.0),
    ("RTX 3080 Ti", 68.2),
    ("RTX 3080", 59.5),
)
# of these the name does not say how much of the whole device there is
UNKNOWN = frozenset({"MIG", "Laptop", "Max-Q", "SUPER", "D"})
SIDE = 2048
SIDE_FIRST = 512
MOST_SECONDS = 0.4  # of a measurement, about


def published_peak(device_name: str) -> float | None:
    """Operations per second in bfloat16 (float16 where there is none) of a GPU; None if it is not known.

    Args:
        device_name: as torch gives it, for example ``NVIDIA H100 80GB HBM3``.
    """
    if UNKNOWN & set(device_name.split()):
        return None
    words = set(device_name.replace("-", " ").split())
    fitting = (tera for name, tera in PUBLISHED if set(name.split()) <= words)
    return 1e12 * tera if (tera := next(fitting, None)) else None


def measured_peak(precision: Literal["bf16", "fp32"]) -> float:
    """Operations per second of a large matrix product on this CPU, the best of some; takes half a second."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    best, passed, side = 0.0, 0.0, SIDE_FIRST
    while passed < MOST_SECONDS / 2:
        seconds = _matmul_seconds(side, dtype)
        passed += seconds
        best = max(best, 2 * side**3 / seconds)
        # eight times the work the next time, if it fits
        if side < SIDE and 8 * seconds < MOST_SECONDS / 2:
            side *= 2
    return best


def _matmul_seconds(side: int, dtype: torch.dtype) -> float:
    generator = torch.Generator().manual_seed(0)  # torch's own stays as it is
    left, right = (torch.randn(side, side, generator=generator).to(dtype) for _ in range(2))
    started = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - started


def peak_of(device: torch.device, precision: str) -> tuple[float | None, str]:
    """Operations per second that are possible, and where the figure is from.

    On a GPU it is that of bfloat16, whatever the precision; on a CPU that of the precision.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        peak = published_peak(name)
        return peak, f"bf16 peak of {name}" if peak else f"peak of {name} unknown"
    kind: Literal["bf16", "fp32"] = "bf16" if precision == "bf16" else "fp32"
    return measured_peak(kind), f"{kind} matrix product measured here"


def counted(work: Callable[[], Answer]) -> tuple[Answer, int]:
    """Do some work uncompiled; gives what it gives, and its floating-point operations, forward and backward.

    Matrix products, convolutions and attention are counted, a multiplication and an addition as two;
    activations that are computed twice count twice.
    """
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        answer = work()
    return answer, int(counter.get_total_flops())
