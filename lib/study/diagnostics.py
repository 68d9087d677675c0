"""How the best models fail: what day 4 puts together from `lib.diagnosis`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.data.dataset import Dataset, Split
from lib.diagnosis.attribution import (
    Faithfulness,
    deletion_insertion,
    grad_cam,
    randomised_weights_check,
)
from lib.diagnosis.calibration import Calibration, calibrate, softmax
from lib.diagnosis.mistakes import confusion_matrix, most_confused, worst_mistakes
from lib.diagnosis.selective import aurc, selective
from lib.errors import UserError
from lib.models.parts import Classifier
from lib.pages.claims import stands_out
from lib.pages.display import Fragment, folded, table
from lib.pages.picture_sheets import Caption, captions
from lib.pages.wording import count, per_cent
from lib.study.ranking import best_of, recipes
from lib.study.selection import setting_of
from lib.training.predictions import Predictions
from lib.training.runs import Run

EXPLAINED = 200  # random test pictures on which deletion and insertion are measured
RANDOMISED = 50  # and those that are explained again whenever weights were randomised


@dataclass(frozen=True)
class Subject:
    """One of the models that day 4 diagnoses: the best small CNN, or the best other network."""

    run: Run
    dataset: Dataset
    seeds: Sequence[Run] = ()  # all runs of its recipe, if there are several

    @property
    def kind(self) -> str:
        """The recipe's `model` as part of a chart's name: `small_cnn`, `timm-convnext_tiny`."""
        return re.sub(r"[^a-z0-9_-]", "-", self.run.recipe.model.lower())

    @property
    def name(self) -> str:
        """The setting as pages write it, and the seed: `small CNN, MixUp, seed 2 of 5`."""
        several = len(self.seeds) > 1
        seed = f", seed {self.run.recipe.seed} of {len(self.seeds)}" if several else ""
        return f"{setting_of(self.run)}{seed}"

    @cached_property
    def model(self) -> Classifier:
        return self.run.load_model()

    @cached_property
    def predictions(self) -> Predictions:
        """Of the test split."""
        return self.run.predictions("test")

    @cached_property
    def examples(self) -> "GradCamExamples":
        """Ten correct and ten misclassified pictures with their heatmaps."""
        classes = self.dataset.classes
        return grad_cam_examples(self.model, self.dataset.test, self.predictions, classes)

    def drawn(self, pictures: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Random test pictures, float (N, 3, H, W) in [0, 1], and their predicted classes (N,).

        They are drawn from the whole split without replacement, the same for every subject; all of
        a split that has fewer.
        """
        generator = torch.Generator().manual_seed(seed)
        places = torch.randperm(len(self.dataset.test), generator=generator)[:pictures]
        predicted = torch.from_numpy(self.predictions.logits.argmax(1))
        return self.dataset.test.images[places] / 255, predicted[places]

    @cached_property
    def calibration(self) -> Calibration:
        """The temperature from the validation split, and what it does to the test split."""
        return calibrated(self.run)

    @property
    def coverage(self) -> pd.DataFrame:
        """Accuracy against coverage: `lib.diagnosis.selective.selective`."""
        return selective(*self._confidence())

    @property
    def aurc(self) -> float:
        """`lib.diagnosis.selective.aurc`."""
        return aurc(*self._confidence())

    def _confidence(self) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated confidence (N,), and whether each prediction is correct (N,)."""
        logits = self.predictions.logits
        confidence = softmax(logits, self.calibration.temperature).max(1)
        return confidence, logits.argmax(1) == self.predictions.labels


def subjects(runs: Iterable[Run], dataset: Dataset) -> list[Subject]:
    """The best recipe of small CNNs and that of all other networks (`lib.study.ranking`).

    A head on a backbone of random weights is none of them: nobody trained what it looks at.

    Raises
    ------
    UserError   if there is no other run
    """
    trained = [run for run in runs if _has_learned_features(run)]
    if not trained:
        raise UserError("every run has a backbone of random weights; run day 2 or day 3 first")
    best: dict[bool, list[Run]] = {}
    for group in recipes(trained):
        best.setdefault(group[0].recipe.model == "small_cnn", group)
    return [
        Subject(best[small][0], dataset, best[small]) for small in (True, False) if small in best
    ]


def _has_learned_features(run: Run) -> bool:
    recipe = run.recipe
    return recipe.model == "small_cnn" or recipe.weights != "none" or recipe.strategy != "head"


def foremost(subjects: Iterable[Subject]) -> Subject:
    """The one whose recipe is the best."""
    by_run = {subject.run: subject for subject in subjects}
    every = [run for subject in by_run.values() for run in subject.seeds or [subject.run]]
    return by_run[best_of(every)]


@dataclass(frozen=True)
class GradCamExamples:
    """Some pictures, their predictions, and the heatmaps for predicted and true class."""

    images: Tensor  # uint8 (N, 3, H, W)
    true: Tensor  # int64 (N,)
    predicted: Tensor  # int64 (N,)
    heat_predicted: Tensor  # float (N, H, W)
    heat_true: Tensor  # float (N, H, W)
    captions: list[Caption]

    def mistakes(self) -> Self:
        """Those of the pictures that are misclassified."""
        wrong = self.true != self.predicted
        return type(self)(
            self.images[wrong],
            self.true[wrong],
            self.predicted[wrong],
            self.heat_predicted[wrong],
            self.heat_true[wrong],
            [caption for caption in self.captions if not caption.right],
        )


def grad_cam_examples(
    model: Classifier,
    split: Split,
    predictions: Predictions,
    classes: Sequence[str],
    right: int = 10,
    wrong: int = 10,
) -> GradCamExamples:
    """Grad-CAM for the most confident correct predictions, class by class, and the worst errors.

    The worst errors are the most confident ones. `right` and `wrong` are numbers of pictures.
    """
    probabilities = softmax(predictions.logits)
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    order = np.argsort(-confidence, kind="stable")
    labels = predictions.labels
    correct = predicted == labels
    turn = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    in_turns = order[np.argsort(turn, kind="stable")]
    chosen = np.concatenate([in_turns[correct[in_turns]][:right], order[~correct[order]][:wrong]])

    images = split.images[torch.from_numpy(chosen)]
    true, classified = (torch.from_numpy(a[chosen]) for a in (labels, predicted))
    heat_predicted, heat_true = (
        grad_cam(model, images / 255, targets) for targets in (classified, true)
    )
    lines = captions(true, classified, confidence[chosen], classes)
    return GradCamExamples(images, true, classified, heat_predicted, heat_true, lines)


def faithfulness(subject: Subject, pictures: int = EXPLAINED, seed: int = 0) -> Faithfulness:
    """Deletion and insertion on random test pictures, whose predicted classes are explained."""
    pixels, targets = subject.drawn(pictures, seed)
    heat = grad_cam(subject.model, pixels, targets)
    generator = torch.Generator().manual_seed(seed)
    return deletion_insertion(subject.model, pixels, heat, targets, generator)


def randomisation(subject: Subject, pictures: int = RANDOMISED, seed: int = 0) -> pd.DataFrame:
    """The weight randomisation test on random test pictures and their predicted classes."""
    generator = torch.Generator().manual_seed(seed)
    return randomised_weights_check(subject.model, *subject.drawn(pictures, seed), generator)


@dataclass(frozen=True)
class Worst:
    """The misclassified pictures of highest loss, the worst first."""

    images: Tensor  # uint8 (N, 3, H, W)
    captions: list[Caption]


def worst_of(run: Run, test: Split, top: int = 20) -> Worst:
    """The run's worst mistakes on the test split."""
    predictions, classes = run.predictions("test"), run.dataset["classes"]
    ids = predictions.ids.tolist()
    table = worst_mistakes(predictions.logits, predictions.labels, ids, classes, top)
    rows = zip(table["true"], table["predicted"], table["confidence"], strict=True)
    images = test.images[torch.tensor(table["index"].tolist(), dtype=torch.int64)]
    return Worst(images, [Caption(*row) for row in rows])


