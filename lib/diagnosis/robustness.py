"""Accuracy under the attacks of `lib.diagnosis.attacks`.

An attack finds some of the adversarial pictures, so the accuracy under it is an upper bound.
"""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Generator, Tensor, nn

from lib.diagnosis.attacks import fgsm, pgd, sign_noise
from lib.intervals import Interval, accuracy_interval
from lib.models.parts import device_of, evaluating

ATTACKS = ("fgsm", "pgd")
TRIES = {"fgsm": 1, "pgd": 5, "noise": 20}  # random starts; a picture is fooled if one succeeds
STEPS = (0, 1, 2, 4, 8)  # epsilons that are measured, in units of 1/255: one level of 8 bits
QUOTED = 8  # the one that pages quote: RobustBench's for CIFAR-10
STANDARD_SIDE = 32  # pixels of the smallest pictures for which RobustBench has an epsilon
TABLED = (1, 4, 8)  # those that a model card tables
PICTURED = 4  # that of the adversarial pictures on the pages
SEED = 0  # of the draws of attacks and corruptions, wherever they are measured
# Numbers of pictures that only the first of two attacks fools.
COUNTS = ("fgsm_not_pgd", "pgd_not_fgsm", "noise_not_pgd")


def still_correct(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilons: Sequence[float],
    attack: str,
    generator: Generator,
    batch_size: int = 256,
) -> Tensor:
    """Which pictures no try of an attack fools, bool (epsilons, N) on the CPU.

    An attacker may leave a picture as it is: one that is misclassified without an attack counts
    as misclassified at every epsilon, and epsilon 0 is without an attack. An attack by random tries
    has `TRIES` of them, each on the pictures that none before has fooled. It begins with the
    largest epsilon: a picture that stands there is not tried with a smaller one, whose
    perturbations the larger one allows too.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    labels : int64 (N,)
    epsilons : floats         in the unit of pixels from 0 to 1, such as 8 / 255
    attack : str              one of `TRIES`
    generator : Generator     on any device; fixes the random starts

    Raises
    ------
    ValueError   for an unknown attack, or an epsilon outside [0, 1]
    """
    if attack not in TRIES:
        raise ValueError(f"no attack is called {attack!r}; there are {', '.join(TRIES)}")
    if not all(0 <= epsilon <= 1 for epsilon in epsilons):
        raise ValueError(f"an epsilon of {list(epsilons)} lies outside [0, 1]; 8 of 255 is 8 / 255")
    device = device_of(model)
    local = generator_on(device, drawn_seed(generator))
    batches = []
    for batch, truth in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        pixels = batch.to(device, non_blocking=True).float() / 255
        truth = truth.to(device, non_blocking=True)
        standing = _is_right(model, pixels, truth).repeat(len(epsilons), 1)
        within_reach = torch.ones_like(truth, dtype=torch.bool)
        for number in sorted(range(len(epsilons)), key=epsilons.__getitem__, reverse=True):
            epsilon, of_epsilon = epsilons[number], standing[number]
            for _ in range(TRIES[attack] if epsilon else 0):
                left = (of_epsilon & within_reach).nonzero()[:, 0]
                if len(left) == 0:
                    break
                perturbed = _perturbed(model, pixels[left], truth[left], epsilon, attack, local)
                of_epsilon[left] = _is_right(model, perturbed, truth[left])
            if TRIES[attack] > 1:
                within_reach = ~of_epsilon
        batches.append(standing.cpu())
    return torch.cat(batches, dim=1)


def _perturbed(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float,
    attack: str,
    generator: Generator,
) -> Tensor:
    if attack == "fgsm":
        return fgsm(model, pixels, labels, epsilon)
    if attack == "pgd":
        return pgd(model, pixels, labels, epsilon, generator)
    return sign_noise(pixels, epsilon, generator)


def _attack_table(attack: str, epsilons: Sequence[float], standing: Tensor) -> pd.DataFrame:
    return pd.DataFrame(
        {"attack": attack, "epsilon": epsilon, "epsilon_255": epsilon * 255}
        | accuracy_columns(int(correct.sum()), len(correct))
        for epsilon, correct in zip(epsilons, standing, strict=True)
    )


def accuracy_columns(correct: int, total: int) -> dict[str, float]:
    """A table's columns accuracy, low, high (Wilson) and n."""
    interval = accuracy_interval(correct, total)
    return {"accuracy": interval.value, "low": interval.low, "high": interval.high, "n": total}


@torch.inference_mode()
def _is_right(model: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    with evaluating(model):
        return model(pixels).argmax(dim=1) == labels


def drawn_seed(generator: Generator) -> int:
    """A seed from the generator, for generators on other devices."""
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def generator_on(device: torch.device, seed: int) -> Generator:
    """A generator on a device, with that seed."""
    return torch.Generator(device).manual_seed(seed)


def accuracy_at(table: pd.DataFrame, attack: str, step: float) -> Interval:
    """The accuracy under an attack with an epsilon of so many 255ths, from the table's row for it.

    Raises
    ------
    ValueError   if the table has no such row
    """
    rows = table[(table["attack"] == attack) & (table["epsilon_255"].round(3) == step)]
    if rows.empty:
        raise ValueError(f"no row of {attack} with epsilon {step}/255")
    return Interval.of(rows.iloc[0])


def why_quoted(image_size: int) -> str:
    """Where the epsilon of `QUOTED` comes from, for pictures of that many pixels a side.

    RobustBench (Croce et al., NeurIPS 2021) attacks the 32 px pictures of CIFAR-10 with 8/255. For
    smaller ones no epsilon is agreed on; a smaller epsilon would flatter, so it is the same.
    """
    standard = "the value of RobustBench for CIFAR-10"
    if image_size >= STANDARD_SIDE:
        return standard
    return f"{standard}; there is none for pictures of {image_size} px"


def accuracy_under_attacks(
    model: nn.Module, images: Tensor, labels: Tensor, steps: Sequence[float], generator: Generator
) -> pd.DataFrame:
    """Accuracy against the size of the perturbation, an upper bound: see `still_correct`.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    labels : int64 (N,)
    steps : numbers         epsilons in units of 1/255
    generator : Generator   on any device; fixes the random starts

    Returns
    -------
    table : one row per attack of `ATTACKS` and epsilon: attack, epsilon, epsilon_255, accuracy,
        low, high, n, and per epsilon how many pictures FGSM fools and PGD does not
        (`fgsm_not_pgd`), the reverse (`pgd_not_fgsm`), and how many random signs fool and PGD does
        not (`noise_not_pgd`)
    """
    epsilons = [step / 255 for step in steps]
    fgsm_right, pgd_right, noise_right = (
        still_correct(model, images, labels, epsilons, attack, generator) for attack in TRIES
    )
    pairs = ((fgsm_right, pgd_right), (pgd_right, fgsm_right), (noise_right, pgd_right))
    counts = {
        name: (~fools & stands).sum(dim=1).tolist()
        for name, (fools, stands) in zip(COUNTS, pairs, strict=True)
    }
    tables = [
        _attack_table(attack, epsilons, standing).assign(**counts)
        for attack, standing in zip(ATTACKS, (fgsm_right, pgd_right), strict=True)
    ]
    return pd.concat(tables, ignore_index=True)
