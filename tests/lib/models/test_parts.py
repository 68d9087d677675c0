from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.models import parts
from lib.models.parts import layer_name, layers
from lib.models.resnet18 import resnet18
from lib.models.small_cnn import small_cnn
from lib.models.timm_networks import timm_network

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def test_a_classifier_normalises_and_resizes_by_itself():
    body, head = torch.nn.Flatten(), torch.nn.Identity()
    model = parts.Classifier(body, head, MEAN, STD, image_size=6)
    pixels = torch.rand(2, 3, 4, 4)
    resized = F.interpolate(pixels, (6, 6), mode="bilinear", align_corners=False)
    expected = (resized - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(model(pixels), expected.flatten(1))


class Net(nn.Module):
    """Its logits depend on its mode, through dropout and batch normalisation."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.frozen = nn.BatchNorm2d(3).eval()
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 3))

    def forward(self, pixels):
        return self.head(self.frozen(self.norm(pixels)))


@pytest.mark.parametrize("count", [0, 1, 5, 7])
def test_predict_is_one_forward_pass_in_evaluation_mode(count):
    torch.manual_seed(0)
    model = Net()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, 4, 4), dtype=torch.uint8, generator=generator)
    modes = [module.training for module in model.modules()]
    logits = parts.predict(model, images, batch_size=3)
    assert [module.training for module in model.modules()] == modes
    assert model.norm.num_batches_tracked == 0
    with torch.no_grad():
        expected = model.eval()(images / 255)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-6)


def test_modes_are_restored_after_an_error():
    model = Net()
    with pytest.raises(RuntimeError):
        parts.predict(model, torch.zeros(2, 3, 9, 9, dtype=torch.uint8))
    assert model.training
    assert not model.frozen.training


def test_a_batch_norm_that_meets_one_place_of_a_picture_needs_two_pictures():
    def network(trains):
        norm = nn.BatchNorm2d(3).requires_grad_(trains)
        body = nn.Sequential(nn.MaxPool2d(4), norm, nn.Flatten())
        return parts.Classifier(body, nn.Identity(), MEAN, STD)

    model = network(trains=True).train()
    assert parts.needs_two(model, 7)  # its map is one place
    assert not parts.needs_two(model, 8)  # four places
    assert not parts.needs_two(network(trains=False), 7)
    assert model.training
    model(torch.rand(2, 3, 7, 7))  # as if never asked
    with pytest.raises(ValueError, match="more than 1 value"):
        model(torch.rand(1, 3, 7, 7))


def test_layers_have_a_readers_names_and_no_two_the_same():
    mean = (0.0, 0.0, 0.0)
    small, resnet = small_cnn(3, mean, mean, width=4), resnet18(3, mean, mean)
    lite0, convnext = (
        timm_network(name, 3, mean, mean) for name in ("tf_efficientnet_lite0", "convnext_atto")
    )
    for model, expected in (
        (
            small,
            {
                "body.whitening": "whitening convolution",
                "body.block2": "block 2",
                "body.block2.0": "block 2, first convolution",
                "body.block2.4": "block 2, second convolution",
                "body.pool": "global max pooling",
                "head.0": "head",
            },
        ),
        (
            resnet,
            {
                "body.conv1": "stem convolution",
                "body.layer2": "stage 2",
                "body.layer2.0.conv2": "stage 2, block 1, second convolution",
                "body.layer2.0.downsample.0": "stage 2, block 1, shortcut",
                "body.layer4.1.conv1": "stage 4, block 2, first convolution",
            },
        ),
        (
            lite0,
            {
                "body.conv_stem": "stem convolution",
                "body.blocks_5": "stage 6",
                "body.blocks_5.3": "stage 6, block 4",
                "body.blocks_5.3.conv_pwl": "stage 6, block 4, third convolution",
                "body.conv_head": "last convolution",
            },
        ),
        (
            convnext,
            {
                "body.stages_1": "stage 2",
                "body.stages_1.downsample.1": "stage 2, downsampling",
                "body.stages_1.blocks.0.conv_dw": "stage 2, block 1, convolution",
            },
        ),
    ):
        assert {name: layer_name(model, name) for name in expected} == expected
        weighted = [
            layer_name(model, name)
            for name, module in model.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear)
        ]
        assert len(set(weighted)) == len(weighted)
    assert layers(small, 16)["module"].tolist()[2:4] == ["body.block1", "body.block2"]


def test_a_layer_without_words_keeps_its_name():
    odd = nn.Sequential(OrderedDict(inner=nn.Sequential(nn.Conv2d(3, 3, 1)), what=nn.Softmax()))
    assert layer_name(odd, "inner.0") == "inner.0"
    assert layer_name(odd, "what") == "what"
    with pytest.raises(AttributeError, match="absent"):
        layer_name(odd, "absent")
