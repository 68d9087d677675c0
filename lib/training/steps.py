"""A run's steps, and the state that they change.

`lib.training.loop` takes all of a recipe's steps and writes a record; `lib.training.timing` takes a
few and looks at the clock.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.data.dataset import Dataset
from lib.models.parts import Classifier, needs_two
from lib.models.small_cnn import whiten
from lib.training import backbones
from lib.training.hardware import autocast
from lib.training.network import build, check_size
from lib.training.optimizers import optimizers_for
from lib.training.recipe import Recipe
from lib.training.runs import RunStore


@dataclass
class State:
    """All that changes while a run trains."""

    model: Classifier
    optimizers: list[torch.optim.Optimizer]
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)  # epoch, val_accuracy, val_loss, weights

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.trainable_state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "generator": self.generator.get_state(),
            "history": self.history,
            "best": self.best,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.model.load_state_dict(saved["model"], strict=False)  # what is frozen is not in it
        for optimizer, its_state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(its_state)
        self.scaler.load_state_dict(saved["scaler"])
        self.generator.set_state(saved["generator"].cpu())
        self.history, self.best = saved["history"], saved["best"]


def begin(recipe: Recipe, dataset: Dataset, store: RunStore, device: torch.device) -> State:
    """The state before the first step.

    Raises
    ------
    UserError   if the pictures are too small for the network, or its weights are not available
    """
    check_size(recipe, dataset.image_size)
    own = backbones.normalisation(recipe.model, recipe.weights)
    model = build(recipe, len(dataset.classes), *(own or (dataset.mean, dataset.std)))
    if recipe.model == "small_cnn" and recipe.whitening:
        whiten(model, dataset.train.images)
    if recipe.weights != "none":
        backbones.load_into(model, recipe.model, recipe.weights, store.weights)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return State(
        model,
        optimizers_for(model, recipe),
        torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16"),
        torch.Generator(device).manual_seed(recipe.seed),
    )


def steps_per_epoch(recipe: Recipe, dataset: Dataset, model: Classifier) -> int:
    """How many batches the training pictures make.

    A picture that would be a batch alone joins the batch before it where the network cannot train
    on one. Such runs could only fail before, and all others have the batches that they had, so this
    left `VERSION` as it was.
    """
    pictures = len(dataset.train)
    steps = math.ceil(pictures / recipe.batch_size)
    side = recipe.early_size or dataset.image_size
    if steps > 1 and pictures < 2 * steps and needs_two(model, min(side, dataset.image_size)):
        return pictures // 2
    return steps


def train_steps(
    state: State,
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    rates: Iterable[float],
    recipe: Recipe,
) -> dict[str, float]:
    """A step on each of `batches`; mean loss and accuracy as they were met.

    With mixed pictures (MixUp, CutMix) a prediction counts as right if it names the larger part.
    """
    state.model.train()
    scaler, device = state.scaler, state.generator.device
    sums = torch.zeros(3, device=device)  # loss, right, pictures: read once, at the epoch's end
    for (inputs, targets), rate in zip(batches, rates, strict=True):
        state.model.zero_grad(set_to_none=True)
        with autocast(device, recipe.precision):
            logits = network(inputs)
        logits = logits.float()
        loss = F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
        scaler.scale(loss).backward()
        for optimizer in state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            scaler.step(optimizer)
        scaler.update()
        right = (logits.argmax(1) == targets.argmax(1)).sum()
        count = loss.new_tensor(len(inputs))
        sums += torch.stack([loss.detach() * count, right, count])
    loss_sum, right_sum, pictures = sums.tolist()
    return {
        "lr": rate,
        "train_loss": loss_sum / pictures,
        "train_accuracy": right_sum / pictures,
    }
