import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lib.models.parts import count_parameters, layers
from lib.models.small_cnn import small_cnn, whiten

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.mark.parametrize("size", [4, 8, 16, 32, 48])
def test_small_cnn_takes_pictures_of_any_size(size):
    model = small_cnn(7, MEAN, STD, width=4).eval()
    assert model(torch.rand(2, 3, size, size)).shape == (2, 7)


def test_whitening_decorrelates_the_patches_it_was_fitted_on():
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(200, 3, 8, 8, generator=generator)
    smooth = F.avg_pool2d(rough, 3, stride=1, padding=1).mul(255).byte()
    model = small_cnn(3, MEAN, STD, width=4)
    whiten(model, smooth, epsilon=1e-7)
    with torch.no_grad():
        whitened = model.body.whitening((smooth / 255 - model.mean) / model.std)[:, :12]
    rows = whitened.transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(rows @ rows.T / rows.shape[1], np.eye(12), atol=0.01)
    assert not model.body.whitening.weight.requires_grad


def test_whitening_survives_grey_pictures():
    grey = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8).expand(-1, 3, -1, -1)
    model = small_cnn(3, MEAN, STD, width=4)
    whiten(model, grey)
    assert model(grey / 255).isfinite().all()


def test_the_maps_of_32_px_pictures_keep_8_px_for_attribution():
    model = small_cnn(10, MEAN, STD)
    table = layers(model, 32).set_index("layer")
    assert table.loc["block 2", "output"] == "128 × 8 × 8"
    assert table["parameters"].sum() == count_parameters(model)[1]


@pytest.mark.parametrize("width", [4, 32])
def test_identity_lets_the_input_through_every_convolution_of_a_block(width):
    model = small_cnn(3, MEAN, STD, width=width)
    for block in ("block1", "block2", "block3"):
        for layer in model.body.get_submodule(block):
            if isinstance(layer, torch.nn.Conv2d):
                x = torch.rand(1, layer.in_channels, 5, 5)
                kept = min(layer.in_channels, layer.out_channels)
                assert torch.equal(layer(x)[:, :kept], x[:, :kept])
    plain = small_cnn(3, MEAN, STD, width=width, identity=False)
    assert not torch.equal(plain.body.block1[0].weight, model.body.block1[0].weight)
