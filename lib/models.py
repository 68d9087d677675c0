"""The networks, and how a picture enters them.

`small_cnn` is a network for 32 px pictures in the manner of Jordan, "94% on CIFAR-10 in 3.29
seconds" (2024): a frozen whitening convolution, then three blocks that each halve the picture. A
`Classifier` wraps a network so that all code outside this file speaks of pictures alone. `resnet18`
is torchvision's, whose backbone can come from elsewhere and stay frozen in part.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import UserError
from lib.recipe import Recipe

if TYPE_CHECKING:  # it takes a second to import, as torchvision does; a prediction needs neither
    import pandas as pd


class Classifier(nn.Module):
    """Pictures to logits: normalise, resize, `body` to features, `head` to logits.

    Parameters
    ----------
    body : Module              (N, 3, H, W) normalised pictures to (N, D) features
    head : Module              (N, D) features to (N, classes) logits
    mean, std : three floats   of the pictures' channels, in [0, 1]
    image_size : int           side in pixels that pictures are resized to; 0 leaves them
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        body: nn.Module,
        head: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        image_size: int = 0,
    ):
        super().__init__()
        self.body = body
        self.head = head
        self.image_size = image_size
        self.frozen: list[nn.Module] = []
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def features(self, pixels: Tensor) -> Tensor:
        """What the head sees: float pixels (N, 3, H, W) in [0, 1] to (N, D)."""
        if self.image_size and pixels.shape[-2:] != (self.image_size, self.image_size):
            side = (self.image_size, self.image_size)
            pixels = F.interpolate(pixels, side, mode="bilinear", align_corners=False)
        return self.body((pixels - self.mean) / self.std)

    def freeze(self, parts: Iterable[nn.Module]) -> None:
        """Keep these parts as they are: no gradients, and batch norm by its stored statistics."""
        self.frozen = list(parts)
        for part in self.frozen:
            part.requires_grad_(False)

    def moving_state(self) -> dict[str, Tensor]:
        """The part of the state dict that training can change: all but the frozen parts."""
        frozen = {id(part) for part in self.frozen}
        fixed = tuple(f"{name}." for name, part in self.named_modules() if id(part) in frozen)
        return {k: value for k, value in self.state_dict().items() if not k.startswith(fixed)}

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, classes) of float pixels (N, 3, H, W) in [0, 1]."""
        return self.head(self.features(pixels))


class Scale(nn.Module):
    """Multiplies by a constant: small first logits keep the first steps calm."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def build(recipe: Recipe, classes: int, mean: Sequence[float], std: Sequence[float]) -> Classifier:
    """The network of `recipe` with weights drawn from its seed, for that many classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        if recipe.model == "resnet18":
            body, features = resnet18()
            head: nn.Module = nn.Linear(features, classes)
        else:
            body, features = small_cnn(recipe.width, recipe.identity)
            linear = nn.Linear(features, classes, bias=False)
            head = nn.Sequential(linear, Scale(recipe.logit_scale))
    model = Classifier(body, head, mean, std, recipe.image_size)
    model.freeze(frozen_parts(model, recipe.strategy))
    return model


def frozen_parts(model: Classifier, strategy: str) -> list[nn.Module]:
    """What a strategy leaves untrained: of a ResNet-18, the parts below the named one."""
    parts = dict(model.body.named_children())
    if strategy == "all":
        return []
    if strategy == "head":
        return [model.body]
    below = [part for name, part in parts.items() if name != "layer4"]
    return [*below, parts["layer4"][0]] if strategy == "last_block" else below  # type: ignore[index]


def small_cnn(width: int, identity: bool) -> tuple[nn.Module, int]:
    """The body of the small network, and its number of features.

    A 32 px picture passes at 31, 16, 8 and 4 px; pictures down to 4 px work. At width 32 there are
    half a million parameters. With `identity`, the first filters of each block's convolutions pass
    the input on unchanged, which lets gradients reach the first block from the first step on.
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
    return nn.Sequential(OrderedDict(layers)), 4 * width


def resnet18() -> tuple[nn.Module, int]:
    """The body of torchvision's ResNet-18 (He et al., 2016), and its number of features.

    Its first layers halve a picture twice, so a 32 px picture passes at 16, 8, 8, 4, 2 and 1 px.
    """
    from torchvision.models import resnet18 as torchvisions

    network = torchvisions(weights=None)
    parts = {name: part for name, part in network.named_children() if name != "fc"}
    return nn.Sequential(OrderedDict(parts | {"flatten": nn.Flatten()})), network.fc.in_features


def load_body(model: Classifier, weights: dict[str, Tensor], source: str) -> None:
    """Give a ResNet-18's body weights from elsewhere.

    Raises
    ------
    UserError   if names or shapes do not fit, with the first that does not
    """
    expected = model.body.state_dict()
    for name, value in expected.items():
        if name.endswith("num_batches_tracked"):
            continue  # older files lack these counts, which only matter without a set momentum
        if name not in weights:
            raise UserError(f"{source}: lacks {name}, so it is not a ResNet-18")
        if weights[name].shape != value.shape:
            found, wanted = tuple(weights[name].shape), tuple(value.shape)
            raise UserError(f"{source}: {name} has shape {found}, a ResNet-18's is {wanted}")
    extra = sorted(set(weights) - set(expected))
    if extra:
        raise UserError(f"{source}: holds {extra[0]}, which a ResNet-18 lacks")
    model.body.load_state_dict(expected | weights)


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


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """How many parameters train, and how many there are."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


def layers(model: Classifier, image_size: int) -> "pd.DataFrame":
    """The network's parts in their order: layer, output (channels × height × width), parameters."""
    import pandas as pd

    side = model.image_size or image_size
    x = torch.zeros(1, 3, side, side, device=model.mean.device)
    rows = []
    model.eval()
    with torch.inference_mode():
        for name, part in [*model.body.named_children(), ("head", model.head)]:
            x = part(x)
            shape = " × ".join(str(extent) for extent in x.shape[1:])
            rows.append({"layer": name, "output": shape, "parameters": count_parameters(part)[1]})
    return pd.DataFrame(rows)
