"""Every operation against torchvision's, and every draw against what its paper promises."""

import itertools

import pytest
import torch
from torch.nn.functional import interpolate, pad
from torchvision.transforms import v2

from lib.training import augment, randaugment

SIZES = [(8, 8), (16, 16), (32, 32), (24, 40)]
# These end in a float that is cut to a whole level: where it is whole but for rounding, the order
# of multiplications and additions decides on which side it falls.
TRUNCATED = {"Brightness", "Color", "Contrast", "Sharpness", "AutoContrast"}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(n=8, size=(32, 32), seed=0):
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=seeded(seed))


def smooth_images(n=8, size=(32, 32), seed=0):
    coarse = torch.rand(n, 3, 4, 4, generator=seeded(seed)) * 255
    return interpolate(coarse, size=size, mode="bicubic").clamp(0, 255).to(torch.uint8)


def coordinate_images(n, size):
    """Channel 0 holds each pixel's row, channel 1 its column: pictures that tell their moves."""
    rows = torch.arange(size[0], dtype=torch.uint8)[:, None].expand(size)
    columns = torch.arange(size[1], dtype=torch.uint8).expand(size)
    return torch.stack([rows, columns, torch.zeros_like(rows)]).repeat(n, 1, 1, 1)


def changed_by(name, images, strength):
    """All pictures changed by one operation of RandAugment."""
    choice = torch.full((len(images),), randaugment.OPERATIONS.index(name))
    negative = torch.full_like(choice, strength < 0)
    return randaugment._apply_chosen(images, choice, negative, abs(strength))


# RandAugment


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make_images", [random_images, smooth_images])
@pytest.mark.parametrize("name", randaugment.OPERATIONS)
def test_operation_equals_torchvision(name, make_images, size):
    images = make_images(size=size)
    peer = v2.RandAugment()
    magnitudes, signed = peer._AUGMENTATION_SPACE[name]
    assert signed == (name in randaugment.SIGNED)
    # Odd magnitudes only: at some even ones a shear falls exactly between two pixels, or Solarize's
    # threshold exactly on a value, and float32 rounding decides.
    for magnitude in (1, 5, 9, 17, 29):
        for sign in (1, -1) if signed else (1,):
            levels = magnitudes(31, *size)
            level = 0.0 if levels is None else float(levels[magnitude])
            expected = peer._apply_image_or_video_transform(
                images, name, level * sign, peer.interpolation, peer._fill
            )
            strength = sign * magnitude / 30
            changed = changed_by(name, images, strength)
            difference = (changed.int() - expected.int()).abs()
            assert difference.max() <= (1 if name in TRUNCATED else 0), (magnitude, sign)
            assert difference.float().mean() < 0.05


