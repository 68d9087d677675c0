"""Open picture files as cameras, scanners, browsers and generators leave them.

Study, command line, service and labeler read pictures by these rules:

- the format is recognised by content, never by name: `FORMATS`;
- the EXIF orientation is applied where it is one of the standard's numbers 1 to 8, and ignored
  otherwise (EXIF 2.32, tag 274);
- 16-bit grey is scaled to 8 bits, not clipped; CMYK, palettes and grey become RGB; wider integers
  and floating point are refused, since their white is unknown;
- metadata of any size is passed over;
- a file of a structure that takes long to read is refused (`lib.data.picture_structure`);
- a JPEG whose end marker alone is missing is whole; one that lacks pixels is damaged;
- a picture has at most `MOST_PIXELS`, and a side of at least one.

Needs Pillow alone, so that the labeler and decoding processes can use it.
"""

import stat
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from PIL import ExifTags, Image, UnidentifiedImageError, features

from lib.data.picture_structure import inspect
from lib.errors import UserError

# Raster formats that Pillow decodes by itself. Its other readers are left out: they start programs
# (EPS) or open rarities that nobody trains on.
FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"),
    *(("AVIF",) if features.check("avif") else ()),
)

# How the names of such files end, in lower case.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
    *((".avif",) if "AVIF" in FORMATS else ()),
)

MOST_PIXELS = 178_956_970  # where Pillow suspects a decompression bomb
MOST_BYTES = 2**30  # of a file

TO_UPRIGHT = {  # the transposition that undoes an EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Where a picture comes from. One that Pillow holds already is left as it is.
Source = str | PathLike[str] | bytes | BinaryIO | Image.Image

T = TypeVar("T")


class UnreadablePicture(UserError):
    """A file that is no picture, or a damaged one; `name` and `reason` say which and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {self.name}: {self.reason}"


def read(source: Source, use: Callable[[Image.Image], T], most_pixels: int = MOST_PIXELS) -> T:
    """What `use` makes of the opened picture, whose pixels it may load at a smaller scale.

    Raises
    ------
    UnreadablePicture   if the file is missing, truncated, damaged, too large or not a picture, or
                        `use` fails
    """
    try:
        if isinstance(source, Image.Image):
            return use(source.copy())
        data = _bytes(source)
        pixels = inspect(data).pixels
        if pixels > most_pixels:
            raise ValueError(_too_large(most_pixels))
        data = _without_metadata(data)
        try:
            return _opened(data, use)
        except Exception:  # Pillow's readers meet damaged bytes with any kind of exception
            if not data.startswith(b"\xff\xd8") or data.endswith(b"\xff\xd9"):
                raise
            ended = _ended_jpeg(data)
            if ended is None:
                raise
            return _opened(ended, use)
    except Exception as error:
        raise UnreadablePicture(_name(source), _reason(error)) from error


def _opened(data: bytes, use: Callable[[Image.Image], T]) -> T:
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        return use(image)


def orientation(image: Image.Image) -> int:
    """The picture's EXIF orientation, 1 to 8; 1 where it has none or another value."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and value in TO_UPRIGHT else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture turned so that its EXIF orientation becomes 1."""
    turn = TO_UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def rgb(
    image: Image.Image, background: tuple[int, int, int] = (255, 255, 255), stretch: bool = False
) -> Image.Image:
    """The picture in eight bits per channel, its transparent parts laid over a background.

    `stretch` spreads the range of grey values of more than eight bits over black to white, for the
    eye; otherwise 65,535 is white.

    Raises
    ------
    ValueError   if its grey values are not 8 or 16 bits wide
    """
    if image.mode.startswith(("I", "F")):
        return _eight_bit_grey(image, stretch).convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bit_grey(image: Image.Image, stretch: bool) -> Image.Image:
    low, high = cast(tuple[float, float], image.getextrema())
    if image.mode.startswith("F") or low < 0 or high > 65535:
        raise ValueError(
            "its grey values are not 8 or 16 bits wide, so its white is unknown; convert it first"
        )
    if not stretch:
        low, high = 0, 65535
    scale = 255 / ((high - low) or 1)
    # In 32 bits, which Pillow scales as floating point and cuts off: half a level rounds.
    return image.convert("I").point(lambda grey: grey * scale + (0.5 - low * scale)).convert("L")


# ---- bytes, without what nobody looks at


def _bytes(source: str | PathLike[str] | bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        return source
    if not isinstance(source, str | PathLike):
        source.seek(0)
        return source.read()
    path = Path(source)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a folder or device, not a file")
    if status.st_size > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 2**20:,} MiB; make it smaller")
    return path.read_bytes()


def _without_metadata(data: bytes) -> bytes:
    """A PNG without texts and colour profiles, for which Pillow has a limit of 1 MB each.

    Short uncompressed texts stay: XMP, with the orientation, is one.
    """
    kinds = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
    if not data.startswith(b"\x89PNG") or not any(kind in data for kind in kinds):
        return data
    return b"".join(_necessary_chunks(data, kinds))


def _necessary_chunks(png: bytes, kinds: tuple[bytes, ...]) -> Iterator[bytes]:
    yield png[:8]
    start = 8
    while start + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, start)
        end = start + 12 + length
        small = kind == b"iTXt" and length < 100_000 and not _is_compressed(png[start + 8 : end])
        if kind not in kinds or small:
            yield png[start:end]
        start = end


