"""The figures of a model card, from what was recorded of the bundle's model."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lib.data.dataset import Dataset
from lib.diagnosis.calibration import ece_reference, faultless, softmax
from lib.diagnosis.mistakes import most_confused, worst_mistakes
from lib.diagnosis.robustness import QUOTED, accuracy_at
from lib.inference.bundle import Bundle
from lib.intervals import Interval, accuracy_interval
from lib.pages.claims import extremes, stands_out
from lib.study.calibration_words import fit_words, reference_words
from lib.study.ranking import recipe_of
from lib.study.robustness import Robustness
from lib.study.selection import accuracy_over_seeds
from lib.training.predictions import Predictions
from lib.training.runs import Run

SEVERITIES = (1, 3, 5)  # of corruption, that the card tables
SURE = 0.9  # calibrated confidence from which an error counts as confident


@dataclass(frozen=True)
class ClassSizes:
    """How many pictures of each class a split holds."""

    counts: dict[str, int]

    @property
    def smallest(self) -> str:
        return min(self.counts, key=self.counts.__getitem__)

    @property
    def largest(self) -> str:
        return max(self.counts, key=self.counts.__getitem__)

    @property
    def ratio(self) -> float:
        """The largest class in units of the smallest; infinite where that one is empty."""
        least = self.counts[self.smallest]
        return self.counts[self.largest] / least if least else math.inf

    def __str__(self) -> str:
        """`35–37`, or `50` where all are of one size."""
        ends = sorted({self.counts[self.smallest], self.counts[self.largest]})
        return "–".join(f"{end:,}" for end in ends)


@dataclass(frozen=True)
class Facts:
    """All that the card's text asks for; what was not measured or recorded is None.

    Parameters
    ----------
    run : Run                 that the bundle was made from
    dataset : Dataset         that it was trained on, with or without its training limit
    robustness : Robustness   of its network

    Raises
    ------
    ValueError   if the run is not the bundle's, or the dataset not the run's
    """

    bundle: Bundle
    run: Run
    dataset: Dataset | None = None
    robustness: Robustness | None = None

    def __post_init__(self) -> None:
        if self.run.run_id != self.bundle.run_id:
            raise ValueError(f"the bundle holds run {self.bundle.run_id}, not {self.run.run_id}")
        if self.dataset and self.test and self.dataset.test.ids != tuple(self.test.ids):
            raise ValueError(f"run {self.run.run_id} was tested on other pictures than these")
        if self.dataset and len(self.dataset.train) < self.bundle.dataset["pictures"]["train"]:
            raise ValueError(f"run {self.run.run_id} learned from more pictures than these")

    @property
    def source(self) -> str:
        """Where the pictures come from: `digits`, `cifar10` or `folder`."""
        name, flip = self.bundle.dataset["name"], self.bundle.dataset["flip"]
        return name if name == "cifar10" or (name == "digits" and not flip) else "folder"

    @cached_property
    def class_sizes(self) -> dict[str, ClassSizes]:
        """Of each split for which they are known."""
        labels = {}
        if self.dataset:
            limit = self.bundle.dataset["pictures"]["train"]
            labels["train"] = self.dataset.train.labels[:limit].cpu().numpy()
        for split in ("val", "test"):
            if predictions := self._predictions(split):
                labels[split] = predictions.labels
        return {split: self._sizes(of_split) for split, of_split in labels.items()}

    def _sizes(self, labels: np.ndarray) -> ClassSizes:
        counts = np.bincount(labels, minlength=len(self.bundle.classes)).tolist()
        return ClassSizes(dict(zip(self.bundle.classes, counts, strict=True)))

    @cached_property
    def pretraining(self) -> Run | None:
        """The run of `lib.training.pretraining` that the backbone comes from."""
        source, _, run_id = self.bundle.recipe.weights.partition(":")
        run = self.run.store.find(run_id) if source == "run" else None
        return run if run and run.dataset["name"].endswith(" rotated") else None

    @cached_property
    def recipe_runs(self) -> list[Run]:
        """The runs of this one's recipe, which differ in their seeds, this one first."""
        recipe = recipe_of(self.run)
        others = (run for run in self.run.store.finished() if run.run_id != self.run.run_id)
        return [self.run, *(run for run in others if recipe_of(run) == recipe)]

    @property
    def seeds(self) -> dict[int, float]:
        """Test accuracy of the recipe's runs, by seed."""
        return {run.recipe.seed: run.summary["test_accuracy"] for run in self.recipe_runs}

    @cached_property
    def mean(self) -> Interval:
        """Test accuracy of the recipe: the mean over its seeds."""
        return accuracy_over_seeds(self.recipe_runs)

    # Accuracy and calibration

    @property
    def accuracy(self) -> Interval:
        """On test."""
        return Interval(**self.bundle.metrics["accuracy"])

    @cached_property
    def per_class(self) -> list[dict[str, Any]]:
        """The rows of `lib.diagnosis.mistakes.per_class`, each accuracy an `Interval`."""
        rows = self.bundle.metrics["per_class"]
        return [row | {"accuracy": Interval.of(row)} for row in rows]

    @property
    def worst_class(self) -> dict[str, Any] | None:
        """The row of the class with the lowest accuracy, if it is significantly the lowest."""
        lowest = extremes(pd.DataFrame(self.bundle.metrics["per_class"])).lowest
        return None if lowest is None else self.per_class[int(lowest.name)]

    @property
    def widest_class(self) -> dict[str, Any]:
        """The row of the class whose accuracy is known least well."""
        return max((r for r in self.per_class if r["n"]), key=lambda row: width(row["accuracy"]))

    def calibration(self, measure: str, scaling: str) -> Interval:
        """A measure of `lib.diagnosis.calibration.calibration_table`, before or after scaling."""
        return Interval(**self.bundle.metrics["calibration"][measure][scaling])

    @property
    def temperature_sentence(self) -> str | None:
        """What the temperature was fitted on, if the validation predictions are on record."""
        val = self._predictions("val")
        if val is None:
            return None
        right = faultless(val.logits, val.labels)
        return fit_words(self.bundle.temperature, len(val.labels), right)

    @property
    def reference_words(self) -> str | None:
        """What calibration error a calibrated model would show."""
        if self.test is None:
            return None
        confidence = softmax(self.test.logits, self.bundle.temperature).max(1)
        reference = ece_reference(confidence, self.test.logits.argmax(1) == self.test.labels)
        return reference_words(reference, len(confidence))

    # Errors

    @cached_property
    def test(self) -> Predictions | None:
        """The network's predictions of the test pictures."""
        return self._predictions("test")

    def _predictions(self, split: str) -> Predictions | None:
        recorded = (self.run.path / "predictions.npz").exists()
        return self.run.predictions(split) if recorded else None

    @cached_property
    def pairs(self) -> pd.DataFrame | None:
        """`lib.diagnosis.mistakes.most_confused`."""
        if self.test is None:
            return None
        return most_confused(self.test.labels, self.test.logits.argmax(1), self.bundle.classes)

    @property
    def pair_stands_out(self) -> bool:
        """Whether one pair of classes has significantly more errors than any other."""
        return self.pairs is not None and stands_out(self.pairs)

    @cached_property
    def mistakes(self) -> pd.DataFrame | None:
        """`worst_mistakes` with calibrated confidences, the most confident first."""
        if self.test is None:
            return None
        logits, ids = self.test.logits / self.bundle.temperature, self.test.ids.tolist()
        table = worst_mistakes(logits, self.test.labels, ids, self.bundle.classes, len(ids))
        return table.sort_values("confidence", ascending=False, kind="stable")

    @cached_property
    def sure(self) -> tuple[int, Interval] | None:
        """How many test pictures get a confidence of `SURE` or more, and their accuracy."""
        if self.test is None:
            return None
        confidence = softmax(self.test.logits, self.bundle.temperature).max(1)
        right = (self.test.logits.argmax(1) == self.test.labels)[confidence >= SURE]
        return len(right), accuracy_interval(int(right.sum()), len(right))

    @property
    def overconfident(self) -> int:
        """How many mistakes were made with a confidence of `SURE` or more."""
        return 0 if self.mistakes is None else int((self.mistakes["confidence"] >= SURE).sum())

    # Robustness

    @cached_property
    def clean(self) -> Interval | None:
        """Accuracy on the attacked pictures as they were."""
        return None if self._attacked is None else self._attacked["0"]["fgsm"]

    @cached_property
    def attacks(self) -> dict[str, dict[str, Interval]] | None:
        """Accuracy by the attack's name, by epsilon in steps of 1/255, such as `0.5`."""
        if self._attacked is None:
            return None
        return {epsilon: row for epsilon, row in self._attacked.items() if epsilon != "0"}

    @property
    def attacked(self) -> Interval | None:
        """Accuracy under PGD with the epsilon of `lib.diagnosis.robustness.QUOTED`."""
        return (
            None if self.robustness is None else accuracy_at(self.robustness.attacks, "pgd", QUOTED)
        )

    @cached_property
    def _attacked(self) -> dict[str, dict[str, Interval]] | None:
        if self.robustness is None:
            return None
        steps = self.robustness.attacks["epsilon_255"].map("{:g}".format)
        return _nested(self.robustness.attacks.assign(epsilon=steps), "epsilon", "attack")

    @cached_property
    def corruptions(self) -> dict[str, dict[int, Interval]] | None:
        """Accuracy by severity, by the corruption's name."""
        if self.robustness is None:
            return None
        measured = self.robustness.corruptions
        shown = measured[measured["severity"].isin(SEVERITIES)]
        return _nested(shown, "corruption", "severity")


def _nested(table: pd.DataFrame, outer: str, inner: str) -> dict[Any, dict[Any, Interval]]:
    """The accuracies of the table's rows, by two of its columns."""
    nested: dict[Any, dict[Any, Interval]] = {}
    for row in table.to_dict("records"):
        nested.setdefault(row[outer], {})[row[inner]] = Interval.of(row)
    return nested


def width(interval: Interval) -> float:
    """How far the interval's ends lie apart."""
    return interval.high - interval.low
