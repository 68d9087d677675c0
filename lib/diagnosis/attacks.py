"""Adversarial attacks: FGSM, PGD, and random signs to compare them with.

Adversarial perturbations within a largest change of epsilon per value, in pixel space: the fast
gradient sign method of Goodfellow et al. (ICLR 2015) and projected gradient descent of Madry et al.
(ICLR 2018). Perturbed values are not rounded to 8 bits.
"""

import torch
from torch import Generator, Tensor, nn

from lib.models.parts import evaluating


def fgsm(model: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """One step of size epsilon along the sign of the loss's gradient.

    Within the box of that size it is the step that raises the linearised loss most.

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


def sign_noise(pixels: Tensor, epsilon: float, generator: Generator) -> Tensor:
    """Every value raised or lowered by epsilon at random: an attack that needs no gradient."""
    draws = torch.randint(2, pixels.shape, generator=generator, device=pixels.device)
    return (pixels + epsilon * (2 * draws - 1)).clamp(0, 1)
