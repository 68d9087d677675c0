"""Self-supervised pretraining of a backbone by rotation prediction.

The network learns to predict the rotation of each picture (Gidaris et al., "Unsupervised
Representation Learning by Predicting Image Rotations", ICLR 2018), which needs no labels and no
network connection.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from lib.data.dataset import Dataset, Split
from lib.training import backbones, sweep
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

ANGLES = (0, 90, 180, 270)


def pretrained(
    source: str, dataset: Dataset, store: RunStore, pretraining: Recipe, seeds: int = 1
) -> tuple[str, ...]:
    """The networks that a source of weights gives, by their names for a recipe's `weights`.

    Parameters
    ----------
    source : str             `none`, `imagenet`, `timm`, `rotation` or the path of a file
    pretraining : Recipe     how a network is trained on rotations, if that is asked for
    seeds : int              how many are, with the seeds 0, 1, ...; other sources are one network

    Raises
    ------
    UserError   if a file cannot be read
    """
    if source in ("none", "imagenet", "timm"):
        return (source,)
    if source == "rotation":
        recipes = [pretraining.replace(seed=seed) for seed in range(seeds)]
        return tuple(f"run:{run.run_id}" for run in sweep.train(recipes, rotated(dataset), store))
    return (backbones.file_name(Path(source)),)


def starting_from(networks: Sequence[str], recipe: Recipe, seed: int) -> Recipe:
    """The recipe with that seed and the network that belongs to it: the seed modulo their number.

    So all settings start from the same networks, and differ in nothing else.
    """
    return recipe.replace(weights=networks[seed % len(networks)], seed=seed)


def each_from(networks: Sequence[str], recipes: Iterable[Recipe], seeds: int) -> list[Recipe]:
    """Every recipe with the seeds 0, 1, ... up to that many, each as by `starting_from`."""
    return [starting_from(networks, recipe, seed) for recipe in recipes for seed in range(seeds)]


def rotated(dataset: Dataset) -> Dataset:
    """Every picture in four turns, labelled by its angle. A mirrored one would change its label."""
    return replace(
        dataset,
        name=f"{dataset.name} rotated",
        classes=tuple(f"{angle}°" for angle in ANGLES),
        train=_turned(dataset.train),
        val=_turned(dataset.val),
        test=_turned(dataset.test),
        flip=False,
        fingerprint=f"{dataset.fingerprint}-rotated",
        content=f"{dataset.content}-rotated",
        available=len(ANGLES) * dataset.available,
    )


def _turned(split: Split) -> Split:
    turns = [torch.rot90(split.images, turn, (2, 3)) for turn in range(4)]
    return Split(
        images=torch.cat(turns),
        labels=torch.arange(4).repeat_interleave(len(split)),
        ids=tuple(f"{id}@{angle}" for angle in ANGLES for id in split.ids),
    )
