"""An epoch's batches, and the network that they go into.

Usually augmented pictures go through the whole network. What a frozen part makes of a picture never
changes, so it can run once over the pictures, and an epoch passes its features or maps through the
parts that train alone.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.data.dataset import Dataset, Split
from lib.embeddings.store import EmbeddingStore, computed
from lib.errors import UserError
from lib.models.parts import Classifier, evaluating, predict
from lib.models.strategies import divided
from lib.training.augment import augment
from lib.training.head_fit import fit_head
from lib.training.recipe import EARLY, Recipe

VIEWED = 512  # pictures at a time through the frozen part
MOST_MEMORY = 8 << 30  # bytes of stored maps
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
    if recipe.stores_features:
        return FrozenBatches(model, recipe, dataset, embeddings)
    return PictureBatches(model, recipe, dataset)


class PictureBatches:
    """Pictures, augmented anew in every epoch, into the whole network."""

    seconds_saved = 0.0

    def __init__(self, model: Classifier, recipe: Recipe, dataset: Dataset):
        device = model.mean.device
        self.network: nn.Module = model
        self.train, self.val = to_device(dataset.train, device), to_device(dataset.val, device)
        self.policy = recipe.augmentation
        self.early_size, self.early_epochs = recipe.early_size, EARLY * recipe.epochs
        self.classes, self.flip = len(dataset.classes), dataset.flip

    def epoch(self, number: int, steps: int, generator: torch.Generator) -> Batches:
        early = self.early_size > 0 and number <= self.early_epochs
        for chosen in shuffled(len(self.train), steps, generator):
            pixels, targets = self.augmented(chosen, generator)
            yield resized(pixels, self.early_size) if early else pixels, targets

    def augmented(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pixels float32 (N, 3, H, W) and targets (N, classes) of the chosen pictures."""
        # on a CPU many times as fast as [chosen]
        images = self.train.images.index_select(0, chosen)
        labels = self.train.labels.index_select(0, chosen)
        pixels, targets = augment(images, labels, self.policy, self.classes, generator, self.flip)
        return pixels.contiguous(memory_format=torch.channels_last), targets

    def val_logits(self) -> np.ndarray:
        return self.logits(self.val.images)

    def logits(self, images: Tensor) -> np.ndarray:
        return predict(self.network, images)


