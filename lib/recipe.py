"""Every choice of one training run, in one frozen, hashable value.

A recipe plus a dataset decides a run: whoever holds both can make the run again, and a changed
recipe is a different run. Plain values only, so that a recipe reads the same in Python, in JSON and
in a table's row.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lib.errors import UserError, nearest

CHOICES = {
    "model": ("small_cnn", "resnet18"),
    "strategy": ("head", "last_block", "layer4", "all"),
    "augmentation": ("none", "flip_crop", "randaugment", "cutout", "mixup", "cutmix"),
    "optimizer": ("sgd", "muon"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
}
LIMITS = {  # smallest and largest sensible value
    "width": (1, 1024),
    "logit_scale": (1e-6, 1e6),
    "image_size": (0, 1024),
    "views": (0, 1000),
    "epochs": (1, 10_000),
    "batch_size": (2, 65_536),
    "lr": (1e-8, 100.0),
    "muon_lr": (1e-8, 100.0),
    "bias_lr": (0.0, 1000.0),
    "layer_decay": (0.0, 1.0),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 10.0),
    "label_smoothing": (0.0, 0.99),
    "warmup": (0.0, 1.0),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what kind of pictures, and how it learns.

    Raises
    ------
    UserError   if a value is unknown, of the wrong type or out of range
    """

    # the network
    model: str = "small_cnn"
    width: int = 32  # channels of small_cnn's first block; the later ones have four times as many
    whitening: bool = True  # small_cnn's first convolution whitens and is fixed, else it trains
    identity: bool = True  # small_cnn's other convolutions begin by passing their input on
    logit_scale: float = 1 / 9  # small_cnn's logits are multiplied by it
    weights: str = "none"  # where resnet18's backbone comes from; see lib.weights
    strategy: str = "all"  # which part of resnet18 trains
    image_size: int = 0  # side in pixels that the network resizes its input to; 0 leaves it

    # the pictures
    augmentation: str = "flip_crop"
    # Under `head` the frozen backbone sees that many augmented views of each picture, once, and its
    # features are kept; 0 keeps none, and every epoch's pictures pass through the backbone.
    views: int = 1

    # the optimiser: Nesterov momentum, linear warm-up, cosine annealing to zero
    epochs: int = 12
    batch_size: int = 512
    optimizer: str = "muon"  # of small_cnn's filters; all else takes sgd
    lr: float = 0.4  # the peak, for a batch's mean loss
    muon_lr: float = 0.04  # the peak for what takes muon
    bias_lr: float = 1.0  # norms' and convolutions' biases learn at that multiple of the rate
    layer_decay: float = 1.0  # each layer learns at that share of the rate of the one above it
    momentum: float = 0.9
    weight_decay: float = 5e-4  # not on norms and biases
    label_smoothing: float = 0.1
    warmup: float = 0.2  # share of all steps

    # beside the test accuracy, that of logits averaged over each picture and its mirror image
    test_flip: bool = False

    # the machine's part
    precision: str = "auto"  # auto takes what the hardware is fast at
    compile: bool = False  # by torch.compile: a minute first, then faster steps on a GPU
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            _check(field.name, value, field.type)
        if self.model == "small_cnn" and (self.strategy, self.weights) != ("all", "none"):
            raise UserError(
                f"recipe: strategy {self.strategy!r} with weights {self.weights!r} needs "
                "model = 'resnet18'; small_cnn trains all of itself from scratch"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The recipe that `values` describes; names that are left out keep their defaults.

        Raises
        ------
        UserError   if a name is not one of a recipe's, with the nearest one that is
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise UserError(f"recipe: unknown field {name!r}{nearest(name, known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Field name to plain value, in the order of the fields."""
        return dataclasses.asdict(self)

    def but(self, **changes: Any) -> Self:
        """This recipe with some choices changed."""
        return type(self).from_dict({**self.to_dict(), **changes})

    def digest(self) -> str:
        """Sixteen hexadecimal digits that name these choices."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check(name: str, value: Any, kind: Any) -> None:
    allowed = (int, float) if kind is float else kind
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, allowed):
        raise UserError(f"recipe: {name} = {value!r} should be of type {kind.__name__}")
    if name in CHOICES and value not in CHOICES[name]:
        raise UserError(f"recipe: {name} = {value!r} should be one of {', '.join(CHOICES[name])}")
    if name in LIMITS:
        low, high = LIMITS[name]
        if not low <= value <= high:
            raise UserError(f"recipe: {name} = {value!r} should lie between {low} and {high}")
