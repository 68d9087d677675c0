"""Pictures, bodies and heads made to cost a service more than they cost their sender.

Each is made here, as no camera, browser or client makes them; `benchmarks.hostile` sends them for
minutes, and tests hold the service to its limits with them.
"""

import json
import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

JPEG_EXIF, JPEG_OTHER = 0xE1, 0xE5  # markers of segments
LARGEST = (5000, 5000)  # in pixels, as many as the service reads


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def gradient(size: tuple[int, int] = (45, 31), mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert(mode)


# ---- pictures of a few bytes and many pixels


def webp_bomb(size: tuple[int, int] = LARGEST) -> bytes:
    """A lossless WebP of one colour: under a hundred bytes, a second of decoding."""
    return encoded(Image.new("RGB", size), "WEBP", lossless=True)


def large(kind: str, size: tuple[int, int] = LARGEST) -> bytes:
    """A picture of one colour in a format whose pixels take much memory: see `LARGE`."""
    mode, format, options = LARGE[kind]
    return encoded(Image.new(mode, size), format, **options)


LARGE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "16-bit PNG": ("I;16", "PNG", {}),
    "RGBA PNG": ("RGBA", "PNG", {}),
    "palette PNG": ("P", "PNG", {}),
    "grey and alpha PNG": ("LA", "PNG", {}),
    "GIF": ("P", "GIF", {}),
    "RGBA WebP": ("RGBA", "WEBP", {"lossless": True}),
    "LZW TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
}


# ---- files of many parts


def png_with(chunks: int) -> bytes:
    """A PNG with so many empty chunks."""
    empty = struct.pack(">I", 0) + b"teSt" + struct.pack(">I", zlib.crc32(b"teSt"))
    png = encoded(gradient(), "PNG")
    return png[:33] + empty * chunks + png[33:]


def jpeg_with(segments: int, marker: int = JPEG_EXIF, content: bytes = b"Exif\0\0") -> bytes:
    """A JPEG with so many application segments."""
    segment = bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content
    jpeg = encoded(gradient(), "JPEG")
    return jpeg[:2] + segment * segments + jpeg[2:]


def jpeg_of_scans(scans: int, size: tuple[int, int] = (45, 31)) -> bytes:
    """A progressive JPEG that repeats its last scan so often."""
    jpeg = encoded(gradient(size), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last * scans + b"\xff\xd9"


def gif_with(blocks: int) -> bytes:
    """A GIF with a comment of so many blocks of one byte."""
    gif = encoded(gradient(mode="L"), "GIF")
    table = 13 + (3 << (1 + (gif[10] & 7)))  # where the global table of colours ends
    return gif[:table] + b"\x21\xfe" + b"\1x" * blocks + b"\0" + gif[table:]


def bmp_of_runs(length: int) -> bytes:
    """A BMP whose pixels are run lengths of so many bytes, each run a pixel."""
    header = b"BM" + struct.pack("<IIIIiiHHII", 54 + length, 0, 54, 40, 1000, 1000, 1, 8, 1, 0)
    return header + bytes(16) + b"\1\0" * (length // 2)


def tiff_with(entries: int) -> bytes:
    """A TIFF whose directory has so many entries."""
    entry = struct.pack("<HHII", 700, 4, 1, 0)
    return b"II*\0" + struct.pack("<IH", 8, entries) + entry * entries


# ---- requests of the Open Inference protocol


def request_of_outputs(repeats: int, side: int, pictures: int = 1) -> bytes:
    """A valid request that asks so often for the same output."""
    values = [0] * (pictures * 3 * side * side)
    shape = [pictures, 3, side, side]
    inputs = [{"name": "images", "datatype": "UINT8", "shape": shape, "data": values}]
    outputs = [{"name": "probabilities"}] * repeats
    return json.dumps({"inputs": inputs, "outputs": outputs}, separators=(",", ":")).encode()


def request_of_objects(length: int, side: int) -> bytes:
    """A request of so many bytes whose tensor is a list of empty objects."""
    head = b'{"inputs":[{"name":"images","datatype":"UINT8","shape":[1,3,%d,%d],"data":[' % (
        side,
        side,
    )
    return head + b"{}," * (length // 3) + b"{}]}]}"
