"""A linear head of any task, fitted to its optimum on fixed features."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from echossl.adapt.tasks import Task

Floats = npt.NDArray[np.floating]


def fit_head(task: Task, features: Floats, targets: Floats, *, inverse_regularisation: float) -> nn.Module:
    """The head with the smallest ``C x sum of losses + |weight|^2 / 2``, the optimum of scikit-learn too.

    Biases and thresholds are not penalised.

    Args:
        task: with what it takes from the labels.
        features: (rows, dim), as a rule standardised.
        targets: (rows, k); cells that are not assessed play no part.
        inverse_regularisation: C.

    Returns:
        A head in float64 on the CPU.
    """
    head = task.make_head(features.shape[1]).double()
    clips, labels = torch.tensor(features).double(), torch.tensor(targets).double()
    strength = inverse_regularisation * int(np.count_nonzero(~np.isnan(targets)))

    def objective(values: Floats) -> tuple[float, Floats]:
        vector_to_parameters(torch.tensor(values), head.parameters())
        head.zero_grad()
        weight = head.get_parameter("weight")
        loss: Tensor = strength * task.loss(head(clips), labels) + weight.square().sum() / 2
        torch.autograd.backward(loss)
        gradient = parameters_to_vector([_gradient(parameter) for parameter in head.parameters()])
        return loss.item(), gradient.numpy()

    start = parameters_to_vector(head.parameters()).detach().numpy().copy()
    # the defaults stop where the fourth digit of a weight still moves
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "gtol": 1e-7, "ftol": 1e-14}
    )
    vector_to_parameters(torch.tensor(found.x), head.parameters())
    return head.requires_grad_(requires_grad=False)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
