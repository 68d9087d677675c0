import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib.diagnosis import corruptions
from lib.diagnosis.corruptions import CORRUPTIONS, SEVERITIES, corrupted

RANDOM = ("gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "fog")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=6, height=32, width=32, seed=0):
    """Smooth pictures with some texture, as a photograph has."""
    generator = seeded(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    texture = 0.04 * torch.randn(count, 3, height, width, generator=generator)
    return ((smooth + texture).clamp(0, 1) * 255).to(torch.uint8)


def to_pillow(image):
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def from_pillow(image):
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


@pytest.mark.parametrize("size", [(32, 32), (16, 16), (1, 1), (9, 21), (224, 160)])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_any_size_and_the_pictures_stay_as_they_were(name, size):
    images = pictures(2, *size)
    before = images.clone()
    result = corrupted(images, name, 3, seeded())
    assert result.shape == images.shape
    assert result.dtype == torch.uint8
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_seeded_and_random_for_each_picture(name):
    images = pictures(1).expand(4, -1, -1, -1)
    first = corrupted(images, name, 5, seeded(1))
    assert torch.equal(first, corrupted(images, name, 5, seeded(1)))
    is_random = name in RANDOM
    assert torch.equal(first, corrupted(images, name, 5, seeded(2))) is not is_random
    assert torch.equal(first[0], first[1]) is not is_random


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_greater_severity_changes_pictures_more(name, size):
    images = pictures(64, size, size)
    change = [
        (corrupted(images, name, severity, seeded()).float() - images).square().mean().item()
        for severity in range(1, 6)
    ]
    assert change[0] > 0
    if name != "pixelate":  # how far a grid is off changes what it takes away, too
        assert change == sorted(change)
    assert change[4] > 1.3 * change[0]


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_pictures_stay_finite(name, value):
    images = torch.full((2, 3, 8, 8), value, dtype=torch.uint8)
    result = corrupted(images, name, 5, seeded()).float()
    expected = {"brightness": min(255, value + 76.5), "fog": value}.get(name, value)
    tolerance = 140 if name in ("gaussian_noise", "shot_noise", "impulse_noise", "fog") else 1
    assert (result.mean() - expected).abs() <= tolerance


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [(32, 32), (16, 16), (30, 45)])
def test_jpeg_is_pillows(severity, size):
    images = pictures(4, *size)
    ours = corrupted(images, "jpeg", severity, seeded())
    (quality,) = SEVERITIES["jpeg"][1][severity - 1]
    theirs = []
    for image in images:
        buffer = io.BytesIO()
        to_pillow(image).save(buffer, "JPEG", quality=quality)
        theirs.append(from_pillow(Image.open(buffer)))
    difference = (ours.float() - torch.stack(theirs)).abs().mean()
    loss = (images.float() - torch.stack(theirs)).abs().mean()
    # Not quite the same: libjpeg computes in whole numbers, and may round a cosine the other way.
    assert difference < 0.3 * loss


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [(32, 32), (16, 16), (16, 64)])
def test_pixelate_is_pillows(severity, size):
    images = pictures(3, *size)
    ours = corrupted(images, "pixelate", severity, seeded())
    (factor,) = SEVERITIES["pixelate"][1][severity - 1]
    height, width = size
    for image, result in zip(images, ours, strict=True):
        small = to_pillow(image).resize(
            (int(width * factor), int(height * factor)), Image.Resampling.BOX
        )
        theirs = from_pillow(small.resize((width, height), Image.Resampling.BOX))
        assert (result.float() - theirs.float()).abs().max() <= 1


@pytest.mark.parametrize("severity", range(1, 6))
def test_brightness_is_pillows_value(severity):
    images = pictures(3)
    ours = corrupted(images, "brightness", severity, seeded())
    (gain,) = SEVERITIES["brightness"][1][severity - 1]
    for image, result in zip(images, ours, strict=True):
        hue, saturation, value = to_pillow(image).convert("HSV").split()
        raised = value.point(lambda v, gain=gain: min(255, round(v + 255 * gain)))
        theirs = from_pillow(Image.merge("HSV", (hue, saturation, raised)).convert("RGB"))
        difference = (result.float() - theirs.float()).abs()
        assert difference.mean() < 1.5  # Pillow's hue and saturation have 8 bits


def test_noise_has_the_stated_strength():
    grey = torch.full((50, 3, 32, 32), 0.5)
    noise = corruptions.gaussian_noise(grey, seeded(), 0.08) - grey
    assert noise.std().item() == pytest.approx(0.08, rel=0.02)
    shot = corruptions.shot_noise(grey, seeded(), 100)
    assert shot.mean().item() == pytest.approx(0.5, rel=0.01)
    assert shot.var().item() == pytest.approx(0.5 / 100, rel=0.02)
    impulse = corruptions.impulse_noise(grey, seeded(), 0.06)
    assert (impulse == 0).float().mean().item() == pytest.approx(0.03, rel=0.1)
    assert (impulse == 1).float().mean().item() == pytest.approx(0.03, rel=0.1)


