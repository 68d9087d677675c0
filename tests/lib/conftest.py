"""What tests of several packages need: a file of pretrained weights, and recipes that use it."""

import pytest
import torch
import torchvision

from lib.training.pretraining import pretrained
from lib.training.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def resnet_file(tmp_path_factory):
    """Torchvision's state dict of a ResNet-18 with weights of its own."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        torch.save(torchvision.models.resnet18().state_dict(), path)
    return path


def recipe_from(path, **choices):
    """A ResNet-18's recipe that starts from a file of weights."""
    (name,) = pretrained(str(path), None, None, None)
    return Recipe(model="resnet18", weights=name, epochs=2, batch_size=32, lr=0.02, **choices)
