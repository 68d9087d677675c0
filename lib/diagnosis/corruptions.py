"""Common corruptions of pictures: noise, blur, weather and compression.

The fifteen common corruptions of Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations" (ICLR 2019), with the five severities of CIFAR-10-C. Each
works on a whole batch on its device, drawing anew for every picture. Lengths are those for pictures
of 32 pixels and grow with the side of larger ones. Frost differs from CIFAR-10-C: it is drawn here
(`lib.diagnosis.weather`), not photographed.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.diagnosis.blurs import (
    defocus_blur,
    elastic_transform,
    glass_blur,
    motion_blur,
    uniform,
    zoom_blur,
)
from lib.diagnosis.weather import fog, frost, snow

# Takes float pixels (N, 3, H, W) in [0, 1], a generator on their device, and its strength.
Corruption = Callable[..., Tensor]


def gaussian_noise(pixels: Tensor, generator: Generator, deviation: float) -> Tensor:
    noise = torch.randn(pixels.shape, generator=generator, device=pixels.device)
    return pixels + deviation * noise


def shot_noise(pixels: Tensor, generator: Generator, photons: float) -> Tensor:
    """Poisson noise, as when white is that many photons."""
    return torch.poisson(pixels * photons, generator=generator) / photons


def impulse_noise(pixels: Tensor, generator: Generator, share: float) -> Tensor:
    """Salt and pepper: that share of the values becomes 0 or 1."""
    chance = uniform(tuple(pixels.shape), generator)
    return pixels.masked_fill(chance < share, 1.0).masked_fill(chance < share / 2, 0.0)


def brightness(pixels: Tensor, generator: Generator, gain: float) -> Tensor:
    """Raises the value of hue, saturation and value; black, which has no hue, becomes grey."""
    value = pixels.amax(dim=1, keepdim=True)
    raised = (value + gain).clamp(max=1)
    return torch.where(value > 0, pixels * raised / value.clamp(min=1e-6), raised)


def contrast(pixels: Tensor, generator: Generator, factor: float) -> Tensor:
    """Draws every value towards the mean of its picture and channel."""
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    return mean + (pixels - mean) * factor


def pixelate(pixels: Tensor, generator: Generator, factor: float) -> Tensor:
    """Shrinks with a box filter and enlarges again, as Pillow's Image.BOX does."""
    height, width = pixels.shape[-2:]
    rows, columns = (_box(size, factor).to(pixels.device) for size in (height, width))
    return rows @ pixels @ columns.T


def _box(size: int, factor: float) -> Tensor:
    """The matrix (size, size) that shrinks `size` values to int(size * factor) and back."""
    small = max(1, int(size * factor))
    ratio = size / small
    centres = torch.arange(size, dtype=torch.float64) + 0.5
    offset = (centres - centres[:small, None] * ratio) / ratio
    shrink = ((offset > -0.5) & (offset <= 0.5)).float()
    nearest = (centres * (small / size)).long()
    return (shrink / shrink.sum(dim=1, keepdim=True))[nearest]


# Tables K.1 and K.2 of the JPEG standard (ITU-T T.81).
LUMINANCE = """16 11 10 16 24 40 51 61   12 12 14 19 26 58 60 55   14 13 16 24 40 57 69 56
               14 17 22 29 51 87 80 62   18 22 37 56 68 109 103 77   24 35 55 64 81 104 113 92
               49 64 78 87 103 121 120 101   72 92 95 98 112 100 103 99"""
CHROMINANCE = """17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99   24 26 56 99 99 99 99 99
                 47 66 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99
                 99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99"""
TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def jpeg(pixels: Tensor, generator: Generator, quality: int) -> Tensor:
    """What a baseline JPEG with halved chroma keeps: quantised cosines of 8 × 8 blocks.

    Only the entropy coding is missing, which loses nothing.
    """
    height, width = pixels.shape[-2:]
    # Whole 16 × 16 units, so that the halved chroma has whole blocks too.
    padded = F.pad(pixels * 255, (0, -width % 16, 0, -height % 16), mode="replicate")
    to_ycbcr = torch.tensor(TO_YCBCR, device=pixels.device)
    ycbcr = torch.einsum("ij,njhw->nihw", to_ycbcr, padded).round()
    luma = _quantised(ycbcr[:, :1] - 128, LUMINANCE, quality) + 128
    chroma = _quantised(F.avg_pool2d(ycbcr[:, 1:], 2).round(), CHROMINANCE, quality)
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    restored = torch.cat((luma, chroma), dim=1)[..., :height, :width]
    return torch.einsum("ij,njhw->nihw", to_ycbcr.inverse(), restored) / 255


def _quantised(planes: Tensor, table: str, quality: int) -> Tensor:
    """Planes (N, C, H, W) whose 8 × 8 cosine coefficients are rounded to multiples of the table."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = torch.tensor([float(x) for x in table.split()]).view(8, 8)
    steps = ((steps * scale + 50) / 100).floor().clamp(1, 255).to(planes.device)
    k = torch.arange(8.0)
    cosines = torch.cos((2 * k + 1) * k[:, None] * math.pi / 16) / 2
    cosines[0] /= math.sqrt(2)
    cosines = cosines.to(planes.device)
    blocks = planes.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)
    coefficients = cosines @ blocks @ cosines.T
    quantised = (coefficients / steps).round() * steps
    decoded = (cosines.T @ quantised @ cosines).round().clamp(-128, 127)
    return decoded.transpose(3, 4).flatten(4, 5).flatten(2, 3)


# The strengths of CIFAR-10-C, mildest first. Its third and fourth motion blur differ only in where
# the trail is cut off, which is where nothing is left of it.
SEVERITIES: dict[str, tuple[Corruption, list[tuple[float, ...]]]] = {
    "gaussian_noise": (gaussian_noise, [(0.04,), (0.06,), (0.08,), (0.09,), (0.1,)]),
    "shot_noise": (shot_noise, [(500,), (250,), (100,), (75,), (50,)]),
    "impulse_noise": (impulse_noise, [(0.01,), (0.02,), (0.03,), (0.05,), (0.07,)]),
    "defocus_blur": (defocus_blur, [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)]),
    "glass_blur": (glass_blur, [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)]),
    "motion_blur": (motion_blur, [(1,), (1.5,), (2,), (2,), (2.5,)]),
    "zoom_blur": (zoom_blur, [(7,), (12,), (16,), (21,), (26,)]),
    "snow": (
        snow,
        [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
    ),
    "frost": (frost, [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)]),
    "fog": (fog, [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)]),
    "brightness": (brightness, [(0.05,), (0.1,), (0.15,), (0.2,), (0.3,)]),
    "contrast": (contrast, [(0.75,), (0.5,), (0.4,), (0.3,), (0.15,)]),
    "elastic_transform": (
        elastic_transform,
        [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)],
    ),
    "pixelate": (pixelate, [(0.95,), (0.9,), (0.85,), (0.75,), (0.65,)]),
    "jpeg": (jpeg, [(80,), (65,), (58,), (50,), (40,)]),
}
CORRUPTIONS = tuple(SEVERITIES)


def corrupted(images: Tensor, name: str, severity: int, generator: Generator) -> Tensor:
    """Pictures uint8 (N, 3, H, W) with the corruption `name` at a severity from 1 to 5.

    The generator lies on the device of the pictures; the same one with the same seed gives the same
    pictures.

    Raises
    ------
    ValueError   for an unknown name or severity
    """
    if name not in SEVERITIES:
        raise ValueError(f"no corruption is called {name!r}; there are {', '.join(CORRUPTIONS)}")
    if severity not in range(1, 6):
        raise ValueError(f"severity {severity} is not one of 1 to 5")
    corrupt, strengths = SEVERITIES[name]
    pixels = corrupt(images.float() / 255, generator, *strengths[severity - 1])
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
