"""Training the head of a frozen ResNet-18: features kept, against every epoch through the backbone.

    python -m benchmarks.transfer [--dataset cifar10] [--pictures 5000] [--epochs 100] [--seeds 3]

Both train the same head on the same pictures for the same epochs, in turn within one run, from a
backbone of random weights (what is timed does not depend on what it knows). `kept` counts the one
pass through the backbone. Seconds are medians over seeds, accuracies means.
"""

import argparse
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from lib.data.dataset import load
from lib.intervals import mean_interval
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

VIEWS = {"features kept": 1, "through the backbone": 0}


def main() -> None:
    """Train both ways for every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--pictures", type=int, default=None, help="default: all")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()

    dataset = load(
        options.dataset, 16 if options.dataset == "digits" else None, train_limit=options.pictures
    )
    recipe = Recipe(
        model="resnet18", strategy="head", augmentation="none", epochs=options.epochs, lr=0.1
    )
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in VIEWS}
    with TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for name, views in VIEWS.items():
                run = fit(recipe.replace(views=views, seed=seed), dataset, RunStore(folder))
                figures[name].append((run.summary["seconds"], run.summary["test_accuracy"]))

    seconds = {name: float(np.median([s for s, _ in runs])) for name, runs in figures.items()}
    table = pd.DataFrame(
        {
            "way": name,
            "seconds": seconds[name],
            "times as fast": seconds["through the backbone"] / seconds[name],
            "test accuracy": str(mean_interval([accuracy for _, accuracy in runs])),
        }
        for name, runs in figures.items()
    )
    print(f"{len(dataset.train)} pictures of {dataset.name}, {options.epochs} epochs")
    print(table.to_string(index=False, float_format="{:.1f}".format))


if __name__ == "__main__":
    main()
