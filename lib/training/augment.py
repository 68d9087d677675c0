"""Augment a whole batch at once, with a draw of its own for every picture.

Nothing here loops over pictures: a crop, a flip, a rotation is a table of source pixels and one
gather; an operation of RandAugment runs once, on the group of pictures that drew it. Everything
happens on the device of the pictures, with random numbers from a generator on that device.

Sources: RandAugment of Cubuk et al. (2020), with torchvision's operations and magnitudes; Cutout of
DeVries & Taylor (2017); MixUp of Zhang et al. (ICLR 2018); CutMix of Yun et al. (ICCV 2019).
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal, get_args

import torch
from torch import Tensor

Policy = Literal["none", "flip_crop", "randaugment", "cutout", "mixup", "cutmix"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
MAX_MAGNITUDE = 30  # of RandAugment: the last of 31 bins


def augment(
    images: Tensor,
    labels: Tensor,
    policy: str,
    classes: int,
    generator: torch.Generator,
    flip: bool = True,
) -> tuple[Tensor, Tensor]:
    """Augment a batch by one of `POLICIES`; all but "none" begin with `flip_crop`.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    labels : int64 (N,)   in [0, classes)
    generator : torch.Generator   on the device of the images
    flip : bool   whether each picture is mirrored with probability 1/2

    Returns
    -------
    pixels : float32 (N, 3, H, W)    in [0, 1]
    targets : float32 (N, classes)   one-hot; two classes share the mass after mixup and cutmix

    Raises
    ------
    ValueError   if the policy is not one of `POLICIES`, or the images are not uint8
    """
    if policy not in POLICIES:
        raise ValueError(f"unknown policy {policy!r}: choose one of {', '.join(POLICIES)}")
    if images.dtype != torch.uint8:
        raise ValueError(f"images must be uint8, not {images.dtype}")
    if policy != "none":
        images = flip_crop(images, generator, flip)
    if policy == "randaugment":
        images = rand_augment(images, generator)
    if policy == "cutout":
        images = cutout(images, generator)

    targets = torch.eye(classes, device=images.device)[labels]
    if policy == "mixup":
        return mixup(images, targets, generator)
    if policy == "cutmix":
        images, targets = cutmix(images, targets, generator)
    return images.float().div_(255), targets


# Flip and crop


def flip_crop(images: Tensor, generator: torch.Generator, flip: bool = True) -> Tensor:
    """`random_crop` and, with `flip`, `random_flip` at once."""
    n, _, height, width = images.shape
    padding = min(height, width) // 8
    rows = _shifted(n, height, padding, generator)
    columns = _shifted(n, width, padding, generator)
    if flip:
        columns = _mirrored(columns, _coins(n, generator))
    return _pick_columns(_pick_rows(images, rows), columns)


def random_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each picture by up to an eighth of its shorter side, its edges reflected.

    The same as padding by `min(H, W) // 8` pixels (4 for CIFAR's 32) in mode "reflect" and cutting
    out H x W pixels anywhere.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    """
    return flip_crop(images, generator, flip=False)


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each picture left to right with probability 1/2."""
    n, _, _, width = images.shape
    columns = torch.arange(width, device=images.device).expand(n, width)
    return _pick_columns(images, _mirrored(columns, _coins(n, generator)))


def _shifted(n: int, size: int, padding: int, generator: torch.Generator) -> Tensor:
    """The `size` neighbouring rows or columns that each of n crops shows: (n, size)."""
    shift = _integers(-padding, padding + 1, (n, 1), generator)
    index = torch.arange(size, device=generator.device) + shift
    return (size - 1) - ((size - 1) - index.abs()).abs()  # reflected at both edges


def _mirrored(columns: Tensor, mirrored: Tensor) -> Tensor:
    """Reverse the columns (N, W) of the pictures that are mirrored, bool (N,)."""
    return torch.where(mirrored[:, None], columns.flip(1), columns)


def _coins(n: int, generator: torch.Generator) -> Tensor:
    return _integers(0, 2, (n,), generator) == 1


def _pick_rows(images: Tensor, rows: Tensor) -> Tensor:
    """`images[n, c, rows[n, i], j]`: index_select copies whole rows, gather would go by pixel."""
    n, channels, height, width = images.shape
    first = torch.arange(n * channels, device=images.device).view(n, channels, 1) * height
    flat_rows = (first + rows[:, None]).flatten()
    return images.reshape(-1, width).index_select(0, flat_rows).view(images.shape)


def _pick_columns(images: Tensor, columns: Tensor) -> Tensor:
    """`images[n, c, i, columns[n, j]]`."""
    return images.gather(3, columns[:, None, None, :].expand_as(images))


def _integers(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(low, high, shape, generator=generator, device=generator.device)


# RandAugment


def rand_augment(
    images: Tensor, generator: torch.Generator, num_ops: int = 2, magnitude: int = 9
) -> Tensor:
    """Change each picture by `num_ops` of the 14 `OPERATIONS`, drawn anew for every picture.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    num_ops : int     operations one after the other
    magnitude : int   their strength, in 0..30; signed operations also draw a sign

    Raises
    ------
    ValueError   if the magnitude lies outside 0..30
    """
    if not 0 <= magnitude <= MAX_MAGNITUDE:
        raise ValueError(f"magnitude {magnitude} lies outside 0..{MAX_MAGNITUDE}")
    for _ in range(num_ops):
        choice = _integers(0, len(OPERATIONS), (len(images),), generator)
        negative = _integers(0, 2, (len(images),), generator)
        images = _apply_chosen(images, choice, negative, magnitude / MAX_MAGNITUDE)
    return images


def _apply_chosen(images: Tensor, choice: Tensor, negative: Tensor, strength: float) -> Tensor:
    """Sort the pictures by operation and sign, run each on its group, and sort them back."""
    variants = [(operation, sign) for operation in OPERATIONS.values() for sign in (1, -1)]
    variant = 2 * choice + negative * (choice < len(SIGNED))
    order = variant.argsort()
    sizes = torch.bincount(variant, minlength=len(variants)).tolist()  # waits for the device, once
    changed = images.index_select(0, order)
    for (operation, sign), group in zip(variants, changed.split(sizes), strict=True):
        if len(group):
            group.copy_(operation(group, sign * strength))
    return changed.index_select(0, order.argsort())


def _warp(source: Callable, images: Tensor, strength: float) -> Tensor:
    """Fetch each pixel from where `source` says it came, nearest neighbour, black outside."""
    index, inside = _source_pixels(source, strength, *images.shape[2:], images.device)
    pixels = images.flatten(2)
    return pixels.gather(2, index.expand_as(pixels)).mul_(inside).view(images.shape)


@lru_cache(maxsize=64)
def _source_pixels(
    source: Callable, strength: float, height: int, width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The pixel shown at each of H * W places, int64, and whether there is one, uint8."""
    x = torch.arange(width, dtype=torch.float64)
    y = torch.arange(height, dtype=torch.float64)[:, None]
    x, y = torch.broadcast_tensors(*(place.round() for place in source(x, y, strength)))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = (y * width + x).long() * inside
    return index.flatten().to(device), inside.flatten().to(torch.uint8).to(device)


