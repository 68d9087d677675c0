"""What every network shares: a `Classifier` around it, prediction, and a count of its parameters.

A `Classifier` wraps a network so that all other code speaks of pictures alone.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:  # pandas takes a second to import, and a prediction does not need it
    import pandas as pd


class Classifier(nn.Module):
    """Pictures to logits: normalise, resize, `body` to features, `head` to logits.

    Parameters
    ----------
    body : Module              (N, 3, H, W) normalised pictures to (N, D) features
    head : Module              (N, D) features to (N, classes) logits
    mean, std : three floats   of the pictures' channels, in [0, 1]
    image_size : int           side in pixels that pictures are resized to; 0 leaves them
    interpolation : str        how they are resized: `bilinear` or `bicubic`
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
        interpolation: str = "bilinear",
    ):
        super().__init__()
        self.body = body
        self.head = head
        self.image_size = image_size
        self.interpolation = interpolation
        self.frozen: list[nn.Module] = []
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def prepared(self, pixels: Tensor) -> Tensor:
        """What the body sees: float pixels (N, 3, H, W) in [0, 1], resized and normalised."""
        if self.image_size and pixels.shape[-2:] != (self.image_size, self.image_size):
            side = (self.image_size, self.image_size)
            pixels = F.interpolate(pixels, side, mode=self.interpolation, align_corners=False)
            if self.interpolation == "bicubic":  # goes beyond what it interpolates
                pixels = pixels.clamp(0, 1)
        return (pixels - self.mean) / self.std

    def features(self, pixels: Tensor) -> Tensor:
        """What the head sees: float pixels (N, 3, H, W) in [0, 1] to (N, D)."""
        return self.body(self.prepared(pixels))

    def freeze(self, parts: Iterable[nn.Module]) -> None:
        """Keep these parts as they are: no gradients, and batch norm by its stored statistics."""
        self.frozen = list(parts)
        for part in self.frozen:
            part.requires_grad_(False)

    def trainable_state_dict(self) -> dict[str, Tensor]:
        """The part of the state dict that training can change: all but the frozen parts."""
        fixed = self._prefixes_of_frozen()
        return {k: value for k, value in self.state_dict().items() if not k.startswith(fixed)}

    def frozen_state_dict(self) -> dict[str, Tensor]:
        """The rest of the state dict: the frozen parts, with their batch norms' statistics."""
        fixed = self._prefixes_of_frozen()
        return {k: value for k, value in self.state_dict().items() if k.startswith(fixed)}

    def _prefixes_of_frozen(self) -> tuple[str, ...]:
        frozen = {id(part) for part in self.frozen}
        return tuple(f"{name}." for name, part in self.named_modules() if id(part) in frozen)

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, classes) of float pixels (N, 3, H, W) in [0, 1]."""
        return self.head(self.features(pixels))


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters lie."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Every module in evaluation mode inside the block, and in its own earlier mode after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield model
    finally:
        for module, training in modes:
            module.training = training


@torch.inference_mode()
def predict(
    model: nn.Module,
    images: Tensor,
    batch_size: int = 512,
    device: torch.device | str | None = None,
) -> NDArray[np.float32]:
    """Logits float32 (N, classes) of uint8 pictures (N, 3, H, W), in full precision.

    The model is moved to `device` where one is given and otherwise computes where it lies.
    """
    if device is not None:
        model.to(device)
    target = device_of(model)
    with evaluating(model):
        logits = [
            model(batch.to(target, non_blocking=True).float() / 255).float()
            for batch in images.split(batch_size)
        ]
    return torch.cat(logits).cpu().numpy()


def needs_two(model: Classifier, image_size: int) -> bool:
    """Whether training refuses a batch that is one picture of `image_size` pixels a side.

    It does where a batch norm that trains meets one value per channel of each picture: a batch of
    one has no variance there.
    """
    side = model.image_size or image_size
    places: list[int] = []  # of a picture, in the map that each of these batch norms meets

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        places.append(inputs[0][0, 0].numel())

    hooks = [
        part.register_forward_pre_hook(look)
        for part in model.modules()
        if isinstance(part, nn.BatchNorm2d) and part.weight.requires_grad
    ]
    with evaluating(model), torch.inference_mode():
        model(torch.zeros(1, 3, side, side, device=model.mean.device))
    for hook in hooks:
        hook.remove()
    return 1 in places


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """How many parameters train, and how many there are."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
KINDS = {  # a layer's type: in a reader's words
    nn.Conv2d: "convolution",
    nn.Linear: "linear layer",
    nn.AdaptiveMaxPool2d: "global max pooling",
    nn.AdaptiveAvgPool2d: "global average pooling",
    nn.MaxPool2d: "max pooling",
    nn.BatchNorm2d: "batch normalisation",
    nn.GELU: "GELU activation",
    nn.ReLU: "ReLU activation",
    nn.Flatten: "features as one vector",
}
NAMED = {
    "whitening": "whitening convolution",
    **dict.fromkeys(("conv1", "conv_stem"), "stem convolution"),
    "conv_head": "last convolution",
    "head": "head",
}
# parts with parts of their own, by their names: small_cnn's, torchvision's and timm's, from 0
CONTAINER = re.compile(r"block(?P<block>\d+)|layer(?P<stage>\d+)|(?:block|stage)s_(?P<from0>\d+)")


