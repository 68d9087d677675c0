"""The settings of Jordan, "94% on CIFAR-10 in 3.29 seconds" (2024), in this project's terms.

Its network is twice as wide as `small_cnn`'s default, its ten epochs become those that a budget
allows. Two of its ideas are not part of `lib`, since neither was shown to pay there
(`benchmarks.ideas`): alternating flips and Lookahead (Zhang et al., 2019). They live here.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lib.data.dataset import Dataset
from lib.models.parts import Classifier, predict
from lib.training.augment import augment
from lib.training.batches import shuffled
from lib.training.hardware import best_device, lowest_precision
from lib.training.loop import loss_and_accuracy
from lib.training.optimizers import learning_rates
from lib.training.recipe import Precision, Recipe
from lib.training.runs import RunStore
from lib.training.steps import begin, steps_per_epoch, train_steps

SETTINGS = Recipe(
    optimizer="sgd",
    width=64,
    batch_size=1024,
    lr=1.5,
    momentum=0.85,
    weight_decay=0.00133,
    bias_lr=64.0,
    label_smoothing=0.2,
)


@dataclass(frozen=True)
class Airbench94:
    """A contender of `benchmarks.training`."""

    precision: Precision = "auto"

    def train(self, dataset: Dataset, epochs: int, seed: int) -> tuple[float, float]:
        """Seconds of training, and test accuracy."""
        device = best_device()
        precision = lowest_precision(self.precision, device)
        recipe = SETTINGS.replace(epochs=epochs, seed=seed, precision=precision)
        started = time.perf_counter()
        state = begin(recipe, dataset, RunStore(), device)
        steps = steps_per_epoch(recipe, dataset, state.model)
        rates = learning_rates(recipe, steps * epochs)
        state.optimizers.append(Lookahead(state.model, steps * epochs))  # type: ignore[arg-type]
        for epoch in range(epochs):
            batches = alternating(dataset, epoch, steps, state.generator, seed)
            rates_now = rates[epoch * steps : (epoch + 1) * steps]
            train_steps(state, state.model, batches, rates_now, recipe)
        seconds = time.perf_counter() - started
        logits = predict(state.model, dataset.test.images)
        return seconds, loss_and_accuracy(logits, dataset.test.labels)[1]


def alternating(
    dataset: Dataset, epoch: int, steps: int, generator: torch.Generator, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """An epoch's batches, cropped; what one epoch mirrors, the next one does not."""
    device = generator.device
    images, labels = dataset.train.images.to(device), dataset.train.labels.to(device)
    drawn = torch.rand(len(images), generator=torch.Generator().manual_seed(seed))
    mirrored = ((drawn < 0.5) ^ (epoch % 2 == 1)).to(device)
    for chosen in shuffled(len(images), steps, generator):
        batch = images[chosen]
        if dataset.flip:
            batch = torch.where(mirrored[chosen][:, None, None, None], batch.flip(3), batch)
        pixels, targets = augment(
            batch, labels[chosen], "flip_crop", len(dataset.classes), generator, flip=False
        )
        yield pixels.contiguous(memory_format=torch.channels_last), targets


class Lookahead:
    """Every five steps the weights return to a running average of themselves.

    The average forgets quickly at first and slowly towards the end; after the last step the average
    is what stays. Batch norm's statistics are averaged as well. Called like an optimiser, after the
    others.

    Parameters
    ----------
    model : Classifier   whose weights are where they will be trained
    steps : int          of the whole training
    """

    EVERY = 5
    param_groups: tuple[dict[str, Any], ...] = ()

    def __init__(self, model: Classifier, steps: int):
        self.weights = {
            k: v for k, v in model.trainable_state_dict().items() if v.is_floating_point()
        }
        self.average = {name: value.clone() for name, value in self.weights.items()}
        self.done, self.steps = 0, steps

    @torch.no_grad()
    def step(self) -> None:
        """To be called after every step of the optimisers."""
        self.done += 1
        if self.done % self.EVERY and self.done < self.steps:
            return
        weight = 0.95**self.EVERY * (self.done / self.steps) ** 3
        for name, value in self.weights.items():
            value.copy_(self.average[name].lerp_(value, 1 - weight))
