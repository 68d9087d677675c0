"""The best models under attack and corruption: days 4 and 5 measure each on the same pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from lib.data.dataset import Dataset, Split
from lib.diagnosis.attacks import fgsm
from lib.diagnosis.calibration import softmax
from lib.diagnosis.corruption_accuracy import UnderCorruption
from lib.diagnosis.robustness import (
    PICTURED,
    QUOTED,
    STANDARD_SIDE,
    TABLED,
    accuracy_at,
    why_quoted,
)
from lib.models.parts import predict
from lib.pages.display import Fragment
from lib.pages.picture_sheets import perturbations
from lib.pages.wording import count, per_cent
from lib.study.diagnostics import Subject
from lib.study.measured import attacks, corruptions
from lib.study.selection import ablation
from lib.training.runs import Run

# What accuracy under corruption is compared with: RobustBench's "Standard", a WRN-28-10 trained
# without regard to robustness, on CIFAR-10-C (Croce et al., NeurIPS 2021).
STANDARD_CORRUPTED = 0.735
CIFAR10 = {
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
}


def attack_sentence(measured: pd.DataFrame, image_size: int) -> str:
    """Accuracy under PGD with the epsilon of `QUOTED`, and without an attack.

    An attack makes no picture right, so one that it fools is enough for it to lower the accuracy.

    Parameters
    ----------
    measured : of `attacks`
    image_size : int       side in pixels of the attacked pictures

    Raises
    ------
    ValueError   if the table lacks one of the two rows
    """
    clean, attacked = (accuracy_at(measured, "pgd", step) for step in (0, QUOTED))
    pictures = count(int(measured["n"].iloc[0]), "test picture")
    with_pgd = f"PGD with ε = {QUOTED}/255 ({why_quoted(image_size)})"
    if attacked.value >= clean.value:
        return f"{with_pgd} fools none of {pictures}: accuracy is {clean} before and after."
    return f"{with_pgd} lowers accuracy from {clean} to at most {attacked}, on {pictures}."


def adversarial_sheet(subject: Subject, pictures: int = 6) -> Fragment:
    """The first examples before and after FGSM, with the predictions of both."""
    examples, classes = subject.examples, subject.dataset.classes
    images, labels = examples.images[:pictures], examples.true[:pictures]
    attacked = fgsm(subject.model, images / 255, labels, PICTURED / 255).mul(255).round().byte()
    before, after = (softmax(predict(subject.model, batch)) for batch in (images, attacked))
    lines = [
        " → ".join(f"{classes[row.argmax()]}, {per_cent(row.max(), 0)}" for row in pair)
        for pair in zip(before, after, strict=True)
    ]
    title = f"Original, perturbation × 10, adversarial picture: FGSM with ε = {PICTURED}/255"
    return perturbations(images, attacked, lines, title=title)


def by_kind(subjects: Iterable[Subject], pictures: Split) -> dict[str, UnderCorruption]:
    """All corruptions and severities, on the same corrupted pictures, by the kind of the model."""
    asked = list(subjects)
    measured = corruptions([subject.run for subject in asked], pictures)
    pairs = zip(asked, measured, strict=True)
    return {subject.kind: under for subject, under in pairs if under is not None}


def corruption_sentence(measured: UnderCorruption, dataset: Dataset) -> str:
    """The mean over corruptions and severities, and what it can be compared with, if anything."""
    kinds, severities, pictures = measured.correct.shape
    sentence = (
        f"Mean accuracy over {count(kinds, 'corruption')} and {severities} severities: "
        f"{measured.mean}, on {count(pictures, 'test picture')}."
    )
    side = dataset.image_size
    if dataset.name == "cifar10" and set(dataset.classes) == CIFAR10 and side == STANDARD_SIDE:
        reference = f"{per_cent(STANDARD_CORRUPTED)} (RobustBench, model “Standard”)"
        return f"{sentence} For comparison, a WRN-28-10 on CIFAR-10-C: {reference}."
    if side < STANDARD_SIDE:
        return (
            f"{sentence} The blurs have the radii for pictures of {STANDARD_SIDE} px; on these of "
            f"{side} px they hide more."
        )
    return sentence


def corruption_by_augmentation(
    runs: Iterable[Run], test: Split, severities: Sequence[int]
) -> pd.DataFrame:
    """Accuracy under corruption of every network of an ablation, on the same corrupted pictures.

    Returns
    -------
    table : augmentation, seed, corruption, severity, accuracy, low, high, n
    """
    compared = ablation(runs)
    tables = [
        under.table.assign(augmentation=run.recipe.augmentation, seed=run.recipe.seed)
        for run, under in zip(compared, corruptions(compared, test, severities), strict=True)
        if under is not None
    ]
    columns = ["augmentation", "seed", "corruption", "accuracy"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class Robustness:
    """Accuracy under attack and corruption, on the first test pictures."""

    attacks: pd.DataFrame  # the rows of epsilon 0 and of `TABLED`
    corruptions: pd.DataFrame  # `UnderCorruption.table`


def measure_robustness(run: Run, dataset: Dataset, pictures: int = 200) -> Robustness:
    """FGSM, PGD and the common corruptions on the first so many test pictures; 0 takes all.

    What day 4 has measured on as many is not measured again, and what it has measured on others
    stays stored; day 4 does not diagnose every model that may be the best.
    """
    test = dataset.test.first(pictures)
    attacked = attacks(run, test, replace=False)
    [under] = corruptions([run], test, replace=False)
    assert under is not None  # day 5 selects among runs that have weights
    rows = attacked["epsilon_255"].round(3).isin((0, *TABLED))
    return Robustness(attacked[rows], under.table)
