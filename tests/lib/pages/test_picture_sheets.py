import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from lib.diagnosis.heat import VIRIDIS, png
from lib.pages.picture_sheets import Caption, before_after, captions, heatmaps, perturbations, sheet


class Reader(HTMLParser):
    """The pictures and words of a fragment."""

    def __init__(self, fragment):
        super().__init__()
        self.pictures = []
        self.words = []
        self.feed(fragment.html)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def pixels(self):
        return [decoded(picture["src"]) for picture in self.pictures]


def decoded(uri):
    """The picture (3, H, W) that a data URI holds."""
    kind, _, code = uri.partition(",")
    assert kind == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB")
    return np.asarray(image).transpose(2, 0, 1)


def pictures(count=4, height=8, width=8, grey=False):
    generator = torch.Generator().manual_seed(count)
    shape = (count, 1 if grey else 3, height, width)
    drawn = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return drawn.expand(-1, 3, -1, -1)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 20), (1, 1)])
def test_a_sheet_holds_the_very_pixels(grey, height, width):
    images = pictures(height=height, width=width, grey=grey)
    for shown, image in zip(Reader(sheet(images)).pixels, images.numpy(), strict=True):
        np.testing.assert_array_equal(shown, image)


def test_a_grey_picture_weighs_less():
    grey = pictures(1, 32, 32, grey=True)[0].numpy()
    tinted = grey.copy()
    tinted[0, 0, 0] ^= 1
    assert len(png(grey)) < 0.6 * len(png(tinted))


@pytest.mark.parametrize(
    ("side", "scale", "shown"),
    [(8, None, 96), (32, None, 96), (28, None, 84), (224, None, 224), (32, 2, 64)],
)
def test_room_is_kept_at_a_whole_factor(side, scale, shown):
    (picture,) = Reader(sheet(pictures(1, side, side), scale=scale)).pictures
    assert picture["width"] == picture["height"] == str(shown)
    assert "image-rendering:pixelated" in picture["style"]


def test_the_shape_of_a_picture_is_kept():
    (picture,) = Reader(sheet(pictures(1, 32, 20), scale=3)).pictures
    assert (picture["width"], picture["height"]) == ("60", "96")


def test_columns_limit_the_width():
    html = sheet(pictures(), columns=2, scale=4).html
    assert "repeat(auto-fill,32px)" in html
    assert "max-width:80px" in html


def test_the_same_pictures_give_the_same_bytes():
    assert sheet(pictures()).html == sheet(pictures().clone()).html


def test_an_empty_sheet():
    assert Reader(sheet(pictures(0))).pictures == []


def test_captions_from_arrays():
    found = captions(torch.tensor([0, 1]), np.array([0, 0]), [0.5, 0.876], ["cat", "dog"])
    assert found == [Caption("cat", "cat", 0.5), Caption("dog", "cat", 0.876)]
    with pytest.raises(ValueError, match="shorter"):
        captions([0, 1], [0], [0.5], ["cat"])


def test_right_and_wrong_differ_by_mark_and_word():
    right, wrong = Caption("cat", "cat", 0.9), Caption("cat", "dog", 0.8)
    assert right.text == "cat, predicted cat, 90\xa0%, correct"
    assert "✓ correct, 90\xa0%" in right.html
    assert 'class="daybook-right"' in right.html
    assert wrong.text == "cat, predicted dog, 80\xa0%, misclassified"
    assert "✗ predicted <bdi>dog</bdi>, 80\xa0%" in wrong.html
    assert 'class="daybook-wrong"' in wrong.html


def test_a_caption_without_a_prediction():
    assert Caption("cat").text == "cat"
    assert Caption("cat").right is None
    assert Caption("cat", "dog").text == "cat, predicted dog, misclassified"


def test_alternative_texts_and_words_are_escaped():
    page = Reader(sheet(pictures(2), ['<b>"', Caption("</figure>", "dog", 0.5)]))
    assert page.pictures[0]["alt"] == '<b>"'
    assert page.pictures[1]["alt"].startswith("</figure>, predicted dog")
    assert {'<b>"', "</figure>"} <= set(page.words)


