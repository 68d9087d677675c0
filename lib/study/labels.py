"""How many labels are needed: day 3's pretrained networks and small CNNs, few labels to all."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from lib.data.dataset import Dataset
from lib.intervals import Interval, mean_accuracy
from lib.models.strategies import Strategy
from lib.multiplicity import clear_differences, visible_difference
from lib.pages.palette import label
from lib.pages.wording import count, listed, per_cent, points, unseen
from lib.study.selection import origin
from lib.training import sweep
from lib.training.pretraining import starting_from
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore

STEPS = 120  # of a network that learns by SGD, at least: with few labels an epoch is a step or two
SMALLEST_BATCH = 10


def settings(
    strategies: str, recipes: Mapping[Strategy, Recipe], scratch: Recipe
) -> dict[str, Recipe]:
    """What is compared for each number of labels: some strategies and the small CNN from scratch.

    Parameters
    ----------
    strategies : str   of `recipes`, such as `head and all`
    scratch : Recipe   of the small CNN
    """
    named = strategies.split(" and ")
    chosen: dict[str, Recipe] = {name: recipes[name] for name in recipes if name in named}
    return {**chosen, "small_cnn": scratch}


def numbers(dataset: Dataset) -> list[int]:
    """10, 30, 100, 300, ... labels, from one per class to all that train."""
    most, least = len(dataset.train), len(dataset.classes)
    steps = (digit * 10**power for power in range(1, 9) for digit in (1, 3))
    return [number for number in steps if least <= number < most] + [most]


def for_labels(recipe: Recipe, labels: int, validation: int) -> Recipe:
    """The recipe for so many labels; a head that is fitted to convergence keeps its own.

    With few labels there are smaller batches and more epochs; the learning rate goes with the
    square root of the batch (Krizhevsky, "One weird trick ...", 2014).

    Parameters
    ----------
    validation : int   how many pictures there are to validate with
    """
    if recipe.head_fit == "lbfgs":
        return recipe
    batch = min(recipe.batch_size, max(SMALLEST_BATCH, labels // 10))
    epochs = max(recipe.epochs, math.ceil(STEPS / math.ceil(labels / batch)))
    rate = recipe.lr * math.sqrt(batch / recipe.batch_size)
    adapted = recipe.replace(batch_size=batch, epochs=epochs, lr=rate)
    return adapted.validated_for(labels, validation)


def train(
    settings: Mapping[str, Recipe],
    networks: Sequence[str],
    dataset: Dataset,
    store: RunStore,
    draws: int,
) -> pd.DataFrame:
    """Train every setting on every number of labels, drawn anew each time.

    Parameters
    ----------
    settings : recipes by name   as for all labels; `for_labels` adapts them
    networks : names             of pretrained ones, which all settings but the small CNN take in
                                 turns; see `starting_from`
    draws : int                  of labels, for every number of them

    Returns
    -------
    table : setting, labels, draw, run_id, val_accuracy, test_accuracy
    """
    jobs, cells = [], []
    for labels in numbers(dataset):
        for draw in range(draws):
            pictures = dataset.drawn(labels, draw)
            for name, recipe in settings.items():
                adapted = for_labels(recipe, labels, len(dataset.val))
                seeded = (
                    adapted.replace(seed=draw)
                    if adapted.model == "small_cnn"
                    else starting_from(networks, adapted, draw)
                )
                jobs.append((seeded, pictures))
                cells.append((name, labels, draw))
    runs = sweep.train_all(jobs, store)
    return pd.DataFrame(_row(*cell, run) for cell, run in zip(cells, runs, strict=True))


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


def needed_sentence(table: pd.DataFrame, head: Recipe, labels: int = 100) -> str:
    """What the head reaches with few labels, and how many the small CNN needs for as much.

    Parameters
    ----------
    table : of `means`, with the settings head and small_cnn
    head : Recipe   with the `weights` of its backbone
    labels : int    about how many; the nearest number in the table is taken
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


def difference_sentence(table: pd.DataFrame) -> str:
    """With which numbers of labels the head and the small CNN differ, corrected for all of them.

    Parameters
    ----------
    table : of `train`, with the settings head and small_cnn
    """
    if table["draw"].nunique() < 2:
        return "Each number of labels was drawn once: differences may be due to chance."
    cells = {}
    for number, part in table.groupby("labels"):
        groups = part.groupby("setting")["test_accuracy"]
        cells[int(number)] = (groups.get_group("head"), groups.get_group("small_cnn"))
    clear = clear_differences(cells)
    above = {number: gap for number, gap in clear.items() if gap.low > 0}
    below = {number: gap for number, gap in clear.items() if gap.high < 0}
    parts = [
        f"significantly {side} it {_with(found)}"
        for side, found in (("above", above), ("below", below))
        if found
    ]
    if len(clear) < len(cells):
        rest = [f"{number:,}" for number in cells if number not in clear]
        visible = unseen(visible_difference(cells), "difference")
        parts.append(f"not significantly different with {listed(rest, len(rest))} ({visible})")
    return f"Compared with the small CNN from scratch, the head is {listed(parts)}."


def _with(found: Mapping[int, Interval]) -> str:
    """`with 10, 30 and 100 labels (by 12.3 percentage points, 10.1 to 14.4, with 100)`."""
    most, gap = max(found.items())
    low, high = (f"{100 * end:.1f}" for end in sorted((abs(gap.low), abs(gap.high))))
    size = f"by {points(gap.value)}, {low} to {high}"
    if len(found) == 1:
        return f"with {count(most, 'label')} ({size})"
    every = listed([f"{number:,}" for number in found], len(found))
    return f"with {every} labels ({size}, with {most:,})"


def _accuracy(row: pd.Series) -> str:
    low, high = (f"{100 * row[end]:.1f}" for end in ("low", "high"))
    if low == high or math.isnan(row["low"]):  # draws that do not differ, or a single one
        return per_cent(row["accuracy"])
    return f"{per_cent(row['accuracy'])} ({low}–{high})"