def test_contrast_keeps_the_mean_and_scales_the_rest():
    pixels = pictures(3) / 255
    result = corruptions.contrast(pixels, seeded(), 0.4)
    torch.testing.assert_close(result.mean(dim=(2, 3)), pixels.mean(dim=(2, 3)))
    torch.testing.assert_close(result.std(dim=(2, 3)), 0.4 * pixels.std(dim=(2, 3)))


def impulse_response(blur, size=33):
    pixels = torch.zeros(8, 3, size, size)
    pixels[:, :, size // 2, size // 2] = 1
    return blur(pixels)


@pytest.mark.parametrize(("radius", "softness"), SEVERITIES["defocus_blur"][1])
def test_defocus_is_a_disk_as_wide_as_stated(radius, softness):
    response = impulse_response(lambda p: corruptions.defocus_blur(p, seeded(), radius, softness))
    assert response.sum(dim=(2, 3)) == pytest.approx(torch.ones(8, 3).numpy())
    torch.testing.assert_close(response, response.transpose(2, 3))
    torch.testing.assert_close(response, response.flip(2))
    reach = radius * 33 / 32 + 3 * softness * 33 / 32 + 2
    steps = torch.arange(33.0) - 16
    outside = steps.square()[:, None] + steps.square() > reach**2
    assert response[0, 0][outside].sum() < 1e-3


def test_a_wide_defocus_has_the_spread_of_a_disk():
    response = impulse_response(lambda p: corruptions.defocus_blur(p, seeded(), 6.0, 0.1), 65)
    steps = torch.arange(65.0) - 32
    variance = (response[0, 0].sum(dim=0) * steps.square()).sum().item()
    radius = 6.0 * 65 / 32
    assert variance == pytest.approx(radius**2 / 4, rel=0.02)


def test_motion_blur_is_a_trail_to_one_side():
    response = impulse_response(lambda p: corruptions.motion_blur(p, seeded(3), 2.5))
    steps = torch.arange(33.0) - 16
    total = response[:, 0].sum(dim=(1, 2))
    assert total == pytest.approx(np.ones(8), abs=1e-5)
    across = (response[:, 0].sum(dim=1) * steps).sum(dim=1)
    down = (response[:, 0].sum(dim=2) * steps).sum(dim=1)
    # The mean of a one-sided Gaussian, somewhat less for its sum over whole pixels.
    length = (across**2 + down**2).sqrt()
    expected = sum(i * np.exp(-(i**2) / 12.5) for i in range(9))
    expected /= sum(np.exp(-(i**2) / 12.5) for i in range(9))
    assert length.numpy() == pytest.approx(np.full(8, expected), rel=0.1)
    assert (across.abs() > down.abs()).all()
    assert len(set(down.tolist())) == 8


def test_fog_brightens_dark_places_and_keeps_the_range():
    pixels = pictures(16) / 255
    result = corruptions.fog(pixels, seeded(), 1.0, 2.0)
    assert result.min() >= 0
    assert (result.amax(dim=(1, 2, 3)) <= pixels.amax(dim=(1, 2, 3)) + 1e-6).all()
    assert result.std() < pixels.std()


@pytest.mark.parametrize("size", [1, 2, 16, 32, 33])
def test_clouds_fill_their_range_and_a_smaller_decay_is_rougher(size):
    clouds = corruptions.plasma(20, size, 2.0, seeded())
    assert clouds.shape[1] >= size
    assert clouds.amin() == 0
    if size > 1:
        assert (clouds.amax(dim=(1, 2)) == 1).all()
    if size >= 16:
        smooth = corruptions.plasma(20, size, 3.0, seeded())
        roughness = [c.diff(dim=1).abs().mean() for c in (smooth, clouds)]
        assert roughness[0] < roughness[1]


@given(
    st.sampled_from(CORRUPTIONS),
    st.integers(1, 5),
    st.tuples(st.integers(1, 3), st.just(3), st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=60, deadline=None)
def test_corrupted_fits_any_batch(name, severity, shape):
    images = torch.randint(256, shape, dtype=torch.uint8, generator=seeded())
    result = corrupted(images, name, severity, seeded())
    assert result.shape == images.shape


def test_unknown_names_and_severities_are_refused():
    with pytest.raises(
        ValueError, match="no corruption is called 'snow'; there are gaussian_noise"
    ):
        corrupted(pictures(1), "snow", 1, seeded())
    for severity in (0, 6):
        with pytest.raises(ValueError, match=f"severity {severity} is not one of 1 to 5"):
            corrupted(pictures(1), "fog", severity, seeded())