def _is_compressed(text: bytes) -> bool:
    _, _, rest = text.partition(b"\0")
    return rest[:1] != b"\0"


# ---- a JPEG that lacks its end marker alone


def _ended_jpeg(jpeg: bytes) -> bytes | None:
    """The JPEG with the end marker that it lacks; None if pixels are missing too.

    Missing bits change the picture with whatever is read in their place. So it is decoded with
    nothing, with some bits and with their opposites before the marker, the bits also after each
    restart marker that may be due; if no pixel differs, none was missing.
    """
    jpeg, end = jpeg.removesuffix(b"\xff"), b"\xff\xd9"
    tails = [end]
    for bits in (b"\x5a" * 32, b"\xa5" * 32):
        restarts = (b"\xff" + bytes([marker]) + bits for marker in range(0xD0, 0xD8))
        tails.append(bits + b"".join(restarts) + end)
    plain, *others = (_pixels(jpeg + tail) for tail in tails)
    whole = all(other == plain for other in others) and _has_all_scans(jpeg)
    return jpeg + end if whole else None


def _has_all_scans(jpeg: bytes) -> bool:
    """Whether the scans of a progressive JPEG bring every coefficient to its last bit.

    A scan names its components, a range of coefficients and the lowest bit that it brings
    (ITU-T T.81, G.1.1.1); a file that was cut between two scans lacks the later ones.
    """
    missing: set[tuple[int, int]] = set()  # component and coefficient
    for marker, segment in _segments(jpeg):
        if marker == 0xC2:  # the frame of a progressive JPEG
            components = segment[6::3]
            missing = {(component, place) for component in components for place in range(64)}
        elif marker == 0xDA and missing and len(segment) >= 6:
            first, last, bits = segment[-3:]
            if bits & 15 == 0:
                named = segment[1:-3:2]
                missing -= {(one, place) for one in named for place in range(first, last + 1)}
    return not missing


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """The marker segments of a JPEG, without the coded data between them."""
    start = 2
    while (start := jpeg.find(b"\xff", start)) >= 0 and start + 4 <= len(jpeg):
        marker = jpeg[start + 1]
        if marker in (0x00, 0xFF, 0x01) or 0xD0 <= marker <= 0xD9:  # coded data, filling, no length
            start += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack(">H", jpeg[start + 2 : start + 4])
        yield marker, jpeg[start + 4 : start + 2 + length]
        start += 2 + length


def _pixels(data: bytes) -> bytes:
    return _opened(data, lambda image: image.tobytes())


# ---- what a message says


def _name(source: Source) -> str:
    if isinstance(source, str | PathLike):
        return str(source)
    return str(getattr(source, "name", "the picture"))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or its beginning is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(MOST_PIXELS)
    if isinstance(error, MemoryError):
        return "decoding it takes too much memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _too_large(most_pixels: int) -> str:
    return f"it has more than {most_pixels:,} pixels; make it smaller"
