"""Day 2: the small CNN beside a second one, which is wider and trains for longer."""

from collections.abc import Iterable, Sequence

import pandas as pd

from lib.intervals import mean_accuracy
from lib.pages.wording import count
from lib.study.selection import results
from lib.training.recipe import Recipe
from lib.training.runs import Run


def second(recipe: Recipe, width: int, epochs: int, seeds: int) -> list[Recipe]:
    """The recipes of a second network, one a seed, or none if its width is 0.

    It sees more of each picture's variants than the first, and so is trained with Cutout.
    """
    if not width:
        return []
    wider = recipe.replace(width=width, epochs=epochs, augmentation="cutout", test_flip=True)
    return [wider.replace(seed=seed) for seed in range(seeds)]


def by_network(runs: Iterable[Run]) -> pd.DataFrame:
    """`results` with a column `network` that names width and epochs."""
    table = results(runs)
    pairs = zip(table["width"], table["epochs"], strict=True)
    return table.assign(network=[f"{width} channels, {epochs} epochs" for width, epochs in pairs])


def flip_sentence(runs: Sequence[Run]) -> str:
    """What averaging over mirror images comes to, of pictures that have such."""
    alone, flipped = (
        mean_accuracy([run.summary[name] for run in runs])
        for name in ("test_accuracy", "test_accuracy_flip")
    )
    return (
        f"The second network has a test accuracy of {alone}; with logits averaged over each "
        f"picture and its mirror image, {flipped}. Intervals are over {count(len(runs), 'seed')}."
    )