def layer_name(model: nn.Module, name: str) -> str:
    """A module as a reader would say it: `block 2, second convolution`.

    `name` is the module's in `model.named_modules()`. Modules of one model have different names;
    one for which there are no such words keeps its own.

    Raises
    ------
    AttributeError   if the model has no such module
    """
    kind = _kind(model.get_submodule(name))
    first, *inner = name.removeprefix("body.").split(".")
    if first in NAMED:
        return NAMED[first]
    container = CONTAINER.fullmatch(first)
    if not container:
        return _among_siblings(model, name, kind) if kind and not inner else name
    if container["block"]:
        words = [f"block {container['block']}"]
    else:
        words = [f"stage {container['stage'] or int(container['from0']) + 1}"]
        if inner[:1] == ["blocks"]:  # of timm's stages that are more than their blocks
            inner.pop(0)
        if inner and inner[0].isdecimal():
            words.append(f"block {int(inner.pop(0)) + 1}")
    if "downsample" in inner:
        words.append("shortcut" if len(words) > 1 else "downsampling")
    elif inner:
        words.append(_among_siblings(model, name, kind or inner[-1]))
    return ", ".join(words)


def _among_siblings(model: nn.Module, name: str, kind: str) -> str:
    """`second convolution`: which of its kind in its block; just the kind where there is one."""
    block = model.get_submodule(name.rpartition(".")[0])
    alike = [own for own, part in block.named_children() if _kind(part) == kind]
    own = name.rpartition(".")[2]
    if len(alike) < 2 or own not in alike:
        return kind
    place = alike.index(own)
    return f"{ORDINALS[place]} {kind}" if place < len(ORDINALS) else f"{kind} {place + 1}"


def _kind(module: nn.Module) -> str | None:
    """The module's type in a reader's words, if there are such."""
    return next((words for kind, words in KINDS.items() if isinstance(module, kind)), None)


def layers(model: Classifier, image_size: int) -> "pd.DataFrame":
    """The network's parts in their order.

    Returns
    -------
    table : layer (`layer_name`), output (channels × height × width), parameters, module (its name)
    """
    import pandas as pd

    side = model.image_size or image_size
    x = torch.zeros(1, 3, side, side, device=model.mean.device)
    rows = []
    model.eval()
    with torch.inference_mode():
        for name, part in [*model.body.named_children(), ("head", model.head)]:
            x = part(x)
            shape = " × ".join(str(extent) for extent in x.shape[1:])
            module = name if part is model.head else f"body.{name}"
            rows.append(
                {
                    "layer": layer_name(model, module),
                    "output": shape,
                    "parameters": count_parameters(part)[1],
                    "module": module,
                }
            )
    return pd.DataFrame(rows)
