"""Decode pictures to the size of the screen, in the background, before they are needed.

A JPEG of 12 megapixels is read at a half, a quarter or an eighth of its size, which libjpeg does in
a fraction of the time. The cache of decoded pictures is limited in bytes.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from labeler.errors import reason
from lib.data.names import Locator
from lib.data.picture_files import UnreadablePicture, orientation, read, rgb, upright

BUDGET = 120_000_000  # bytes of decoded pixels in the cache
BACKGROUND = (
    176,
    176,
    176,
)  # behind transparent pixels: black and white drawings both stay visible
Size = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """A decoded picture, in the size in which the screen shows it."""

    image: Image.Image
    size: Size  # of the file, upright
    format: str
    mode: str


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be decoded."""

    reason: str


def fit(size: Size, box: Size) -> Size:
    """The size in which a picture fills the box: shrunk, or enlarged by a whole factor."""
    scale = min(box[0] / size[0], box[1] / size[1])
    scale = max(1, int(scale)) if scale >= 1 else scale
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def decode(path: Path, box: Size | None = None) -> Picture | Unreadable:
    """Read a picture upright, as RGB, fitted into the box; None: in its own size.

    Grey of more than eight bits is stretched to its own range, so that a person sees what is there.
    """
    try:
        return read(path, partial(_fitted, box=box))
    except UnreadablePicture as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno:
            return Unreadable(reason(cause))
        return Unreadable(error.reason)


def _fitted(image: Image.Image, box: Size | None) -> Picture:
    if image.format == "TIFF":
        image.load()  # Pillow turns a TIFF upright when it loads it
    turn = orientation(image)
    transposed = turn >= 5  # width and height are exchanged
    size = image.size[::-1] if transposed else image.size
    target = fit(size, box) if box else size
    raw_target = target[::-1] if transposed else target
    mode = image.mode
    image.draft("RGB", raw_target)  # only JPEG supports this
    pixels = _resize(rgb(image, BACKGROUND, stretch=True), raw_target)
    return Picture(upright(pixels, turn), size, image.format or "", mode)


def _resize(image: Image.Image, size: Size) -> Image.Image:
    if image.size == size:
        return image
    if size[0] > image.width:  # by a whole factor: each pixel becomes a square
        return image.resize(size, Image.Resampling.NEAREST)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


class Prefetcher:
    """Decodes the pictures that come next, in the background, into a cache of limited size."""

    def __init__(self, folder: Path, workers: int | None = None) -> None:
        self._locator = Locator(folder)
        self.box: Size = (0, 0)
        self._cache: OrderedDict[str, Picture | Unreadable] = OrderedDict()
        self._requested: list[str] = []
        self._busy: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        for number in range(workers or min(4, os.cpu_count() or 1)):
            threading.Thread(target=self._work, name=f"decode {number}", daemon=True).start()

    def request(self, names: Sequence[str], box: Size) -> None:
        """Decode these from now on, in this order, to fit the box."""
        with self._changed:
            if box != self.box:
                self._cache.clear()
                self.box = box
            self._requested = list(names)
            self._evict()
            self._changed.notify_all()

    def get(self, name: str) -> Picture | Unreadable | None:
        """The picture, or None while it is not decoded yet."""
        with self._changed:
            if name in self._cache:
                self._cache.move_to_end(name)
            return self._cache.get(name)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> str | None:
        if self._cached_bytes() > BUDGET and self._requested and self._requested[0] in self._cache:
            return None  # a huge screen: the next pictures must wait
        waiting = (n for n in self._requested if n not in self._cache and n not in self._busy)
        return next(waiting, None)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next())
                if self._closed:
                    return
                name, box = self._next() or "", self.box
                self._busy.add(name)
            picture = decode(self._locator.path(name), box)
            with self._changed:
                self._busy.discard(name)
                if box == self.box:
                    self._cache[name] = picture
                    self._evict()
                self._changed.notify_all()

    def _cached_bytes(self) -> int:
        return sum(map(_byte_count, self._cache.values()))

    def _evict(self) -> None:
        """Drop what was used longest ago, but nothing that is requested."""
        requested = set(self._requested)
        used = self._cached_bytes()
        for name in [name for name in self._cache if name not in requested]:
            if used <= BUDGET:
                break
            used -= _byte_count(self._cache.pop(name))


def _byte_count(picture: Picture | Unreadable) -> int:
    return 3 * picture.image.width * picture.image.height if isinstance(picture, Picture) else 100
