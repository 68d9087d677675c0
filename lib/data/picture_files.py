"""Open picture files as cameras, scanners, browsers and generators leave them.

Study, command line, service and labeler read pictures by these rules:

- the format is recognised by content, never by name: `FORMATS`;
- the EXIF orientation is applied where it is one of the standard's numbers 1 to 8, and ignored
  otherwise (EXIF 2.32, tag 274);
- 16-bit grey is scaled to 8 bits, not clipped; CMYK, palettes and grey become RGB; wider integers
  and floating point are refused, since their white is unknown;
- metadata of any size is passed over;
- a JPEG whose end marker alone is missing is whole; one that lacks pixels is damaged;
- a picture has at most `MOST_PIXELS`, and a side of at least one.

Needs Pillow alone, so that the labeler and decoding processes can use it.
"""

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from PIL import ExifTags, Image, UnidentifiedImageError, features

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
MOST_BYTES = 2**28  # of a file that is mended before it is read

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


def read(source: Source, use: Callable[[Image.Image], T]) -> T:
    """What `use` makes of the opened picture, whose pixels it may load at a smaller scale.

    Raises
    ------
    UnreadablePicture   if the file is missing, truncated, damaged, too large or not a picture, or
                        `use` fails
    """
    try:
        try:
            with _opened(source) as image:
                return use(image)
        except Exception:  # Pillow's readers meet damaged bytes with any kind of exception
            data = _mended(source)
            if data is None:
                raise
            with _opened(data) as image:
                return use(image)
    except Exception as error:
        raise UnreadablePicture(_name(source), _reason(error)) from error


def pixel_count(source: Source) -> int:
    """Number of pixels of a picture, read from its header alone.

    Raises
    ------
    UnreadablePicture   as `read`; its cause is a `DecompressionBombError` where there are too many
    """
    return read(source, lambda image: image.width * image.height)


def is_known(data: bytes | bytearray) -> bool:
    """Whether a file that begins with these bytes is in one of `FORMATS`, damaged or not."""
    Image.init()
    start = bytes(data[:16])
    accepts = (Image.OPEN[format][1] for format in FORMATS)
    return any(accept and accept(start) is True for accept in accepts)


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


def _opened(source: Source) -> Image.Image:
    if isinstance(source, Image.Image):
        return source.copy()
    file = BytesIO(source) if isinstance(source, bytes) else source
    if hasattr(file, "seek"):
        file.seek(0)
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError
    return image


# ---- files that are whole but for what nobody looks at


def _mended(source: Source) -> bytes | None:
    """The bytes of a picture that can be read after all; None if there is nothing to mend."""
    data = _bytes(source)
    if data is None:
        return None
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        lean = b"".join(_without_metadata(data))
        return lean if len(lean) < len(data) else None
    if data.startswith(b"\xff\xd8") and not data.endswith(b"\xff\xd9"):
        return _ended_jpeg(data)
    return None


def _bytes(source: Source) -> bytes | None:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | PathLike):
        path = Path(source)
        return path.read_bytes() if path.is_file() and path.stat().st_size <= MOST_BYTES else None
    if isinstance(source, Image.Image):
        return None
    source.seek(0)
    data = source.read(MOST_BYTES + 1)
    return data if len(data) <= MOST_BYTES else None


def _without_metadata(png: bytes) -> Iterator[bytes]:
    """A PNG's parts without texts and colour profiles, for which Pillow has a limit of 1 MB each.

    Short uncompressed texts stay: XMP, with the orientation, is one.
    """
    yield png[:8]
    start = 8
    while start + 8 <= len(png):
        length, kind = struct.unpack(">I4s", png[start : start + 8])
        end = start + 12 + length
        small = kind == b"iTXt" and length < 100_000 and not _is_compressed(png[start + 8 : end])
        if kind not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP") or small:
            yield png[start:end]
        start = end


def _is_compressed(text: bytes) -> bool:
    _, _, rest = text.partition(b"\0")
    return rest[:1] != b"\0"


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
    with _opened(data) as image:
        return image.tobytes()


# ---- what a message says


def _name(source: Source) -> str:
    if isinstance(source, str | PathLike):
        return str(source)
    return str(getattr(source, "name", "the picture"))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or its beginning is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {MOST_PIXELS // 1_000_000} megapixels; make it smaller"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
