"""Which runs are compared: found, grouped, named, tabled."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import pandas as pd

from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.intervals import Interval
from lib.pages.palette import label
from lib.training.runs import Run, RunStore, best_of


def runs_on(store: RunStore, dataset: str) -> list[Run]:
    """The store's finished runs on the dataset of that name, or on that folder.

    Raises
    ------
    UserError   if there are none
    """
    name = Path(dataset).name
    runs = [run for run in store.finished() if run.dataset["name"] == name]
    if not runs:
        raise UserError(f"{store.root}: no finished run on {name!r}; run the days first")
    return runs


def fitting(runs: Iterable[Run], dataset: Dataset) -> list[Run]:
    """The runs that were tested on the very pictures of this dataset's test split, in its order.

    Raises
    ------
    UserError   if there are none
    """
    found = [
        run
        for run in runs
        if tuple(run.predictions("test").ids) == dataset.test.ids
        and run.dataset["image_size"] == dataset.image_size
    ]
    if not found:
        raise UserError(
            f"no finished run on these {len(dataset.test):,} test pictures of "
            f"{dataset.image_size} px; run the days before with the same dataset and image_size"
        )
    return found


K = TypeVar("K", bound=Hashable)


def grouped(runs: Iterable[Run], key: Callable[[Run], K]) -> dict[K, list[Run]]:
    """The runs by what `key` says of them, in the order in which that first occurs."""
    groups: dict[K, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def best_by(runs: Iterable[Run], key: Callable[[Run], str]) -> dict[str, Run]:
    """The best run by val of each group, small networks before ResNets."""
    groups = grouped(sorted(runs, key=lambda run: run.recipe.model, reverse=True), key)
    return {name: best_of(group) for name, group in groups.items()}


def model_of(run: Run) -> str:
    """The kind of network: `small_cnn` or `resnet18`."""
    return run.recipe.model


def ablation(runs: Iterable[Run]) -> list[Run]:
    """The runs of an augmentation ablation: those that differ in nothing but augmentation and seed.

    Of several such families, the one with the most augmentations.
    """
    families = grouped(
        (run for run in runs if run.recipe.model == "small_cnn"),
        lambda run: (run.recipe.replace(augmentation="none", seed=0), run.dataset["fingerprint"]),
    )
    return max(
        families.values(),
        key=lambda family: len({run.recipe.augmentation for run in family}),
        default=[],
    )


def setting(model: str, augmentation: str, strategy: str, weights: str) -> str:
    """The model and the way it was trained, as pages name them: `small CNN, MixUp`."""
    if model == "small_cnn":
        return f"{label(model)}, {label(augmentation)}"
    untrained = ", random backbone" if weights == "none" else ""
    return f"{label(model)}, {label(strategy)}{untrained}"


def setting_of(run: Run) -> str:
    """A run's model and the way it was trained."""
    recipe = run.recipe
    return setting(recipe.model, recipe.augmentation, recipe.strategy, recipe.weights)


def tested(run: Run) -> Interval:
    """The run's test accuracy, with the interval that its number of test pictures leaves."""
    return Interval(*(run.summary[f"test_{name}"] for name in ("accuracy", "low", "high")))


def results(runs: Iterable[Run]) -> pd.DataFrame:
    """A row a run: its id, its recipe's fields, its summary's figures, its page on the site."""
    return pd.DataFrame(
        {
            "run_id": run.run_id,
            **asdict(run.recipe),
            **run.summary,
            "page": f"runs.html#run={run.run_id}",
        }
        for run in runs
    )


def histories(runs: Iterable[Run], fields: Sequence[str] = ("model",)) -> pd.DataFrame:
    """The runs' histories one under the other, each row with its run's id, seed and `fields`."""
    tables = []
    for run in runs:
        values = {name: getattr(run.recipe, name) for name in (*fields, "seed")}
        tables.append(run.history.assign(run_id=run.run_id, **values))
    return pd.concat(tables, ignore_index=True)
