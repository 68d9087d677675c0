"""Decode a picture file to plain RGB pixels.

Files come in every size and mode. Out comes one form, uint8 RGB, by these rules:

- the EXIF orientation of cameras is applied;
- transparent parts are laid over white;
- 16-bit grey is scaled to 8 bits, not clipped; CMYK, palettes and grey become RGB;
- of an animation the first frame counts;
- a wanted size is met by scaling the picture until it covers it, antialiased, then cutting off what
  sticks out on both sides equally; smaller pictures are enlarged the same way.

Needs Pillow and NumPy alone, so that decoding processes and services start quickly.
"""

import hashlib
from io import BytesIO
from os import PathLike
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lib.errors import UserError

# Raster formats that Pillow decodes by itself. Its other readers are left out: they start programs
# (EPS) or open rarities that nobody trains on.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")

LARGEST = 1024  # pixels on a side of what a network takes

# How the names of such files end, in lower case.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)


class UnreadablePicture(UserError):
    """A file that is no picture, or a damaged one; `name` and `reason` say which and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {self.name}: {self.reason}"


# Where a picture comes from. One that Pillow holds already is left as it is.
Source = str | PathLike[str] | bytes | BinaryIO | Image.Image


def decode(source: Source, size: int | tuple[int, int] | None = None) -> np.ndarray:
    """Pixels of one picture, uint8 RGB (H, W, 3).

    Parameters
    ----------
    source : path, bytes, binary file or Pillow image
    size : None (as it is), the side of a square, or (height, width), in pixels

    Raises
    ------
    UnreadablePicture   if the file is missing, truncated, damaged or not a picture
    ValueError          if the size is below one pixel
    """
    target = _height_width(size)
    try:
        with _opened(source) as image:
            if target is not None:
                # A large JPEG is decoded at half, quarter or eighth scale, still twice the target.
                image.draft(None, (2 * max(target), 2 * max(target)))
            ImageOps.exif_transpose(image, in_place=True)
            return np.array(_fit(_rgb(image), target))
    except Exception as error:  # Pillow's readers meet damaged bytes with any kind of exception
        raise UnreadablePicture(_name(source), _reason(error)) from error


def _opened(source: Source) -> Image.Image:
    if isinstance(source, Image.Image):
        return source.copy()
    file = BytesIO(source) if isinstance(source, bytes) else source
    return Image.open(file, formats=FORMATS)


def resize(pixels: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Picture uint8 (H, W, 3) brought to a size by the same rule as in `decode`."""
    return np.array(_fit(Image.fromarray(pixels), _height_width(size)))


def digest(pixels: bytes) -> int:
    """Number below 2^64 by which equal pixels are recognised."""
    return int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "big")


def _height_width(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"a picture's size must be at least one pixel, not {size}")
    return height, width


def _fit(image: Image.Image, target: tuple[int, int] | None) -> Image.Image:
    if target is None or target == (image.height, image.width):
        return image
    height, width = target
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _eight_bit_grey(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError(
            "its grey values are not 8 or 16 bits wide, so its white is unknown; convert it first"
        )
    return Image.fromarray(np.round(values / 257).astype(np.uint8))  # 65535 / 255 = 257


def _name(source: Source) -> str:
    if isinstance(source, str | PathLike):
        return str(source)
    return str(getattr(source, "name", "the picture"))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or its beginning is damaged"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
