"""Every choice of one training run, in one frozen, hashable value.

A recipe plus a dataset decides a run: whoever has both can make the run again, and a changed
recipe is a different run. Plain values only, so that a recipe reads the same in Python, in JSON and
in a table's row.
"""

import dataclasses
import functools
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from lib.errors import UserError, explained, nearest
from lib.models.strategies import Strategy
from lib.training.augment import Policy

Precision = Literal["auto", "fp32", "bf16", "fp16"]
NETWORKS = ("small_cnn", "resnet18", "efficientnet_lite0")
# the fields that small_cnn alone reads, and those that all others read
OF_SMALL = (
    "width",
    "whitening",
    "identity",
    "logit_scale",
    "early_size",
    "optimizer",
    "muon_lr",
)
OF_OTHERS = ("weights", "strategy", "views", "map_views", "head_fit")
# fields that earlier records lack, and what was done without them
LATER = {"early_size": 0, "head_fit": "sgd", "map_views": 0, "val_every": 1}
EARLY = 0.5  # of the epochs: those whose pictures have the `early_size`
VALIDATING = 0.1  # of the time that a run trains: what validation may take, roughly
PASSES = 3  # a picture takes as many times as long in training as in validation
EARLIER_LAST_STAGE = "layer4"  # what `last_stage` is called in earlier records


def known_network(name: str) -> str:
    """The name, if it is one of `NETWORKS` or has the form of one in timm."""
    if name not in NETWORKS and not re.fullmatch(r"timm:[\w.]+", name):
        raise ValueError(f"should be {', '.join(NETWORKS)}, or timm: and the name of a network")
    return name


def within(low: float, high: float) -> Any:
    """The smallest and the largest sensible value of a field."""
    return Field(ge=low, le=high)


