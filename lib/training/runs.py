"""What a run leaves on disk, and how it is found again.

A run is the folder `runs/<run_id>/`:

| file | holds |
|---|---|
| `recipe.json`, `dataset.json` | what was asked, of which pictures |
| `environment.json` | the machine and the versions |
| `history.csv` | one row per epoch |
| `model.safetensors` | the weights of the epoch that was best on val |
| `predictions.npz` | ids, labels and logits of val and test, by those weights |
| `checkpoint.pt` | the state after the last epoch, while the run is unfinished |
| `summary.json` | the figures; written last, so a run that has it is finished |
| `attacks.csv` | accuracy under attack, once it has been measured: rows of
  `lib.diagnosis.robustness.accuracy_under_attack` |

A run's id is a hash of the recipe, the dataset's fingerprint and `VERSION`: the same choices on the
same pictures are the same run, whatever the code that trains looks like.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.files import read_json, write_json, write_text
from lib.models import weights
from lib.models.parts import Classifier
from lib.training.network import build
from lib.training.recipe import Recipe

VERSION = 1  # raised when the same recipe on the same dataset comes to train to another result


@dataclass(frozen=True)
class Predictions:
    """Predictions of a split: ids (N,), labels int64 (N,), logits float32 (N, classes)."""

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
        """The dataset's facts: name, classes, sizes, mean, std, flip, fingerprint, skipped."""
        return read_json(self.path / "dataset.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        return read_json(self.path / "environment.json")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures; see `lib.training.loop.fit` for their names."""
        return read_json(self.path / "summary.json")

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch; `seconds` counts from the run's start."""
        return pd.read_csv(self.path / "history.csv")

    @property
    def attacks(self) -> pd.DataFrame | None:
        """Accuracy under attack, if it has been measured; `save_attacks` stores it."""
        path = self.path / "attacks.csv"
        return pd.read_csv(path) if path.exists() else None

    def save_attacks(self, table: pd.DataFrame) -> None:
        """Store rows of `lib.diagnosis.robustness.accuracy_under_attack` with the run."""
        write_text(self.path / "attacks.csv", table.to_csv(index=False))

    def predictions(self, split: str) -> Predictions:
        """The best weights' predictions of the pictures of `split`, which is val or test."""
        with np.load(self.path / "predictions.npz") as arrays:
            return Predictions(*(arrays[f"{split}_{name}"] for name in ("ids", "labels", "logits")))

    def load_model(self, device: str | torch.device = "cpu") -> Classifier:
        """The network with its best weights, in evaluation mode.

        Raises
        ------
        UserError   if the weights are missing, damaged or of another network
        """
        facts, file = self.dataset, self.path / "model.safetensors"
        model = build(self.recipe, len(facts["classes"]), facts["mean"], facts["std"])
        try:
            model.load_state_dict(weights.read_file(file))
        except RuntimeError as error:
            wrong = str(error).splitlines()[-1].strip()
            raise UserError(f"{file}: not the weights of the run's recipe ({wrong})") from error
        return model.to(device).eval()

    @property
    def lock(self) -> Path:
        """The file that is locked while the run trains, so that two processes never train it."""
        return self.path / ".lock"


class RunStore:
    """The folder of the runs; every process that uses it shares them."""

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
                f"{self.root}: no finished run {run_id!r}; its folders are the runs that there are"
            )
        return run

    def finished(self) -> list[Run]:
        """Every finished run, in the order of their names."""
        return [Run(path.parent) for path in sorted(self.root.glob("*/summary.json"))]


def run_id(recipe: Recipe, dataset: Dataset) -> str:
    """Twelve hexadecimal digits from the recipe, the dataset and `VERSION`."""
    text = "/".join([recipe.digest(), dataset.fingerprint, str(VERSION)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
        "skipped": list(dataset.skipped),
    }


def validation_rank(figures: Mapping[str, Any]) -> tuple[float, float]:
    """Orders epochs and runs by validation accuracy, those with equal accuracy by their loss.

    The greatest is the best. `figures` has val_accuracy and val_loss.
    """
    return figures["val_accuracy"], -figures["val_loss"]


def best_of(runs: Iterable[Run]) -> Run:
    """The best run by `validation_rank`."""
    return max(runs, key=lambda run: validation_rank(run.summary))
