"""The network that a recipe asks for, with weights drawn from the recipe's seed."""

from collections.abc import Callable, Sequence
from functools import partial

import torch

from lib.errors import UserError
from lib.models.parts import Classifier
from lib.models.resnet18 import resnet18
from lib.models.small_cnn import SMALLEST, small_cnn
from lib.models.timm_networks import timm_name, timm_network
from lib.training.recipe import Recipe


def build(recipe: Recipe, classes: int, mean: Sequence[float], std: Sequence[float]) -> Classifier:
    """The network of `recipe` for that many classes; torch's global generator stays as it is.

    Parameters
    ----------
    mean, std : three floats   of the pictures' channels, in [0, 1]
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        if recipe.model == "small_cnn":
            return small_cnn(
                classes,
                mean,
                std,
                width=recipe.width,
                identity=recipe.identity,
                logit_scale=recipe.logit_scale,
                image_size=recipe.image_size,
            )
        whole: Callable[..., Classifier] = resnet18
        if recipe.model != "resnet18":
            whole = partial(timm_network, timm_name(recipe.model))
        return whole(classes, mean, std, strategy=recipe.strategy, image_size=recipe.image_size)


def check_size(recipe: Recipe, image_size: int) -> None:
    """Refuse pictures that are too small for a small CNN; a ResNet-18 takes a single pixel.

    Its first convolution whitens the pictures as they are, and then takes them resized.

    Parameters
    ----------
    image_size : int   side in pixels of the pictures as they are
    """
    side = recipe.image_size or image_size
    if recipe.whitening:
        side = min(side, image_size)
    side = min(side, recipe.early_size or side)
    if recipe.model == "small_cnn" and side < SMALLEST:
        raise UserError(
            f"image_size is {side}, too small for a small_cnn, which takes pictures of {SMALLEST} "
            "pixels or more; a resnet18 takes 1"
        )
