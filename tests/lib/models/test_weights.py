import hashlib

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from lib.errors import UserError
from lib.models import weights
from lib.training import loop
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from tests.lib.conftest import CPU, recipe_from


def test_imagenet_comes_from_torchs_cache_with_its_own_normalisation(
    tiny, resnet_file, tmp_path, monkeypatch
):
    name = "resnet18-" + hashlib.sha256(resnet_file.read_bytes()).hexdigest()[:8] + ".pth"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / name).write_bytes(resnet_file.read_bytes())
    source = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(
        type(source), "url", property(lambda _: f"https://nowhere.invalid/{name}"), raising=False
    )
    recipe = Recipe(model="resnet18", weights="imagenet")
    model = loop.begin(recipe, tiny, RunStore(), CPU, "fp32").model
    assert model.mean.flatten().tolist() == pytest.approx(weights.IMAGENET_MEAN)
    expected = torch.load(resnet_file, weights_only=True)["conv1.weight"]
    assert torch.equal(model.body.conv1.weight, expected)


def test_without_network_imagenet_says_which_file_belongs_where(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(UserError, match=r"put resnet18-\w+\.pth from https.*into .*checkpoints"):
        weights.imagenet()


def write_wrong_shape(path):
    state = torchvision.models.resnet18().state_dict()
    state["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    torch.save(state, path)


def write_extra_key(path):
    torch.save(torchvision.models.resnet18().state_dict() | {"extra": torch.zeros(1)}, path)


def write_another_network(path):
    save_file({"weight": torch.zeros(2)}, path)


def write_no_tensors(path):
    torch.save({"epoch": 3}, path)


def write_noise(path):
    path.write_bytes(b"not weights")


@pytest.mark.parametrize(
    ("write", "name", "words"),
    [
        (write_wrong_shape, "a.pth", r"conv1\.weight has shape \(64, 3, 3, 3\)"),
        (write_extra_key, "a.pth", "holds extra, which a ResNet-18 lacks"),
        (write_another_network, "a.safetensors", "lacks conv1.weight"),
        (write_no_tensors, "a.pth", "should hold a state dict"),
        (write_noise, "a.pth", "not a file of weights"),
        (write_noise, "a.safetensors", "not a file of weights"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(tiny, tmp_path, write, name, words):
    write(tmp_path / name)
    with pytest.raises(UserError, match=words) as raised:
        loop.begin(recipe_from(tmp_path / name), tiny, RunStore(), CPU, "fp32")
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*gone\.pth: No such file"):
        recipe_from(tmp_path / "gone.pth")
