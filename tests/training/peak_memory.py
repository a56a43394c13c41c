"""How many bytes of tensors are alive at once, at most, while a block runs."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """Follows every storage that an operation makes until it is freed; what kernels use inside is not seen.

    Attributes:
        peak_bytes: the most that was alive at once, of what was made in the block.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._alive_bytes = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        known = {
            value.untyped_storage() for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)
        }
        results = func(*args, **(kwargs or {}))
        for value in tree_leaves(results):
            if isinstance(value, Tensor) and value.untyped_storage() not in known:
                self._follow(value.untyped_storage())
        return results

    def _follow(self, storage: torch.UntypedStorage) -> None:
        self._alive_bytes += storage.nbytes()
        weakref.finalize(storage, self._forget, storage.nbytes())
        self.peak_bytes = max(self.peak_bytes, self._alive_bytes)

    def _forget(self, num_bytes: int) -> None:
        self._alive_bytes -= num_bytes
