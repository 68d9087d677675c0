"""How many threads a run computes with on a CPU: a network too small for all cores takes one.

The number of threads decides the last digits of a run's figures. It follows from the recipe, the
pictures and the number of cores alone, so that a run comes out the same by itself and beside others
(`lib.training.side_by_side`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor, nn

from lib.data.dataset import Dataset
from lib.training.network import build, check_size
from lib.training.recipe import Recipe

# Multiply-adds of a forward pass over a batch: with fewer, a second thread gains less than another
# run beside this one does; see benchmarks/side_by_side.py.
SMALL = 4e9
# The same of all pictures through a backbone whose features are stored: these take a few seconds.
SMALL_IN_ALL = 1e11


def threads_for(recipe: Recipe, dataset: Dataset, device: torch.device) -> int:
    """How many threads a run's steps are computed with; at most torch's number of them.

    Raises
    ------
    UserError   if the pictures are too small for the network
    """
    every = torch.get_num_threads()
    if device.type != "cpu" or every == 1:
        return every
    if not recipe.stores_features:
        return 1 if work_of_a_step(recipe, dataset) < SMALL else every
    views = recipe.views if recipe.strategy == "head" else recipe.map_views
    pictures = views * len(dataset.train) + len(dataset.val) + len(dataset.test)
    return 1 if pictures * _work(recipe, dataset) < SMALL_IN_ALL else every


def work_of_a_step(recipe: Recipe, dataset: Dataset) -> int:
    """Multiply-adds of a forward pass over a batch.

    Raises
    ------
    UserError   if the pictures are too small for the network
    """
    return min(recipe.batch_size, len(dataset.train)) * _work(recipe, dataset)


def _work(recipe: Recipe, dataset: Dataset) -> int:
    """Multiply-adds of a forward pass of one picture."""
    check_size(recipe, dataset.image_size)
    plain = recipe.replace(seed=0, weights="none", epochs=1, val_every=1)
    return multiply_adds(plain, len(dataset.classes), dataset.image_size)


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """While the block runs, torch computes with that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=100)
def multiply_adds(recipe: Recipe, classes: int, side: int) -> int:
    """What convolutions and linear layers multiply and add in a forward pass of one picture."""
    counts = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        counts.append(layer.weight.numel() * output.shape[2:].numel())

    model = build(recipe, classes, (0.0,) * 3, (1.0,) * 3).eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, side, side))
    return sum(counts)
