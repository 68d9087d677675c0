"""The name that a reader sees, and the colour that a thing has on every page.

The colours are Okabe and Ito's ("Color Universal Design", 2008), each at a lightness that stands
out from white and from the dark page alike (WCAG contrast of at least 3:1 on both). The extension
beyond their eight was chosen greedily: every next colour is the one farthest in OKLab from those
before it, for common and for red-green colour-blind eyes, so that 26 classes are still told apart.
"""

from collections.abc import Hashable, Iterable

BLUE, ORANGE, GREEN, VERMILLION = "#0070B0", "#C28500", "#009E73", "#C0522A"
PURPLE, SKY, OLIVE, GREY = "#BB5F95", "#3F98D0", "#7A7000", "#767676"
EXTENSION = (
    *("#805EF9", "#C02CA7", "#6D86FF", "#4D60D5", "#F0355A", "#34814E"),
    *("#F254BC", "#AB8695", "#965487", "#A167E0", "#D7155E", "#CC757B"),
    *("#7A95B0", "#A44BB8", "#C76F22", "#696BC7", "#8682B7", "#888348"),
)
PALETTE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, OLIVE, GREY, *EXTENSION)

KNOWN = {  # name in the tables: (name on the page, colour)
    # augmentations
    "none": ("no augmentation", GREY),
    "flip_crop": ("flip + crop", BLUE),
    "randaugment": ("RandAugment", ORANGE),
    "cutout": ("Cutout", GREEN),
    "mixup": ("MixUp", VERMILLION),
    "cutmix": ("CutMix", PURPLE),
    "label_smoothing": ("label smoothing", SKY),
    # models, and what of a pretrained one trains
    "small_cnn": ("small CNN", ORANGE),
    "resnet18": ("ResNet-18", VERMILLION),
    "efficientnet_lite0": ("EfficientNet-Lite0", BLUE),
    "head": ("head only", SKY),
    "last_block": ("last block", GREEN),
    "last_stage": ("last stage + head", PURPLE),
    "all": ("all layers", BLUE),
    # where a backbone's first weights come from
    "random_weights": ("random weights", GREY),
    "rotation": ("rotation", BLUE),
    "imagenet": ("ImageNet", GREEN),
    "timm": ("timm's weights", GREEN),
    # splits
    "train": ("train", BLUE),
    "val": ("val", ORANGE),
    "test": ("test", GREEN),
    # before and after temperature scaling
    "before": ("before", ORANGE),
    "after": ("after", BLUE),
    # attacks
    "fgsm": ("FGSM", ORANGE),
    "pgd": ("PGD", VERMILLION),
    # the order in which pixels are deleted or inserted
    "heat": ("Grad-CAM first", BLUE),
    "random": ("random order", GREY),
    "centre": ("middle first", GREEN),
    "brightness": ("brightest first", ORANGE),
}


def label(name: Hashable) -> str:
    """The name as a page shows it; one that isn't known is shown as it is.

    Of a network of timm, `timm:convnext_tiny`, that is what timm calls it.
    """
    return KNOWN[name][0] if name in KNOWN else str(name).removeprefix("timm:")


def colours(names: Iterable[Hashable]) -> list[str]:
    """A colour for each of the names, in their order.

    Known names have their own; the others get the palette's free colours in order, so that a list
    of classes, always given in the dataset's order, has the same colours everywhere. Beyond 26
    names the palette starts again.
    """
    given = list(names)
    used = {KNOWN[name][1] for name in given if name in KNOWN}
    free = [colour for colour in PALETTE if colour not in used] or list(PALETTE)
    others = dict.fromkeys(name for name in given if name not in KNOWN)
    assigned = {name: free[i % len(free)] for i, name in enumerate(others)}
    return [KNOWN[name][1] if name in KNOWN else assigned[name] for name in given]
