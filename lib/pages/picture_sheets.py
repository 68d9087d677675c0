"""Pictures and heatmaps as HTML that a page shows with hard pixels.

Small pictures are enlarged by a whole factor in the browser, so each travels at its own size: a PNG
as a data URI. Width and height are in the markup, so nothing moves while a page loads.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib.diagnosis.heat import heat_png, png
from lib.pages.display import Fragment
from lib.pages.palette import label
from lib.pages.wording import per_cent

ENLARGED_TO = 96  # pixels that a picture is enlarged to, as near as a whole factor gets from below
STRIP = 64  # the same where pictures stand in rows
GAP = 8  # pixels between pictures


@dataclass(frozen=True)
class Caption:
    """The true class of a picture and, where there is one, the prediction.

    `confidence` is the probability of the predicted class.
    """

    true: str
    predicted: str | None = None
    confidence: float | None = None

    @property
    def right(self) -> bool | None:
        """Whether the prediction is right; None where there is none."""
        return None if self.predicted is None else self.predicted == self.true

    @property
    def text(self) -> str:
        """The caption without markup, as a picture's alternative text."""
        if self.predicted is None:
            return self.true
        sure = "" if self.confidence is None else f", {per_cent(self.confidence, 0)}"
        verdict = "correct" if self.right else "misclassified"
        return f"{self.true}, predicted {self.predicted}{sure}, {verdict}"

    @property
    def html(self) -> str:
        """The caption with its verdict as a mark and a word."""
        if self.predicted is None:
            return f"<span>{_name(self.true)}</span>"
        sure = "" if self.confidence is None else f", {per_cent(self.confidence, 0)}"
        verdict = "✓ correct" if self.right else f"✗ predicted {_name(self.predicted)}"
        kind = "right" if self.right else "wrong"
        return (
            f'<span>{_name(self.true)}</span> <span class="daybook-{kind}">{verdict}{sure}</span>'
        )


def _name(name: str) -> str:
    """A class's name as HTML; its direction of writing does not turn the words after it around."""
    return f"<bdi>{escape(name)}</bdi>"


Captions = Sequence[Caption | str]


def captions(labels: Any, predicted: Any, confidence: Any, classes: Sequence[str]) -> list[Caption]:
    """A caption for each picture from arrays (N,) of class indices and of probabilities."""
    rows = zip(labels, predicted, confidence, strict=True)
    return [Caption(classes[int(t)], classes[int(p)], float(c)) for t, p, c in rows]


# Grids


def sheet(
    images: Any,
    captions: Captions | None = None,
    columns: int = 10,
    scale: int | None = None,
    title: str | None = None,
) -> Fragment:
    """Pictures in a grid of at most `columns`, fewer where the page is narrow.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)   a tensor or an array
    captions : N captions or texts; without them the pictures are numbered for screen readers
    scale : the whole factor of enlargement; by default one that shows pictures at about 96 pixels
    """
    pixels = _pixels(images)
    lines = _captions(captions, len(pixels))
    cells = [
        _cell([_image(picture, text, scale)], html)
        for picture, (text, html) in zip(pixels, lines, strict=True)
    ]
    return _grid(cells, columns, _width(pixels, scale), title, f"{len(pixels)} pictures")


def before_after(
    images: Any, augmented: Mapping[str, Any], scale: int | None = None, title: str | None = None
) -> Fragment:
    """The same pictures untouched and after each augmentation: a row each, a column a picture.

    `images` and every value of `augmented` are uint8 (N, 3, H, W). A phone scrolls it sideways.
    """
    rows = {"original": _pixels(images)}
    for name, changed in augmented.items():
        rows[label(name)] = _pixels(changed)
    factor = scale or _strip_factor(rows["original"])
    if len(sizes := {len(row) for row in rows.values()}) > 1:
        raise ValueError(f"rows of different lengths: {sorted(sizes)}")
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(
            f"<td>{_image(picture, f'picture {i}, {name}', factor)}</td>"
            for i, picture in enumerate(pixels, 1)
        )
        + "</tr>"
        for name, pixels in rows.items()
    )
    html = (
        f'<figure class="daybook-pictures">{_title(title)}<div class="daybook-scroll" role="group" '
        f'tabindex="0" aria-label="{escape(title or "Pictures before and after augmentation")}">'
        f'<table class="daybook-strips"><tbody>{body}</tbody></table></div></figure>'
    )
    return Fragment(html, title or f"{len(rows['original'])} pictures, {', '.join(rows)}")


def heatmaps(
    images: Any,
    heats: Any,
    captions: Captions | None = None,
    columns: int = 5,
    scale: int | None = None,
    title: str | None = None,
) -> Fragment:
    """Each picture beside its heat over the greyed picture.

    `images` is uint8 (N, 3, H, W), `heats` (N, h, w) in [0, 1] of any size, or several such by name
    (the class that each explains). The page sets the heat's opacity by `--heat-opacity`.
    """
    pixels = _pixels(images)
    scale = scale or _strip_factor(pixels)
    maps = heats if isinstance(heats, Mapping) else {"": heats}
    arrays = {name: np.asarray(heat, dtype=np.float64) for name, heat in maps.items()}
    for name, heat in arrays.items():
        if heat.ndim != 3 or len(heat) != len(pixels):
            raise ValueError(f"heat {name!r}: expected ({len(pixels)}, h, w), got {heat.shape}")
    cells = []
    for i, (text, html) in enumerate(_captions(captions, len(pixels))):
        parts = [_image(pixels[i], text, scale)]
        parts += [
            _heated(pixels[i], heat[i], f"heatmap{f' for {name}' if name else ''}: {text}", scale)
            for name, heat in arrays.items()
        ]
        cells.append(_cell(parts, html))
    width = (_width(pixels, scale) + 2) * (1 + len(arrays))
    listed = ", ".join(["Picture", *(f"heatmap for {name}" for name in arrays if name)])
    described = title or (listed if isinstance(heats, Mapping) else None)
    return _grid(cells, columns, width, described, f"{len(pixels)} heatmaps")


