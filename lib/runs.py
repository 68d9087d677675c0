"""What a run leaves on disk, and how it is found again.

A run lives in `runs/<run_id>/`:

| file | holds |
|---|---|
| `recipe.json`, `dataset.json` | what was asked, of which pictures |
| `environment.json` | the machine and the versions |
| `history.csv` | a row an epoch |
| `model.safetensors` | the weights of the epoch that was best on val |
| `predictions.npz` | ids, labels and logits of val and test, by those weights |
| `checkpoint.pt` | the state after the last epoch, while the run is unfinished |
| `summary.json` | the figures; written last, so a run that has it is finished |
"""

import ast
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from lib import models
from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.files import read_json, write_json
from lib.recipe import Recipe

MODULES_THAT_TRAIN = (
    "augment",
    "feeds",
    "models",
    "optimizers",
    "pretraining",
    "recipe",
    "training",
    "weights",
)


@dataclass(frozen=True)
class Predictions:
    """A split as the run saw it: ids (N,), labels int64 (N,), logits float32 (N, classes)."""

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class Run:
    """A recipe carried out on a dataset, read from its folder when asked."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def finished(self) -> bool:
        return (self.path / "summary.json").exists()

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.from_dict(read_json(self.path / "recipe.json"))

    @cached_property
    def dataset(self) -> dict[str, Any]:
        """The dataset's facts: name, classes, sizes, mean, std, flip, fingerprint."""
        return read_json(self.path / "dataset.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        return read_json(self.path / "environment.json")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures; see `lib.training.fit` for their names."""
        return read_json(self.path / "summary.json")

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch; `seconds` counts from the run's start."""
        return pd.read_csv(self.path / "history.csv")

    def predictions(self, split: str) -> Predictions:
        """What the best weights say of the pictures of `split`, which is val or test."""
        with np.load(self.path / "predictions.npz") as arrays:
            return Predictions(*(arrays[f"{split}_{name}"] for name in ("ids", "labels", "logits")))

    def load_model(self, device: str | torch.device = "cpu") -> models.Classifier:
        """The network with its best weights, in evaluation mode."""
        facts = self.dataset
        model = models.build(self.recipe, len(facts["classes"]), facts["mean"], facts["std"])
        model.load_state_dict(load_file(self.path / "model.safetensors"))
        return model.to(device).eval()

    def lock(self) -> filelock.BaseFileLock:
        """Held while training, so that two processes never train the same run."""
        return filelock.FileLock(self.path / ".lock")


class RunStore:
    """The folder that holds the runs; every process that shares it shares them."""

    def __init__(self, root: str | Path = "runs"):
        self.root = Path(root)

    def run(self, recipe: Recipe, dataset: Dataset) -> Run:
        """The run of that recipe on that dataset, begun if it was not.

        Raises
        ------
        UserError   if the store cannot be written
        """
        run = Run(self.root / run_id(recipe, dataset))
        if not (run.path / "dataset.json").exists():
            write_json(run.path / "recipe.json", recipe.to_dict())
            write_json(run.path / "dataset.json", facts(dataset))
        return run

    def get(self, run_id: str) -> Run:
        """The finished run of that name.

        Raises
        ------
        UserError   if there is none
        """
        run = Run(self.root / run_id)
        if not run.finished:
            raise UserError(
                f"{self.root}: no finished run {run_id!r}; its folders name what it holds"
            )
        return run

    def finished(self) -> list[Run]:
        """Every finished run, in the order of their names."""
        return [Run(path.parent) for path in sorted(self.root.glob("*/summary.json"))]


def run_id(recipe: Recipe, dataset: Dataset) -> str:
    """Twelve hexadecimal digits from the recipe, the dataset and the code that trains."""
    text = "/".join([recipe.digest(), dataset.fingerprint, source_digest()])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def source_digest() -> str:
    """A hash of the modules that train; comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for name in MODULES_THAT_TRAIN:
        tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
                node, clean=False
            ):
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def facts(dataset: Dataset) -> dict[str, Any]:
    """What a run remembers of its dataset."""
    return {
        "name": dataset.name,
        "classes": list(dataset.classes),
        "pictures": {name: len(getattr(dataset, name)) for name in ("train", "val", "test")},
        "image_size": dataset.image_size,
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "flip": dataset.flip,
        "fingerprint": dataset.fingerprint,
    }


def results(runs: Iterable[Run]) -> pd.DataFrame:
    """A row a run: its id, its recipe's fields, its summary's figures, its page on the site."""
    return pd.DataFrame(
        {
            "run_id": run.run_id,
            **run.recipe.to_dict(),
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


def best_of(runs: Iterable[Run]) -> Run:
    """The run that is best on val; of equals, the one with the lower loss there."""
    return max(runs, key=lambda run: (run.summary["val_accuracy"], -run.summary["val_loss"]))
