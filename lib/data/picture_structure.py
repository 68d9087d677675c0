"""Format, size and structure of a picture file, from its bytes, before a decoder sees them.

Decoders take time and memory by what a file announces, not by its length: a few bytes of WebP are
25 million pixels, a JPEG may repeat its scans, and readers in Python visit every small segment.
This module reads headers alone, in steps that its own limits bound, and refuses files that are
built as no camera, scanner, browser or generator builds them.

Sources: ITU-T T.81 (JPEG), ISO/IEC 15948 (PNG), GIF89a, RFC 9649 (WebP), TIFF 6.0, ISO/IEC 23008-12
(AVIF's boxes). Needs the standard library alone.
"""

import re
import struct
from dataclasses import dataclass
from struct import unpack_from

SEGMENTS = 2_000  # of a JPEG before its pixels; a photograph with a thumbnail has some 50
SCANS = 100  # of a progressive JPEG; encoders write about 10
CHUNKS = 30_000  # of a PNG; 25 megapixels in chunks of 8 kB are 10,000
BLOCKS = 50_000  # of a GIF before its first picture, 255 bytes each
ENTRIES = 1_000  # of a TIFF's directory, which has some 20
SPELLED_BYTES = 1_000_000  # of a BMP with run lengths or a PPM in digits, which Python decodes

# Of a plain picture, which has no compressed text, profile, EXIF, animation or arithmetic coding.
PLAIN_PIECES, PLAIN_SCANS = 64, 12
PLAIN_CHUNKS = frozenset(
    b"IHDR PLTE tRNS IDAT IEND gAMA cHRM sRGB sBIT bKGD pHYs tIME tEXt".split()
)
PLAIN_SEGMENTS = frozenset(bytes.fromhex("C0 C1 C2 C4 DB DD E0 EE FE"))


@dataclass(frozen=True)
class Structure:
    """What a file announces.

    Attributes
    ----------
    format : str          by Pillow's name
    width, height : int   in pixels
    plain : bool          whether it is a PNG or JPEG of a few pieces without metadata, so that the
                          time and memory that reading takes follow from its bytes and pixels
    """

    format: str
    width: int
    height: int
    plain: bool = False

    @property
    def pixels(self) -> int:
        return self.width * self.height


class UnknownFormat(ValueError):
    """The first bytes are those of no format that is read."""


def inspect(data: bytes | bytearray) -> Structure:
    """The structure of a picture file.

    Raises
    ------
    UnknownFormat   if the format is none that is read
    ValueError      if the header is damaged, or the file is built so that decoding takes too long
    """
    for start, read in READERS:
        if re.match(start, data, re.DOTALL):
            try:
                structure = read(data)
            except (struct.error, IndexError) as error:
                raise ValueError("its header is damaged or cut off") from error
            if structure.pixels < 1:
                raise ValueError("it has no pixels")
            return structure
    raise UnknownFormat("not a picture in a format that is read")


def _png(data: bytes | bytearray) -> Structure:
    start = 8
    plain = True
    for number in range(CHUNKS):
        if start + 8 > len(data):
            width, height = unpack_from(">II", data, 16)
            return Structure("PNG", width, height, plain and number <= PLAIN_PIECES)
        length, kind = unpack_from(">I4s", data, start)
        plain &= kind in PLAIN_CHUNKS
        start += 12 + length
    raise ValueError(f"it has more than {CHUNKS:,} chunks; save it again")


def _jpeg(data: bytes | bytearray) -> Structure:
    size, components = None, 0
    start = 2
    plain = True
    for number in range(SEGMENTS):
        expected, start = start, data.find(b"\xff", start)
        marker = data[start + 1] if start >= 0 else 0xD9
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = unpack_from(">HH", data, start + 5)
            components = data[start + 9] if marker in (0xC0, 0xC1) else 0  # 0: not sequential
        if marker in (0xDA, 0xD9):  # coded data, or the end
            plain &= number <= PLAIN_PIECES and marker == 0xDA
            break
        plain &= start == expected and marker in PLAIN_SEGMENTS
        start += 1 if marker == 0xFF else 2  # 0xFF may be repeated before a marker
        if marker not in (0x00, 0x01, 0xFF) and not 0xD0 <= marker <= 0xD8:  # which have no length
            start += unpack_from(">H", data, start)[0]
    else:
        raise ValueError(f"it has more than {SEGMENTS:,} segments; save it again")
    if size is None:
        raise IndexError
    # Decoders stop after a sequential JPEG's first scan if that has all components, as nearly every
    # photograph's has; counting would take a tenth of the time that decoding it takes.
    single = marker == 0xDA and data[start + 4] == components > 0
    scans = 1 if single else data.count(b"\xff\xda")
    if scans > SCANS:
        raise ValueError(f"it has more than {SCANS} scans; save it again")
    return Structure("JPEG", size[1], size[0], plain and scans <= PLAIN_SCANS)


