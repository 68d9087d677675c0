"""A folder of 200 photographs in four classes, made from those that two packages carry.

Crops, shifts, mirror images and recolourings of photographs in scikit-image and scikit-learn, all
openly licensed: a cat, a cup of coffee, a flower, a rocket. No two pictures are alike. Makes the
folder that it is given:

    python tests/photographs.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance
from skimage import data
from sklearn.datasets import load_sample_image

SIDE = 160  # pixels
EACH = 50  # pictures of a class
SMALLEST = 0.35  # of a photograph's shorter side, that a crop shows


def write(folder: Path, each: int = EACH, seed: int = 0) -> None:
    """Write `each` pictures of every class as `<class>/<number>.jpg`."""
    generator = np.random.default_rng(seed)
    photographs = {
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "flower": load_sample_image("flower.jpg"),
        "rocket": data.rocket(),
    }
    for name, photograph in photographs.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            picture = varied(Image.fromarray(photograph), generator)
            picture.save(folder / name / f"{number:03}.jpg", quality=90)


def varied(photograph: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A square part of a photograph in other colours, `SIDE` pixels wide."""
    shorter = min(photograph.size)
    side = int(shorter * generator.uniform(SMALLEST, 1))
    left, top = (int(generator.integers(extent - side + 1)) for extent in photograph.size)
    part = photograph.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
    if generator.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    hue, saturation, value = part.convert("HSV").split()
    turn = int(generator.integers(256))
    turned = Image.merge("HSV", (hue.point(lambda h: (h + turn) % 256), saturation, value))
    coloured = ImageEnhance.Color(turned.convert("RGB")).enhance(generator.uniform(0, 1.5))
    brighter = ImageEnhance.Brightness(coloured).enhance(generator.uniform(0.6, 1.4))
    return ImageEnhance.Contrast(brighter).enhance(generator.uniform(0.6, 1.4))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
