"""Grad-CAM heatmaps, and tests of whether they are faithful to the model.

Grad-CAM of Selvaraju et al. (ICCV 2017), computed by captum; its faithfulness by the deletion and
insertion curves of Petsiuk et al. (BMVC 2018); the cascading randomisation of Adebayo et al.,
"Sanity Checks for Saliency Maps" (NeurIPS 2018).
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from scipy.stats import rankdata
from torch import Generator, Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from lib.intervals import mean_interval
from lib.models.parts import device_of, evaluating, layer_name

SMALLEST_MAP = 8  # a 4 x 4 map of a 32 px picture says little


def default_layer(model: nn.Module, image_size: int | tuple[int, int]) -> tuple[str, nn.Module]:
    """The deepest convolution whose map is at least 8 x 8, by name and as a module.

    Where no map is that large, the deepest of those with the largest map. Depth is the order in
    which the convolutions are computed for a picture of `image_size` (side, or height and width).

    Raises
    ------
    ValueError   if the model has no convolution
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    sides: dict[str, int] = {}

    def note(name):
        def hook(module, inputs, output):
            sides.pop(name, None)  # a layer used twice counts where it is used last
            sides[name] = min(output.shape[-2:])

        return hook

    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    handles = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    try:
        with evaluating(model), torch.inference_mode():
            parameter = next(model.parameters())
            model(torch.zeros(1, 3, height, width).to(parameter))
    finally:
        for handle in handles:
            handle.remove()
    if not sides:
        raise ValueError(f"{type(model).__name__} has no convolution for Grad-CAM to look at")
    enough = min(SMALLEST_MAP, max(sides.values()))
    deepest = [name for name, side in sides.items() if side >= enough][-1]
    return deepest, layers[deepest]


def grad_cam(
    model: nn.Module,
    pixels: Tensor,
    targets: Tensor,
    layer: str | None = None,
    batch_size: int = 128,
) -> Tensor:
    """How much each place of a picture speaks for a class.

    Parameters
    ----------
    pixels : float (N, 3, H, W)   in [0, 1]
    targets : int64 (N,)          the class asked about, of each picture
    layer : str                   a convolution's name in `model`; by default `default_layer`

    Returns
    -------
    float32 (N, H, W)   on the model's device; each map's maximum is 1, and a map in which nothing
    speaks for the class is 0 throughout. Computed in float32 whatever the model's precision is.
    """
    model = _in_float32(model)
    module = model.get_submodule(layer or default_layer(model, _size(pixels))[0])
    device = device_of(model)
    explain = LayerGradCam(model, module)
    maps = []
    with evaluating(model), torch.autocast(device.type, enabled=False):
        for batch, target in zip(pixels.split(batch_size), targets.split(batch_size), strict=True):
            # The pixels ask for gradients because a frozen layer's weights don't.
            batch = batch.detach().to(device, torch.float32).requires_grad_()
            heat = explain.attribute(batch, target.to(device), relu_attributions=True).detach()
            heat = F.interpolate(heat, _size(pixels), mode="bilinear")[:, 0]
            highest = heat.amax(dim=(1, 2), keepdim=True)
            maps.append(heat / torch.where(highest > 0, highest, 1))
    return torch.cat(maps)


def _size(pixels: Tensor) -> tuple[int, int]:
    height, width = pixels.shape[-2:]
    return height, width


def _in_float32(model: nn.Module) -> nn.Module:
    if all(p.dtype == torch.float32 for p in model.parameters()):
        return model
    return copy.deepcopy(model).float()


@dataclass(frozen=True)
class Faithfulness:
    """Whether the hot pixels matter more to the model than those of random maps."""

    curves: pd.DataFrame  # kind, ordering ("heat", "random"), fraction, probability: means
    areas: pd.DataFrame  # kind, heat, random, gain, low, high, n: see `deletion_insertion`


