"""A predictor, and the test pictures as files."""

import numpy as np
import pytest
from PIL import Image

from lib.inference import Predictor


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor.load(bundle.path, "cpu")


@pytest.fixture(scope="module")
def files(tiny, tmp_path_factory):
    """The test pictures as PNG files, half of them in a sub-folder, in the split's order."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "more").mkdir()
    for number, image in enumerate(tiny.test.images):
        name = f"{number:02d}.png" if number < 15 else f"more/{number:02d}.png"
        picture(image).save(folder / name)
    return folder


def picture(image):
    """A tensor (3, H, W) as a Pillow image."""
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def same(first, second):
    return np.array_equal(np.asarray(first), np.asarray(second))
