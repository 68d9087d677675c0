"""Pictures of every mode, size and state of health."""

import pickle
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from lib.data.dataset import pictures
from lib.data.picture_files import UnreadablePicture
from lib.data.pictures import decode
from lib.errors import UserError


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def encoded(image, format="PNG", **options):
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_every_pixel(format):
    pixels = noise(9, 7)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), format)), pixels)


@pytest.mark.parametrize("format", ["JPEG", "GIF", "WEBP"])
def test_lossy_formats_keep_the_colour(format):
    orange = Image.new("RGB", (40, 30), (220, 120, 30))
    pixels = decode(encoded(orange, format))
    assert pixels.shape == (30, 40, 3)
    assert np.abs(pixels.astype(int) - (220, 120, 30)).max() <= 4


def test_grey_becomes_three_equal_channels():
    grey = noise(5, 6, 1)[..., 0]
    assert np.array_equal(decode(encoded(Image.fromarray(grey))), np.stack([grey] * 3, axis=-1))


def test_black_and_white_becomes_0_and_255():
    bits = noise(5, 6, 1)[..., 0] > 127
    expected = np.stack([bits * 255] * 3, axis=-1)
    assert np.array_equal(decode(encoded(Image.fromarray(bits))), expected)


def test_palette_is_looked_up():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    expected = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 255, 0]]]
    assert decode(encoded(image)).tolist() == expected


def test_transparency_is_laid_over_white():
    rgba = noise(8, 8, 4)
    opacity = rgba[..., 3:] / 255
    expected = rgba[..., :3] * opacity + 255 * (1 - opacity)
    assert np.abs(decode(encoded(Image.fromarray(rgba))) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "P", "RGB"])
def test_other_kinds_of_transparency_turn_white_too(mode):
    if mode == "LA":
        data = encoded(Image.new("LA", (3, 3), (0, 0)))
    else:  # one colour, here black, is declared transparent
        colour = 0 if mode == "P" else (0, 0, 0)
        data = encoded(Image.new(mode, (3, 3), colour), transparency=colour)
    assert (decode(data) == 255).all()


def test_cmyk_becomes_rgb():
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    assert np.abs(decode(encoded(cyan, "TIFF")).astype(int) - (0, 255, 255)).max() <= 2


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(format):
    grey = np.array([[0, 257, 128 * 257], [30000, 65534, 65535]], np.uint16)
    expected = [[0, 1, 128], [117, 255, 255]]
    assert decode(encoded(Image.fromarray(grey), format))[..., 0].tolist() == expected


def test_grey_with_an_unknown_white_is_refused():
    for values in (np.array([[0.5]], np.float32), np.array([[70000]], np.int32)):
        with pytest.raises(UnreadablePicture, match="its white is unknown"):
            decode(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda pixels: pixels),
        (2, np.fliplr),
        (3, lambda pixels: np.rot90(pixels, 2)),
        (4, np.flipud),
        (5, lambda pixels: pixels.transpose(1, 0, 2)),
        (6, lambda pixels: np.rot90(pixels, -1)),
        (7, lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_camera_orientation_is_applied(orientation, undo):
    pixels = noise(6, 9)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = decode(encoded(Image.fromarray(pixels), "PNG", exif=exif))
    assert np.array_equal(upright, undo(pixels))


def test_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("shape", "size"), [((50, 50), 17), ((64, 128), 32), ((96, 48), 16), ((12, 12), 30)]
)
def test_scaling_agrees_with_torchvision(shape, size):
    pixels = noise(*shape)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    theirs = tv.center_crop(tv.resize(tensor, [size], antialias=True), [size, size])
    ours = decode(encoded(Image.fromarray(pixels)), size)
    assert ours.shape == (size, size, 3)
    assert np.abs(ours.astype(int) - theirs.permute(1, 2, 0).numpy()).max() <= 1


