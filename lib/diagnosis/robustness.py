"""Adversarial attacks (FGSM, PGD), and accuracy under attack and under corruption.

Adversarial perturbations within a largest change of epsilon per value, in pixel space: the fast
gradient sign method of Goodfellow et al. (ICLR 2015) and projected gradient descent of Madry et al.
(ICLR 2018). Accuracy under the common corruptions of `lib.diagnosis.corruptions`.
"""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Generator, Tensor, nn

from lib.diagnosis.corruptions import CORRUPTIONS, corrupted
from lib.intervals import Interval, accuracy_interval, differs
from lib.models.parts import device_of, evaluating, predict

ATTACKS = ("fgsm", "pgd")
STEPS = (0, 0.5, 1, 2, 4, 6, 8)  # epsilons that are measured, in units of 1/255
QUOTED = 8  # the one that pages quote: RobustBench's for CIFAR-10
STANDARD_SIDE = 32  # pixels of the smallest pictures for which RobustBench has an epsilon
TABLED = (1, 4, 8)  # those that a model card tables
PICTURED = 4  # that of the adversarial pictures on the pages


def fgsm(model: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """One step of size epsilon along the sign of the loss's gradient.

    Parameters
    ----------
    pixels : float (N, 3, H, W)   in [0, 1], on the model's device
    labels : int64 (N,)
    epsilon : float               largest change of a value, in the unit of the pixels

    Returns
    -------
    float (N, 3, H, W)   in [0, 1], nowhere further than epsilon from `pixels`
    """
    with evaluating(model):
        direction, _ = _ascent(model, pixels, labels)
    return (pixels + epsilon * direction).clamp(0, 1)


def pgd(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float,
    generator: Generator,
    steps: int = 20,
    step_size: float | None = None,
) -> Tensor:
    """Signed gradient steps from a random start, each brought back within epsilon and [0, 1].

    A picture stays as it is once it is misclassified, which is no weaker than the last iterate and
    much faster. A step is 2.5 epsilon / steps unless given, enough to cross the ball. The generator
    lies on the device of the pixels. Otherwise as `fgsm`.
    """
    step_size = 2.5 * epsilon / steps if step_size is None else step_size
    lowest, highest = (pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=1)
    start = torch.rand(pixels.shape, generator=generator, device=pixels.device)
    perturbed = (pixels + epsilon * (2 * start - 1)).clamp(0, 1)
    with evaluating(model):
        active = torch.arange(len(pixels), device=pixels.device)
        for _ in range(steps):
            direction, right = _ascent(model, perturbed[active], labels[active])
            active = active[right]
            if len(active) == 0:
                break
            stepped = perturbed[active] + step_size * direction[right]
            perturbed[active] = stepped.clamp(lowest[active], highest[active])
    return perturbed


def _ascent(model: nn.Module, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sign of the cross-entropy's gradient by the pixels, and whether each picture is still right.

    The gradients of the model's parameters stay untouched.
    """
    with torch.enable_grad():
        pixels = pixels.detach().requires_grad_()
        logits = model(pixels)
        # The cross-entropy is log(1 + exp(this)): the same sign, and it doesn't vanish in float32
        # where the model is very sure, which would look like robustness.
        others = logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
        margin = others - logits.gather(1, labels[:, None])[:, 0]
    direction = torch.autograd.grad(margin.sum(), pixels)[0].sign()
    return direction, logits.argmax(dim=1) == labels


def accuracy_under_attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilons: Sequence[float],
    attack: str,
    generator: Generator,
    batch_size: int = 256,
) -> pd.DataFrame:
    """Accuracy against the size of the perturbation.

    An attacker may leave a picture as it is: one that is misclassified without an attack counts
    as misclassified at every epsilon, and epsilon 0 is the accuracy on clean pictures.

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
    if not all(0 <= epsilon <= 1 for epsilon in epsilons):
        raise ValueError(f"an epsilon of {list(epsilons)} lies outside [0, 1]; 8 of 255 is 8 / 255")
    device = device_of(model)
    local = _generator_on(device, _drawn_seed(generator))
    survivors = torch.zeros(len(epsilons), dtype=torch.int64, device=device)
    for batch, truth in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        pixels = batch.to(device, non_blocking=True).float() / 255
        truth = truth.to(device, non_blocking=True)
        right = _is_right(model, pixels, truth)
        pixels, truth = pixels[right], truth[right]
        if len(pixels) == 0:
            continue
        for i, epsilon in enumerate(epsilons):
            if epsilon == 0:
                perturbed = pixels
            elif attack == "fgsm":
                perturbed = fgsm(model, pixels, truth, epsilon)
            else:
                perturbed = pgd(model, pixels, truth, epsilon, local)
            survivors[i] += _is_right(model, perturbed, truth).sum()
    return pd.DataFrame(
        {"attack": attack, "epsilon": epsilon, "epsilon_255": epsilon * 255}
        | _accuracy(correct, len(images))
        for epsilon, correct in zip(epsilons, survivors.tolist(), strict=True)
    )


def _accuracy(correct: int, total: int) -> dict[str, float]:
    interval = accuracy_interval(correct, total)
    return {"accuracy": interval.value, "low": interval.low, "high": interval.high, "n": total}


@torch.inference_mode()
def _is_right(model: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    with evaluating(model):
        return model(pixels).argmax(dim=1) == labels


def _drawn_seed(generator: Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def _generator_on(device: torch.device, seed: int) -> Generator:
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
    """`accuracy_under_attack` of each of `ATTACKS`, for epsilons in units of 1/255."""
    epsilons = [step / 255 for step in steps]
    tables = [
        accuracy_under_attack(model, images, labels, epsilons, attack, generator)
        for attack in ATTACKS
    ]
    return pd.concat(tables, ignore_index=True)


def gradient_masking_check(table: pd.DataFrame) -> str:
    """In one sentence: is PGD ever weaker than FGSM, a sign of gradient masking?

    The table holds rows of `accuracy_under_attack` for both attacks on the same pictures. Weaker
    means significantly more correct predictions (`lib.intervals.differs`).

    Raises
    ------
    ValueError   if the two attacks have no epsilon above 0 in common
    """
    at = {(row["attack"], row["epsilon"]): row for row in table.to_dict("records")}
    epsilons = sorted({e for _, e in at if e > 0 and {("fgsm", e), ("pgd", e)} <= at.keys()})
    if not epsilons:
        raise ValueError("the table holds no epsilon that both fgsm and pgd were run with")
    weaker = []
    for epsilon in epsilons:
        fgsm_accuracy, pgd_accuracy = (Interval.of(at[name, epsilon]) for name in ("fgsm", "pgd"))
        if pgd_accuracy.value > fgsm_accuracy.value and differs(pgd_accuracy, fgsm_accuracy):
            accuracies = f"{pgd_accuracy.value:.1%}, FGSM {fgsm_accuracy.value:.1%}"
            weaker.append(f"{epsilon * 255:.3g}/255 (accuracy {accuracies})".replace("%", " %"))
    if weaker:
        return (
            f"PGD is weaker than FGSM at ε = {', '.join(weaker)}: a sign of gradient masking; the "
            "measured robustness is not reliable."
        )
    return "PGD is at least as strong as FGSM at every ε: no sign of gradient masking."


def corruption_accuracy(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: Generator,
    names: Sequence[str] = CORRUPTIONS,
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    batch_size: int = 512,
) -> pd.DataFrame:
    """One row per corruption and severity: corruption, severity, accuracy, low, high, n.

    The severities of a corruption share their random numbers, and a generator of the same seed
    gives every model the same pictures: what differs is not the draw's doing.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    labels : int64 (N,)
    generator : Generator   on any device
    """
    device, seed = device_of(model), _drawn_seed(generator)
    truth = labels.cpu().numpy()
    rows = []
    for name in names:
        for severity in severities:
            # Not Python's hash of the name, which differs between processes.
            local = _generator_on(device, seed + CORRUPTIONS.index(name))
            correct = 0
            for start in range(0, len(images), batch_size):
                part = slice(start, start + batch_size)
                batch = corrupted(images[part].to(device), name, severity, local)
                predicted = predict(model, batch, batch_size).argmax(axis=1)
                correct += int((predicted == truth[part]).sum())
            rows.append(
                {"corruption": name, "severity": severity} | _accuracy(correct, len(images))
            )
    return pd.DataFrame(rows)
