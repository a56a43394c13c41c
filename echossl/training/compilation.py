"""torch.compile for encoders: in place, while training, with the names of weights as they are."""

import logging
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from echossl.encoders import Encoder
from echossl.errors import UserError

log = logging.getLogger(__name__)
# what objectives call; tokens are cut from the feature map
METHODS = ("forward", "feature_map")
# below it Triton makes no code
LEAST_CAPABILITY = (7, 0)
Method = Callable[[Any, Tensor], Tensor]


def why_not_compiled(device: torch.device) -> str | None:
    """What is missing here for torch.compile to work on a device; None if nothing is."""
    if device.type == "cpu":
        found = _first_program(os.environ.get("CXX"), "g++", "clang++", "c++")
        return None if found else "no C++ compiler is found (g++, clang++, or the variable CXX)"
    if find_spec("triton") is None:
        return "Triton is not installed"
    if torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return "Triton makes no code for this GPU"
    found = _first_program(os.environ.get("CC"), "gcc", "clang", "cc")
    return None if found else "no C compiler, which Triton needs, is found (gcc, clang, or the variable CC)"


def compile_encoders(module: nn.Module, *, may_fail: bool, backend: str = "inductor") -> None:
    """Let every encoder in a module run compiled while it is in training mode, in place.

    In evaluation, where shapes vary and passes are few, it runs as it always does. Copies of the encoder are
    compiled too. Nothing happens before the first pass, which then takes up to a minute.

    Args:
        module: an encoder, or what holds some.
        may_fail: an encoder that torch cannot compile runs uncompiled, with a warning; else it is an error
            of the first pass, a UserError.
        backend: of torch.compile.
    """
    for encoder in [part for part in module.modules() if isinstance(part, Encoder)]:
        for name in METHODS:
            method = _compiled(getattr(type(encoder), name), may_fail=may_fail, backend=backend)
            # a method, which a deep copy of the encoder binds to the copy
            setattr(encoder, name, MethodType(method, encoder))


def _compiled(plain: Method, *, may_fail: bool, backend: str) -> Method:
    from torch._dynamo.exc import TorchDynamoException  # brings SymPy, which takes a moment

    # shapes hardly change while training, and code for any shape is slower and fails more often
    fast: Method = torch.compile(plain, dynamic=False, backend=backend)
    failed = False

    def method(self: Encoder, clips: Tensor) -> Tensor:
        nonlocal failed
        if failed or torch.compiler.is_compiling() or not self.training:
            return plain(self, clips)
        try:
            return fast(self, clips)
        except TorchDynamoException as error:
            name, reason = self.metadata.architecture.name, str(error).strip().splitlines()[0]
            if not may_fail:
                raise UserError(
                    f"hardware.compile: torch cannot compile {name} here ({reason}); set it to off"
                ) from error
            failed = True
            log.warning("torch cannot compile %s here (%s); it runs uncompiled", name, reason)
            return plain(self, clips)

    return method


def _first_program(*names: str | None) -> str | None:
    return next((name for name in names if name and shutil.which(name.split()[0])), None)