def _gif(data: bytes | bytearray) -> Structure:
    width, height, packed = unpack_from("<HHB", data, 6)
    start = 13 + (3 << (1 + (packed & 7)) if packed & 0x80 else 0)
    for _ in range(BLOCKS):
        kind = data[start]
        if kind == 0x2C:  # a picture, which may stick out of the screen
            left, top, wide, high = unpack_from("<HHHH", data, start + 1)
            return Structure("GIF", max(width, left + wide), max(height, top + high))
        if kind == 0x21:  # an extension: its label, then blocks until an empty one
            start += 2
        start += 1 + (data[start] if kind != 0x3B else 0)
    raise ValueError(f"it has more than {BLOCKS:,} blocks before its picture; save it again")


def _bmp(data: bytes | bytearray) -> Structure:
    (header,) = unpack_from("<I", data, 14)
    if header == 12:
        return Structure("BMP", *unpack_from("<HH", data, 18))
    width, height = unpack_from("<ii", data, 18)
    (compression,) = unpack_from("<I", data, 30)
    if compression in (1, 2):
        _check_spelled(data)
    return Structure("BMP", abs(width), abs(height))


def _webp(data: bytes | bytearray) -> Structure:
    kind = data[12:16]
    if kind == b"VP8X":
        low = unpack_from("<HBHB", data, 24)
        return Structure("WEBP", 1 + low[0] + (low[1] << 16), 1 + low[2] + (low[3] << 16))
    if kind == b"VP8L":
        (bits,) = unpack_from("<I", data, 21)
        return Structure("WEBP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    width, height = unpack_from("<HH", data, 26)
    return Structure("WEBP", width & 0x3FFF, height & 0x3FFF)


def _tiff(data: bytes | bytearray) -> Structure:
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in unpack_from(f"{order}H", data, 2)
    (start,) = unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
    (entries,) = unpack_from(f"{order}{'Q' if big else 'H'}", data, start)
    if entries > ENTRIES:
        raise ValueError(f"it has more than {ENTRIES:,} entries; save it again")
    start += 8 if big else 2
    sizes = {}
    for place in range(start, start + entries * (20 if big else 12), 20 if big else 12):
        tag, kind = unpack_from(f"{order}HH", data, place)
        if tag in (256, 257):  # width and height
            value = {3: "H", 4: "I", 16: "Q"}.get(kind, "I")
            (sizes[tag],) = unpack_from(order + value, data, place + (12 if big else 8))
    if len(sizes) < 2:
        raise IndexError
    return Structure("TIFF", sizes[256], sizes[257])


def _ppm(data: bytes | bytearray) -> Structure:
    if data[1:2] in b"123":  # digits instead of bytes
        _check_spelled(data)
    gap = rb"(?:\s|#[^\n]*\n)+"
    found = re.match(rb"P." + gap + rb"(\d{1,9})" + gap + rb"(\d{1,9})", data[:10_000])
    if found is None:
        raise IndexError
    return Structure("PPM", int(found[1]), int(found[2]))


def _avif(data: bytes | bytearray) -> Structure:
    """The largest of the picture's parts, one of which is the whole."""
    boxes = [
        unpack_from(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data[: 2**16])
    ]
    if not boxes:
        raise IndexError
    return Structure("AVIF", *max(boxes, key=lambda size: size[0] * size[1]))


def _check_spelled(data: bytes | bytearray) -> None:
    if len(data) > SPELLED_BYTES:
        raise ValueError(
            f"it is larger than {SPELLED_BYTES:,} bytes in a form that takes long to read; "
            "save it as PNG"
        )


READERS = (
    (rb"\x89PNG\r\n\x1a\n", _png),
    (rb"\xff\xd8\xff", _jpeg),
    (rb"GIF8[79]a", _gif),
    (rb"BM", _bmp),
    (rb"RIFF....WEBPVP8[ LX]", _webp),
    (rb"II[*+]\0|MM\0[*+]|II\0\*|MM\*\0", _tiff),
    (rb"P[0-6fFy]", _ppm),
    (rb"....ftyp(avi[fs]|mif1|msf1)", _avif),
)
