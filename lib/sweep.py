"""Train many recipes on one dataset: one after the other here, or side by side on a Ray cluster.

`DAYBOOK_RAY` names the cluster: its head's `host:port`, or `local` for one that is started on this
machine. `python -m analysis --ray` sets the variable for the notebooks that it executes, so that a
notebook reads the same either way. Without it Ray is not even imported.
"""

import os
from collections.abc import Iterable

import torch

from lib import progress
from lib.data import Dataset
from lib.recipe import Recipe
from lib.runs import Run, RunStore
from lib.training import fit

ADDRESS = "DAYBOOK_RAY"


def train(
    recipes: Iterable[Recipe],
    dataset: Dataset,
    store: RunStore,
    device: str | torch.device | None = None,
) -> list[Run]:
    """The recipes' runs, in the recipes' order; what the store holds is not trained again.

    Raises
    ------
    UserError   what `lib.training.fit` raises, and if the cluster cannot be reached or used
    """
    planned = list(recipes)
    progress.report("sweep", runs=len(planned))
    if address := os.environ.get(ADDRESS):
        from lib import cluster  # needs Ray

        cluster.connect(address)
        return cluster.train(planned, dataset, store, device)
    return [fit(recipe, dataset, store, device) for recipe in planned]
