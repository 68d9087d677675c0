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
from torch.nn import functional as F

from lib.data.dataset import Dataset, Split
from lib.embeddings.store import EmbeddingStore
from lib.models.parts import Classifier, evaluating, predict
from lib.training.augment import augment
from lib.training.head_fit import fit_head
from lib.training.recipe import Recipe

Batches = Iterator[tuple[Tensor, Tensor]]


class Source(Protocol):
    """What the training loop asks for, epoch by epoch."""

    network: nn.Module  # takes a batch's inputs to logits
    seconds_saved: float  # because something was computed and kept by an earlier run

    def epoch(self, number: int, steps: int, generator: torch.Generator) -> Batches:
        """Epoch `number` (from 1): `steps` batches of inputs and targets, each picture once."""

    def val_logits(self) -> np.ndarray:
        """Logits float32 (N, classes) of the val split."""

    def logits(self, images: Tensor) -> np.ndarray:
        """Logits float32 (N, classes) of pictures uint8 (N, 3, H, W)."""


def batches_for(
    model: Classifier, recipe: Recipe, dataset: Dataset, embeddings: EmbeddingStore
) -> Source:
    """The batches that suit what trains."""
    if recipe.strategy == "head" and recipe.views > 0:
        return FeatureBatches(model, recipe, dataset, embeddings)
    return PictureBatches(model, recipe, dataset)


class PictureBatches:
    """Pictures, augmented anew in every epoch, into the whole network."""

    seconds_saved = 0.0

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
        return self.logits(self.val.images)

    def logits(self, images: Tensor) -> np.ndarray:
        return predict(self.network, images)


class FeatureBatches:
    """A frozen backbone's features of augmented views of each picture, into the head.

    There are `recipe.views` views, and epochs use them in turn. Pictures as they are have one view,
    whose features are kept on disk.
    """

    def __init__(
        self, model: Classifier, recipe: Recipe, dataset: Dataset, embeddings: EmbeddingStore
    ):
        assert isinstance(model.head, nn.Linear)
        self.head = model.head
        self.network: nn.Module = model.head
        self.model, self.embeddings, self.seconds_saved = model, embeddings, 0.0
        pictures = PictureBatches(model, recipe, dataset)
        generator = torch.Generator(model.mean.device).manual_seed(recipe.seed)
        everything = torch.arange(len(pictures.train), device=model.mean.device)
        model.eval()
        if recipe.augmentation == "none":
            targets = F.one_hot(pictures.train.labels, len(dataset.classes)).float()
            self.views = [(self._embedded(dataset.train.images), targets)]
        else:
            with torch.no_grad():
                self.views = [
                    self._features(model, everything.split(512), pictures, generator)
                    for _ in range(recipe.views)
                ]
        self.val, self.val_labels = self._embedded(dataset.val.images), pictures.val.labels

    def _embedded(self, images: Tensor) -> Tensor:
        """Features (N, D) of pictures as they are."""
        found = self.embeddings.embed(self.model, images)
        self.seconds_saved += found.seconds_saved
        return found.features.to(self.model.mean.device)

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

    def fit(self, label_smoothing: float) -> dict[str, float]:
        """Fit the head to convergence on all views: see `lib.training.head_fit`."""
        features, targets = zip(*self.views, strict=True)
        train, val = (torch.cat(features), torch.cat(targets)), (self.val, self.val_labels)
        return fit_head(self.head, train, val, label_smoothing)

    def epoch(self, number: int, steps: int, generator: torch.Generator) -> Batches:
        features, targets = self.views[(number - 1) % len(self.views)]
        for chosen in shuffled(len(features), steps, generator):
            yield features[chosen], targets[chosen]

    def val_logits(self) -> np.ndarray:
        return self._head(self.val)

    def logits(self, images: Tensor) -> np.ndarray:
        return self._head(self._embedded(images))

    @torch.inference_mode()
    def _head(self, features: Tensor) -> np.ndarray:
        with evaluating(self.network):
            return self.network(features).float().cpu().numpy()


def shuffled(pictures: int, steps: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Every picture's number once, in `steps` parts that differ by at most one in size.

    So the parts are as far from too small for batch norm as they can be.
    """
    order = torch.randperm(pictures, generator=generator, device=generator.device)
    return order.tensor_split(steps)


def to_device(split: Split, device: torch.device) -> Split:
    """The split with its pictures and labels on `device`; on the CPU nothing is copied."""
    return Split(split.images.to(device), split.labels.to(device), split.ids)
