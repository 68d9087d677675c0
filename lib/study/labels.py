"""How many labels are needed: day 3's heads and small CNNs from a few labels to all."""

import math
from collections.abc import Sequence

import pandas as pd

from lib.data.dataset import Dataset
from lib.intervals import mean_accuracy
from lib.pages.palette import label
from lib.pages.wording import count, per_cent
from lib.study.selection import origin
from lib.training import sweep
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore

STEPS = 120  # of a network from scratch, at least: with few labels an epoch is a step or two
SMALLEST_BATCH = 10


def numbers(dataset: Dataset) -> list[int]:
    """10, 30, 100, 300, ... labels, from one per class to all that train."""
    most, least = len(dataset.train), len(dataset.classes)
    steps = (digit * 10**power for power in range(1, 9) for digit in (1, 3))
    return [number for number in steps if least <= number < most] + [most]


def for_labels(recipe: Recipe, labels: int) -> Recipe:
    """The recipe of a network from scratch for so many labels.

    With few labels there are smaller batches and more epochs; the learning rate goes with the
    square root of the batch (Krizhevsky, "One weird trick ...", 2014).
    """
    batch = min(recipe.batch_size, max(SMALLEST_BATCH, labels // 10))
    epochs = max(recipe.epochs, math.ceil(STEPS / math.ceil(labels / batch)))
    rate = recipe.lr * math.sqrt(batch / recipe.batch_size)
    return recipe.replace(batch_size=batch, epochs=epochs, lr=rate)


def train(
    settings: Sequence[tuple[str, Sequence[Recipe]]],
    scratch: Recipe,
    dataset: Dataset,
    store: RunStore,
    draws: int,
) -> pd.DataFrame:
    """Train every setting on every number of labels, drawn anew each time.

    Parameters
    ----------
    settings : names and recipes   of pretrained networks, a recipe for each draw
    scratch : Recipe               of the small CNN, adapted by `for_labels`
    draws : int                    of labels, for every number of them

    Returns
    -------
    table : setting, labels, draw, run_id, val_accuracy, test_accuracy
    """
    rows = []
    for labels in numbers(dataset):
        for draw in range(draws):
            pictures = dataset.drawn(labels, draw)
            recipes = {name: of_draw[draw] for name, of_draw in settings}
            recipes["small_cnn"] = for_labels(scratch, labels).replace(seed=draw)
            runs = sweep.train(recipes.values(), pictures, store)
            for name, run in zip(recipes, runs, strict=True):
                rows.append(_row(name, labels, draw, run))
    return pd.DataFrame(rows)


def _row(setting: str, labels: int, draw: int, run: Run) -> dict[str, object]:
    return {
        "setting": setting,
        "labels": labels,
        "draw": draw,
        "run_id": run.run_id,
        "val_accuracy": run.summary["val_accuracy"],
        "test_accuracy": run.summary["test_accuracy"],
    }


def means(table: pd.DataFrame) -> pd.DataFrame:
    """One row per setting and number of labels: accuracy, low, high (over draws), draws."""
    rows = []
    for (setting, labels), group in table.groupby(["setting", "labels"], sort=False):
        interval = mean_accuracy(group["test_accuracy"])
        figures = {"accuracy": interval.value, "low": interval.low, "high": interval.high}
        rows.append({"setting": setting, "labels": labels, **figures, "draws": len(group)})
    return pd.DataFrame(rows)


def sentence(table: pd.DataFrame, head: Recipe, labels: int = 100) -> str:
    """What the head reaches with few labels, and how many the small CNN needs for as much.

    Parameters
    ----------
    table : of `means`, with the settings head and small_cnn
    labels : int   about how many; the nearest number in the table is taken
    """
    rows = {kind: part.set_index("labels") for kind, part in table.groupby("setting")}
    ours, scratch = rows["head"], rows["small_cnn"]
    name = f"the head of {label(head.model)} ({origin(head.weights)})"
    few = min(ours.index, key=lambda number: abs(math.log(number / labels)))
    reached = ours["accuracy"][few]
    start = f"With {count(int(few), 'label')}, {name} reaches {_accuracy(ours.loc[few])}"
    enough = scratch.index[scratch["accuracy"] >= reached]
    if not len(enough):
        last = scratch.index.max()
        return (
            f"{start}; the small CNN from scratch reaches {_accuracy(scratch.loc[last])} with all "
            f"{int(last):,}."
        )
    needed = int(enough.min())
    return (
        f"{start}; the small CNN from scratch needs {count(needed, 'label')} for as much "
        f"({_accuracy(scratch.loc[needed]).replace(' (', ', ').rstrip(')')})."
    )


def _accuracy(row: pd.Series) -> str:
    if not math.isfinite(row["low"]):
        return per_cent(row["accuracy"])
    return f"{per_cent(row['accuracy'])} ({100 * row['low']:.1f}–{100 * row['high']:.1f})"
