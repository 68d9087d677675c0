"""An epoch's batches, and the network that they go into.

Usually augmented pictures go through the whole network. Where the backbone is frozen, its features
of a picture never change, so it runs once over the pictures and an epoch passes features through
the head alone.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lib.data.dataset import Dataset, Split
from lib.models.parts import Classifier, predict
from lib.training.augment import augment
from lib.training.recipe import Recipe

Batches = Iterator[tuple[Tensor, Tensor]]


class Source(Protocol):
    """What the training loop asks for, epoch by epoch."""

    network: nn.Module  # takes a batch's inputs to logits

    def epoch(self, number: int, steps: int, generator: torch.Generator) -> Batches:
        """Epoch `number` (from 1): `steps` batches of inputs and targets, each picture once."""

    def val_logits(self) -> np.ndarray:
        """Logits float32 (N, classes) of the val split."""


def batches_for(model: Classifier, recipe: Recipe, dataset: Dataset) -> Source:
    """The batches that suit what trains."""
    kind = FeatureBatches if recipe.strategy == "head" and recipe.views > 0 else PictureBatches
    return kind(model, recipe, dataset)


class PictureBatches:
    """Pictures, augmented anew in every epoch, into the whole network."""

    def __init__(self, model: Classifier, recipe: Recipe, dataset: Dataset):
        device = model.mean.device
        self.network: nn.Module = model
        self.train, self.val = to_device(dataset.train, device), to_device(dataset.val, device)
        self.policy = recipe.augmentation
        self.classes, self.flip = len(dataset.classes), dataset.flip

    def epoch(self, number: int, steps: int, generator: torch.Generator) -> Batches:
        for chosen in shuffled(len(self.train), steps, generator):
            yield self.augmented(chosen, generator)

    def augmented(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pixels float32 (N, 3, H, W) and targets (N, classes) of the chosen pictures."""
        images, labels = self.train.images[chosen], self.train.labels[chosen]
        pixels, targets = augment(images, labels, self.policy, self.classes, generator, self.flip)
        return pixels.contiguous(memory_format=torch.channels_last), targets

    def val_logits(self) -> np.ndarray:
        return predict(self.network, self.val.images)


class FeatureBatches:
    """A frozen backbone's features of augmented views of each picture, into the head.

    There are `recipe.views` views, and epochs use them in turn.
    """

    def __init__(self, model: Classifier, recipe: Recipe, dataset: Dataset):
        self.network: nn.Module = model.head
        pictures = PictureBatches(model, recipe, dataset)
        generator = torch.Generator(model.mean.device).manual_seed(recipe.seed)
        everything = torch.arange(len(pictures.train), device=model.mean.device)
        model.eval()
        with torch.no_grad():
            self.views = [
                self._features(model, everything.split(512), pictures, generator)
                for _ in range(recipe.views)
            ]
            self.val = torch.cat(
                [model.features(images / 255) for images in pictures.val.images.split(512)]
            )

    @staticmethod
    def _features(
        model: Classifier,
        parts: tuple[Tensor, ...],
        pictures: PictureBatches,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Features (N, D) and targets (N, classes) of one view of every training picture."""
        features, targets = [], []
        for chosen in parts:
            pixels, soft = pictures.augmented(chosen, generator)
            features.append(model.features(pixels))
            targets.append(soft)
        return torch.cat(features), torch.cat(targets)

    def epoch(self, number: int, steps: int, generator: torch.Generator) -> Batches:
        features, targets = self.views[(number - 1) % len(self.views)]
        for chosen in shuffled(len(features), steps, generator):
            yield features[chosen], targets[chosen]

    @torch.inference_mode()
    def val_logits(self) -> np.ndarray:
        return self.network(self.val).float().cpu().numpy()


def shuffled(pictures: int, steps: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Every picture's number once, in `steps` parts that differ by at most one in size.

    So the parts are as far from too small for batch norm as they can be.
    """
    order = torch.randperm(pictures, generator=generator, device=generator.device)
    return order.tensor_split(steps)


def to_device(split: Split, device: torch.device) -> Split:
    """The split with its pictures and labels on `device`; on the CPU nothing is copied."""
    return Split(split.images.to(device), split.labels.to(device), split.ids)
