"""Snow, frost and fog.

Those of CIFAR-10-C (Hendrycks & Dietterich, ICLR 2019); `lib.diagnosis.corruptions` has their
severities. Each takes float pixels (N, 3, H, W) in [0, 1], a generator on their device, and its
strength, and draws anew for every picture. Frost is grown in code, where CIFAR-10-C lays
photographs of it over the pictures.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.diagnosis.blurs import scale, trail, uniform, zoomed

GREY = (0.299, 0.587, 0.114)  # the weights of red, green and blue in a pixel's brightness (BT.601)
FROST = (1.2, 1.0, 0.8)  # exponents of red, green and blue in the colour of ice


def snow(
    pixels: Tensor,
    generator: Generator,
    mean: float,
    deviation: float,
    size: float,
    least: float,
    reach: int,
    length: float,
    kept: float,
) -> Tensor:
    """Flakes that fall, each within 45 degrees of the vertical, over a whitened picture.

    Parameters
    ----------
    mean, deviation : float   of the Gaussian noise that flakes are made of
    size : float              by which the noise is enlarged
    least : float             noise below it is no flake
    reach, length : float     pixels of a flake's trail, and the deviation of its Gaussian
    kept : float              share of the picture that is not whitened
    """
    count, _, *sides = pixels.shape
    noise = torch.randn((count, 1, *sides), generator=generator, device=pixels.device)
    flakes = zoomed(mean + deviation * noise, size * scale(pixels))
    flakes = flakes.masked_fill(flakes < least, 0).clamp(0, 1)
    angle = (uniform((count,), generator) + 0.5) * (math.pi / 2)
    steps = math.ceil((2 * reach + 1) * scale(pixels)) - 1
    fallen = trail(flakes, angle, length * scale(pixels), steps)
    grey = torch.einsum("c,nchw->nhw", torch.tensor(GREY, device=pixels.device), pixels)[:, None]
    whitened = kept * pixels + (1 - kept) * torch.maximum(pixels, 1.5 * grey + 0.5)
    return whitened + fallen + fallen.flip(2, 3)


def frost(pixels: Tensor, generator: Generator, kept: float, amount: float) -> Tensor:
    """So much of the picture and so much of a random part of one of the `frosted_panes`."""
    count, _, height, width = pixels.shape
    panes = frosted_panes().to(pixels.device)
    side = math.ceil(panes.shape[-1] * scale(pixels))
    if side > panes.shape[-1]:
        panes = F.interpolate(panes, (side, side), mode="bilinear", align_corners=False)
    which, top, left = uniform((3, count), generator)
    which = (which * len(panes)).long()[:, None, None]
    rows = (top * (side - height)).long()[:, None] + torch.arange(height, device=pixels.device)
    columns = (left * (side - width)).long()[:, None] + torch.arange(width, device=pixels.device)
    parts = panes[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return kept * pixels + amount * parts


@cache
def frosted_panes(panes: int = 6, side: int = 128, steps: int = 240) -> Tensor:
    """Panes of ice (panes, 3, side, side) in [0, 1], always the same.

    Crystals after Reiter, "A local cellular model for snow crystal growth" (Chaos, Solitons &
    Fractals 2005): on a hexagonal grid, a cell is ice once it holds 1 of water. Ice and the cells
    that touch it keep their water and take up a little more; the others share theirs.
    """
    generator = torch.Generator().manual_seed(0)
    water = 0.25 + 0.5 * plasma(panes, side, 1.4, generator)[:, :side, :side]
    water = water.masked_fill(uniform(tuple(water.shape), generator) < 0.001, 1)
    for _ in range(steps):
        ice = (water >= 1).float()
        growing = ice + _around(ice) > 0
        shared = water.masked_fill(growing, 0)
        kept = (water + 0.001).masked_fill(~growing, 0)
        water = kept + (shared + _around(shared) / 6) / 2
    whiteness = (_on_squares(water) / 1.6).clamp(0, 1)[:, None]
    return whiteness ** torch.tensor(FROST).view(3, 1, 1)  # a little blue where it is thin


def _around(cells: Tensor) -> Tensor:
    """The sum of each cell's six neighbours; the sides of a pane (N, side, side) meet."""
    above, below = cells.roll(1, 1), cells.roll(-1, 1)
    beside = cells.roll(1, 2) + cells.roll(-1, 2)
    return above + below + beside + above.roll(1, 2) + below.roll(-1, 2)


def _on_squares(cells: Tensor) -> Tensor:
    """The hexagonal grid's cell that lies at each pixel: its rows are near and each shifted."""
    side = cells.shape[-1]
    row = torch.arange(side)[:, None] * (2 / math.sqrt(3))
    column = torch.arange(side) + row / 2
    return cells[:, row.round().long() % side, column.round().long() % side]


def fog(pixels: Tensor, generator: Generator, amount: float, decay: float) -> Tensor:
    """Adds a cloud and scales back to the brightest value that the picture had."""
    height, width = pixels.shape[-2:]
    cloud = plasma(len(pixels), max(height, width), decay, generator)[:, None, :height, :width]
    brightest = pixels.amax(dim=(1, 2, 3), keepdim=True)
    return (pixels + amount * cloud) * brightest / (brightest + amount)


def plasma(count: int, size: int, decay: float, generator: Generator) -> Tensor:
    """Clouds (count, side, side) in [0, 1] by the diamond-square algorithm.

    The side is the next power of 2 from `size`; from one scale to the next finer one, the roughness
    falls by the square of `decay`, as in CIFAR-10-C.
    """
    side = step = 2 ** math.ceil(math.log2(size))
    field = torch.zeros((count, side, side), device=generator.device)
    roughness = 1.0

    def jittered(total: Tensor) -> Tensor:
        jitter = uniform(tuple(total.shape), generator) * 2 - 1
        return total / 4 + roughness * jitter

    while step >= 2:
        half = step // 2
        corners = field[:, ::step, ::step]
        rows = corners + corners.roll(-1, dims=1)
        centres = jittered(rows + rows.roll(-1, dims=2))
        field[:, half::step, half::step] = centres
        above, beside = centres + centres.roll(1, dims=1), centres + centres.roll(1, dims=2)
        field[:, ::step, half::step] = jittered(above + corners + corners.roll(-1, dims=2))
        field[:, half::step, ::step] = jittered(beside + corners + corners.roll(-1, dims=1))
        step, roughness = half, roughness / decay**2
    field -= field.amin(dim=(1, 2), keepdim=True)
    return field / field.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
