import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from lib.diagnosis import blurs, corruptions, weather
from lib.diagnosis.corruptions import CORRUPTIONS, SEVERITIES, corrupted

RANDOM = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "motion_blur"),
    *("snow", "frost", "fog", "elastic_transform"),
)


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


def squared_error(images, result):
    return (result - images).square().mean().item()


def structure_lost(images, result):
    """1 less the squared correlation: what a change of brightness and contrast leaves alone."""
    both = torch.stack([images, result]).flatten(2)
    both = both - both.mean(dim=2, keepdim=True)
    norms = both.norm(dim=2)
    correlation = (both[0] * both[1]).sum(dim=1) / (norms[0] * norms[1])
    return 1 - correlation.square().mean().item()


# Whose strengths can't be ordered by how far values move; each has a test of its own below.
OTHER_MEASURES = {"glass_blur", "elastic_transform"}


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("name", sorted({*CORRUPTIONS} - OTHER_MEASURES))
def test_greater_severity_changes_pictures_more(name, size):
    images = pictures(64, size, size)
    measure = structure_lost if name == "frost" else squared_error  # frost also darkens
    change = [
        measure(images.float(), corrupted(images, name, severity, seeded()).float())
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
    expected = {"brightness": min(255, value + 76.5)}.get(name, value)
    added = ("gaussian_noise", "shot_noise", "impulse_noise", "snow", "frost", "fog")
    tolerance = 140 if name in added else 1
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


def impulse_response(blur, size=33, count=8):
    pixels = torch.zeros(count, 3, size, size)
    pixels[:, :, size // 2, size // 2] = 1
    return blur(pixels)


@pytest.mark.parametrize("deviation", [0.05, 0.25, 0.4, 2.3])
def test_a_gaussian_blur_is_scipys(deviation):
    pixels = pictures(2, 20, 32) / 255
    theirs = ndimage.gaussian_filter(
        pixels.numpy(), (0, 0, deviation, deviation), mode="nearest", truncate=4
    )
    np.testing.assert_allclose(blurs.gaussian_blur(pixels, deviation), theirs, atol=1e-5)


def test_glass_moves_a_pixel_up_and_left_by_one_in_each_round():
    sharp = impulse_response(lambda p: blurs.glass_blur(p, seeded(), 0.05, 2), 32, 400)
    assert set(sharp.unique().tolist()) == {0, 1}  # moved, not mixed
    rows, columns = (places.float().sub(16) for places in sharp[:, 0].nonzero()[:, 1:].T)
    assert {*rows.tolist(), *columns.tolist()} == {0, 1, 2}  # each takes what is up and left
    assert rows.mean().item() == pytest.approx(1, abs=0.15)


def test_greater_severity_of_glass_spreads_a_point_further():
    """A point's mean spread; values differ less where a wider blur smooths what was moved."""
    steps = torch.arange(33.0) - 16
    spread = []
    for softness, rounds in SEVERITIES["glass_blur"][1]:

        def blur(pixels, softness=softness, rounds=rounds):
            return blurs.glass_blur(pixels, seeded(), softness, rounds)

        mean = impulse_response(blur, count=3000)[:, 0].sum(dim=(0, 1))
        mean /= mean.sum()
        centre = (mean * steps).sum()
        spread.append((mean * (steps - centre).square()).sum().item())
    assert spread == sorted(spread)
    assert spread[0] == pytest.approx(1 / 4, rel=0.1)  # one of two places, a pixel apart
    assert spread[4] > 2 * spread[0]


@pytest.mark.parametrize("factor", [1.01, 1.02, 1.06, 1.25, 1.75, 2.25])
@pytest.mark.parametrize("size", [(32, 32), (16, 16), (30, 45)])
def test_an_enlargement_is_the_middle_of_scipys(factor, size):
    pixels = pictures(2, *size) / 255
    kept = [int(np.ceil(side / factor)) for side in size]
    top, left = ((side - part) // 2 for side, part in zip(size, kept, strict=True))
    middle = pixels[:, :, top : top + kept[0], left : left + kept[1]].numpy()
    theirs = ndimage.zoom(middle, (1, 1, factor, factor), order=1)
    top, left = ((part - side) // 2 for side, part in zip(size, theirs.shape[2:], strict=True))
    theirs = theirs[:, :, top : top + size[0], left : left + size[1]]
    np.testing.assert_allclose(blurs.zoomed(pixels, factor), theirs, atol=1e-5)


def test_zoom_blur_leaves_the_centre_sharper_than_the_rim():
    texture = torch.rand(20, 3, 32, 32, generator=seeded())
    change = (blurs.zoom_blur(texture, seeded(), 16) - texture).abs().mean(dim=(0, 1))
    assert change[12:20, 12:20].mean() < 0.8 * change[[0, -1]].mean()


def coordinates(side=32, count=50):
    """Pictures whose first two channels say where a pixel is, in shares of the side."""
    line = (torch.arange(side) + 0.5) / side
    places = torch.stack([line.expand(side, side), line[:, None].expand(side, side)])
    return torch.cat([places, torch.zeros(1, side, side)]).expand(count, -1, -1, -1)


def waves(side, *strength):
    """How far places are off the best affine map, within the picture (N,), in shares of it."""
    places = blurs.elastic_transform(coordinates(side), seeded(), *strength)
    inside = slice(side // 4, -(side // 4))
    moved = places[:, :2, inside, inside].flatten(2).transpose(1, 2)
    square = coordinates(side)[:, :2, inside, inside].flatten(2).transpose(1, 2)
    at = torch.cat([square, torch.ones_like(square[..., :1])], dim=2)
    fit = torch.linalg.lstsq(at.double(), moved.double())
    affine = at.double() @ fit.solution
    return (moved - affine).square().mean(dim=(1, 2)).sqrt(), fit.solution


@pytest.mark.parametrize("side", [16, 32, 96])
def test_an_elastic_transform_is_an_affine_map_and_waves_that_grow_with_severity(side):
    """Its affine part shrinks meanwhile, so that values move less: the waves tell the severity."""
    strengths = SEVERITIES["elastic_transform"][1]
    found = [waves(side, *strength) for strength in strengths]
    sizes = [size.mean().item() for size, _ in found]
    assert sizes[0] < 1e-4  # none in the first
    assert sizes == sorted(sizes)
    assert 0.012 < sizes[4] < 0.022  # half a pixel of 32
    shifts = [fit[:, 2].abs().mean().item() for _, fit in found]
    assert shifts == sorted(shifts, reverse=True)


def test_an_elastic_transform_moves_three_points_by_so_much_at_most():
    side, shift = 32, 0.08
    _, fit = waves(side, 0, 0, shift)
    arm = side // 3
    points = torch.tensor([[arm, arm], [arm, -arm], [-arm, -arm]], dtype=torch.float64) + 16
    inverse = torch.linalg.inv(fit[:, :2].transpose(1, 2))
    drawn_at = ((points + 0.5) / side)[None] - fit[:, 2:]
    moved = (inverse @ drawn_at.transpose(1, 2)).transpose(1, 2) * side - 0.5 - points
    assert moved.abs().max() <= shift * side + 0.01
    assert moved.abs().max() > 0.9 * shift * side


def test_snow_is_brighter_and_falls_rather_than_drifts():
    pixels = torch.full((40, 3, 32, 32), 0.2)
    fallen = weather.snow(pixels, seeded(), *SEVERITIES["snow"][1][3])
    assert fallen.min() >= 0.2
    flakes = fallen[:, 0] - fallen[:, 0].amin(dim=(1, 2), keepdim=True)
    down, across = (flakes.diff(dim=dim).abs().mean() for dim in (1, 2))
    assert down < across  # a trail along the vertical
    torch.testing.assert_close(flakes, flakes.flip(1, 2))  # and the same turned by 180 degrees


def test_frost_lays_a_part_of_a_pane_over_the_picture():
    panes = weather.frosted_panes()
    assert panes.min() >= 0
    assert panes.max() <= 1
    ice = (panes[:, 1] > 0.6).float().mean(dim=(1, 2))
    assert ((ice > 0.1) & (ice < 0.6)).all()  # both ice and clear glass on each
    pixels = pictures(30) / 255
    added = weather.frost(pixels, seeded(), 0.75, 0.45) - 0.75 * pixels
    assert added.min() >= 0
    assert added.max() <= 0.45 + 1e-6
    assert len({round(a.mean().item(), 6) for a in added}) == 30  # another part for each


def test_ice_is_grown_the_same_each_time():
    weather.frosted_panes.cache_clear()
    once = weather.frosted_panes().clone()
    weather.frosted_panes.cache_clear()
    assert torch.equal(once, weather.frosted_panes())


@pytest.mark.parametrize(("radius", "softness"), SEVERITIES["defocus_blur"][1])
def test_defocus_is_a_disk_as_wide_as_stated(radius, softness):
    response = impulse_response(lambda p: blurs.defocus_blur(p, seeded(), radius, softness))
    assert response.sum(dim=(2, 3)) == pytest.approx(torch.ones(8, 3).numpy())
    torch.testing.assert_close(response, response.transpose(2, 3))
    torch.testing.assert_close(response, response.flip(2))
    reach = radius * 33 / 32 + 3 * softness * 33 / 32 + 2
    steps = torch.arange(33.0) - 16
    outside = steps.square()[:, None] + steps.square() > reach**2
    assert response[0, 0][outside].sum() < 1e-3


def test_a_wide_defocus_has_the_spread_of_a_disk():
    response = impulse_response(lambda p: blurs.defocus_blur(p, seeded(), 6.0, 0.1), 65)
    steps = torch.arange(65.0) - 32
    variance = (response[0, 0].sum(dim=0) * steps.square()).sum().item()
    radius = 6.0 * 65 / 32
    assert variance == pytest.approx(radius**2 / 4, rel=0.02)


def test_motion_blur_is_a_trail_to_one_side():
    response = impulse_response(lambda p: blurs.motion_blur(p, seeded(3), 2.5))
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
    result = weather.fog(pixels, seeded(), 1.0, 2.0)
    assert result.min() >= 0
    assert (result.amax(dim=(1, 2, 3)) <= pixels.amax(dim=(1, 2, 3)) + 1e-6).all()
    assert result.std() < pixels.std()


@pytest.mark.parametrize("size", [1, 2, 16, 32, 33])
def test_clouds_fill_their_range_and_a_smaller_decay_is_rougher(size):
    clouds = weather.plasma(20, size, 2.0, seeded())
    assert clouds.shape[1] >= size
    assert clouds.amin() == 0
    if size > 1:
        assert (clouds.amax(dim=(1, 2)) == 1).all()
    if size >= 16:
        smooth = weather.plasma(20, size, 3.0, seeded())
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
        ValueError, match="no corruption is called 'spatter'; there are gaussian_noise"
    ):
        corrupted(pictures(1), "spatter", 1, seeded())
    for severity in (0, 6):
        with pytest.raises(ValueError, match=f"severity {severity} is not one of 1 to 5"):
            corrupted(pictures(1), "fog", severity, seeded())
