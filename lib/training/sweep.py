"""Train many recipes: on this machine, small networks side by side, or on a Ray cluster.

`DAYBOOK_RAY` names the cluster: its head's `host:port`, or `local` for one that is started on this
machine; `DAYBOOK_RAY_SHARE` says how many runs share a GPU there. `python -m analysis --ray` sets
them for the notebooks that it executes (`joined`), so that a notebook reads the same either way.
Without the first, Ray is not even imported.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import torch

from lib import progress
from lib.data.dataset import Dataset
from lib.training.hardware import best_device
from lib.training.loop import fit
from lib.training.precision import settled
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore, run_id

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
    UserError   what `lib.training.loop.fit` raises, and if the cluster cannot be reached or used,
                or a process that trains was killed
    """
    return train_all([(recipe, dataset) for recipe in recipes], store, device)


def train_all(
    jobs: Sequence[tuple[Recipe, Dataset]],
    store: RunStore,
    device: str | torch.device | None = None,
) -> list[Run]:
    """The same for recipes of which each has a dataset of its own."""
    progress.report("sweep", runs=len(jobs))
    if address := os.environ.get(ADDRESS):
        from lib.training import cluster

        cluster.connect(address)
        share = int(os.environ.get(SHARE, "1"))
        runs = []
        for _, group in groupby(jobs, key=lambda job: id(job[1])):
            recipes, datasets = zip(*group, strict=True)
            runs += cluster.train(recipes, datasets[0], store, device, share)
        return runs
    place = torch.device(device or best_device())
    jobs = settled(jobs, store, place)
    trained: dict[str, Run] = {}
    if len(jobs) > 1 and place.type == "cpu":
        from lib.training import side_by_side

        trained = side_by_side.train(jobs, store)
    runs = []
    for recipe, dataset in jobs:
        beside = trained.pop(run_id(recipe, dataset), None)  # once: `fit` reports what comes again
        runs.append(beside or fit(recipe, dataset, store, device))
    return runs
