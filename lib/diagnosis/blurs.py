"""Blurs and elastic distortion: the corruptions that move pixels.

Those of CIFAR-10-C (Hendrycks & Dietterich, ICLR 2019); `lib.diagnosis.corruptions` has their
severities. Each takes float pixels (N, 3, H, W) in [0, 1], a generator on their device, and its
strength, and draws anew for every picture. Lengths are those for pictures of 32 pixels and grow
with the side of larger ones.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Uniform draws from 0 to 1, on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device)


def scale(pixels: Tensor) -> float:
    """By how much lengths of 32 px pictures grow."""
    return max(1.0, max(pixels.shape[-2:]) / 32)  # smaller ones too: half a pixel's blur is none


def defocus_blur(pixels: Tensor, generator: Generator, radius: float, softness: float) -> Tensor:
    """The mean over a disk, whose rim a small Gaussian softens."""
    kernel = _soft_disk(radius * scale(pixels), softness * scale(pixels)).to(pixels.device)
    reach = kernel.shape[-1] // 2
    padded = F.pad(pixels, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)


def _soft_disk(radius: float, softness: float) -> Tensor:
    """A disk convolved with a Gaussian, (k, k) of sum 1."""
    reach = math.ceil(radius) + math.ceil(3 * softness)
    squares = torch.arange(-reach, reach + 1).square()
    disk = (squares[:, None] + squares <= radius**2).float()
    gauss = torch.exp(-squares / (2 * softness**2))
    kernel = F.conv2d(disk[None, None], (gauss[:, None] * gauss)[None, None], padding=reach)[0, 0]
    return kernel / kernel.sum()


def glass_blur(pixels: Tensor, generator: Generator, softness: float, rounds: int) -> Tensor:
    """Every pixel takes the place of a near one, again in each round, between two Gaussian blurs.

    Near is itself, or the pixel above it, to its left, or both: CIFAR-10-C speaks of swaps, but
    its swap of two NumPy views copies one onto the other.
    """
    height, width = pixels.shape[-2:]
    far = round(scale(pixels))
    blurred = gaussian_blur(pixels, softness * scale(pixels))
    rows = torch.arange(height, device=pixels.device)[:, None]
    columns = torch.arange(width, device=pixels.device)
    picture = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    for _ in range(rounds):
        moves = uniform((2, len(pixels), height, width), generator) * 2 * far
        down, right = moves.long() - far
        near = (rows + down).clamp(0, height - 1), (columns + right).clamp(0, width - 1)
        blurred = blurred[picture, :, near[0], near[1]].permute(0, 3, 1, 2)
    return gaussian_blur(blurred, softness * scale(pixels))


def gaussian_blur(pixels: Tensor, deviation: float) -> Tensor:
    """Convolved with a Gaussian, cut off at four deviations; the border's pixels go on outside."""
    reach = math.floor(4 * deviation + 0.5)
    if reach == 0:
        return pixels
    weights = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * deviation**2))
    weights = (weights / weights.sum()).to(pixels.device)
    channels = pixels.shape[1]
    padded = F.pad(pixels, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, weights.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, weights[:, None].expand(channels, 1, -1, 1), groups=channels)


def motion_blur(pixels: Tensor, generator: Generator, length: float) -> Tensor:
    """A one-sided Gaussian trail at a random angle within 45 degrees of the horizontal."""
    angle = (uniform((len(pixels),), generator) - 0.5) * (math.pi / 2)
    length *= scale(pixels)
    return trail(pixels, angle, length, math.ceil(3 * length))


