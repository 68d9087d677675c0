"""RandAugment of Cubuk et al. (2020), with torchvision's operations and magnitudes.

An operation runs once, on the group of pictures that drew it.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

MAX_MAGNITUDE = 30  # the last of 31 bins


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
        choice = _drawn(len(OPERATIONS), len(images), generator)
        negative = _drawn(2, len(images), generator)
        images = _apply_chosen(images, choice, negative, magnitude / MAX_MAGNITUDE)
    return images


def _drawn(end: int, n: int, generator: torch.Generator) -> Tensor:
    return torch.randint(end, (n,), generator=generator, device=generator.device)


def _apply_chosen(images: Tensor, choice: Tensor, negative: Tensor, strength: float) -> Tensor:
    """Sort the pictures by operation, run each on its group, and sort them back.

    All warps are one group, and so are all blends: what costs time in a small batch is the number
    of calls.
    """
    order = choice.argsort()
    choice, negative = choice.index_select(0, order), negative.index_select(0, order)
    changed = images.index_select(0, order)
    sizes = torch.bincount(choice, minlength=len(OPERATIONS)).tolist()  # waits for the device, once
    of_blends, of_others = sizes[len(WARPS) : len(SIGNED)], sizes[len(SIGNED) :]
    groups = [sum(sizes[: len(WARPS)]), sum(of_blends), *of_others]
    (warped, blended, *others), signs = changed.split(groups), negative.split(groups)
    if len(warped):
        variant = 2 * choice[: len(warped)] + signs[0]
        warped.copy_(_warp(warped, variant, strength))
    if len(blended):
        blended.copy_(_blend(blended, of_blends, signs[1], strength))
    for operation, group in zip(UNSIGNED.values(), others, strict=True):
        if len(group):
            group.copy_(operation(group, strength))
    return changed.index_select(0, order.argsort())


def _warp(images: Tensor, variant: Tensor, strength: float) -> Tensor:
    """Fetch each pixel from where its picture's warp says it came, black outside.

    The variant int64 (N,) is twice the warp's place in `WARPS`, plus one for the negative sign.
    """
    index, inside = _source_pixels(strength, *images.shape[2:], images.device)
    pixels = images.flatten(2)
    fetched = pixels.gather(2, index.index_select(0, variant)[:, None].expand_as(pixels))
    return fetched.mul_(inside.index_select(0, variant)[:, None]).view(images.shape)


@lru_cache(maxsize=16)
def _source_pixels(
    strength: float, height: int, width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The pixel shown at each of H * W places, and whether there is one, of every variant.

    The nearest one, as int64 (variants, H * W); whether it exists, as uint8 of the same shape.
    """
    x = torch.arange(width, dtype=torch.float64)
    y = torch.arange(height, dtype=torch.float64)[:, None]
    sources = [source(x, y, sign * strength) for source in WARPS.values() for sign in (1, -1)]
    places = [torch.broadcast_tensors(x.round(), y.round()) for x, y in sources]
    x, y = (torch.stack(coordinate).flatten(1) for coordinate in zip(*places, strict=True))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = (y * width + x).long() * inside
    return index.to(device), inside.to(torch.uint8).to(device)


