"""Which recipe is the best, and which of its runs stands for it.

A recipe is what is trained on what for how long, whatever the seed. Recipes are ranked by their
mean validation accuracy over seeds, so that no recipe wins by one lucky seed (Bouthillier et al.,
"Accounting for Variance in Machine Learning Benchmarks", MLSys 2021). Recipes of equal accuracy are
ranked by their negative log-likelihood after temperature scaling: before it, the likelihood would
favour runs that were trained without label smoothing. Within a recipe, seeds are ranked by the same
two figures; the first of the first recipe is the run that is diagnosed, packed and served. Test
pictures decide nothing.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from lib.diagnosis.calibration import cross_entropy, fit_temperature
from lib.training.runs import Run

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def grouped(runs: Iterable[Run], key: Callable[[Run], K]) -> dict[K, list[Run]]:
    """The runs by their `key`, in the order in which each key first occurs."""
    groups: dict[K, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def recipe_of(run: Run) -> Hashable:
    """What all seeds of a recipe have in common, the training pictures among it.

    Networks that start from pretrained ones which differ in their seed alone are of one recipe.
    """
    origin: Hashable = run.recipe.weights
    source, _, run_id = run.recipe.weights.partition(":")
    if source == "run" and (pretraining := run.store.find(run_id)):
        origin = (pretraining.recipe.replace(seed=0), pretraining.dataset["fingerprint"])
    plain = run.recipe.replace(seed=0, weights="none")
    return plain, origin, run.dataset["fingerprint"]


def recipes(runs: Iterable[Run]) -> list[list[Run]]:
    """The runs of each recipe, the best recipe first and in each the best seed first."""
    groups = [_best_first(group, _accuracy, scaled_loss) for group in _by_recipe(runs)]
    return _best_first(groups, mean_validation, _mean_loss)


def best_of(runs: Iterable[Run]) -> Run:
    """The run that stands for these: the best seed of the best recipe."""
    return recipes(runs)[0][0]


def mean_validation(group: Sequence[Run]) -> float:
    """The mean validation accuracy of a recipe's runs."""
    return float(np.mean([_accuracy(run) for run in group]))


def scaled_loss(run: Run) -> float:
    """The negative log-likelihood of validation pictures, in nats, after temperature scaling."""
    val = run.predictions("val")
    temperature = fit_temperature(val.logits, val.labels)
    return float(cross_entropy(val.logits, val.labels, temperature).mean())


def _by_recipe(runs: Iterable[Run]) -> Iterable[list[Run]]:
    ordered = sorted(
        runs, key=lambda run: run.run_id
    )  # the order in which runs come decides nothing
    return grouped(ordered, recipe_of).values()


def _accuracy(run: Run) -> float:
    return float(run.summary["val_accuracy"])


def _mean_loss(group: Sequence[Run]) -> float:
    return float(np.mean([scaled_loss(run) for run in group]))


def _best_first(
    items: Iterable[T], accuracy: Callable[[T], float], loss: Callable[[T], float]
) -> list[T]:
    """By accuracy, and by loss where it is equal; only then are predictions read."""
    rounded = [(round(accuracy(item), 9), item) for item in items]
    shared = Counter(value for value, _ in rounded)

    def rank(pair: tuple[float, T]) -> tuple[float, float]:
        value, item = pair
        return -value, loss(item) if shared[value] > 1 else 0.0

    return [item for _, item in sorted(rounded, key=rank)]
