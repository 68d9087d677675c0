"""The best models under attack and corruption: days 4 and 5 measure each on the same pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from lib.data.dataset import Dataset, Split
from lib.diagnosis.attacks import fgsm
from lib.diagnosis.calibration import softmax
from lib.diagnosis.corruption_accuracy import UnderCorruption, under_corruption
from lib.diagnosis.robustness import (
    PICTURED,
    QUOTED,
    SEED,
    STANDARD_SIDE,
    STEPS,
    TABLED,
    accuracy_at,
    accuracy_under_attacks,
    why_quoted,
)
from lib.models.parts import predict
from lib.pages.display import Fragment
from lib.pages.picture_sheets import perturbations
from lib.pages.wording import count, per_cent
from lib.study.diagnostics import Subject
from lib.study.selection import ablation
from lib.training.hardware import best_device
from lib.training.runs import Run

# What accuracy under corruption is compared with: RobustBench's "Standard", a WRN-28-10 trained
# without regard to robustness, on CIFAR-10-C (Croce et al., NeurIPS 2021).
STANDARD_CORRUPTED = 0.735
CIFAR10 = {
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
}


def attacks(subject: Subject, pictures: Split) -> pd.DataFrame:
    """FGSM and PGD at every epsilon of `STEPS`, stored with the run: see `Run.attacks`."""
    measured = _attacked(subject.model, pictures)
    subject.run.save_attacks(measured)
    return measured


def _attacked(model: nn.Module, pictures: Split) -> pd.DataFrame:
    generator = torch.Generator().manual_seed(SEED)
    return accuracy_under_attacks(model, pictures.images, pictures.labels, STEPS, generator)


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


def corruptions(subject: Subject, pictures: Split) -> UnderCorruption:
    """All corruptions and severities; the table is stored with the run: see `Run.corruptions`."""
    measured = _corrupted(subject.model, pictures)
    subject.run.save_corruptions(measured.table)
    return measured


def _corrupted(model: nn.Module, pictures: Split) -> UnderCorruption:
    generator = torch.Generator().manual_seed(SEED)
    [measured] = under_corruption([model], pictures.images, pictures.labels, generator)
    return measured


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
    measured = under_corruption(
        [run.load_model() for run in compared],
        test.images,
        test.labels,
        torch.Generator().manual_seed(SEED),
        severities=severities,
    )
    tables = [
        of.table.assign(augmentation=run.recipe.augmentation, seed=run.recipe.seed)
        for run, of in zip(compared, measured, strict=True)
    ]
    columns = ["augmentation", "seed", "corruption", "accuracy"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class Robustness:
    """Accuracy under attack and corruption, on the first test pictures."""

    attacks: pd.DataFrame  # the rows of epsilon 0 and of `TABLED`: see `Run.attacks`
    corruptions: pd.DataFrame  # see `Run.corruptions`


def measure_robustness(run: Run, dataset: Dataset, pictures: int = 200) -> Robustness:
    """FGSM, PGD and the common corruptions on the first so many test pictures; 0 takes all.

    What day 4 has measured on as many pictures is taken from the run (`Run.attacks`,
    `Run.corruptions`); otherwise it is measured as there, with the same draws, and stored where the
    run has nothing yet: day 4 does not diagnose every model that may be the best.
    """
    test = dataset.test.first(pictures)
    attacks, corruptions = (_of_so_many(t, len(test)) for t in (run.attacks, run.corruptions))
    if attacks is None or corruptions is None:
        model = run.load_model(best_device())
        if attacks is None:
            attacks = _attacked(model, test)
            if run.attacks is None:
                run.save_attacks(attacks)
        if corruptions is None:
            corruptions = _corrupted(model, test).table
            if run.corruptions is None:
                run.save_corruptions(corruptions)
    attacks = attacks[attacks["epsilon_255"].round(3).isin((0, *TABLED))]
    return Robustness(attacks, corruptions)


def _of_so_many(table: pd.DataFrame | None, pictures: int) -> pd.DataFrame | None:
    """The table, if there is one and it was measured on so many pictures."""
    return table if table is not None and (table["n"] == pictures).all() else None