def plainly(name, image, strength):
    """One picture uint8 (3, H, W) changed by the operation's formula, a value at a time."""
    _, height, width = image.shape
    values, levels = image.float(), image.tolist()
    if name in randaugment.WARPS:
        x = torch.arange(width, dtype=torch.float64)
        y = torch.arange(height, dtype=torch.float64)[:, None]
        places = (place.round() for place in randaugment.WARPS[name](x, y, strength))
        from_x, from_y = (place.tolist() for place in torch.broadcast_tensors(*places))
        changed = torch.zeros_like(image)
        for i, j in itertools.product(range(height), range(width)):
            row, column = int(from_y[i][j]), int(from_x[i][j])
            if 0 <= row < height and 0 <= column < width:
                changed[:, i, j] = image[:, row, column]
        return changed
    if name in randaugment.BLENDS:
        degenerate = randaugment.BLENDS[name](values[None])[0]
        return torch.lerp(degenerate, values, 1 + 0.9 * strength).clamp(0, 255).to(torch.uint8)
    if name == "Posterize":
        return image // 2 ** round(4 * strength) * 2 ** round(4 * strength)
    if name == "Solarize":
        return torch.where(values >= 255 * (1 - strength), 255 - image, image)
    if name == "AutoContrast":
        low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
        return torch.where(low == high, values, (values - low) * 255 / (high - low)).byte()
    if name == "Equalize":
        for channel in levels:
            flat = sorted(itertools.chain(*channel))
            step = (len(flat) - flat.count(flat[-1])) // 255
            if step:
                table = {v: min((flat.index(v) + step // 2) // step, 255) for v in set(flat)}
                channel[:] = [[table[value] for value in row] for row in channel]
    return torch.tensor(levels, dtype=torch.uint8)


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (17, 24)])
@pytest.mark.parametrize("name", randaugment.OPERATIONS)
def test_operation_equals_its_formula_to_the_last_level(name, size):
    images = torch.cat([random_images(2, size), smooth_images(2, size)])
    signs = (1, -1) if name in randaugment.SIGNED else (1,)
    for magnitude, sign in itertools.product(range(31), signs):
        strength = sign * magnitude / 30
        expected = torch.stack([plainly(name, image, strength) for image in images])
        assert torch.equal(changed_by(name, images, strength), expected), (magnitude, sign)


def test_operations_are_torchvisions():
    assert set(randaugment.OPERATIONS) == set(v2.RandAugment._AUGMENTATION_SPACE)


@pytest.mark.parametrize("name", ["AutoContrast", "Equalize", "Color", "Contrast", "Sharpness"])
def test_constant_grey_stays_itself(name):
    images = torch.full((2, 3, 32, 32), 77, dtype=torch.uint8)
    for strength in (0.3, -0.7):
        changed = changed_by(name, images, strength)
        # the published weights of red, green and blue sum to 0.9999: grey 77 becomes 76
        assert (changed.int() - 77).abs().max() <= (1 if name in ("Color", "Contrast") else 0)


def test_each_picture_gets_the_operation_and_sign_it_drew():
    images = smooth_images(56)
    shuffle = torch.randperm(56, generator=seeded())
    choice = torch.arange(14).repeat(4)[shuffle]
    negative = torch.arange(2).repeat_interleave(28)[shuffle]
    changed = randaugment._apply_chosen(images, choice, negative, 0.3)
    for i in range(56):
        name = list(randaugment.OPERATIONS)[choice[i]]
        strength = -0.3 if negative[i] and name in randaugment.SIGNED else 0.3
        alone = changed_by(name, images[i : i + 1], strength)
        assert torch.equal(changed[i : i + 1], alone)


def test_operations_are_drawn_uniformly(monkeypatch):
    drawn = []

    def record(images, choice, negative, strength):
        assert strength == 9 / 30
        drawn.append((choice, negative))
        return images

    monkeypatch.setattr(randaugment, "_apply_chosen", record)
    n = 14_000
    randaugment.rand_augment(torch.zeros(n, 3, 8, 8, dtype=torch.uint8), seeded(), magnitude=9)
    assert len(drawn) == 2
    assert not torch.equal(drawn[0][0], drawn[1][0])
    for choice, negative in drawn:
        counts = torch.bincount(choice, minlength=14)
        chi_square = ((counts - n / 14) ** 2 / (n / 14)).sum()
        assert chi_square < 34.5  # the 99.9 % point for 13 degrees of freedom
        assert abs(negative.float().mean() - 0.5) < 0.02


def test_magnitude_outside_the_bins_is_refused():
    with pytest.raises(ValueError, match=r"31.*0\.\.30"):
        randaugment.rand_augment(random_images(), seeded(), magnitude=31)


# Flip and crop


@pytest.mark.parametrize("size", SIZES)
def test_crop_is_reflect_padding_and_a_slice(size):
    images = random_images(64, size)
    cropped = augment.random_crop(images, seeded())
    padding = min(size) // 8
    padded = pad(images, (padding,) * 4, mode="reflect")
    moves = [(y, x) for y in range(2 * padding + 1) for x in range(2 * padding + 1)]
    windows = torch.stack([padded[:, :, y : y + size[0], x : x + size[1]] for y, x in moves])
    matches = (windows == cropped).all(dim=(2, 3, 4))
    assert (matches.sum(0) == 1).all()
    assert len(matches.float().argmax(0).unique()) > min(len(moves) // 2, 20)


def test_crop_reaches_every_shift_equally_often():
    cropped = augment.random_crop(coordinate_images(8100, (32, 32)), seeded())
    middle = cropped[:, :2, 16, 16].int() - 16
    shifts = (middle[:, 0] + 4) * 9 + middle[:, 1] + 4
    counts = torch.bincount(shifts, minlength=81)
    assert ((counts - 100) ** 2 / 100).sum() < 124.8  # the 99.9 % point for 80 degrees


def test_a_crop_moves_by_its_padding_at_most():
    pixels = torch.arange(3.0 * 40 * 40).view(1, 3, 40, 40).repeat(64, 1, 1, 1)
    moved = augment.random_crop(pixels, seeded(), padding=2)
    found = {
        (down, right)
        for down in range(5)
        for right in range(5)
        if any(
            torch.equal(one, pixels[0, :, down : down + 36, right : right + 36])
            for one in moved[..., 2:-2, 2:-2]
        )
    }
    assert moved.shape == pixels.shape
    assert len(found) > 15


@pytest.mark.parametrize("size", SIZES)
def test_flip_mirrors_about_half_of_the_pictures(size):
    images = random_images(400, size)
    flipped = augment.random_flip(images, seeded())
    mirrored = (flipped == images.flip(3)).all(dim=(1, 2, 3))
    untouched = (flipped == images).all(dim=(1, 2, 3))
    assert (mirrored ^ untouched).all()
    assert 150 < mirrored.sum() < 250


def test_flip_crop_mirrors_only_when_asked():
    images = coordinate_images(200, (32, 32))
    inner = slice(8, 24)  # away from the reflected edges, where columns run backwards anyway
    step = {
        flip: augment.flip_crop(images, seeded(), flip)[:, 1, 0, inner].int().diff(dim=1)
        for flip in (True, False)
    }
    assert (step[False] == 1).all()
    assert (step[True].abs() == 1).all()
    assert 60 < (step[True][:, 0] == -1).sum() < 140
    assert torch.equal(
        augment.flip_crop(images, seeded(), flip=False), augment.random_crop(images, seeded())
    )


# Cutout, MixUp, CutMix


@pytest.mark.parametrize("size", SIZES)
def test_cutout_covers_a_clipped_grey_square(size):
    images = torch.zeros(300, 3, *size, dtype=torch.uint8)
    covered = augment.cutout(images, seeded())
    assert set(covered.unique().tolist()) == {0, 128}
    mask = covered[:, 0] == 128
    heights, widths = mask.any(2).sum(1), mask.any(1).sum(1)
    side = min(size) // 2
    assert torch.equal(mask.sum((1, 2)), heights * widths)  # a full rectangle
    assert heights.max() == widths.max() == side
    assert heights.min() == widths.min() == side // 2  # the centre lies on a border
    assert (covered == covered[:, :1]).all()


def test_mixup_blends_pixels_and_targets_alike():
    n = 256
    one_lit_channel = torch.eye(n, dtype=torch.uint8)[:, :, None, None].repeat(1, 1, 4, 4) * 255
    mixed, mixed_targets = augment.mixup(one_lit_channel, torch.eye(n), seeded())
    assert torch.allclose(mixed, mixed_targets[:, :, None, None].expand_as(mixed))
    kept = mixed_targets.diagonal()
    assert abs(kept.mean() - 0.5) < 0.06
    assert abs(kept.std() - 12**-0.5) < 0.03  # of the uniform distribution
    partners = (mixed_targets - torch.diag(kept)).argmax(1)
    assert len(partners.unique()) > 0.98 * n


@pytest.mark.parametrize("size", SIZES)
def test_cutmix_targets_equal_the_share_really_pasted(size):
    n = 256
    numbered = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, *size)
    mixed, targets = augment.cutmix(numbered, torch.eye(n), seeded())
    assert (mixed == mixed[:, :1]).all()
    origin = mixed[:, 0].flatten(1).long()
    shares = torch.zeros(n, n).scatter_add_(1, origin, torch.ones(origin.shape))
    shares /= origin.shape[1]
    assert torch.allclose(targets, shares, atol=1e-6)
    foreign = mixed[:, 0] != torch.arange(n)[:, None, None]
    assert torch.equal(foreign.sum((1, 2)), foreign.any(1).sum(1) * foreign.any(2).sum(1))
    pasted = 1 - targets.diagonal()
    assert 0.1 < pasted.mean() < 0.5
    assert pasted.min() < 0.05
    assert pasted.max() > 0.7


# Policies


def batch(n, size):
    return smooth_images(n, size), torch.randint(0, 10, (n,), generator=seeded(1))


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", [1, 33])
@pytest.mark.parametrize("policy", augment.POLICIES)
def test_policy_keeps_its_contract(policy, n, size, flip):
    images, labels = batch(n, size)
    before = images.clone()
    pixels, targets = augment.augment(images, labels, policy, 10, seeded(), flip)
    assert pixels.shape == images.shape
    assert pixels.dtype == targets.dtype == torch.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert targets.shape == (n, 10)
    assert torch.allclose(targets.sum(1), torch.ones(n))
    assert (targets[torch.arange(n), labels] > 0).all()
    assert ((targets > 0).sum(1) <= (2 if policy in ("mixup", "cutmix") else 1)).all()
    assert torch.equal(images, before)


@pytest.mark.parametrize("policy", augment.POLICIES[1:])
def test_policy_repeats_with_its_seed_alone(policy):
    images, labels = batch(33, (32, 32))
    pixels, targets = augment.augment(images, labels, policy, 10, seeded(5))
    again, targets_again = augment.augment(images, labels, policy, 10, seeded(5))
    other, _ = augment.augment(images, labels, policy, 10, seeded(6))
    assert torch.equal(pixels, again)
    assert torch.equal(targets, targets_again)
    assert not torch.equal(pixels, other)


# The pixels' correlation with fixed noise. Other draws move it by tens, rounding by less than 0.01.
DRAWN = {
    "none": 724.86,
    "flip_crop": 469.66,
    "randaugment": 659.84,
    "cutout": 465.74,
    "mixup": 386.50,
    "cutmix": 404.61,
}


@pytest.mark.parametrize("policy", augment.POLICIES)
def test_a_seed_still_draws_what_stored_runs_drew(policy):
    images, labels = batch(64, (32, 32))
    pixels, _ = augment.augment(images, labels, policy, 10, seeded(5))
    noise = torch.randn(pixels.shape, generator=seeded(6))
    assert (pixels * noise).sum().item() == pytest.approx(DRAWN[policy], abs=0.1)


@pytest.mark.parametrize("policy", [name for name in augment.POLICIES if name != "mixup"])
def test_pixels_come_in_the_layout_that_networks_read(policy):
    images, labels = batch(5, (24, 40))
    pixels, _ = augment.augment(images, labels, policy, 10, seeded())
    assert pixels.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("policy", augment.POLICIES[1:])
def test_each_picture_has_its_own_draw(policy):
    images = smooth_images(1).repeat(32, 1, 1, 1)
    if policy in ("mixup", "cutmix"):
        images[::2] = 255 - images[::2]
    pixels, _ = augment.augment(images, torch.zeros(32, dtype=torch.long), policy, 10, seeded())
    assert len(pixels.flatten(1).unique(dim=0)) > 25


def test_none_changes_nothing_but_the_scale():
    images, labels = batch(4, (32, 32))
    pixels, targets = augment.augment(images, labels, "none", 10, seeded())
    assert torch.equal(pixels.mul(255).round().to(torch.uint8), images)
    assert torch.equal(targets.argmax(1), labels)


def test_unknown_policy_names_the_known_ones():
    images, labels = batch(2, (8, 8))
    with pytest.raises(ValueError, match=r"'mixip'.*flip_crop.*mixup"):
        augment.augment(images, labels, "mixip", 10, seeded())


def test_memory_layout_does_not_matter():
    images, labels = batch(5, (24, 40))
    interleaved = images.contiguous(memory_format=torch.channels_last)
    for policy in augment.POLICIES:
        expected, _ = augment.augment(images, labels, policy, 10, seeded())
        pixels, _ = augment.augment(interleaved, labels, policy, 10, seeded())
        assert torch.equal(pixels, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("policy", augment.POLICIES)
def test_policy_stays_on_the_device(policy):
    images, labels = (tensor.cuda() for tensor in batch(33, (32, 32)))
    generator = torch.Generator("cuda").manual_seed(0)
    pixels, targets = augment.augment(images, labels, policy, 10, generator)
    assert pixels.is_cuda
    assert torch.allclose(targets.sum(1), torch.ones(33, device="cuda"))


def test_float_images_are_refused():
    images, labels = batch(2, (8, 8))
    with pytest.raises(ValueError, match="uint8"):
        augment.augment(images.float(), labels, "none", 10, seeded())
