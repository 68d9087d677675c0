"""Optimisers and learning rates: how gradients become new weights.

Stochastic gradient descent with Nesterov momentum, a linear warm-up and cosine annealing
(Loshchilov & Hutter, "SGDR", 2017); Muon for the filters of convolutions (Jordan et al., "Muon: An
optimizer for hidden layers in neural networks", 2024).
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lib.models.parts import Classifier
from lib.training.recipe import Recipe


def optimizers_for(model: Classifier, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The recipe's optimisers, which share out what trains among themselves."""
    groups = parameter_groups(model, recipe)
    filters = [group for group in groups if group["muon"]]
    others = [group for group in groups if not group["muon"]]
    sgd = torch.optim.SGD(others, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
    return [sgd, Muon(filters, recipe.muon_lr, recipe.momentum)] if filters else [sgd]


def parameter_groups(model: Classifier, recipe: Recipe) -> list[dict[str, Any]]:
    """What trains, from the head to the input, each layer at `layer_decay` times the rate before.

    Within a layer, matrices and filters decay; norms and biases do not. A group's `lr_scale`
    multiplies the learning rate; `muon` says whether Muon steps it.
    """
    takes_muon = recipe.optimizer == "muon" and recipe.model == "small_cnn"
    groups: list[dict[str, Any]] = []
    depth = 1.0
    for layer in [model.head, *reversed(list(model.body.children()))]:
        trains = [parameter for parameter in layer.parameters() if parameter.requires_grad]
        if not trains:
            continue
        for decays in (True, False):
            chosen = [parameter for parameter in trains if (parameter.ndim > 1) is decays]
            muon = decays and layer is not model.head and takes_muon
            rate = recipe.muon_lr / recipe.lr if muon else 1.0 if decays else recipe.bias_lr
            decay = recipe.weight_decay if decays and not muon else 0.0
            groups.append(
                {"params": chosen, "weight_decay": decay, "lr_scale": depth * rate, "muon": muon}
            )
        depth *= recipe.layer_decay
    return [group for group in groups if group["params"]]


def learning_rates(recipe: Recipe, steps: int) -> list[float]:
    """Each step's rate: linear up to the peak, then half a cosine down to nearly zero."""
    warm = round(recipe.warmup * steps)
    rising = [(step + 1) / (warm + 1) for step in range(warm)]
    falling = [(1 + math.cos(math.pi * step / (steps - warm))) / 2 for step in range(steps - warm)]
    return [recipe.lr * part for part in rising + falling]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose steps are orthogonalised: all directions move by the same amount.

    For filters that a batch norm follows, so that their scale does not matter: it is reset at every
    step to one per output, instead of a weight decay. PyTorch's own Muon takes matrices alone.

    Parameters
    ----------
    params : groups of filters (outputs, inputs, height, width)
    lr : float         how far a step goes, in units of a filter of length one
    momentum : float   in [0, 1)
    iterations : int   by which a step is orthogonalised
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float, iterations: int = 5):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.iterations = iterations

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for filters in group["params"]:
                gradient, state = filters.grad, self.state[filters]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(gradient)
                velocity = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
                direction = gradient.add(velocity, alpha=group["momentum"]).flatten(1)
                filters.mul_(len(filters) ** 0.5 / filters.norm())
                step = orthogonalised(direction, self.iterations).view_as(filters)
                filters.add_(step, alpha=-group["lr"])


def orthogonalised(matrix: Tensor, iterations: int) -> Tensor:
    """Roughly U V^T of the singular value decomposition U S V^T of (rows, columns).

    By a Newton-Schulz iteration whose quintic brings every singular value near 1 (0.7 to 1.2) in
    few steps, with the coefficients of Jordan et al. (2024). A step multiplies the matrix from the
    left by a polynomial of its Gram matrix; the steps are gathered there, where they cost less, and
    applied to the matrix at the end.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = len(matrix) > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm() + 1e-7)
    gram = x @ x.mT
    identity = torch.eye(len(x), device=x.device)
    product = identity
    for _ in range(iterations):
        factor = torch.addmm(a * identity + b * gram, gram, gram, alpha=c)
        product = factor @ product
        gram = factor @ gram @ factor
    x = product @ x
    return x.mT if tall else x