def perturbations(
    originals: Any,
    adversarials: Any,
    captions: Captions | None = None,
    amplify: int = 10,
    columns: int = 3,
    scale: int | None = None,
    title: str | None = None,
) -> Fragment:
    """Each picture, what the attack added (`amplify` times, around mid-grey), and their sum.

    `originals` and `adversarials` are uint8 (N, 3, H, W).
    """
    before, after = _pixels(originals), _pixels(adversarials)
    scale = scale or _strip_factor(before)
    if before.shape != after.shape:
        raise ValueError(f"pictures of {before.shape} and adversarial ones of {after.shape}")
    added = (after.astype(int) - before) * amplify + 128
    added = added.clip(0, 255).astype(np.uint8)
    cells = []
    for i, (text, html) in enumerate(_captions(captions, len(before))):
        panels = (
            (before, "original"),
            (added, f"perturbation × {amplify}"),
            (after, "adversarial"),
        )
        parts = [_image(part[i], f"{name}: {text}", scale) for part, name in panels]
        cells.append(_cell(parts, html))
    width = (_width(before, scale) + 2) * 3
    described = title or f"Original, perturbation × {amplify}, adversarial picture"
    return _grid(cells, columns, width, described, f"{len(before)} adversarial pictures")


# Markup


def _grid(cells: list[str], columns: int, width: int, title: str | None, text: str) -> Fragment:
    limit = columns * (width + GAP)
    layout = (
        f"display:grid;grid-template-columns:repeat(auto-fill,{width}px);"
        f"gap:{GAP}px;max-width:{limit}px"
    )
    html = (
        f'<figure class="daybook-pictures">{_title(title)}'
        f'<div class="daybook-grid" style="{layout}">{"".join(cells)}</div></figure>'
    )
    return Fragment(html, title or text)


def _title(title: str | None) -> str:
    return f'<figcaption class="daybook-caption">{escape(title)}</figcaption>' if title else ""


def _cell(parts: list[str], caption: str) -> str:
    row = f'<div class="daybook-row" style="display:flex;gap:2px">{"".join(parts)}</div>'
    below = f'<figcaption class="daybook-verdict">{caption}</figcaption>' if caption else ""
    return f'<figure class="daybook-picture">{row}{below}</figure>'


def _captions(given: Captions | None, pictures: int) -> list[tuple[str, str]]:
    """Alternative text and HTML of each caption."""
    if given is None:
        return [(f"picture {i}", "") for i in range(1, pictures + 1)]
    if len(given) != pictures:
        raise ValueError(f"{len(given)} captions for {pictures} pictures")
    return [(c, escape(c)) if isinstance(c, str) else (c.text, c.html) for c in given]


def _image(
    picture: NDArray[np.uint8], text: str, scale: int | None, heat: bytes | None = None
) -> str:
    """The picture; or a heat of its size, which the page lays over it at an opacity of its own."""
    factor = _factor(picture.shape[-1], scale)
    height, width = (side * factor for side in picture.shape[-2:])
    over = "position:absolute;inset:0;opacity:var(--heat-opacity,.6);" if heat else ""
    heated = ' class="daybook-heat"' if heat else ""
    return (
        f'<img src="{data_uri(heat or png(picture))}" width="{width}" height="{height}" '
        f'alt="{escape(text)}" style="{over}image-rendering:pixelated"'
        f"{heated}>"
    )


def _heated(
    picture: NDArray[np.uint8], heat: NDArray[np.float64], text: str, scale: int | None
) -> str:
    """The greyed picture under its heat, which lies over it in a see-through image of its own."""
    height, width = picture.shape[-2:]
    grey = np.asarray(Image.fromarray(picture.transpose(1, 2, 0)).convert("L"))
    below = _image(np.broadcast_to(grey, (3, height, width)), text, scale)
    above = _image(picture, "", scale, heat_png(heat, height, width))
    return f'<span style="position:relative;display:inline-flex">{below}{above}</span>'


# Pixels


def data_uri(file: bytes) -> str:
    """A PNG file as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


def _pixels(images: Any) -> NDArray[np.uint8]:
    pixels = np.asarray(images)
    if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"expected uint8 (N, 3, H, W), got {pixels.dtype} {pixels.shape}")
    return pixels


def _factor(side: int, scale: int | None) -> int:
    if scale is not None and (scale < 1 or scale != int(scale)):
        raise ValueError(f"scale is a whole factor of at least 1, not {scale}")
    return scale or max(1, ENLARGED_TO // side)


def _strip_factor(pixels: NDArray[np.uint8]) -> int:
    """The factor of pictures that stand beside others: those of a row are one thing to look at."""
    return max(1, STRIP // pixels.shape[-1])


def _width(pixels: NDArray[np.uint8], scale: int | None) -> int:
    side = pixels.shape[-1]
    return side * _factor(side, scale)