def confusion_of(run: Run) -> pd.DataFrame:
    """The confusion matrix of the test split: `lib.diagnosis.mistakes.confusion_matrix`."""
    test = run.predictions("test")
    return confusion_matrix(test.labels, test.logits.argmax(1), run.dataset["classes"])


def confused_by(run: Run, top: int = 10) -> pd.DataFrame:
    """The most confused pairs on the test split: `lib.diagnosis.mistakes.most_confused`."""
    test = run.predictions("test")
    return most_confused(test.labels, test.logits.argmax(1), run.dataset["classes"], top)


def confused_table(run: Run, top: int = 5) -> Fragment:
    """The pairs of `confused_by`, folded under a line that says whether the first stands out."""
    pairs = confused_by(run, top)
    if pairs.empty:
        return Fragment("", "")
    most = "Most confused pairs of classes"
    words = most if stands_out(pairs) else "Confused pairs of classes; none stands out"
    return folded(words, table(pairs))


def calibrated(run: Run) -> Calibration:
    """The temperature from the validation split, and what it does to the test split."""
    val, test = run.predictions("val"), run.predictions("test")
    return calibrate(val.logits, val.labels, test.logits, test.labels)


def confusion_sentence(run: Run) -> str:
    """How many test pictures are misclassified, and the most confused classes if they stand out."""
    test, pairs = run.predictions("test"), confused_by(run)
    if pairs.empty:
        return "No picture of the test split is misclassified."
    wrong, total = int((test.logits.argmax(1) != test.labels).sum()), len(test.labels)
    are = "is" if wrong == 1 else "are"
    text = f"{wrong:,} of {count(total, 'test picture')} {are} misclassified"
    if len(run.dataset["classes"]) == 2 or not stands_out(pairs):
        return f"{text}; no pair of classes stands out."
    first = pairs.iloc[0]
    one, other = sorted((first["class_a"], first["class_b"]))
    errors, share = count(first["errors"], "error"), per_cent(first["share_of_both"])
    return (
        f"{text}. The most confused classes are {one} and {other}: {errors}, {share} of their "
        "pictures."
    )