def _rotation_source(x: Tensor, y: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Where the pixel (x, y) was before the picture turned about its centre."""
    cos, sin = math.cos(math.radians(30) * strength), math.sin(math.radians(30) * strength)
    centre_x, centre_y = (x.numel() - 1) / 2, (y.numel() - 1) / 2
    x, y = x - centre_x, y - centre_y
    return cos * x - sin * y + centre_x, sin * x + cos * y + centre_y


def _blend(degenerate: Callable, images: Tensor, strength: float) -> Tensor:
    """Move away from (strength > 0) or towards (< 0) the degenerate picture, as PIL enhances."""
    values = images.float()
    return _to_uint8(torch.lerp(degenerate(values), values, 1 + 0.9 * strength).clamp_(0, 255))


def _to_uint8(values: Tensor) -> Tensor:
    return values.short().to(torch.uint8)  # three times as fast as without the detour, on a CPU


def _grey(values: Tensor) -> Tensor:
    red, green, blue = values.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).floor_()[:, None]


def _smooth(values: Tensor) -> Tensor:
    """PIL's filter SMOOTH: a 3 x 3 mean whose centre weighs five times; the border stays."""
    columns = values[..., :-2, :] + values[..., 1:-1, :] + values[..., 2:, :]
    squares = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:]
    smooth = values.clone()
    smooth[..., 1:-1, 1:-1] = ((squares + 4 * values[..., 1:-1, 1:-1]) / 13).round_()
    return smooth


def _posterize(images: Tensor, strength: float) -> Tensor:
    """Clear up to four of each value's eight bits, the lowest first."""
    return images & (256 - 2 ** round(4 * strength))


def _solarize(images: Tensor, strength: float) -> Tensor:
    """Invert the values from a threshold on; 255 - v is v with all its bits flipped."""
    above = images >= 255 * (1 - strength)
    return images ^ (above.to(torch.uint8) * 255)


