"""Two thousand pictures that something is wrong or strange with, the same ones each time."""

import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from tests.api.service import encoded

KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
BOMB = 30_000  # pixels a side
NOT_PICTURES = (
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"\0\0\1\0\1\0",
    b"%!PS-Adobe-3.0 EPSF-3.0\n",
    b"hello",
)


@dataclass(frozen=True)
class Case:
    """One file, and the statuses that are right for it."""

    kind: str
    data: bytes
    allowed: frozenset[int]


def cases(count: int, seed: int) -> Iterator[Case]:
    """So many files, of each kind in turn."""
    source = random.Random(seed)
    whole = [encoded(one, kind) for one in photographs() for kind in KINDS]
    strange = strange_but_sound()
    bombs = list(too_large())
    makers = {
        "truncated": lambda: (truncated(source, source.choice(whole)), {200, 415, 422}),
        "flipped": lambda: (flipped(source, source.choice(whole)), {200, 413, 415, 422}),
        "wrong type": lambda: (source.choice(NOT_PICTURES) + source.randbytes(500), {415}),
        "noise": lambda: (source.randbytes(source.randrange(1, 5000)), {415, 422}),
        "empty": lambda: (b"", {422}),
        "bomb": lambda: (source.choice(bombs), {413}),
        "strange": lambda: (source.choice(strange), {200}),
    }
    for number in range(count):
        kind = list(makers)[number % len(makers)]
        data, allowed = makers[kind]()
        yield Case(kind, data, frozenset(allowed))


def photographs() -> Iterator[Image.Image]:
    """As hard to compress as photographs are."""
    for size in ((40, 30), (200, 300)):
        bands = [Image.effect_noise(size, 40), Image.radial_gradient("L").resize(size)]
        yield Image.merge("RGB", [bands[0], bands[1], bands[0]])


def truncated(source: random.Random, data: bytes) -> bytes:
    return data[: source.randrange(1, len(data))]


def flipped(source: random.Random, data: bytes) -> bytes:
    """A few bits turned over, most of them near the beginning, where the headers are."""
    changed = bytearray(data)
    for _ in range(source.randrange(1, 20)):
        reach = len(data) if source.random() < 0.3 else min(len(data), 200)
        changed[source.randrange(reach)] ^= 1 << source.randrange(8)
    return bytes(changed)


def strange_but_sound() -> list[bytes]:
    """A pixel alone, CMYK, 16 bits, palettes, transparency, animations."""
    sixteen = (
        Image.radial_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16")
    )
    frames = [Image.new("RGB", (50, 40), (40 * n, 0, 255 - 40 * n)) for n in range(6)]
    animated = {"save_all": True, "append_images": frames[1:]}
    return [
        *(encoded(Image.new("RGB", (1, 1)), kind) for kind in KINDS),
        *(
            encoded(Image.new("RGB", size), kind)
            for size in ((1, 3000), (3000, 1))
            for kind in KINDS
        ),
        encoded(Image.new("CMYK", (60, 50), (9, 99, 199, 0)), "JPEG"),
        encoded(sixteen),
        encoded(Image.new("1", (33, 33), 1)),
        encoded(Image.radial_gradient("L").convert("P")),
        encoded(Image.new("RGBA", (30, 30), (1, 2, 3, 4))),
        encoded(Image.new("LA", (30, 30), (1, 2))),
        *(encoded(frames[0], kind, **animated) for kind in ("GIF", "WEBP", "PNG")),
    ]


def too_large() -> Iterator[bytes]:
    """A few bytes that promise 900 million pixels; the PNG keeps its promise."""
    blank = zlib.compressobj(9)
    row = bytes(1 + BOMB // 8)
    pixels = b"".join(blank.compress(row) for _ in range(BOMB)) + blank.flush()
    header = struct.pack(">IIBBBBB", BOMB, BOMB, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    yield b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    small = Image.new("RGB", (8, 8))
    gif = bytearray(encoded(small, "GIF"))
    gif[6:10] = struct.pack("<HH", BOMB, BOMB)
    yield bytes(gif)
    bmp = bytearray(encoded(small, "BMP"))
    bmp[18:26] = struct.pack("<ii", BOMB, BOMB)
    yield bytes(bmp)
    jpeg = bytearray(encoded(small, "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", BOMB, BOMB)
    yield bytes(jpeg)
    webp = bytearray(encoded(small.convert("RGBA"), "WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", 16_383 | 16_383 << 14)  # as large as the format knows
    yield bytes(webp)
