"""Augment a whole batch at once, with a draw of its own for every picture.

Nothing here loops over pictures: a crop, a flip, a rotation is a table of source pixels and one
gather. Everything happens on the device of the pictures, with random numbers from a generator on
that device.

Sources: RandAugment, see `lib.training.randaugment`; Cutout of DeVries & Taylor (2017); MixUp of
Zhang et al. (ICLR 2018); CutMix of Yun et al. (ICCV 2019).
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from lib.training.randaugment import rand_augment

Policy = Literal["none", "flip_crop", "randaugment", "cutout", "mixup", "cutmix"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


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

    targets = torch.eye(classes, device=images.device).index_select(0, labels)
    if policy == "mixup":
        return mixup(images, targets, generator)
    if policy == "cutmix":
        images, targets = cutmix(images, targets, generator)
    return _scaled(images), targets


def _scaled(images: Tensor) -> Tensor:
    """Float32 in [0, 1], channels last: as networks read it, so that no second copy is needed."""
    shape, device, last = images.shape, images.device, torch.channels_last
    pixels = torch.empty(shape, dtype=torch.float32, device=device, memory_format=last)
    for scaled, levels in zip(pixels.unbind(1), images.unbind(1), strict=True):
        scaled.copy_(levels)  # by channel: twice as fast as all at once, on a CPU
    return pixels.div_(255)


# Flip and crop


def flip_crop(
    images: Tensor, generator: torch.Generator, flip: bool = True, padding: int | None = None
) -> Tensor:
    """`random_crop` and, with `flip`, `random_flip` at once."""
    n, _, height, width = images.shape
    padding = min(height, width) // 8 if padding is None else padding
    rows = _shifted(n, height, padding, generator)
    columns = _shifted(n, width, padding, generator)
    if flip:
        columns = _mirrored(columns, _coins(n, generator))
    return _pick_columns(_pick_rows(images, rows), columns)


def random_crop(images: Tensor, generator: torch.Generator, padding: int | None = None) -> Tensor:
    """Shift each picture by up to `padding` pixels, its edges reflected.

    The same as padding by so many pixels in mode "reflect" and cutting out H x W pixels anywhere.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    padding : int   default: an eighth of the shorter side, 4 for CIFAR's 32
    """
    return flip_crop(images, generator, flip=False, padding=padding)


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
    slices = zip(pixels.split(128), partner.split(128), share_of_partner.split(128), strict=True)
    for blended, others, share in slices:
        blended.lerp_(images.index_select(0, others).float(), share[:, None, None, None])
    return pixels.div_(255), _mixed(targets, partner, share_of_partner)


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
    pasted = box.float().mean((1, 2, 3))
    return (
        torch.where(box, images.index_select(0, partner), images),
        _mixed(targets, partner, pasted),
    )


def _mixed(targets: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """Targets (N, classes) of which each takes a share (N,) from its partner's."""
    return torch.lerp(targets, targets.index_select(0, partner), share[:, None])


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
