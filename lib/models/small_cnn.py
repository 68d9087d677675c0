"""A small network for pictures of about 32 px.

In the manner of Jordan, "94% on CIFAR-10 in 3.29 seconds" (2024): a frozen whitening convolution,
then three blocks that each halve the picture.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.parts import Classifier

SMALLEST = 2  # side in pixels of the smallest pictures that it takes: one patch to whiten


def small_cnn(
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    width: int = 32,
    identity: bool = True,
    logit_scale: float = 1 / 9,
    image_size: int = 0,
) -> Classifier:
    """The network with weights drawn from torch's global generator.

    A 32 px picture passes at 31, 16, 8 and 4 px; pictures down to `SMALLEST` work. At width 32
    there are half a million parameters.

    Parameters
    ----------
    width : int           channels of the first block; the later ones have four times as many
    identity : bool       the first filters of each block's convolutions pass the input on
                          unchanged, which lets gradients reach the first block from the first step
    logit_scale : float   the logits are multiplied by it
    image_size : int      side in pixels that pictures are resized to; 0 leaves them
    """
    layers: dict[str, nn.Module] = {
        "whitening": nn.Conv2d(3, 24, kernel_size=2),
        "activation": nn.GELU(),
        "block1": _block(24, width),
        "block2": _block(width, 4 * width),
        "block3": _block(4 * width, 4 * width),
        "pool": nn.AdaptiveMaxPool2d(1),
        "flatten": nn.Flatten(),
    }
    if identity:
        for convolution in (part for name in layers for part in layers[name].children()):
            if isinstance(convolution, nn.Conv2d):
                nn.init.dirac_(convolution.weight[: convolution.in_channels].detach())
    body = nn.Sequential(OrderedDict(layers))
    head = nn.Sequential(nn.Linear(4 * width, classes, bias=False), Scale(logit_scale))
    return Classifier(body, head, mean, std, image_size)


class Scale(nn.Module):
    """Multiplies by a constant: small first logits keep the first steps calm."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2, ceil_mode=True),  # rounding up keeps 8 x 8 maps for 32 px pictures
        nn.BatchNorm2d(outputs),
        nn.GELU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.GELU(),
    )


@torch.no_grad()
def whiten(model: Classifier, images: Tensor, epsilon: float = 5e-4) -> None:
    """Set a small network's first convolution to whiten 2 x 2 patches, and freeze it.

    Its filters are the eigenvectors of the patches' covariance, each divided by the root of its
    eigenvalue, then the same again negated (Page, "How to Train Your ResNet 8", 2019).

    Parameters
    ----------
    images : uint8 (N, 3, H, W)   training pictures; the first few thousand suffice
    epsilon : float               added to the eigenvalues, so that flat patches do not explode
    """
    convolution = model.body.get_submodule("whitening")
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    pixels = images[:5000].to(model.mean.device) / 255
    patches = F.unfold((pixels - model.mean) / model.std, kernel_size=2)  # (N, 12, positions)
    rows = patches.transpose(1, 2).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    filters = vectors.T / (values.clamp(min=0) + epsilon).sqrt()[:, None]
    convolution.weight.copy_(torch.cat([filters, -filters]).view(24, 3, 2, 2))
    convolution.bias.zero_()
    convolution.requires_grad_(False)
