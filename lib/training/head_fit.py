"""A head fitted to convergence: multinomial logistic regression on a frozen backbone's features.

By L-BFGS (Liu & Nocedal, 1989) under an L2 penalty, from the strongest of `PENALTIES` to the
weakest, each fit from where the one before ended (the path of Friedman et al., "Regularization
Paths for Generalized Linear Models via Coordinate Descent", 2010). Validation chooses the penalty.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.training.runs import validation_rank

PENALTIES = tuple(10 ** (-step / 2) for step in range(13))  # 1 to 1e-6: see `fit_head`
ITERATIONS = 200  # at most, of one penalty
SMALLEST_SPREAD = 1e-6  # of a feature that tells pictures apart


def fit_head(
    head: nn.Linear,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    label_smoothing: float = 0.0,
) -> dict[str, float]:
    """Give the head the weights of the penalty that is best on validation.

    Minimised is the mean cross-entropy in nats plus the penalty times half the squared weights of
    standardised features, so that no unit of a feature is favoured.

    Parameters
    ----------
    head : Linear   changed in place; the path begins from its weights
    train : float (N, D) and float (N, classes)   features, and targets as shares of the classes
    val : float (M, D) and int64 (M,)             features and labels

    Returns
    -------
    row : penalty, iterations (of all penalties), train_loss, train_accuracy
    """
    features, targets = train
    mean, spread = features.mean(0), features.std(0, correction=0)
    scale = torch.where(spread > SMALLEST_SPREAD, spread, 1.0)
    standard = (features - mean) / scale
    with torch.no_grad():
        weight = (head.weight * scale).requires_grad_()
        bias = (head.bias + head.weight @ mean).requires_grad_()
    best: dict[str, float] = {}
    kept = head.weight.detach().clone(), head.bias.detach().clone()
    iterations = 0.0
    for penalty in PENALTIES:
        found = _minimise(weight, bias, standard, targets, penalty, label_smoothing)
        iterations += found.pop("iterations")
        with torch.no_grad():
            head.weight.copy_(weight / scale)
            head.bias.copy_(bias - head.weight @ mean)
            figures = found | {"penalty": penalty} | _figures(head(val[0]), val[1])
        if not best or validation_rank(figures) > validation_rank(best):
            best, kept = figures, (head.weight.detach().clone(), head.bias.detach().clone())
    with torch.no_grad():
        head.weight.copy_(kept[0])
        head.bias.copy_(kept[1])
    names = ("penalty", "train_loss", "train_accuracy")
    return {name: best[name] for name in names} | {"iterations": iterations}


def _minimise(
    weight: Tensor,
    bias: Tensor,
    features: Tensor,
    targets: Tensor,
    penalty: float,
    label_smoothing: float,
) -> dict[str, float]:
    """Bring weight and bias to the minimum under one penalty; what is reached there."""
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=ITERATIONS,
        max_eval=2 * ITERATIONS,
        history_size=20,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        logits = F.linear(features, weight, bias)
        loss = F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
        value = loss + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(objective)
    with torch.no_grad():
        logits = F.linear(features, weight, bias)
        loss = F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
        right = (logits.argmax(1) == targets.argmax(1)).double().mean()
    return {
        "iterations": float(optimizer.state[weight]["n_iter"]),
        "train_loss": loss.item(),
        "train_accuracy": right.item(),
    }


def _figures(logits: Tensor, labels: Tensor) -> dict[str, float]:
    accuracy = (logits.argmax(1) == labels).double().mean()
    return {"val_loss": F.cross_entropy(logits, labels).item(), "val_accuracy": accuracy.item()}