def _rotation_source(x: Tensor, y: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Where the pixel (x, y) was before the picture turned about its centre."""
    cos, sin = math.cos(math.radians(30) * strength), math.sin(math.radians(30) * strength)
    centre_x, centre_y = (x.numel() - 1) / 2, (y.numel() - 1) / 2
    x, y = x - centre_x, y - centre_y
    return cos * x - sin * y + centre_x, sin * x + cos * y + centre_y


def _blend(images: Tensor, sizes: list[int], negative: Tensor, strength: float) -> Tensor:
    """Move away from the degenerate picture, or towards it where negative, as PIL enhances.

    The first `sizes[0]` pictures take the first of `BLENDS`, and so on.
    """
    values = images.float()
    degenerate = torch.empty_like(values)
    groups = zip(BLENDS.values(), values.split(sizes), degenerate.split(sizes), strict=True)
    for degenerate_of, group, target in groups:
        if len(group):
            target.copy_(degenerate_of(group))
    weight = torch.where(negative == 1, 1 - 0.9 * strength, 1 + 0.9 * strength)
    return _to_uint8(degenerate.lerp_(values, weight[:, None, None, None]))


def _to_uint8(values: Tensor) -> Tensor:
    """Cut to whole levels in 0..255, by way of int16: on a CPU faster than at once."""
    return values.short().clamp_(0, 255).to(torch.uint8)


def _grey(values: Tensor) -> Tensor:
    red, green, blue = values.unbind(1)
    grey = (0.2989 * red).add_(0.587 * green).add_(0.114 * blue)
    return grey.floor_()[:, None]


def _smooth(values: Tensor) -> Tensor:
    """PIL's filter SMOOTH: a 3 x 3 mean whose centre weighs five times; the border stays."""
    columns = (values[..., :-2, :] + values[..., 1:-1, :]).add_(values[..., 2:, :])
    squares = (columns[..., :-2] + columns[..., 1:-1]).add_(columns[..., 2:])
    smooth = values.clone()
    smooth[..., 1:-1, 1:-1] = squares.add_(values[..., 1:-1, 1:-1], alpha=4).div_(13).round_()
    return smooth


def _posterize(images: Tensor, strength: float) -> Tensor:
    """Clear up to four of each value's eight bits, the lowest first."""
    return images & (256 - 2 ** round(4 * strength))


def _solarize(images: Tensor, strength: float) -> Tensor:
    """Invert the values from a threshold on; 255 - v is v with all its bits flipped."""
    threshold = math.ceil(round(255 * (1 - strength), 4))  # a whole level stays one
    above = images.clone().ge_(threshold)  # uint8, which is quicker than bool
    return above.mul_(255).bitwise_xor_(images)


def _autocontrast(images: Tensor, _: float) -> Tensor:
    """Stretch each channel to the full range; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = low == high
    low, span = low.masked_fill(flat, 0), (high - low).masked_fill(flat, 255)
    return _to_uint8((images - low).float().mul_(255).div_(span.float()))


def _equalize(images: Tensor, _: float) -> Tensor:
    """Flatten each channel's histogram by PIL's table, which needs more than 255 pixels."""
    values = images.flatten(2).long()
    histogram = values.new_zeros(*values.shape[:2], 256, dtype=torch.int32)
    histogram.scatter_add_(2, values, histogram.new_ones(1).expand_as(values))
    brightest = histogram.gather(2, images.flatten(2).amax(2, keepdim=True).long())
    step = (values.shape[2] - brightest) // 255
    below = histogram.cumsum(2, dtype=torch.int32) - histogram
    table = ((below + step // 2) / step).clamp(max=255)
    table = torch.where(step > 0, table, torch.arange(256.0, device=images.device))
    return table.to(torch.uint8).gather(2, values).view(images.shape)


# An operation takes a strength, magnitude / 30; warps and blends take negative ones, too. A warp
# says which place of the old picture the pixel (x, y) of the new one shows. A blend gives the
# degenerate picture of float values (n, 3, H, W). Others map uint8 (n, 3, H, W) to the same.
WARPS: dict[str, Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]] = {
    "ShearX": lambda x, y, s: (x + 0.3 * s * (y + 0.5), y),
    "ShearY": lambda x, y, s: (x, y + 0.3 * s * (x + 0.5)),
    "TranslateX": lambda x, y, s: (x - int(150 / 331 * s * x.numel()), y),
    "TranslateY": lambda x, y, s: (x, y - int(150 / 331 * s * y.numel())),
    "Rotate": _rotation_source,
}
BLENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "Brightness": lambda values: values.new_zeros(1),
    "Color": _grey,
    "Contrast": lambda values: _grey(values).mean((1, 2, 3), keepdim=True),
    "Sharpness": _smooth,
}
UNSIGNED: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Identity": lambda images, _: images,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
}
SIGNED = (*WARPS, *BLENDS)
OPERATIONS = (*SIGNED, *UNSIGNED)