class FrozenBatches:
    """What the frozen part makes of augmented views of each picture, into the parts that train.

    Under `head` these are features, otherwise maps. There are `recipe.views` (`recipe.map_views`)
    views, and epochs use them in turn. Pictures as they are have one view; features of those are
    kept on disk.

    Raises
    ------
    UserError   if the maps take more than `MOST_MEMORY`
    """

    def __init__(
        self, model: Classifier, recipe: Recipe, dataset: Dataset, embeddings: EmbeddingStore
    ):
        self.embeddings, self.device, self.seconds_saved = embeddings, model.mean.device, 0.0
        self.maps = recipe.strategy != "head"
        self.frozen, self.network = frozen_and_rest(model) if self.maps else (model, model.head)
        views = recipe.map_views if self.maps else recipe.views
        if recipe.augmentation == "none":
            views = 1
        if self.maps:
            self._check_memory(views * len(dataset.train) + len(dataset.val), dataset)
            total = views * len(dataset.train) + len(dataset.val) + len(dataset.test)
            self.engine = embeddings.engine(self.frozen, dataset.train.images, total)
        pictures = PictureBatches(model, recipe, dataset)
        self.generator = torch.Generator(self.device).manual_seed(recipe.seed)
        model.eval()
        if recipe.augmentation == "none":
            targets = F.one_hot(pictures.train.labels, len(dataset.classes)).float()
            self.views = [(self._frozen(dataset.train.images), targets)]
        else:
            self.views = [self._view(pictures) for _ in range(views)]
        self.val, self.val_labels = self._frozen(dataset.val.images), pictures.val.labels

    def _check_memory(self, pictures: int, dataset: Dataset) -> None:
        with torch.inference_mode():
            pixels = dataset.train.images[:1].to(self.device).float() / 255
            size = self.frozen.eval().features(pixels).nbytes
        if pictures * size > MOST_MEMORY:
            raise UserError(
                f"recipe: maps of {pictures:,} pictures take {pictures * size / 2**30:.0f} GiB, "
                f"more than {MOST_MEMORY >> 30}; lower map_views, or set it to 0 and store none"
            )

    def _frozen(self, images: Tensor) -> Tensor:
        """Features (N, D) or maps (N, C, H, W) of pictures as they are."""
        if self.maps:
            parts = computed(self.engine, images, torch.arange(len(images)))
            return torch.cat([torch.from_numpy(part).to(self.device) for part, _ in parts])
        found = self.embeddings.embed(self.frozen, images)
        self.seconds_saved += found.seconds_saved
        return found.features.to(self.device)

    def _view(self, pictures: PictureBatches) -> tuple[Tensor, Tensor]:
        """Features or maps, and targets (N, classes), of one view of every training picture."""
        seen, targets = [], []
        for chosen in torch.arange(len(pictures.train), device=self.device).split(VIEWED):
            pixels, soft = pictures.augmented(chosen, self.generator)
            targets.append(soft)
            if self.maps:
                seen.append(pixels.mul(255).round().byte())
            else:
                with torch.no_grad():
                    seen.append(self.frozen.features(pixels))
        found = torch.cat(seen)
        return self._frozen(found) if self.maps else found, torch.cat(targets)

    def fit(self, label_smoothing: float) -> dict[str, float]:
        """Fit the head to convergence on all views: see `lib.training.head_fit`."""
        assert isinstance(self.network, nn.Linear)
        features, targets = zip(*self.views, strict=True)
        train, val = (torch.cat(features), torch.cat(targets)), (self.val, self.val_labels)
        return fit_head(self.network, train, val, label_smoothing)

    def epoch(self, number: int, steps: int, generator: torch.Generator) -> Batches:
        found, targets = self.views[(number - 1) % len(self.views)]
        for chosen in shuffled(len(found), steps, generator):
            yield found.index_select(0, chosen), targets.index_select(0, chosen)

    def val_logits(self) -> np.ndarray:
        return self._rest(self.val)

    def logits(self, images: Tensor) -> np.ndarray:
        parts = images.split(VIEWED * 8) if self.maps else [images]
        return np.concatenate([self._rest(self._frozen(part)) for part in parts])

    @torch.inference_mode()
    def _rest(self, found: Tensor) -> np.ndarray:
        """Logits float32 (N, classes) of features or maps."""
        with evaluating(self.network):
            logits = [self.network(part).float().cpu() for part in found.split(VIEWED)]
        return torch.cat(logits).numpy()


def frozen_and_rest(model: Classifier) -> tuple[Classifier, nn.Module]:
    """The frozen part of a network, from pictures to maps, and the rest, from maps to logits."""
    assert isinstance(model.body, nn.Sequential)
    first, others = divided(model.body, model.frozen)
    frozen = Classifier(
        nn.Sequential(*first),
        nn.Identity(),
        model.mean.flatten().tolist(),
        model.std.flatten().tolist(),
        model.image_size,
        model.interpolation,
    )
    return frozen.to(model.mean.device), nn.Sequential(*others, model.head)


def resized(pixels: Tensor, side: int) -> Tensor:
    """The same pictures (N, 3, side, side), channels last, every pixel of theirs weighed in."""
    return F.interpolate(pixels, (side, side), mode="bilinear", antialias=True).contiguous(
        memory_format=torch.channels_last
    )


def shuffled(pictures: int, steps: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Every picture's number once, in `steps` parts that differ by at most one in size.

    So the parts are as far from too small for batch norm as they can be.
    """
    order = torch.randperm(pictures, generator=generator, device=generator.device)
    return order.tensor_split(steps)


def to_device(split: Split, device: torch.device) -> Split:
    """The split with its pictures and labels on `device`; on the CPU nothing is copied."""
    return Split(split.images.to(device), split.labels.to(device), split.ids)
