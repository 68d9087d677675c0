"""How can the next picture be on the screen before the eye is?

The pictures whose turn comes next are decoded ahead, in the background, straight to the size of the
screen: a JPEG of 12 megapixels is read at a half, a quarter or an eighth of its size, which libjpeg
does at a fraction of the cost. What is kept is bounded in bytes.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from PIL import ExifTags, Image, UnidentifiedImageError

from labeler.errors import reason

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
BUDGET = 120_000_000  # bytes of decoded pixels kept
BACKGROUND = (176, 176, 176)  # behind transparent pixels: neither black nor white drawings vanish
UPRIGHT = {  # what undoes an EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Size = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """A picture, as large as the screen shows it."""

    image: Image.Image
    size: Size  # of the file, upright
    format: str
    mode: str


@dataclass(frozen=True)
class Unreadable:
    """A file that is no picture, or not any more."""

    reason: str


def fit(size: Size, box: Size) -> Size:
    """The size in which a picture fills the box: shrunk, or enlarged by a whole factor."""
    scale = min(box[0] / size[0], box[1] / size[1])
    scale = max(1, int(scale)) if scale >= 1 else scale
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def decode(path: Path, box: Size | None = None) -> Picture | Unreadable:
    """Read a picture upright, as RGB, as large as fits the box; None: in its own size."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.format == "TIFF":
                image.load()  # a TIFF turns itself upright in loading
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            turned = orientation >= 5  # width and height change places
            size = image.size[::-1] if turned else image.size
            target = fit(size, box) if box else size
            raw_target = target[::-1] if turned else target
            mode = image.mode
            image.draft("RGB", raw_target)  # only JPEG heeds this
            pixels = _resize(_rgb(image), raw_target)
            if orientation in UPRIGHT:
                pixels = pixels.transpose(UPRIGHT[orientation])
            return Picture(pixels, size, image.format or "", mode)
    except UnidentifiedImageError:
        return Unreadable("not a picture in a known format")
    except OSError as error:
        return Unreadable(reason(error) if error.errno else str(error))
    except Exception as error:  # whatever a damaged file brings a decoder to raise
        return Unreadable(str(error) or type(error).__name__)


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel and nothing transparent."""
    if image.mode.startswith(("I", "F")):  # more than eight bits: from its darkest to its brightest
        image = image.convert("F")
        low, high = cast(tuple[float, float], image.getextrema())
        scale = 255 / ((high - low) or 1)
        image = image.point(lambda value: value * scale - low * scale).convert("L")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return image.convert("RGB")


def _resize(image: Image.Image, size: Size) -> Image.Image:
    if image.size == size:
        return image
    if size[0] > image.width:  # by a whole factor: every pixel stays a square
        return image.resize(size, Image.Resampling.NEAREST)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


class LookAhead:
    """Decodes what is wanted next, in the background, and keeps it while there is room."""

    def __init__(self, folder: Path, workers: int | None = None) -> None:
        self.folder = folder
        self.box: Size = (0, 0)
        self._kept: OrderedDict[str, Picture | Unreadable] = OrderedDict()
        self._wanted: list[str] = []
        self._busy: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        for number in range(workers or min(4, os.cpu_count() or 1)):
            threading.Thread(target=self._work, name=f"decode {number}", daemon=True).start()

    def want(self, names: Sequence[str], box: Size) -> None:
        """From now on decode these, the first ones first, to fit the box."""
        with self._changed:
            if box != self.box:
                self._kept.clear()
                self.box = box
            self._wanted = list(names)
            self._trim()
            self._changed.notify_all()

    def get(self, name: str) -> Picture | Unreadable | None:
        """The picture, or None while it is not decoded yet."""
        with self._changed:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> str | None:
        if self._used() > BUDGET and self._wanted and self._wanted[0] in self._kept:
            return None  # a huge screen: what is ahead must wait
        return next((n for n in self._wanted if n not in self._kept and n not in self._busy), None)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next())
                if self._closed:
                    return
                name, box = self._next() or "", self.box
                self._busy.add(name)
            picture = decode(self.folder / name, box)
            with self._changed:
                self._busy.discard(name)
                if box == self.box:
                    self._kept[name] = picture
                    self._trim()
                self._changed.notify_all()

    def _used(self) -> int:
        return sum(map(_weight, self._kept.values()))

    def _trim(self) -> None:
        """Forget what was used longest ago; never what is wanted."""
        wanted = set(self._wanted)
        used = self._used()
        for name in [name for name in self._kept if name not in wanted]:
            if used <= BUDGET:
                break
            used -= _weight(self._kept.pop(name))


def _weight(picture: Picture | Unreadable) -> int:
    return 3 * picture.image.width * picture.image.height if isinstance(picture, Picture) else 100
