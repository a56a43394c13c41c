"""The factor on the loss with which gradients in float16 neither vanish nor overflow."""

from typing import Any

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

# an overflow at this scale or below is one of the gradient itself, not of its scaling
LEAST_SCALE = 1.0


class LossScale:
    """Dynamic loss scaling (Micikevicius et al., arXiv 1710.03740): halved on overflow, doubled in calm.

    Args:
        device: kind of device, "cuda" or "cpu".
        enabled: whether to scale; else every method leaves things as they are.
        start: the first factor.
        calm_steps: updates without an overflow before the factor is doubled.
    """

    def __init__(
        self,
        device: str = "cpu",
        *,
        enabled: bool = False,
        start: float = 2.0**16,
        calm_steps: int = 2000,
    ) -> None:
        self._scaler = GradScaler(device, init_scale=start, growth_interval=calm_steps, enabled=enabled)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to start the backward pass from."""
        return self._scaler.scale(loss)

    def unscale(self, optimiser: torch.optim.Optimizer) -> None:
        """Take the factor off the gradients, which must be those of all processes already."""
        self._scaler.unscale_(optimiser)

    def follow(self) -> dict[str, float]:
        """Adapt the factor to what :meth:`unscale` found; once per step, also if it is skipped.

        Returns:
            Nothing if not enabled; else ``loss_scale``, the factor of this step, and ``overflow``, 1 if a
            gradient was not finite and a smaller factor may mend that, else 0.
        """
        if not self._scaler.is_enabled():
            return {}
        used = self._scaler.get_scale()
        self._scaler.update()
        halved = self._scaler.get_scale() < used
        return {"loss_scale": used, "overflow": float(halved and used > LEAST_SCALE)}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; empty if not enabled."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of a checkpoint; an empty one changes nothing."""
        if state:
            self._scaler.load_state_dict(state)