def trail(pixels: Tensor, angle: Tensor, length: float, steps: int) -> Tensor:
    """Every picture drawn out to one side, by the weights of half a Gaussian.

    Parameters
    ----------
    pixels : float (N, C, H, W)
    angle : float (N,)   of the direction, in radians from the horizontal, clockwise
    length : float       the Gaussian's deviation, in pixels
    steps : int          pixels after which it is cut off
    """
    height, width = pixels.shape[-2:]
    # affine_grid counts in half pictures: a step of one pixel is 2 / width or 2 / height.
    step = torch.stack((2 / width * angle.cos(), 2 / height * angle.sin()), dim=1)
    moves = torch.eye(2, 3, device=pixels.device).repeat(len(pixels), 1, 1)
    weights = torch.exp(-torch.arange(steps + 1).square() / (2 * length**2))
    blurred = torch.zeros_like(pixels)
    for distance, weight in enumerate((weights / weights.sum()).tolist()):
        moves[:, :, 2] = distance * step
        grid = F.affine_grid(moves, list(pixels.shape), align_corners=False)
        moved = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        blurred += weight * moved
    return blurred


def zoom_blur(pixels: Tensor, generator: Generator, zooms: int) -> Tensor:
    """The mean of the picture and of its enlargements by 0, 1, 2, ... per cent, so many of them."""
    enlarged = [zoomed(pixels, 1 + step / 100) for step in range(zooms)]
    return torch.stack([pixels, *enlarged]).mean(dim=0)


def zoomed(pixels: Tensor, factor: float) -> Tensor:
    """The middle of pictures (N, C, H, W), enlarged to their size.

    Sizes are rounded to whole pixels before and after the enlargement, as in CIFAR-10-C: at 32 px
    there is no difference between factors of 1 and 1.01.
    """
    sides = pixels.shape[-2:]
    kept = [math.ceil(side / factor) for side in sides]
    middle = _middle(pixels, kept)
    size = [round(side * factor) for side in kept]
    return _middle(F.interpolate(middle, size, mode="bilinear", align_corners=True), sides)


def _middle(pixels: Tensor, sides: list[int] | torch.Size) -> Tensor:
    top, left = ((have - want) // 2 for have, want in zip(pixels.shape[-2:], sides, strict=True))
    return pixels[..., top : top + sides[0], left : left + sides[1]]


def elastic_transform(
    pixels: Tensor, generator: Generator, height: float, smoothness: float, shift: float
) -> Tensor:
    """A random affine map, then random waves.

    All lengths are shares of the picture's side, of smaller ones than 32 px too.

    Parameters
    ----------
    height : float       of the waves, before they are smoothed
    smoothness : float   deviation of the Gaussian that smooths them
    shift : float        by how much each of the three points that fix the affine map moves at most
    """
    count, _, *sides = pixels.shape
    side = min(sides)
    centre = torch.tensor([sides[1] // 2, sides[0] // 2], device=pixels.device)
    arms = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]], device=pixels.device)
    corners = centre + arms * max(1, side // 3)
    moved = corners + shift * side * (2 * uniform((count, 3, 2), generator) - 1)
    waves = 2 * uniform((count, 2, *sides), generator) - 1
    # Smoothing shrinks noise by its width in pixels, hence the second factor of the side.
    waves = height * side * (side / 32) * gaussian_blur(waves, smoothness * side)
    at = torch.stack(
        torch.meshgrid(*(torch.arange(s, device=pixels.device) for s in sides), indexing="ij")[::-1]
    ).float()
    # The map that takes the moved points back: what is drawn at a point comes from where it was.
    back = torch.linalg.solve(_with_one(moved), corners.expand(count, -1, -1))
    origin = (_with_one(at.flatten(1).T) @ back).transpose(1, 2).unflatten(2, tuple(sides))
    return _sampled(_sampled(pixels, origin), at + waves)


def _with_one(points: Tensor) -> Tensor:
    return torch.cat((points, torch.ones_like(points[..., :1])), dim=-1)


def _sampled(pixels: Tensor, places: Tensor) -> Tensor:
    """Pictures (N, C, H, W) at places (N, 2, H, W): x and y in pixels, mirrored outside."""
    height, width = pixels.shape[-2:]
    sides = torch.tensor([width, height], device=pixels.device).view(2, 1, 1)
    grid = ((2 * places + 1) / sides - 1).permute(0, 2, 3, 1)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
