"""What a file announces is what Pillow finds, and no structure makes reading it slow."""

from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmarks._hostile import (
    JPEG_OTHER,
    bmp_of_runs,
    gif_with,
    jpeg_of_scans,
    jpeg_with,
    png_with,
    tiff_with,
    webp_bomb,
)
from lib.data import picture_structure
from lib.data.picture_files import FORMATS, UnreadablePicture, read
from lib.data.picture_structure import Structure, UnknownFormat, inspect

JPEG_COMMENT = 0xFE


def noise(size=(45, 31), mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(format, image=None, **options):
    stream = BytesIO()
    (image or noise()).save(stream, format, **options)
    return stream.getvalue()


VARIANTS = [
    *[(format, {}) for format in FORMATS],
    ("JPEG", {"progressive": True}),
    ("JPEG", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0", "icc_profile": bytes(70_000)}),
    ("PNG", {"transparency": (0, 0, 0)}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"big_tiff": True}),
    ("GIF", {"comment": b"a comment" * 100}),
    ("GIF", {"save_all": True, "append_images": [noise()]}),
]


@pytest.mark.parametrize(("format", "options"), VARIANTS)
@pytest.mark.parametrize("size", [(45, 31), (1, 1), (300, 2)])
def test_size_is_read_from_the_header(format, options, size):
    structure = inspect(encoded(format, noise(size), **options))
    assert (structure.format, structure.width, structure.height) == (format, *size)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("PNG", {"transparency": (0, 0, 0), "dpi": (72, 72)}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"a comment"}),
    ],
)
def test_pictures_without_metadata_are_plain(format, options):
    assert inspect(encoded(format, **options)).plain


def compressed_text():
    about = PngInfo()
    about.add_text("about", "a" * 500_000, zip=True)
    return encoded("PNG", pnginfo=about)


@pytest.mark.parametrize(
    "data",
    [
        compressed_text(),
        encoded("PNG", icc_profile=bytes(70_000)),
        encoded("PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
        encoded("PNG", save_all=True, append_images=[noise()]),
        png_with(100),
        encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
        encoded("JPEG", icc_profile=bytes(700)),
        jpeg_with(100, JPEG_COMMENT, b""),
        jpeg_of_scans(40),
        encoded("JPEG").replace(b"\xff\xdb", bytes(500) + b"\xff\xdb", 1),  # junk to step over
        encoded("JPEG").replace(b"\xff\xdb", b"\xff" * 500 + b"\xff\xdb", 1),  # fill bytes
        encoded("GIF"),
        encoded("WEBP"),
        encoded("TIFF"),
    ],
)
def test_what_reading_may_take_long_for_is_not_plain(data):
    assert not inspect(data).plain


@pytest.mark.parametrize("mode", ["1", "L"])
def test_plain_and_raw_ppm_have_the_same_header(mode):
    assert inspect(encoded("PPM", noise(mode=mode))) == Structure("PPM", 45, 31)
    assert inspect(b"P3\n# a comment\n 2 #\n 3\n255\n" + b"0 " * 18) == Structure("PPM", 2, 3)


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_header_is_refused_or_read(format):
    data = encoded(format)
    rng = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(data[: rng.integers(1, len(data))])
        damaged[rng.integers(min(60, len(damaged)))] = rng.integers(256)
        with suppress(ValueError):
            assert inspect(bytes(damaged)).pixels > 0


@pytest.mark.parametrize("data", [b"", b"text", b"%!PS-Adobe", b"\0\0\0\x18ftypheic" + bytes(50)])
def test_other_formats_are_unknown(data):
    with pytest.raises(UnknownFormat):
        inspect(data)


@pytest.mark.parametrize(
    ("fine", "too_much", "message"),
    [
        (png_with(1000), png_with(400_000), "chunks"),
        (jpeg_with(100), jpeg_with(100_000), "segments"),
        (jpeg_with(100, JPEG_OTHER, b""), jpeg_with(100_000, JPEG_OTHER, b""), "segments"),
        (jpeg_of_scans(10), jpeg_of_scans(2500), "scans"),
        (gif_with(1000), gif_with(1_000_000), "blocks"),
        (bmp_of_runs(1000), bmp_of_runs(1_500_000), "save it as PNG"),
        (b"P3 2 3 255 " + b"0 " * 18, b"P3 900 900 255 " + b"0 " * 2_430_000, "save it as PNG"),
        (encoded("TIFF"), tiff_with(60_000), "entries"),
    ],
    ids=["chunks", "EXIF", "empty", "scans", "blocks", "run lengths", "digits", "entries"],
)
def test_a_structure_that_takes_long_to_read_is_refused(fine, too_much, message):
    assert inspect(fine).pixels > 0
    with pytest.raises(ValueError, match=message) as caught:
        inspect(too_much)
    assert "\n" not in str(caught.value)


def pairs(count):
    """Bytes that look like the starts of so many scans, as a film behind a photograph may."""
    return b"\xff\xda" * count


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_scans_are_counted_only_where_a_decoder_reads_more_than_one(mode):
    sequential, progressive = (
        encoded("JPEG", noise(mode=mode), progressive=progressive) for progressive in (False, True)
    )
    assert inspect(sequential + pairs(200)).plain
    assert read(sequential + pairs(200) + b"\xff\xd9", Image.Image.tobytes)
    with pytest.raises(ValueError, match="scans"):
        inspect(progressive + pairs(200))
    again = sequential[sequential.rindex(b"\xff\xda") : -2]
    with pytest.raises(UnreadablePicture, match="broken data stream"):
        read(sequential[:-2] + again * 200 + b"\xff\xd9", Image.Image.tobytes)


def test_scans_are_counted_where_the_first_lacks_a_component():
    sequential = encoded("JPEG")
    scan = sequential.rindex(b"\xff\xda")
    length = 2 + int.from_bytes(sequential[scan + 2 : scan + 4])
    first = b"\xff\xda\0\x08\x01" + sequential[scan + 5 : scan + 7] + b"\0\x3f\0"
    apart = sequential[:scan] + first + sequential[scan + length :]
    assert inspect(apart).pixels == 45 * 31
    with pytest.raises(ValueError, match="scans"):
        inspect(apart + pairs(200))


def test_marker_filling_takes_no_longer_than_its_limit():
    with pytest.raises(ValueError, match="segments"):
        inspect(b"\xff\xd8" + b"\xff" * 5_000_000)


def test_a_lossless_webp_of_few_bytes_announces_its_pixels():
    data = webp_bomb()
    assert len(data) < 2000
    assert inspect(data).pixels == 25_000_000


def test_formats_are_pillows():
    assert {inspect(encoded(format)).format for format in FORMATS} == set(FORMATS)
    assert len(picture_structure.READERS) == len(FORMATS)
