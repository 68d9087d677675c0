"""Decode a picture file to plain RGB pixels.

Files come in every size and mode. Out comes one form, uint8 RGB, by the rules of
`lib.data.picture_files` and these:

- transparent parts are laid over white;
- of an animation the first frame counts;
- a wanted size is met by scaling the picture until it covers it, antialiased, then cutting off what
  sticks out on both sides equally; smaller pictures are enlarged the same way.

Needs Pillow and NumPy alone, so that decoding processes and services start quickly.
"""

import hashlib
from functools import partial

import numpy as np
from PIL import Image, ImageOps

from lib.data.picture_files import MOST_PIXELS, Source, orientation, read, rgb, upright

LARGEST = 1024  # pixels on a side of what a network takes
STRIP = 2**20  # pixels that are converted at a time


def decode(
    source: Source,
    size: int | tuple[int, int] | None = None,
    most_pixels: int = MOST_PIXELS,
) -> np.ndarray:
    """Pixels of one picture, uint8 RGB (H, W, 3).

    Parameters
    ----------
    source : path, bytes, binary file or Pillow image
    size : None (as it is), the side of a square, or (height, width), in pixels
    most_pixels : int   a file with more is refused

    Raises
    ------
    UnreadablePicture   if the file is missing, truncated, damaged, too large or not a picture
    ValueError          if the size is below one pixel
    """
    target = None if size is None else _height_width(size)
    return read(source, partial(_pixels, target=target), most_pixels)


def _pixels(image: Image.Image, target: tuple[int, int] | None) -> np.ndarray:
    if target is not None:
        # A large JPEG is decoded at half, quarter or eighth scale, still twice the target.
        image.draft(None, (2 * max(target), 2 * max(target)))
    image.load()  # which turns a TIFF upright
    turn = orientation(image)
    if target is None or image.width * image.height <= STRIP:
        return np.array(_fit(upright(rgb(image), turn), target))
    height, width = target[::-1] if turn >= 5 else target  # a quarter turn exchanges the sides
    return np.array(upright(_fit_in_strips(image, (height, width)), turn))


def resize(pixels: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Picture uint8 (H, W, 3) brought to a size by the same rule as in `decode`."""
    return np.array(_fit(Image.fromarray(pixels), _height_width(size)))


def digest(pixels: bytes) -> int:
    """Number below 2^64 by which equal pixels are recognised."""
    return int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "big")


def _height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"a picture's size must be at least one pixel, not {size}")
    return height, width


def _fit(image: Image.Image, target: tuple[int, int] | None) -> Image.Image:
    if target is None or target == (image.height, image.width):
        return image
    height, width = target
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)


def _fit_in_strips(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """The picture as RGB, fitted as by `_fit`, but for rounding.

    One side is scaled after the other. So a large picture is converted and made narrow strip by
    strip, and no second picture of its size is needed.
    """
    height, width = target
    left, top, right, bottom = _covered(image.size, (width, height))
    narrow = Image.new("RGB", (width, image.height))
    rows = max(1, STRIP // image.width)
    for start in range(0, image.height, rows):
        end = min(start + rows, image.height)
        strip = rgb(image.crop((0, start, image.width, end)))
        box = (left, 0, right, end - start)
        narrow.paste(strip.resize((width, end - start), Image.Resampling.BILINEAR, box), (0, start))
    return narrow.resize((width, height), Image.Resampling.BILINEAR, (0, top, width, bottom))


def _covered(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest part of a picture, around its centre, that has the target's proportions.

    Both sizes are width and height; the part is left, top, right, bottom.
    """
    width, height = map(float, size)
    proportion = target[0] / target[1]
    if width / height >= proportion:
        width = proportion * height
    else:
        height = width / proportion
    left, top = (size[0] - width) * 0.5, (size[1] - height) * 0.5
    return left, top, left + width, top + height