@dataclass(frozen=True, config=ConfigDict(strict=True))
class Recipe:
    """What is trained, on what kind of pictures, and how it learns.

    Raises
    ------
    UserError   if a value is unknown, of the wrong type, out of range, or of another network
    """

    # the network
    # one of NETWORKS, or `timm:` and a name there, such as timm:convnext_tiny
    model: Annotated[str, AfterValidator(known_network)] = "small_cnn"
    # side in pixels that the network resizes its input to; 0 leaves it
    image_size: Annotated[int, within(0, 1024)] = 0

    # of small_cnn alone: channels of the first block, of which the later ones have four times as
    # many; whether the first convolution whitens and is fixed, or trains; whether the others begin
    # by passing their input on; what the logits are multiplied by
    width: Annotated[int, within(1, 1024)] = 32
    whitening: bool = True
    identity: bool = True
    logit_scale: Annotated[float, within(1e-6, 1e6)] = 1 / 9
    # side in pixels of the pictures in the first half of the epochs, in which smaller ones teach
    # nearly as much for less (Tan & Le, "EfficientNetV2", 2021); 0: as in the second half
    early_size: Annotated[int, within(0, 1024)] = 0

    # of all others: where the backbone comes from (see lib.training.backbones), and which part
    # trains. Under `head` the frozen backbone is run once over `views` augmented views of each
    # picture, and their features are stored; 0 stores none, and every epoch's pictures pass through
    # the backbone. `map_views` is the same for `last_block` and `last_stage`: there the frozen part
    # gives maps, which take more memory. The head learns by sgd, or is fitted to convergence by
    # lbfgs: see lib.training.head_fit.
    weights: str = "none"
    strategy: Strategy = "all"
    views: Annotated[int, within(0, 1000)] = 1
    map_views: Annotated[int, within(0, 1000)] = 0
    head_fit: Literal["sgd", "lbfgs"] = "sgd"

    # the pictures
    augmentation: Policy = "flip_crop"

    # the optimiser: Nesterov momentum, linear warm-up, cosine annealing to zero
    epochs: Annotated[int, within(1, 10_000)] = 12
    val_every: Annotated[int, within(1, 10_000)] = 1  # epochs between validations; also at the end
    batch_size: Annotated[int, within(2, 65_536)] = 512
    optimizer: Literal["sgd", "muon"] = "muon"  # of small_cnn's filters; all else takes sgd
    lr: Annotated[float, within(1e-8, 100)] = 0.4  # the peak, for a batch's mean loss
    muon_lr: Annotated[float, within(1e-8, 100)] = 0.04  # the peak for what takes muon
    bias_lr: Annotated[float, within(0, 1000)] = 1.0  # biases of norms and convolutions: times lr
    layer_decay: Annotated[float, within(0, 1)] = 1.0  # per layer, from the head to the input
    momentum: Annotated[float, within(0, 0.9999)] = 0.9
    weight_decay: Annotated[float, within(0, 10)] = 5e-4  # not on norms and biases
    label_smoothing: Annotated[float, within(0, 0.99)] = 0.1
    warmup: Annotated[float, within(0, 1)] = 0.2  # share of all steps

    # beside the test accuracy, that of logits averaged over each picture and its mirror image
    test_flip: bool = False

    # the machine's part; what trains has what auto stands for there: see lib.training.precision
    precision: Precision = "auto"
    compile: bool = False  # by torch.compile: a minute first, then faster steps on a GPU
    seed: Annotated[int, within(0, 2**31 - 1)] = 0

    def __post_init__(self) -> None:
        small = self.model == "small_cnn"
        for name in self._of_other_networks():
            value = getattr(self, name)
            if value != DEFAULTS[name]:
                owner = "pretrained networks" if small else "small_cnn"
                remedy = "another model, such as 'resnet18'" if small else "model = 'small_cnn'"
                raise UserError(
                    f"recipe: {name} = {value!r} is a choice of {owner}; leave it out, or set "
                    f"{remedy}"
                )
        if self.early_size and self.image_size:
            raise UserError(
                f"recipe: early_size = {self.early_size} is for pictures that the network takes as "
                "they are; set image_size = 0, or leave it out"
            )
        if self.map_views and self.strategy not in ("last_block", "last_stage"):
            raise UserError(
                f"recipe: map_views = {self.map_views} needs strategy = 'last_block' or "
                f"'last_stage', not {self.strategy!r}; leave it out"
            )
        if self.head_fit == "lbfgs" and not (self.strategy == "head" and self.views):
            raise UserError(
                "recipe: head_fit = 'lbfgs' needs stored features: strategy = 'head' and views of "
                "1 or more"
            )
        if self.head_fit == "lbfgs" and self.epochs != 1:
            raise UserError("recipe: head_fit = 'lbfgs' has one epoch; set epochs = 1")

    @property
    def stores_features(self) -> bool:
        """Whether the frozen part is run once, and what trains learns from what it gave."""
        return (self.strategy == "head" and self.views > 0) or self.map_views > 0

    @property
    def validated(self) -> list[int]:
        """The epochs after which the network is validated, and so may be the best."""
        every = range(self.val_every, self.epochs, self.val_every)
        return [*every, self.epochs]

    def validated_for(self, training: int, validation: int) -> Self:
        """This recipe, validated so often that it takes about `VALIDATING` of the time of training.

        Parameters
        ----------
        training, validation : int   numbers of pictures: with few to train on and many to validate
                                     with, validation is not for every epoch
        """
        every = math.ceil(validation / (PASSES * training * VALIDATING))
        return self.replace(val_every=min(every, self.epochs))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The recipe that `values` describes; names that are left out have their defaults.

        Raises
        ------
        UserError   if a name is not one of a recipe's, with the nearest one that is
        """
        for name in values:
            if name not in DEFAULTS:
                raise UserError(f"recipe: unknown field {name!r}{nearest(name, DEFAULTS)}")
        if values.get("strategy") == EARLIER_LAST_STAGE:
            values = {**values, "strategy": "last_stage"}
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Field name to plain value, in the order of the fields, without other networks' fields."""
        others = self._of_other_networks()
        return {name: getattr(self, name) for name in DEFAULTS if name not in others}

    def _of_other_networks(self) -> tuple[str, ...]:
        return OF_OTHERS if self.model == "small_cnn" else OF_SMALL

    def replace(self, **changes: Any) -> Self:
        """This recipe with some choices changed."""
        return type(self).from_dict({**self.to_dict(), **changes})

    def digest(self) -> str:
        """Sixteen hexadecimal digits that name these choices.

        Records keep their names: a field of `LATER` counts where it is not what all did before, and
        a strategy has the name that it had.
        """
        values = {k: v for k, v in self.to_dict().items() if k not in LATER or v != LATER[k]}
        if values.get("strategy") == "last_stage":
            values["strategy"] = EARLIER_LAST_STAGE
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _explain_refusals(validate: Callable[..., None]) -> Callable[..., None]:
    """Pydantic's `__init__` with its complaints as the user's one line."""

    @functools.wraps(validate)
    def init(self: Recipe, *arguments: Any, **values: Any) -> None:
        try:
            validate(self, *arguments, **values)
        except ValidationError as error:
            raise UserError(f"recipe: {explained(error)}") from None

    return init


Recipe.__init__ = _explain_refusals(Recipe.__init__)  # type: ignore[method-assign]
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Recipe)}
