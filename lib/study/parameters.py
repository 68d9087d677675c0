"""The limits of the notebooks' parameters, for a notebook and for the command that runs it.

Most parameters are fields of a recipe under other names, and have the limits of that field in
`lib.training.recipe`. A notebook checks its parameters before it computes anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from lib.data.pictures import LARGEST
from lib.errors import UserError
from lib.models.small_cnn import SMALLEST
from lib.training.recipe import Recipe

KINDS = {int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Limits:
    """What a parameter may be: of which type, from where to where, or one of which words."""

    kind: type
    low: float = 0
    high: float = 0
    zero: str = ""  # what 0 stands for, beside the range
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False  # of a text

    def refusal(self, value: Any) -> str:
        """What the value should be instead; empty if it is that."""
        kinds = (int, float) if self.kind is float else (self.kind,)
        if type(value) not in kinds:
            return self.wanted
        if self.choices:
            return "" if value in self.choices else self.wanted
        if self.kind is str:
            return "" if value.strip() or self.may_be_empty else "text that is not empty"
        fits = self.low <= value <= self.high or (self.zero and value == 0)
        return "" if fits else self.wanted

    @property
    def wanted(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind is str:
            return KINDS[str]
        low, high = (
            f"{end:,}" if self.kind is int else f"{end:g}" for end in (self.low, self.high)
        )
        zero = f", or 0 for {self.zero}" if self.zero else ""
        return f"{KINDS[self.kind]} from {low} to {high}{zero}"


def of_recipe(field: str) -> Limits:
    """The limits of a recipe's field."""
    known = Recipe.__pydantic_fields__[field]  # type: ignore[attr-defined]
    if choices := get_args(known.annotation):
        return Limits(str, choices=choices)
    (low,) = (part.ge for part in known.metadata if hasattr(part, "ge"))
    (high,) = (part.le for part in known.metadata if hasattr(part, "le"))
    return Limits(known.annotation, low, high)


TEXT = Limits(str)
PICTURES = Limits(int, 1, 10**9, "all of them")
SEEDS = Limits(int, 1, 1000)
SHARE = Limits(float, 0.01, 0.99)

LIMITS = {
    "dataset": TEXT,
    # also where a day trains a ResNet-18 alone: it takes a pixel, but its heatmaps do not
    "image_size": Limits(int, SMALLEST, LARGEST, "the dataset's own"),
    "unreadable": Limits(str, choices=("stop", "skip")),
    "test_share": SHARE,
    "val_share": SHARE,
    "runs": TEXT,
    "bundle": TEXT,
    "study": Limits(str, may_be_empty=True),
    "backbone": TEXT,  # a recipe says if there is no such network
    "other_backbones": Limits(str, may_be_empty=True),
    "weights_source": TEXT,  # a file too; `lib.training.pretraining` says if it cannot be read
    "seeds": SEEDS,
    "transfer_seeds": SEEDS,
    "pretraining_seeds": SEEDS,
    "head_seeds": SEEDS,
    "label_draws": Limits(int, 1, 100, "no comparison of numbers of labels"),
    "strategies": Limits(str, may_be_empty=True),  # `lib.study.transfer` says which there are
    "label_strategies": Limits(str, choices=("head", "head and all")),
    "ablation_pictures": PICTURES,
    "train_pictures": PICTURES,
    "transfer_pictures": PICTURES,
    "pretraining_pictures": PICTURES,
    "diagnosed_pictures": PICTURES,
    "gallery_pictures": PICTURES,
    "ablation_epochs": of_recipe("epochs"),
    "epochs": of_recipe("epochs"),
    "pretraining_epochs": of_recipe("epochs"),
    "transfer_epochs": of_recipe("epochs"),
    "lr": of_recipe("lr"),
    "pretraining_lr": of_recipe("lr"),
    "transfer_lr": of_recipe("lr"),
    "batch_size": of_recipe("batch_size"),
    "transfer_batch_size": of_recipe("batch_size"),
    "transfer_size": of_recipe("image_size"),
    "augmentation": of_recipe("augmentation"),
    "label_smoothing": of_recipe("label_smoothing"),
    "layer_decay": of_recipe("layer_decay"),
    "precision": of_recipe("precision"),
    "weight_decay": of_recipe("weight_decay"),
    "width": of_recipe("width"),
    "early_size": of_recipe("early_size"),
    "second_width": Limits(int, 1, 1024, "no second network"),
    "second_epochs": of_recipe("epochs"),
    "map_views": of_recipe("map_views"),
    "target_accuracy": Limits(float, 0.01, 1, "one that follows from the best strategy"),
}


def check(values: Mapping[str, Any], where: str = "") -> None:
    """Refuse a parameter of the wrong type or outside its limits; other names are passed over.

    Parameters
    ----------
    values : dict   a notebook's `globals()`, or what it will be given
    where : str     where the values come from

    Raises
    ------
    UserError   with the name, the value and what it may be
    """
    for name, limits in LIMITS.items():
        if name in values and (refusal := limits.refusal(values[name])):
            place = f"{where}: " if where else ""
            raise UserError(f"{place}{name} = {values[name]!r} should be {refusal}")
