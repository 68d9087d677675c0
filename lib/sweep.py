"""Train many recipes on one dataset, one after the other."""

from collections.abc import Iterable

import torch

from lib import progress
from lib.data import Dataset
from lib.recipe import Recipe
from lib.runs import Run, RunStore
from lib.training import fit


def train(
    recipes: Iterable[Recipe],
    dataset: Dataset,
    store: RunStore,
    device: str | torch.device | None = None,
) -> list[Run]:
    """The recipes' runs, in the recipes' order; what the store holds is not trained again."""
    planned = list(recipes)
    progress.report("sweep", runs=len(planned))
    return [fit(recipe, dataset, store, device) for recipe in planned]