def _autocontrast(images: Tensor, _: float) -> Tensor:
    """Stretch each channel to the full range; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = low == high
    low, span = low.masked_fill(flat, 0), (high - low).masked_fill(flat, 255)
    return _to_uint8((images - low) * 255.0 / span)


def _equalize(images: Tensor, _: float) -> Tensor:
    """Flatten each channel's histogram by PIL's table, which needs more than 255 pixels."""
    values = images.flatten(2).long()
    histogram = values.new_zeros(*values.shape[:2], 256, dtype=torch.int32)
    histogram.scatter_add_(2, values, histogram.new_ones(1).expand_as(values))
    brightest = histogram.gather(2, images.flatten(2).amax(2, keepdim=True).long())
    step = (values.shape[2] - brightest) // 255
    below = histogram.cumsum(2) - histogram
    table = ((below + step // 2) / step).clamp(max=255)
    table = torch.where(step > 0, table, torch.arange(256.0, device=images.device))
    return table.to(torch.uint8).gather(2, values).view(images.shape)


# An operation maps uint8 (n, 3, H, W) and a strength, which is magnitude / 30, to uint8 of the same
# shape. Signed ones, first in the table, also take negative strengths. A warp says which place of
# the old picture the pixel (x, y) of the new one shows.
SIGNED: dict[str, Callable[[Tensor, float], Tensor]] = {
    "ShearX": partial(_warp, lambda x, y, s: (x + 0.3 * s * (y + 0.5), y)),
    "ShearY": partial(_warp, lambda x, y, s: (x, y + 0.3 * s * (x + 0.5))),
    "TranslateX": partial(_warp, lambda x, y, s: (x - int(150 / 331 * s * x.numel()), y)),
    "TranslateY": partial(_warp, lambda x, y, s: (x, y - int(150 / 331 * s * y.numel()))),
    "Rotate": partial(_warp, _rotation_source),
    "Brightness": partial(_blend, lambda values: values.new_zeros(1)),
    "Color": partial(_blend, _grey),
    "Contrast": partial(_blend, lambda values: _grey(values).mean((1, 2, 3), keepdim=True)),
    "Sharpness": partial(_blend, _smooth),
}
OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = SIGNED | {
    "Identity": lambda images, _: images,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
}


# Cutout, MixUp, CutMix


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """Cover a square of half the shorter side, centred anywhere and clipped at the borders.

    It is mid grey (128). The paper fills with zero after normalisation, which is the dataset's
    mean; pixels here are not normalised, and mid grey is close to that mean.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    """
    n, _, height, width = images.shape
    side = torch.full((n,), min(height, width) // 2, device=images.device)
    return images.masked_fill(_boxes(images, side, side, generator), 128)


def mixup(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blend each picture and its target with another picture of the batch.

    The share taken from the other is drawn per picture from Beta(1, 1), which is the uniform
    distribution: the paper's alpha for CIFAR-10.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    targets : float32 (N, classes)

    Returns
    -------
    pixels : float32 (N, 3, H, W)    in [0, 1], for a blend has no whole levels
    targets : float32 (N, classes)
    """
    partner = torch.randperm(len(images), generator=generator, device=images.device)
    share_of_partner = torch.rand(len(images), generator=generator, device=images.device)
    pixels = images.float()
    # in slices, for a second float copy of the whole batch costs more than the blending
    slices = zip(pixels.split(64), partner.split(64), share_of_partner.split(64), strict=True)
    for blended, others, share in slices:
        blended.lerp_(images.index_select(0, others).float(), share[:, None, None, None])
    return pixels.div_(255), torch.lerp(targets, targets[partner], share_of_partner[:, None])


def cutmix(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste a box of another picture of the batch; targets mix by the area really pasted.

    The box has the picture's proportions and, before it is clipped at the borders, a share of its
    area drawn per picture from Beta(1, 1), the paper's choice.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    targets : float32 (N, classes)
    """
    n, _, height, width = images.shape
    partner = torch.randperm(n, generator=generator, device=images.device)
    scale = torch.rand(n, generator=generator, device=images.device).sqrt()
    box = _boxes(images, (scale * height).long(), (scale * width).long(), generator)
    pasted = box.float().mean((1, 2, 3))[:, None]
    return (
        torch.where(box, images.index_select(0, partner), images),
        torch.lerp(targets, targets[partner], pasted),
    )


def _boxes(images: Tensor, heights: Tensor, widths: Tensor, generator: torch.Generator) -> Tensor:
    """One box of the given size (N,) per picture, centred anywhere: bool (N, 1, H, W)."""
    n, _, height, width = images.shape
    rows = _interval(height, _integers(0, height, (n,), generator), heights)
    columns = _interval(width, _integers(0, width, (n,), generator), widths)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _interval(size: int, centres: Tensor, lengths: Tensor) -> Tensor:
    """Which of `size` places lie in an interval: bool (N, size)."""
    places = torch.arange(size, device=centres.device)
    starts = (centres - lengths // 2)[:, None]
    return (places >= starts) & (places < starts + lengths[:, None])
