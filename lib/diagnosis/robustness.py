"""Accuracy under attack, and whether the attacks can be trusted.

The attacks are those of `lib.diagnosis.attacks`. An attack finds some of the adversarial pictures,
so the accuracy under it is an upper bound. Signs of gradient masking are those of Athalye et al.,
"Obfuscated Gradients Give a False Sense of Security" (ICML 2018): one step of FGSM beats the many
of PGD, random search beats PGD, or accuracy does not fall to 0 as epsilon grows.
"""

import math
from collections.abc import Iterable, Sequence

import pandas as pd
import torch
from torch import Generator, Tensor, nn

from lib.diagnosis.attacks import fgsm, pgd, sign_noise
from lib.intervals import Interval, accuracy_interval, holm, mcnemar
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


def accuracy_under_attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilons: Sequence[float],
    attack: str,
    generator: Generator,
    batch_size: int = 256,
) -> pd.DataFrame:
    """Accuracy against the size of the perturbation, an upper bound.

    An attacker may leave a picture as it is: one that is misclassified without an attack counts
    as misclassified at every epsilon, and epsilon 0 is the accuracy on clean pictures. PGD has
    `TRIES` random starts, each on the pictures that none before has fooled.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    labels : int64 (N,)
    epsilons : floats         in the unit of pixels from 0 to 1, such as 8 / 255
    attack : str              "fgsm" or "pgd"
    generator : Generator     on any device; fixes the random starts of "pgd"

    Returns
    -------
    One row per epsilon: attack, epsilon, epsilon_255 (in 8-bit steps), accuracy, low, high, n.

    Raises
    ------
    ValueError   for an unknown attack, or an epsilon outside [0, 1]
    """
    if attack not in ATTACKS:
        raise ValueError(f"no attack is called {attack!r}; there are {', '.join(ATTACKS)}")
    standing = still_correct(model, images, labels, epsilons, attack, generator, batch_size)
    return _attack_table(attack, epsilons, standing)


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

    `attack` is one of `ATTACKS` or "noise"; the rest as in `accuracy_under_attack`.
    """
    if not all(0 <= epsilon <= 1 for epsilon in epsilons):
        raise ValueError(f"an epsilon of {list(epsilons)} lies outside [0, 1]; 8 of 255 is 8 / 255")
    device = device_of(model)
    local = generator_on(device, drawn_seed(generator))
    batches = []
    for batch, truth in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        pixels = batch.to(device, non_blocking=True).float() / 255
        truth = truth.to(device, non_blocking=True)
        standing = _is_right(model, pixels, truth).repeat(len(epsilons), 1)
        for of_epsilon, epsilon in zip(standing, epsilons, strict=True):
            for _ in range(TRIES[attack] if epsilon else 0):
                left = of_epsilon.nonzero()[:, 0]
                if len(left) == 0:
                    break
                perturbed = _perturbed(model, pixels[left], truth[left], epsilon, attack, local)
                of_epsilon[left] = _is_right(model, perturbed, truth[left])
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
    """`accuracy_under_attack` of each of `ATTACKS`, for epsilons in units of 1/255.

    Returns
    -------
    table : its columns, and per epsilon how many pictures FGSM fools and PGD does not
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


# Gradient masking

LEVEL = 0.05
NEAR_ZERO = 0.01  # accuracy under the strongest attack that counts as fallen to 0


def gradient_masking_check(table: pd.DataFrame) -> str:
    """What was found of the signs of gradient masking, in sentences with counts.

    The two attacks are compared on the same pictures: McNemar's exact test for each epsilon, with
    Holm's correction for their number.

    Parameters
    ----------
    table : of `accuracy_under_attacks`; one that was stored without its counts gives a sentence
        that says so

    Raises
    ------
    ValueError   if the two attacks have no epsilon above 0 in common
    """
    steps = [
        set(table.loc[(table["attack"] == attack) & (table["epsilon"] > 0), "epsilon"])
        for attack in ("fgsm", "pgd")
    ]
    both = steps[0] & steps[1]
    if not both:
        raise ValueError("the table holds no epsilon that both fgsm and pgd were run with")
    rows = table[(table["attack"] == "pgd") & table["epsilon"].isin(both)].sort_values("epsilon")
    if not {*COUNTS} <= {*table.columns} or rows[[*COUNTS]].isna().any(axis=None):
        return (
            "Whether gradients are masked is not known: it was not counted which pictures one "
            "attack alone fools. Measure the attacks again."
        )
    return f"{_fgsm_against_pgd(rows)} {_noise_against_pgd(rows)} {_at_the_end(rows)}"


def _fgsm_against_pgd(rows: pd.DataFrame) -> str:
    by_fgsm, by_pgd = ([int(x) for x in rows[name]] for name in COUNTS[:2])
    adjusted = holm([mcnemar(*pair) for pair in zip(by_fgsm, by_pgd, strict=True)])
    weaker = [
        (step, one, other)
        for step, one, other, p in zip(rows["epsilon_255"], by_fgsm, by_pgd, adjusted, strict=True)
        if one > other and p < LEVEL
    ]
    total = _pictures(rows["n"].iloc[0])
    if weaker:
        where = "; ".join(
            f"ε = {step:.3g}/255 ({_pictures(one)} fooled by FGSM alone, {other} by PGD alone)"
            for step, one, other in weaker
        )
        return (
            f"On {total}, PGD is significantly weaker than FGSM at {where}: a sign of gradient "
            "masking; the measured robustness is not reliable."
        )
    return (
        f"PGD is nowhere significantly weaker than FGSM: at {_steps(rows)}, of {total} FGSM alone "
        f"fools {_row(by_fgsm)}, PGD alone {_row(by_pgd)}. Fewer than {_fewest_seen(len(rows))} "
        "fooled by FGSM alone at one ε could not have been seen."
    )


def _fewest_seen(tests: int) -> int:
    """How many pictures, all fooled by one attack alone, McNemar's test sees among so many."""
    return math.ceil(1 + math.log2(tests / LEVEL))


def _noise_against_pgd(rows: pd.DataFrame) -> str:
    counts = [int(count) for count in rows["noise_not_pgd"]]
    search = f"Random search ({TRIES['noise']} draws of sign noise per picture and ε)"
    if not any(counts):
        return f"{search} fools no picture that PGD does not."
    return (
        f"{search} fools {_row(counts)} pictures at {_steps(rows)} that PGD does not: a further "
        "sign of gradient masking."
    )


def _at_the_end(rows: pd.DataFrame) -> str:
    last = rows.iloc[-1]
    accuracy = f"{last['accuracy']:.1%}".replace("%", "\N{NO-BREAK SPACE}%")
    where = f"at ε = {last['epsilon_255']:.3g}/255"
    if last["accuracy"] <= NEAR_ZERO:
        return f"Accuracy under PGD falls to {accuracy} {where}, as it must where ε is large."
    return (
        f"Accuracy under PGD is {accuracy} {where}; whether it falls to 0, as it must where ε is "
        "large, was not seen."
    )


def _pictures(number: float) -> str:
    return f"{int(number):,} picture" + ("" if number == 1 else "s")


def _steps(rows: pd.DataFrame) -> str:
    return f"ε = {_row([f'{step:.3g}' for step in rows['epsilon_255']])}/255"


def _row(values: Iterable[object]) -> str:
    """`1, 2 and 4`."""
    *others, last = map(str, values)
    return f"{', '.join(others)} and {last}" if others else last
