import time

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, ImageStat

from labeler import pictures as module
from labeler.pictures import Picture, Prefetcher, Unreadable, decode, fit


@pytest.mark.parametrize(
    ("size", "box", "fitted"),
    [
        ((8, 8), (100, 70), (64, 64)),
        ((100, 70), (100, 70), (100, 70)),
        ((100, 70), (199, 199), (100, 70)),
        ((400, 300), (100, 100), (100, 75)),
        ((10_000, 1), (100, 100), (100, 1)),
    ],
)
def test_a_picture_fits_enlarged_only_by_whole_factors(size, box, fitted):
    assert fit(size, box) == fitted


def gradient(size=(64, 48)):
    red = Image.linear_gradient("L").resize(size)
    green = Image.linear_gradient("L").rotate(90).resize(size)
    return Image.merge("RGB", [red, green, Image.new("L", size, 90)])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "gif", "tif"])
def test_every_format_is_read(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    gradient().save(path)
    picture = decode(path, (640, 480))
    assert picture.size == (64, 48)
    assert picture.image.size == (640, 480)
    assert picture.image.mode == "RGB"


def test_small_pictures_keep_hard_pixels(tmp_path):
    gradient((5, 4)).save(tmp_path / "small.png")
    image = decode(tmp_path / "small.png", (50, 50)).image
    assert image.resize((5, 4), Image.Resampling.NEAREST).tobytes() == gradient((5, 4)).tobytes()
    assert len(image.getcolors()) == len(gradient((5, 4)).getcolors())


def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(tmp_path, monkeypatch):
    path = tmp_path / "large.jpg"
    gradient((4000, 3000)).save(path)
    read = []
    rgb = module.rgb
    monkeypatch.setattr(module, "rgb", lambda image, *a, **k: read.append(image.size) or rgb(image))
    picture = decode(path, (800, 600))
    assert read == [(1000, 750)]
    assert (picture.size, picture.image.size) == ((4000, 3000), (800, 600))


def scene(size):
    """Sharp edges, fine lines and noise, in colour."""
    image = Image.effect_noise(size, 40).convert("RGB")
    draw = ImageDraw.Draw(image)
    for number in range(60):
        left, top = number * size[0] // 60, number * size[1] // 60
        colour = (37 * number % 256, 91 * number % 256, 151 * number % 256)
        draw.ellipse((left, top, left + size[0] // 9, top + size[1] // 9), fill=colour)
        draw.line((left, 0, size[0] - left, size[1]), fill=colour, width=3)
    return image


@pytest.mark.parametrize("size", [(3000, 2250), (1200, 3000), (5000, 600), (1500, 1100)])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_shrunk_picture_is_as_sharp_as_all_its_pixels_resized(tmp_path, size, suffix):
    path = tmp_path / f"scene.{suffix}"
    scene(size).save(path)
    shown = decode(path, (1092, 547)).image
    with Image.open(path) as image:
        best = image.convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
    difference = ImageStat.Stat(ImageChops.difference(shown, best))
    assert max(difference.mean) < 9
    assert max(high for _, high in difference.extrema) < 128
    assert edges(shown) > 0.6 * edges(best)


def edges(image):
    """The mean strength of a picture's edges."""
    return ImageStat.Stat(image.convert("L").filter(ImageFilter.FIND_EDGES)).mean[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_pictures_stand_upright_as_pillow_turns_them(tmp_path, orientation, suffix):
    path = tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    gradient((64, 48)).save(path, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    picture = decode(path)
    assert picture.image.tobytes() == expected.tobytes()
    assert picture.size == expected.size
    assert decode(path, (32, 32)).image.size == fit(expected.size, (32, 32))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    gradient((64, 48)).save(tmp_path / "odd.jpg", exif=exif)
    picture = decode(tmp_path / "odd.jpg", (32, 32))
    assert (picture.size, picture.image.size) == ((64, 48), (32, 24))


def test_transparent_pixels_show_the_background(tmp_path):
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    clear.putpixel((1, 0), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    image = decode(tmp_path / "clear.png").image
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), module.BACKGROUND]


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", "png"), ("I", "tif")])
def test_more_than_eight_bits_are_stretched_to_eight(tmp_path, mode, suffix):
    deep = Image.new(mode, (3, 1))
    for x, value in enumerate((1000, 2000, 3000)):
        deep.putpixel((x, 0), value)
    deep.save(tmp_path / f"deep.{suffix}")
    image = decode(tmp_path / f"deep.{suffix}").image
    assert [image.getpixel((x, 0))[0] for x in range(3)] == pytest.approx([0, 127, 255], abs=1)


def test_a_file_that_is_no_picture_gives_its_reason(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    gradient((640, 480)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    assert decode(tmp_path / "text.png") == Unreadable("not a picture in a format that is read")
    assert "truncated" in decode(tmp_path / "half.jpg").reason
    assert decode(tmp_path / "gone.png") == Unreadable("it is no longer there")


def wait_for(prefetcher, *names):
    end = time.monotonic() + 10
    while not all(prefetcher.get(name) for name in names):
        assert time.monotonic() < end
        time.sleep(0.002)


def test_requested_pictures_are_decoded(pictures):
    folder = pictures()
    (folder / "bad.png").touch()
    prefetcher = Prefetcher(folder, workers=2)
    prefetcher.request(["1.png", "bad.png", "0.png"], (120, 120))
    wait_for(prefetcher, "0.png", "1.png", "bad.png")
    assert prefetcher.get("1.png").image.size == (120, 80)
    assert isinstance(prefetcher.get("bad.png"), Unreadable)
    assert prefetcher.get("2.png") is None
    prefetcher.request(["1.png"], (60, 60))  # another size: decoded anew
    wait_for(prefetcher, "1.png")
    assert prefetcher.get("1.png").image.size == (60, 40)
    prefetcher.close()


def test_the_first_requested_is_decoded_first(pictures, monkeypatch):
    folder = pictures()
    decoded = []
    monkeypatch.setattr(
        module,
        "decode",
        lambda path, box: decoded.append(path.name) or time.sleep(0.02) or Unreadable("test"),
    )
    prefetcher = Prefetcher(folder, workers=1)
    prefetcher.request(["0.png", "1.png", "2.png"], (10, 10))
    wait_for(prefetcher, "0.png")
    prefetcher.request(["4.png", "2.png"], (10, 10))
    wait_for(prefetcher, "4.png", "2.png")
    prefetcher.close()
    assert decoded.index("4.png") < decoded.index("2.png")


def test_the_cache_is_bounded(pictures, monkeypatch):
    folder = pictures()
    monkeypatch.setattr(module, "BUDGET", 2.5 * 120 * 80 * 3)
    prefetcher = Prefetcher(folder, workers=1)
    for number in range(5):
        prefetcher.request([f"{number}.png"], (120, 120))
        wait_for(prefetcher, f"{number}.png")
    cached = [number for number in range(5) if isinstance(prefetcher.get(f"{number}.png"), Picture)]
    assert cached == [3, 4]
    prefetcher.request(["4.png", "0.png", "1.png"], (120, 120))  # more than there is room for
    time.sleep(0.1)
    assert prefetcher._cached_bytes() <= 4 * 120 * 80 * 3
    assert prefetcher.get("4.png")
    prefetcher.close()
