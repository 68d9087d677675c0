"""Pictures as cameras, scanners, browsers and generators leave them."""

import os
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from lib.data.picture_files import UnreadablePicture, orientation, read, rgb


def noise(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(image, format="PNG", **options):
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def pixels(source):
    return read(source, lambda image: rgb(image).tobytes())


# ---- JPEG without its end marker

SMOOTH = Image.linear_gradient("L").resize((90, 70))
JPEGS = {
    "baseline": encoded(noise(61, 47), "JPEG"),
    "progressive": encoded(noise(61, 47), "JPEG", progressive=True),
    "restart markers": encoded(noise(61, 47), "JPEG", restart_marker_blocks=4),
    "both": encoded(SMOOTH, "JPEG", progressive=True, restart_marker_blocks=4),
    "grey": encoded(SMOOTH, "JPEG"),
    "one colour": encoded(Image.new("RGB", (80, 64), "teal"), "JPEG"),
    "CMYK": encoded(noise(30, 30).convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_marker_is_whole(kind):
    for cut in (1, 2):
        assert pixels(JPEGS[kind][:-cut]) == pixels(JPEGS[kind])


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_lacks_pixels_is_damaged(kind):
    data = JPEGS[kind]
    whole = pixels(data)
    refused = 0
    for cut in range(3, len(data) - 2, 7):
        try:
            assert pixels(data[:-cut]) == whole, f"{cut} bytes are missing, and pixels changed"
        except UnreadablePicture:
            refused += 1
    assert refused > 0.9 * len(range(3, len(data) - 2, 7))


# ---- PNG with much metadata


def with_chunk(kind, content):
    """A small PNG with one more chunk before its pixels."""
    png = encoded(noise(5, 7))
    body = kind + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


LONG = b"a photograph of a cat, " * 100_000


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"zTXt", b"prompt\0\0" + zlib.compress(LONG)),
        (b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(LONG)),
        (b"iTXt", b"prompt\0\0\0\0\0" + LONG * 40),
        (b"tEXt", b"prompt\0" + LONG * 40),
        (b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
    ],
)
def test_metadata_of_any_size_is_passed_over(kind, content):
    data = with_chunk(kind, content)
    with pytest.raises(ValueError, match=r"text|Decompressed"):  # which is what Pillow says alone
        Image.open(BytesIO(data)).load()
    assert pixels(data) == noise(5, 7).tobytes()


def test_orientation_beside_long_texts_is_kept():
    info = PngImagePlugin.PngInfo()
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    info.add_itxt("XML:com.adobe.xmp", xmp)
    info.add_text("prompt", LONG.decode(), zip=True)
    data = encoded(noise(5, 7), pnginfo=info)
    assert read(data, orientation) == 6


# ---- orientation


SHORT, ASCII, LONG_INTEGER, UNDEFINED = 3, 2, 4, 7  # types of EXIF


def with_orientation(kind, count, value):
    """A JPEG whose EXIF has one entry: the orientation, as that type and four bytes of value."""
    entry = struct.pack("<HHI4s", 0x0112, kind, count, value)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return encoded(noise(6, 9), "JPEG", exif=exif)


@pytest.mark.parametrize("number", range(1, 9))
def test_orientation_of_the_standard(number):
    data = with_orientation(SHORT, 1, bytes([number, 0, 0, 0]))
    assert read(data, orientation) == number


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [
        (ASCII, 2, b"6\0"),
        (ASCII, 1, b"\0"),
        (UNDEFINED, 1, b"\6"),
        (SHORT, 1, b"\0"),
        (SHORT, 1, b"\x09"),
        (SHORT, 1, b"\xff\xff"),
        (LONG_INTEGER, 1, b"\xff\xff\xff\xff"),
    ],
)
def test_any_other_orientation_is_none(kind, count, value):
    assert read(with_orientation(kind, count, value), orientation) == 1


# ---- formats, depths, sizes


def test_avif_under_another_name_is_read(tmp_path):
    path = tmp_path / "holiday.jpg"
    noise(20, 20).save(path, "AVIF", quality=100)
    assert len(pixels(path)) == 3 * 20 * 20


def test_too_many_pixels_get_one_line():
    data = encoded(Image.new("1", (14_000, 14_000)))  # 196 megapixels in few bytes
    with pytest.raises(UnreadablePicture, match="more than 178,956,970 pixels; make it smaller"):
        pixels(data)
    small = encoded(noise(5, 7))
    assert read(small, lambda image: image.size, most_pixels=35) == (7, 5)
    with pytest.raises(UnreadablePicture, match="more than"):
        read(small, lambda image: image.size, most_pixels=34)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for path in (tmp_path / "x.png", tmp_path):
        with pytest.raises(UnreadablePicture, match="a folder or device, not a file"):
            pixels(path)


def test_grey_of_sixteen_bits_is_scaled_or_stretched():
    grey = Image.fromarray(np.array([[1000, 1128, 1255]], np.uint16))
    assert np.asarray(rgb(grey))[0, :, 0].tolist() == [4, 4, 5]
    assert np.asarray(rgb(grey, stretch=True))[0, :, 0].tolist() == [0, 128, 255]
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.round(levels / 257).astype(np.uint8)
    assert np.array_equal(np.asarray(rgb(Image.fromarray(levels)))[..., 0], expected)


def test_transparent_parts_show_the_background():
    assert rgb(Image.new("RGBA", (1, 1), (9, 9, 9, 0)), (1, 2, 3)).getpixel((0, 0)) == (1, 2, 3)


def test_a_colour_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert pixels(encoded(noise(5, 7), icc_profile=profile)) == noise(5, 7).tobytes()
