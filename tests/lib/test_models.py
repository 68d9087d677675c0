import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lib import models
from lib.recipe import Recipe
from lib.runs import RunStore
from lib.training import begin

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.mark.parametrize("size", [4, 8, 16, 32, 48])
def test_small_cnn_takes_pictures_of_any_size(size):
    model = models.build(Recipe(width=4), 7, MEAN, STD).eval()
    assert model(torch.rand(2, 3, size, size)).shape == (2, 7)


def test_the_seed_decides_the_weights_and_nothing_else_is_touched():
    before = torch.get_rng_state()
    first, again, other = (
        models.build(Recipe(width=4, seed=seed), 3, MEAN, STD).state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    name = "head.0.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


def test_a_classifier_normalises_and_resizes_by_itself():
    body, head = torch.nn.Flatten(), torch.nn.Identity()
    model = models.Classifier(body, head, MEAN, STD, image_size=6)
    pixels = torch.rand(2, 3, 4, 4)
    resized = F.interpolate(pixels, (6, 6), mode="bilinear", align_corners=False)
    expected = (resized - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(model(pixels), expected.flatten(1))


def test_whitening_decorrelates_the_patches_it_was_fitted_on():
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(200, 3, 8, 8, generator=generator)
    smooth = F.avg_pool2d(rough, 3, stride=1, padding=1).mul(255).byte()
    model = models.build(Recipe(width=4), 3, MEAN, STD)
    models.whiten(model, smooth, epsilon=1e-7)
    with torch.no_grad():
        whitened = model.body.whitening((smooth / 255 - model.mean) / model.std)[:, :12]
    rows = whitened.transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(rows @ rows.T / rows.shape[1], np.eye(12), atol=0.01)
    assert not model.body.whitening.weight.requires_grad


def test_whitening_survives_grey_pictures():
    grey = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8).expand(-1, 3, -1, -1)
    model = models.build(Recipe(width=4), 3, MEAN, STD)
    models.whiten(model, grey)
    assert model(grey / 255).isfinite().all()


def test_the_maps_of_32_px_pictures_keep_8_px_for_attribution():
    model = models.build(Recipe(), 10, MEAN, STD)
    table = models.layers(model, 32).set_index("layer")
    assert table.loc["block2", "output"] == "128 × 8 × 8"
    assert table["parameters"].sum() == models.count_parameters(model)[1]


@pytest.mark.parametrize("width", [4, 32])
def test_identity_lets_the_input_through_every_convolution_of_a_block(width):
    model = models.build(Recipe(width=width), 3, MEAN, STD)
    for block in ("block1", "block2", "block3"):
        for layer in model.body.get_submodule(block):
            if isinstance(layer, torch.nn.Conv2d):
                x = torch.rand(1, layer.in_channels, 5, 5)
                kept = min(layer.in_channels, layer.out_channels)
                assert torch.equal(layer(x)[:, :kept], x[:, :kept])
    plain = models.build(Recipe(width=width, identity=False), 3, MEAN, STD)
    assert not torch.equal(plain.body.block1[0].weight, model.body.block1[0].weight)


def test_without_whitening_the_first_convolution_trains(tiny):
    recipe = Recipe(width=4, whitening=False, epochs=1)
    model = begin(recipe, tiny, RunStore(), torch.device("cpu"), "fp32").model
    assert all(parameter.requires_grad for parameter in model.body.whitening.parameters())