def test_size_may_be_height_and_width_and_resize_follows_the_same_rule():
    pixels = noise(40, 50)
    wanted = decode(encoded(Image.fromarray(pixels)), (10, 20))
    assert wanted.shape == (10, 20, 3)
    assert np.array_equal(wanted, pictures.resize(pixels, (10, 20)))


def test_very_small_and_very_long_pictures_are_met():
    assert (decode(encoded(Image.new("RGB", (1, 1), "red")), 32) == (255, 0, 0)).all()
    assert decode(encoded(Image.new("RGB", (500, 1), "red")), 8).shape == (8, 8, 3)


def test_large_jpeg_decoded_small_looks_like_the_whole_scaled_down():
    slope = np.linspace(0, 255, 1200, dtype=np.uint8)
    pixels = np.stack([np.tile(slope, (900, 1)), np.tile(slope[:900, None], 1200)] * 2, -1)[..., :3]
    data = encoded(Image.fromarray(pixels), "JPEG", quality=95)
    difference = decode(data, 32).astype(int) - pictures.resize(decode(data), 32)
    assert np.abs(difference).max() <= 3


def test_path_bytes_and_open_file_are_the_same_picture(tmp_path):
    data = encoded(Image.fromarray(noise(4, 4)))
    path = tmp_path / "one.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert np.array_equal(decode(file), decode(data))
        assert not file.closed
    assert np.array_equal(decode(path), decode(str(path)))


@pytest.mark.filterwarnings("ignore")  # Pillow's, about what it meets
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9])
def test_truncated_picture_is_named(tmp_path, format, share):
    data = encoded(Image.fromarray(noise(40, 40)), format)
    path = tmp_path / "cut.picture"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadablePicture, match=r"^cannot read .*cut\.picture: .+") as caught:
        decode(path, 8)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about what it meets
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_damaged_picture_gives_pixels_or_the_one_error(format):
    data = encoded(Image.fromarray(noise(20, 20)), format)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        damaged[rng.integers(min(60, len(data)))] = rng.integers(256)
        try:
            assert decode(bytes(damaged), 8).shape == (8, 8, 3)
        except UnreadablePicture:
            refused += 1
    assert refused > 0


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "note.png").write_text("not a picture")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    for source in (tmp_path / "note.png", tmp_path, b"", postscript, BytesIO(b"GIF89a")):
        with pytest.raises(UnreadablePicture):
            decode(source)
    with pytest.raises(UnreadablePicture, match=r"missing\.png: No such file"):
        decode(tmp_path / "missing.png")
    with pytest.raises(UnreadablePicture, match="cannot read the picture: not a picture"):
        decode(b"bytes have no name")


def test_error_is_the_users_and_crosses_processes():
    error = pickle.loads(pickle.dumps(UnreadablePicture("a.png", "it is cut off")))
    assert issubclass(UnreadablePicture, UserError)
    assert (error.name, error.reason) == ("a.png", "it is cut off")
    assert str(error) == "cannot read a.png: it is cut off"


def test_impossible_size_is_the_programmers_mistake():
    with pytest.raises(ValueError, match="at least one pixel"):
        decode(encoded(Image.fromarray(noise(4, 4))), 0)


def test_digest_tells_pixels_apart():
    one, other = noise(4, 4).tobytes(), noise(4, 4, seed=1).tobytes()
    assert pictures.digest(one) == pictures.digest(bytes(one)) != pictures.digest(other)
    assert 0 <= pictures.digest(one) < 2**64


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
@pytest.mark.parametrize("orientation", [1, 6, 3])
@pytest.mark.parametrize("size", [(17, 9), (64, 64)])
def test_a_large_picture_in_strips_is_the_same_but_for_rounding(
    monkeypatch, mode, orientation, size
):
    image = Image.fromarray(noise(97, 61, 4)).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG", exif=exif)
    whole = decode(data, size).astype(int)
    monkeypatch.setattr(pictures, "STRIP", 500)
    assert np.abs(decode(data, size).astype(int) - whole).max() <= 1
