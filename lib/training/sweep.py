"""Train many recipes on one dataset: one after the other here, or side by side on a Ray cluster.

`DAYBOOK_RAY` names the cluster: its head's `host:port`, or `local` for one that is started on this
machine; `DAYBOOK_RAY_SHARE` says how many runs share a GPU there. `python -m analysis --ray` sets
them for the notebooks that it executes (`joined`), so that a notebook reads the same either way.
Without the first, Ray is not even imported.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from lib import progress
from lib.data.dataset import Dataset
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore

ADDRESS = "DAYBOOK_RAY"
SHARE = "DAYBOOK_RAY_SHARE"


@contextmanager
def joined(address: str, share: int = 1) -> Iterator[None]:
    """While the block runs, this process and those it starts train on the cluster at `address`.

    Parameters
    ----------
    address : str   the head's `host:port`; `local` starts a cluster on this machine
    share : int     how many runs share a GPU

    Raises
    ------
    UserError   if there is no such cluster or it cannot be joined
    """
    from lib.training import cluster

    os.environ[ADDRESS] = cluster.connect(address)
    os.environ[SHARE] = str(share)
    try:
        yield
    finally:
        del os.environ[ADDRESS], os.environ[SHARE]
        cluster.disconnect()


def train(
    recipes: Iterable[Recipe],
    dataset: Dataset,
    store: RunStore,
    device: str | torch.device | None = None,
) -> list[Run]:
    """The recipes' runs, in the recipes' order; what is in the store is not trained again.

    Raises
    ------
    UserError   what `lib.training.loop.fit` raises, and if the cluster cannot be reached or used
    """
    planned = list(recipes)
    progress.report("sweep", runs=len(planned))
    if address := os.environ.get(ADDRESS):
        from lib.training import cluster

        cluster.connect(address)
        share = int(os.environ.get(SHARE, "1"))
        return cluster.train(planned, dataset, store, device, share)
    return [fit(recipe, dataset, store, device) for recipe in planned]