def deletion_insertion(
    model: nn.Module,
    pixels: Tensor,
    heat: Tensor,
    targets: Tensor,
    generator: Generator,
    steps: int = 16,
) -> Faithfulness:
    """Replace the hottest pixels first, or restore them first, and follow the class's probability.

    A pixel that isn't there has the value of a strongly blurred copy of its picture, since black or
    grey ones would be an object of their own. Deleting what matters brings the probability down at
    once, a small area; inserting it brings it up at once, a large one. `gain` is by how much the
    area is better than with a random map, with Student's interval over the pictures. The random
    maps are 8 x 8, enlarged as Grad-CAM's are: pixels drawn singly would be noise on the picture,
    which harms a network more than the loss of any object.

    Parameters
    ----------
    pixels : float (N, 3, H, W)   in [0, 1]
    heat : float (N, H, W)        pixels of the same heat come in a random map's order
    targets : int64 (N,)
    generator : Generator         on any device
    """
    model = _in_float32(model)
    device = device_of(model)
    pixels, targets = pixels.to(device, torch.float32), targets.to(device)
    coarse = (2, len(heat), SMALLEST_MAP, SMALLEST_MAP)
    lots = torch.rand(coarse, generator=generator, device=generator.device).to(device)
    lots = F.interpolate(lots, _size(pixels), mode="bilinear")
    ranks = {"heat": _ranks(heat.to(device), lots[0]), "random": _ranks(lots[1], lots[1])}
    curves, areas = [], []
    for kind, better in (("deletion", -1), ("insertion", 1)):
        area = {}
        for ordering, rank in ranks.items():
            fractions, probabilities = _curve(model, pixels, targets, rank, kind, steps)
            area[ordering] = np.trapezoid(probabilities, fractions, axis=1)
            points = {"fraction": fractions, "probability": probabilities.mean(axis=0)}
            curves.append(pd.DataFrame({"kind": kind, "ordering": ordering, **points}))
        gain = mean_interval(better * (area["heat"] - area["random"]))
        means = area["heat"].mean(), area["random"].mean()
        areas.append((kind, *means, gain.value, gain.low, gain.high, len(pixels)))
    columns = ["kind", "heat", "random", "gain", "low", "high", "n"]
    return Faithfulness(pd.concat(curves, ignore_index=True), pd.DataFrame(areas, columns=columns))


@torch.inference_mode()
def _curve(
    model: nn.Module, pixels: Tensor, targets: Tensor, rank: Tensor, kind: str, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fractions (steps + 1,) of pixels changed, and each picture's probability (N, steps + 1)."""
    height, width = _size(pixels)
    reach = max(1, min(height, width) // 4)
    blurred = gaussian_blur(pixels, [2 * reach + 1] * 2, [float(reach)] * 2)
    before, after = (pixels, blurred) if kind == "deletion" else (blurred, pixels)
    fractions = np.linspace(0, 1, steps + 1)
    columns = []
    with evaluating(model):
        for fraction in fractions:
            changed = (rank < round(fraction * height * width))[:, None]
            probabilities = model(torch.where(changed, after, before)).softmax(dim=1)
            columns.append(probabilities.gather(1, targets[:, None]))
    return fractions, torch.cat(columns, dim=1).double().cpu().numpy()


def _ranks(heat: Tensor, lots: Tensor) -> Tensor:
    """Rank (N, H, W) of each pixel in its map, the hottest 0, equal ones by their lots."""
    by_lot = lots.flatten(1).argsort(dim=1)
    order = heat.flatten(1).gather(1, by_lot).argsort(dim=1, descending=True, stable=True)
    return by_lot.gather(1, order).argsort(dim=1).view_as(heat)


def randomised_weights_check(
    model: nn.Module,
    pixels: Tensor,
    targets: Tensor,
    generator: Generator,
    layer: str | None = None,
) -> pd.DataFrame:
    """Do the maps change when the model forgets, layer by layer from its logits down?

    Each layer's weights, with the normalisation after it, are redrawn from a normal distribution
    of their own mean and deviation, and stay so while the next layer's follow; the model itself is
    left alone. Maps that stay alike never depended on what was learned.

    Parameters
    ----------
    pixels, targets, layer   as for `grad_cam`
    generator : Generator    on any device

    Returns
    -------
    A row a stage: stage (0 is the trained model), layer (redrawn last, as a reader would say it),
    module (its name in the model), correlation (Spearman's with the trained model's maps, mean over
    pictures), low, high, n (pictures whose two maps vary).
    """
    layer = layer or default_layer(model, _size(pixels))[0]
    model = copy.deepcopy(model)
    trained = grad_cam(model, pixels, targets, layer)
    rows = [_agreement(trained, trained) | {"stage": 0, "layer": "none (trained)", "module": ""}]
    for name, module in reversed(list(model.named_modules())):
        own = list(module.parameters(recurse=False))
        for parameter in own:
            _redraw(parameter, generator)
        if any(parameter.dim() >= 2 for parameter in own):  # a layer, not a normalisation
            maps = grad_cam(model, pixels, targets, layer)
            row = {"stage": len(rows), "layer": layer_name(model, name), "module": name}
            rows.append(_agreement(trained, maps) | row)
    return pd.DataFrame(rows)[["stage", "layer", "module", "correlation", "low", "high", "n"]]


@torch.no_grad()
def _redraw(parameter: Tensor, generator: Generator) -> None:
    mean, deviation = parameter.float().mean(), parameter.float().std(correction=0)
    noise = torch.randn(parameter.shape, generator=generator, device=generator.device)
    parameter.copy_(mean + deviation * noise.to(parameter.device))


def _agreement(first: Tensor, second: Tensor) -> dict[str, float]:
    """Spearman's correlation of each pair of maps, averaged over those in which both vary."""
    ranks = [rankdata(maps.flatten(1).cpu().numpy(), axis=1) for maps in (first, second)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    vary = scale > 0
    if not vary.any():
        return {"correlation": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    mean = mean_interval((a * b).sum(axis=1)[vary] / scale[vary])
    return {"correlation": mean.value, "low": mean.low, "high": mean.high, "n": int(vary.sum())}