def test_pictures_without_captions_are_numbered():
    assert [p["alt"] for p in Reader(sheet(pictures(2))).pictures] == ["picture 1", "picture 2"]


def test_too_few_captions_are_refused():
    with pytest.raises(ValueError, match="1 captions for 4 pictures"):
        sheet(pictures(), ["cat"])


def test_before_and_after_stand_in_columns():
    images = pictures(3)
    page = Reader(before_after(images, {"flip_crop": images.flip(-1), "mine": 255 - images}))
    assert [w for w in page.words if w.strip()] == ["original", "flip + crop", "mine"]
    expected = torch.cat([images, images.flip(-1), 255 - images]).numpy()
    for shown, image in zip(page.pixels, expected, strict=True):
        np.testing.assert_array_equal(shown, image)
    with pytest.raises(ValueError, match="different lengths"):
        before_after(images, {"mine": images[:2]})


def test_heat_lies_over_the_greyed_picture():
    images = pictures(2, 32, 32)
    heat = torch.zeros(2, 8, 8)
    heat[:, :, 4:] = 1
    page = Reader(heatmaps(images, heat))
    assert len(page.pictures) == 6
    original, below, above = page.pixels[:3]
    np.testing.assert_array_equal(original, images[0].numpy())
    grey = Image.fromarray(images[0].numpy().transpose(1, 2, 0)).convert("L")
    np.testing.assert_array_equal(below, np.broadcast_to(np.asarray(grey), (3, 32, 32)))
    cold, hot = (
        tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in VIRIDIS[:: len(VIRIDIS) - 1]
    )
    assert tuple(above[:, 16, 0]) == cold
    assert tuple(above[:, 16, -1]) == hot
    assert "opacity:var(--heat-opacity" in page.pictures[2]["style"]
    assert page.pictures[2]["alt"] == ""  # its meaning is in the text of the picture below


def test_heat_for_two_classes():
    images = pictures(2)
    heat = np.zeros((2, 4, 4))
    page = Reader(heatmaps(images, {"the prediction": heat, "the true class": heat}))
    assert len(page.pictures) == 2 * (1 + 2 * 2)
    assert page.pictures[3]["alt"] == "heatmap for the true class: picture 1"
    assert "Picture, heatmap for the prediction, heatmap for the true class" in page.words


@pytest.mark.parametrize("heat", [np.zeros((3, 4, 4)), np.zeros((2, 4, 4, 3))])
def test_heat_of_another_shape_is_refused(heat):
    with pytest.raises(ValueError, match="heat"):
        heatmaps(pictures(2), heat)


def test_heat_outside_its_range_is_cut_and_missing_heat_is_cold():
    images = pictures(1)
    odd = np.array([[[np.nan, 2.0], [-1.0, 1.0]]])
    even = np.array([[[0.0, 1.0], [0.0, 1.0]]])
    assert heatmaps(images, odd).html == heatmaps(images, even).html


def test_a_perturbation_is_amplified_around_grey():
    before = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    after = before.clone()
    after[0, 0, 0, 0], after[0, 1, 0, 0], after[0, 2, 0, 0] = 103, 97, 255
    page = Reader(perturbations(before, after, amplify=10))
    original, added, attacked = page.pixels
    np.testing.assert_array_equal(original, before[0].numpy())
    np.testing.assert_array_equal(attacked, after[0].numpy())
    assert added[:, 0, 0].tolist() == [158, 98, 255]
    assert (added[:, 1:, 1:] == 128).all()
    assert "Original, perturbation × 10, adversarial picture" in page.words
    with pytest.raises(ValueError, match="adversarial"):
        perturbations(before, after[:, :, :2])


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 1, 8, 8, dtype=torch.uint8),
    ],
)
def test_other_than_pictures_at_rest_is_refused(images):
    with pytest.raises(ValueError, match="uint8"):
        sheet(images)


@pytest.mark.parametrize("scale", [0, -1, 1.5])
def test_a_scale_that_would_blur_is_refused(scale):
    with pytest.raises(ValueError, match=re.escape(str(scale))):
        sheet(pictures(), scale=scale)
