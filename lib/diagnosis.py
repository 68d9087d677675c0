"""How does the best model fail? What day 4 puts together from the modules that measure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.attribution import grad_cam
from lib.calibration import Calibration, softmax
from lib.data import Dataset, Split
from lib.evaluation import Interval
from lib.gallery import Caption
from lib.models import Classifier
from lib.robustness import ATTACKS, accuracy_under_attack, corruption_accuracy
from lib.runs import Predictions, Run, best_of

EPSILONS = tuple(step / 255 for step in (0, 0.5, 1, 2, 4, 6, 8))


def fitting(runs: Iterable[Run], dataset: Dataset) -> list[Run]:
    """The runs that were tested on the very pictures of this dataset's test split, in its order."""
    return [
        run
        for run in runs
        if tuple(run.predictions("test").ids) == dataset.test.ids
        and run.dataset["image_size"] == dataset.image_size
    ]


def best_by_model(runs: Iterable[Run]) -> dict[str, Run]:
    """The best run by val of each kind of network."""
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(run.recipe.model, []).append(run)
    return {kind: best_of(group) for kind, group in sorted(kinds.items(), reverse=True)}


def best_by_setting(runs: Iterable[Run]) -> dict[str, Run]:
    """The best run by val of each model and way of training it, by a name for pages and links."""
    ways: dict[str, list[Run]] = {}
    for run in runs:
        recipe = run.recipe
        way = recipe.augmentation if recipe.model == "small_cnn" else recipe.strategy
        untrained = recipe.model == "resnet18" and recipe.weights == "none"
        name = "-".join([recipe.model, way, *(["random"] if untrained else [])])
        ways.setdefault(name, []).append(run)
    return {name: best_of(group) for name, group in sorted(ways.items(), reverse=True)}


def first_of(split: Split, pictures: int) -> Split:
    """The first so many of a split, which is ordered so that they are balanced; 0 takes all."""
    end = pictures or len(split)
    return Split(split.images[:end], split.labels[:end], split.ids[:end])


@dataclass(frozen=True)
class Looks:
    """Some right answers, then some mistakes, and what spoke for them."""

    images: Tensor  # uint8 (N, 3, H, W)
    true: Tensor  # int64 (N,)
    predicted: Tensor  # int64 (N,)
    heat_predicted: Tensor  # float (N, H, W)
    heat_true: Tensor  # float (N, H, W)
    captions: list[Caption]

    @property
    def wrong(self) -> Tensor:
        """bool (N,): which are mistakes."""
        return self.true != self.predicted

    @property
    def captions_true(self) -> list[Caption]:
        """The captions of the mistakes."""
        return [caption for caption in self.captions if caption.true != caption.predicted]


def look(
    model: Classifier,
    split: Split,
    said: Predictions,
    classes: Sequence[str],
    right: int,
    wrong: int,
) -> Looks:
    """Grad-CAM for the surest right answers, a class at a time, and for the surest mistakes."""
    probabilities = softmax(said.logits)
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    surest = np.argsort(-confidence, kind="stable")
    correct = predicted == said.labels
    turn = pd.Series(said.labels[surest]).groupby(said.labels[surest]).cumcount().to_numpy()
    in_turns = surest[np.argsort(turn, kind="stable")]
    chosen = np.concatenate([in_turns[correct[in_turns]][:right], surest[~correct[surest]][:wrong]])

    images = split.images[torch.from_numpy(chosen)]
    true, named = (torch.from_numpy(a[chosen]) for a in (said.labels, predicted))
    captions = [
        Caption(classes[t], classes[p], float(c))
        for t, p, c in zip(true.tolist(), named.tolist(), confidence[chosen], strict=True)
    ]
    heat_named, heat_true = (grad_cam(model, images / 255, targets) for targets in (named, true))
    return Looks(images, true, named, heat_named, heat_true, captions)


def attacks(model: Classifier, test: Split, generator: torch.Generator) -> pd.DataFrame:
    """FGSM and PGD at every `EPSILONS`: the columns of `lib.robustness.accuracy_under_attack`."""
    return pd.concat(
        [
            accuracy_under_attack(model, test.images, test.labels, EPSILONS, attack, generator)
            for attack in ATTACKS
        ],
        ignore_index=True,
    )


def corruption_by_augmentation(
    runs: Iterable[Run], test: Split, generator: torch.Generator, severities: Sequence[int]
) -> pd.DataFrame:
    """Accuracy under corruption of the best small network of each augmentation.

    Returns
    -------
    table : augmentation, and the columns of `lib.robustness.corruption_accuracy`
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.recipe.model == "small_cnn":
            groups.setdefault(run.recipe.augmentation, []).append(run)
    seed = generator.initial_seed()
    tables = [
        corruption_accuracy(
            best_of(group).load_model(),
            test.images,
            test.labels,
            torch.Generator().manual_seed(seed),  # the same draws for every augmentation
            severities=severities,
        ).assign(augmentation=augmentation)
        for augmentation, group in groups.items()
    ]
    return pd.concat(tables, ignore_index=True)


def confusion_sentence(confused: pd.DataFrame) -> str:
    """The pair that is most often confused, in words."""
    if confused.empty:
        return "No picture of the test split is mistaken for another class."
    first = confused.iloc[0]
    return (
        f"Most often confused are {first['first']} and {first['second']}: {first['count']} times, "
        f"{first['share']:.1%} of their pictures.".replace("%", " %")
    )


def calibration_sentence(scaled: Calibration, name: str) -> str:
    """What temperature scaling did to the calibration error, in words."""
    ece = scaled.metrics.query("metric == 'ece'").set_index("scaling")
    before, after = (
        Interval(*ece.loc[scaling, ["value", "low", "high"]]) for scaling in ("before", "after")
    )
    return (
        f"The {name}'s expected calibration error is {before} before and {after} after "
        f"scaling by a temperature of {scaled.temperature:.2f}."
    )
