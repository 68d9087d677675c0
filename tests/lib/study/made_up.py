"""Runs that were never trained: their predictions are made up, their records are as a run's are."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lib.training.predictions import Predictions
from lib.training.recipe import Recipe


class Store:
    """Finds the runs that it was given by their ids."""

    def __init__(self, runs=()):
        self.runs = {run.run_id: run for run in runs}

    def find(self, run_id):
        return self.runs.get(run_id)


@dataclass(eq=False)
class MadeUp:
    """A run by the pictures on which it is right: `val` and `test` are bool (N,).

    Every picture shows class 0; a wrong prediction is class 1. `sure` is the logit of what is
    predicted, the others are 0.
    """

    val: np.ndarray
    test: np.ndarray
    recipe: Recipe = field(default_factory=Recipe)
    sure: float = 2.0
    pictures: int = 100
    store: Any = field(default_factory=Store)
    loss: float = 0.5
    seconds: float = 10.0

    @property
    def run_id(self):
        return f"{self.recipe.digest()}-{self.pictures}-{self.sure}"

    @property
    def summary(self):
        return {
            "val_accuracy": float(np.mean(self.val)),
            "val_loss": self.loss,
            "test_accuracy": float(np.mean(self.test)),
            "test_low": 0.0,
            "test_high": 1.0,
            "parameters": 1000,
            "seconds": self.seconds,
        }

    @cached_property
    def dataset(self):
        return {
            "name": "made up",
            "classes": ["a", "b"],
            "pictures": {"train": self.pictures, "val": len(self.val), "test": len(self.test)},
            "fingerprint": f"{self.pictures} pictures",
        }

    def predictions(self, split):
        right = np.asarray({"val": self.val, "test": self.test}[split])
        logits = np.stack([right, ~right], axis=1).astype(np.float32) * self.sure
        labels = np.zeros(len(right), int)
        return Predictions(np.arange(len(right)).astype(str), labels, logits)


def right(correct, total=100):
    """The first `correct` of `total` pictures are right."""
    return np.arange(total) < correct
