from itertools import combinations

import numpy as np
import pytest

from lib.pages.palette import KNOWN, PALETTE, colours, label

GROUNDS = ("#ffffff", "#14181c")  # the site's two pages
CLASSES = [f"class {i}" for i in range(26)]


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    """The contrast ratio of WCAG 2."""
    dark, light = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (first, second))
    return (light + 0.05) / (dark + 0.05)


def oklab(colour):
    """Ottosson's perceptual coordinates (2020)."""
    lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return lab @ np.cbrt(lms @ linear(colour))


def nearest(palette):
    return min(np.linalg.norm(oklab(a) - oklab(b)) for a, b in combinations(palette, 2))


@pytest.mark.parametrize("colour", PALETTE)
@pytest.mark.parametrize("ground", GROUNDS)
def test_every_colour_stands_out_in_both_themes(colour, ground):
    assert contrast(colour, ground) >= 3


def test_colours_are_told_apart():
    assert nearest(PALETTE[:8]) > 0.1
    assert nearest(PALETTE) > 0.05


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_name_keeps_its_colour_in_any_company(name):
    alone = colours([name])[0]
    assert colours(["something else", name])[1] == alone
    assert colours([name, *KNOWN])[0] == alone


def test_what_is_shown_together_differs():
    for group in (
        ("none", "flip_crop", "randaugment", "cutout", "mixup", "cutmix", "label_smoothing"),
        ("small_cnn", "head", "last_block", "last_stage", "all"),
        ("small_cnn", "resnet18"),
        ("train", "val", "test"),
        ("before", "after"),
        ("fgsm", "pgd"),
        ("heat", "random"),
    ):
        assert len(set(colours(group))) == len(group)


def test_classes_have_their_colours_by_their_order():
    assert colours(CLASSES) == colours(CLASSES)
    assert colours(CLASSES)[:5] == colours(CLASSES[:5])
    assert len(set(colours(CLASSES))) == 26


def test_an_unknown_name_avoids_the_colours_of_known_ones():
    mixed = colours(["a", "flip_crop", "b"])
    assert len(set(mixed)) == 3


def test_more_names_than_colours_start_again():
    names = [f"class {i}" for i in range(60)]
    assert colours(names)[26] == colours(names)[0]


def test_label():
    assert label("flip_crop") == "flip + crop"
    assert label("my_class") == "my_class"
    assert label(0.1) == "0.1"
