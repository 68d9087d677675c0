"""Heatmaps and pictures as PNG files.

Needs NumPy and Pillow alone, so that a service that explains its predictions starts quickly.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEAT_LEVELS = 32  # colours of a heat: steps too fine to see, at 40 % of the bytes of 256

# Matplotlib's viridis (van der Walt and Smith 2015) at every sixteenth: perceptually even, also for
# colour-blind eyes.
VIRIDIS = (
    *("#440154", "#48186a", "#472d7b", "#424086", "#3b528b", "#33638d"),
    *("#2c728e", "#26828e", "#21918c", "#1fa088", "#28ae80", "#3fbc73"),
    *("#5ec962", "#84d44b", "#addc30", "#d8e219", "#fde725"),
)


def ramp(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Viridis at values in [0, 1]: any shape in, the same shape with three channels out."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in VIRIDIS], dtype=float)
    place = np.linspace(0, 1, len(stops))
    channels = [np.interp(values, place, stops[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (3, H, W) as a PNG, a grey one where its channels agree."""
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    return _encoded(image.convert("L") if (picture == picture[:1]).all() else image)


def heat_png(heat: NDArray[np.floating], height: int, width: int) -> bytes:
    """A heat (h, w) in [0, 1] as a coloured PNG of a picture's size; NaN is cold."""
    smooth = Image.fromarray(np.nan_to_num(heat).clip(0, 1).astype(np.float32))
    smooth = smooth.resize((width, height), Image.Resampling.BILINEAR)
    levels = (np.asarray(smooth) * (HEAT_LEVELS - 1)).round().astype(np.uint8)
    coloured = Image.fromarray(levels).convert("P")
    coloured.putpalette(ramp(np.linspace(0, 1, HEAT_LEVELS)).tobytes())
    return _encoded(coloured)


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
