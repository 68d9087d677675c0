"""How does the best model fail? What day 4 puts together from the modules that measure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.data.dataset import Split
from lib.diagnosis.attribution import grad_cam
from lib.diagnosis.calibration import Calibration, calibrate, selective, softmax
from lib.diagnosis.mistakes import confusion_matrix, most_confused, worst_mistakes
from lib.diagnosis.robustness import (
    ATTACKS,
    ATTACKS_FILE,
    accuracy_under_attack,
    corruption_accuracy,
)
from lib.files import write_text
from lib.intervals import Interval
from lib.models.parts import Classifier
from lib.pages.picture_sheets import Caption, captions
from lib.pages.wording import count, per_cent
from lib.study.selection import ablation, grouped
from lib.training.runs import Predictions, Run, best_of

EPSILONS = tuple(step / 255 for step in (0, 0.5, 1, 2, 4, 6, 8))


@dataclass(frozen=True)
class Looks:
    """Some pictures, what they were taken for, and what spoke for it."""

    images: Tensor  # uint8 (N, 3, H, W)
    true: Tensor  # int64 (N,)
    predicted: Tensor  # int64 (N,)
    heat_predicted: Tensor  # float (N, H, W)
    heat_true: Tensor  # float (N, H, W)
    captions: list[Caption]

    def mistakes(self) -> Self:
        """Those of the pictures that were taken for something else."""
        wrong = self.true != self.predicted
        return type(self)(
            self.images[wrong],
            self.true[wrong],
            self.predicted[wrong],
            self.heat_predicted[wrong],
            self.heat_true[wrong],
            [caption for caption in self.captions if not caption.right],
        )


def look(
    model: Classifier,
    split: Split,
    said: Predictions,
    classes: Sequence[str],
    right: int = 10,
    wrong: int = 10,
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
    heat_named, heat_true = (grad_cam(model, images / 255, targets) for targets in (named, true))
    shown = captions(true, named, confidence[chosen], classes)
    return Looks(images, true, named, heat_named, heat_true, shown)


@dataclass(frozen=True)
class Worst:
    """The mistakes of greatest loss, the worst first."""

    images: Tensor  # uint8 (N, 3, H, W)
    captions: list[Caption]


def worst_of(run: Run, test: Split, top: int = 20) -> Worst:
    """What the run's best weights got most wrong of the test split."""
    said, classes = run.predictions("test"), run.dataset["classes"]
    table = worst_mistakes(said.logits, said.labels, said.ids.tolist(), classes, top)
    rows = zip(table["true"], table["predicted"], table["confidence"], strict=True)
    images = test.images[torch.tensor(table["index"].tolist(), dtype=torch.int64)]
    return Worst(images, [Caption(*row) for row in rows])


def confusion_of(run: Run) -> pd.DataFrame:
    """The confusion matrix of the test split: `lib.diagnosis.mistakes.confusion_matrix`."""
    said = run.predictions("test")
    return confusion_matrix(said.labels, said.logits.argmax(1), run.dataset["classes"])


def confused_by(run: Run) -> pd.DataFrame:
    """The pairs confused most often on the test split: `lib.diagnosis.mistakes.most_confused`."""
    said = run.predictions("test")
    return most_confused(said.labels, said.logits.argmax(1), run.dataset["classes"])


def calibrated(run: Run) -> Calibration:
    """The temperature from the val split, and what it does to the test split."""
    val, test = run.predictions("val"), run.predictions("test")
    return calibrate(val.logits, val.labels, test.logits, test.labels)


def coverage(said: Predictions, temperature: float) -> pd.DataFrame:
    """Accuracy against the share answered: `lib.diagnosis.calibration.selective`."""
    confidence = softmax(said.logits, temperature).max(1)
    return selective(confidence, said.logits.argmax(1) == said.labels)


def attacks(run: Run, test: Split, generator: torch.Generator) -> pd.DataFrame:
    """FGSM and PGD at every `EPSILONS`, stored with the run: see `Run.attacks`."""
    model = run.load_model()
    table = pd.concat(
        [
            accuracy_under_attack(model, test.images, test.labels, EPSILONS, attack, generator)
            for attack in ATTACKS
        ],
        ignore_index=True,
    )
    write_text(run.path / ATTACKS_FILE, table.to_csv(index=False))
    return table


def corruption_by_augmentation(
    runs: Iterable[Run], test: Split, generator: torch.Generator, severities: Sequence[int]
) -> pd.DataFrame:
    """Accuracy under corruption of the best network of each augmentation of an ablation.

    Returns
    -------
    table : augmentation, and the columns of `lib.diagnosis.robustness.corruption_accuracy`
    """
    seed = generator.initial_seed()
    tables = [
        corruption_accuracy(
            best_of(group).load_model(),
            test.images,
            test.labels,
            torch.Generator().manual_seed(seed),  # the same draws for every augmentation
            severities=severities,
        ).assign(augmentation=augmentation)
        for augmentation, group in grouped(
            ablation(runs), lambda run: run.recipe.augmentation
        ).items()
    ]
    columns = ["augmentation", "corruption", "accuracy"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def confusion_sentence(run: Run) -> str:
    """The pair that the run confuses most often, in words."""
    confused = confused_by(run)
    if confused.empty:
        return "No picture of the test split is mistaken for another class."
    first = confused.iloc[0]
    pair, times = f"{first['first']} and {first['second']}", count(first["count"], "time")
    share = per_cent(first["share"])
    return f"Most often confused are {pair}: {times}, {share} of their pictures."


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
