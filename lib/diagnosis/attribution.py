"""Grad-CAM heatmaps, and tests of whether they are faithful to the model.

Grad-CAM of Selvaraju et al. (ICCV 2017), computed by captum; its faithfulness by the deletion and
insertion curves of Petsiuk et al. (BMVC 2018); the cascading randomisation of Adebayo et al.,
"Sanity Checks for Saliency Maps" (NeurIPS 2018).
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from scipy.stats import rankdata, ttest_1samp
from torch import Generator, Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur, rgb_to_grayscale

from lib.intervals import crossed_mean, mean_interval
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


RIVALS = ("random", "centre", "brightness")  # simpler maps than Grad-CAM's


@dataclass(frozen=True)
class Faithfulness:
    """Whether Grad-CAM's highest-ranked pixels matter more to the model than those of simpler maps.

    curves   a row per kind, ordering and fraction: probability, the mean over pictures. kind is
             deletion or insertion, ordering is heat or one of `RIVALS`
    areas    a row per kind and rival: area and rival_area (means over pictures), gain (by how much
             Grad-CAM's is better), low, high (Student's 95 % interval of the gain, paired by
             picture), p (of its t test, two-sided), n (pictures)
    """

    curves: pd.DataFrame
    areas: pd.DataFrame


def deletion_insertion(
    model: nn.Module,
    pixels: Tensor,
    heat: Tensor,
    targets: Tensor,
    generator: Generator,
    steps: int = 16,
) -> Faithfulness:
    """Replace the highest-ranked pixels first, or restore them first, and follow the probability.

    A pixel that isn't there has the value of a strongly blurred copy of its picture, since black or
    grey ones would be an object of their own. Deleting what matters brings the probability down at
    once, a small area; inserting it brings it up at once, a large one.

    The rivals know nothing of the model: a random map, the distance from the picture's middle, and
    the picture's luminance. They are as coarse as Grad-CAM's maps, 8 x 8 and enlarged: pixels
    changed singly would be noise on the picture, which harms a network more than the loss of any
    object. The middle and the brightness are rivals since objects are often there, or bright
    (Adebayo et al. 2018 compare with the picture itself too).

    Parameters
    ----------
    pixels : float (N, 3, H, W)   in [0, 1]
    heat : float (N, H, W)        pixels of the same heat come in a random order
    targets : int64 (N,)          the class whose probability is followed, of each picture
    generator : Generator         on any device
    """
    model = _in_float32(model)
    device = device_of(model)
    pixels, targets = pixels.to(device, torch.float32), targets.to(device)
    ranks = _orderings(pixels, heat.to(device), generator)
    curves, areas = [], []
    for kind, better in (("deletion", -1), ("insertion", 1)):
        area = {}
        for ordering, rank in ranks.items():
            fractions, probabilities = _curve(model, pixels, targets, rank, kind, steps)
            area[ordering] = np.trapezoid(probabilities, fractions, axis=1)
            points = {"fraction": fractions, "probability": probabilities.mean(axis=0)}
            curves.append(pd.DataFrame({"kind": kind, "ordering": ordering, **points}))
        for rival in RIVALS:
            gains = better * (area["heat"] - area[rival])
            gain, means = mean_interval(gains), (area["heat"].mean(), area[rival].mean())
            row = (kind, rival, *means, gain.value, gain.low, gain.high, _p_value(gains))
            areas.append((*row, len(pixels)))
    columns = ["kind", "rival", "area", "rival_area", "gain", "low", "high", "p", "n"]
    return Faithfulness(pd.concat(curves, ignore_index=True), pd.DataFrame(areas, columns=columns))


def _p_value(gains: np.ndarray) -> float:
    """Of the t test that the mean is 0; 1 where nothing varies, for then nothing can be said."""
    return float(ttest_1samp(gains, 0).pvalue) if np.ptp(gains) > 0 else 1.0


def _orderings(pixels: Tensor, heat: Tensor, generator: Generator) -> dict[str, Tensor]:
    """The rank of every pixel by the heatmaps and by each rival: int64 (N, H, W), 0 the first."""
    (height, width), side = _size(pixels), (SMALLEST_MAP, SMALLEST_MAP)
    lots = torch.rand((2, len(pixels), *side), generator=generator, device=generator.device)
    lots, random = F.interpolate(lots.to(pixels), (height, width), mode="bilinear")
    down, across = (torch.linspace(-1, 1, length).to(pixels) for length in (height, width))
    centre = -(down[:, None] ** 2 + across**2).expand(len(pixels), height, width)
    brightness = F.adaptive_avg_pool2d(rgb_to_grayscale(pixels), side)
    brightness = F.interpolate(brightness, (height, width), mode="bilinear")[:, 0]
    rivals = dict(zip(RIVALS, (random, centre, brightness), strict=True))
    return {name: _ranks(values, lots) for name, values in {"heat": heat, **rivals}.items()}


@torch.inference_mode()
def _curve(
    model: nn.Module,
    pixels: Tensor,
    targets: Tensor,
    rank: Tensor,
    kind: str,
    steps: int,
    batch_size: int = 128,
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
            batches = torch.where(changed, after, before).split(batch_size)
            probabilities = torch.cat([model(batch).softmax(dim=1) for batch in batches])
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
    redraws: int = 5,
) -> pd.DataFrame:
    """Do the maps change when the model forgets, layer by layer from its logits down?

    Each layer's weights, with the normalisation after it, are redrawn from a normal distribution
    of their own mean and deviation, and stay so while the next layer's follow; the model itself is
    left alone. Maps that stay alike never depended on what was learned. One redraw says little,
    since a random network has a map of its own: all is done `redraws` times.

    Parameters
    ----------
    pixels, targets, layer   as for `grad_cam`
    generator : Generator    on any device

    Returns
    -------
    A row a stage: stage (0 is the trained model), layer (redrawn last, as a reader would say it),
    module (its name in the model), correlation (Spearman's with the trained model's maps, mean over
    pictures and redraws), low, high (of `lib.intervals.crossed_mean`), n (pictures whose two maps
    vary in at least one redraw), flat (pairs of maps left out, for one of them does not vary),
    pairs (pictures times redraws), redraws.

    Raises
    ------
    ValueError   if `redraws` is not positive
    """
    if redraws < 1:
        raise ValueError(f"redraws must be at least 1 (got {redraws})")
    layer = layer or default_layer(model, _size(pixels))[0]
    trained = grad_cam(model, pixels, targets, layer)
    stages = [("none (trained)", ""), *((layer_name(model, m), m) for m in _layers(model))]
    same = _correlations(trained, trained)
    correlations = np.empty((len(stages), redraws, len(pixels)))
    for redraw in range(redraws):
        correlations[0, redraw] = same
        forgetful = copy.deepcopy(model)
        for stage, _ in enumerate(_redrawn_layers(forgetful, generator), start=1):
            maps = grad_cam(forgetful, pixels, targets, layer)
            correlations[stage, redraw] = _correlations(trained, maps)
    rows = [
        {"stage": stage, "layer": name, "module": module} | _agreement(found)
        for stage, ((name, module), found) in enumerate(zip(stages, correlations, strict=True))
    ]
    return pd.DataFrame(rows)


def _layers(model: nn.Module) -> list[str]:
    """The modules with weights of their own, normalisations apart, from the logits down."""
    return [
        name
        for name, module in reversed(list(model.named_modules()))
        if any(parameter.dim() >= 2 for parameter in module.parameters(recurse=False))
    ]


def _redrawn_layers(model: nn.Module, generator: Generator) -> Iterator[str]:
    """Redraws the model's weights in place, and yields each of `_layers` once it is done."""
    layers = set(_layers(model))
    for name, module in reversed(list(model.named_modules())):
        for parameter in module.parameters(recurse=False):
            _redraw(parameter, generator)
        if name in layers:
            yield name


@torch.no_grad()
def _redraw(parameter: Tensor, generator: Generator) -> None:
    mean, deviation = parameter.float().mean(), parameter.float().std(correction=0)
    noise = torch.randn(parameter.shape, generator=generator, device=generator.device)
    parameter.copy_(mean + deviation * noise.to(parameter.device))


def _correlations(first: Tensor, second: Tensor) -> np.ndarray:
    """Spearman's correlation (N,) of each pair of maps, NaN where one of the two is flat."""
    ranks = [rankdata(maps.flatten(1).cpu().numpy(), axis=1) for maps in (first, second)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.full(len(a), np.nan), where=scale > 0)


def _agreement(correlations: np.ndarray) -> dict[str, float]:
    """A stage's columns, from correlations (redraws, N) of which some may be NaN."""
    flat, mean = np.isnan(correlations), crossed_mean(correlations)
    return {
        "correlation": mean.value,
        "low": max(mean.low, -1.0),
        "high": min(mean.high, 1.0),
        "n": int((~flat).any(axis=0).sum()),
        "flat": int(flat.sum()),
        "pairs": flat.size,
        "redraws": len(correlations),
    }
