import hashlib
import pickle

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from lib.errors import UserError
from lib.models import resnet18, weights
from lib.training import backbones, steps
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from tests.lib.conftest import CPU, recipe_from


def test_imagenet_comes_from_torchs_cache_with_its_own_normalisation(
    tiny, resnet_file, tmp_path, monkeypatch
):
    place = in_torchs_cache(tmp_path, monkeypatch)
    place.write_bytes(resnet_file.read_bytes())
    digest = hashlib.sha256(resnet_file.read_bytes()).hexdigest()
    monkeypatch.setattr(weights, "IMAGENET_SHA256", digest)
    recipe = Recipe(model="resnet18", weights="imagenet")
    model = steps.begin(recipe, tiny, RunStore(), CPU).model
    assert model.mean.flatten().tolist() == pytest.approx(weights.IMAGENET_MEAN)
    expected = torch.load(resnet_file, weights_only=True)["conv1.weight"]
    assert torch.equal(model.body.conv1.weight, expected)


def in_torchs_cache(folder, monkeypatch):
    """Where torch keeps the ImageNet weights, with its cache moved to `folder`."""
    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    url = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    place = folder / "hub" / "checkpoints" / url.rpartition("/")[2]
    place.parent.mkdir(parents=True)
    return place


def test_the_imagenet_hash_is_the_one_in_torchvisions_address():
    url = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    assert url.endswith(f"/resnet18-{weights.IMAGENET_SHA256[:8]}.pth")
    assert len(weights.IMAGENET_SHA256) == 64


class Opens:
    """Unpickled without care, creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("same_prefix", [False, True])
def test_a_file_placed_as_the_imagenet_weights_is_not_loaded(tmp_path, monkeypatch, same_prefix):
    place, made = in_torchs_cache(tmp_path, monkeypatch), tmp_path / "made"
    torch.save({"conv1.weight": Opens(made)}, place)
    if same_prefix:  # as far as torchvision's own check goes, and then it is still not unpickled
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        monkeypatch.setattr(weights, "IMAGENET_SHA256", digest)
    words = "not a file of weights" if same_prefix else "not torchvision's file .*; remove it"
    with pytest.raises(UserError, match=words) as raised:
        weights.torchvisions()
    assert "\n" not in str(raised.value)
    assert str(place) in str(raised.value)
    assert not made.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.safetensors", "a"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_never_runs_code(tiny, tmp_path, name, protocol, zipped):
    made, file = tmp_path / "made", tmp_path / name
    state = torchvision.models.resnet18().state_dict() if protocol == 2 else {}
    torch.save(
        state | {"conv1.weight": Opens(made)},
        file,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(UserError, match=f"{name}: not a file of weights") as raised:
        steps.begin(recipe_from(file), tiny, RunStore(), CPU)
    assert "\n" not in str(raised.value)
    assert not made.exists()


def test_without_network_imagenet_says_which_file_belongs_where(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(UserError, match=r"put resnet18-\w+\.pth from https.*into .*checkpoints"):
        weights.torchvisions()


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


def write_other_keys(path):
    torch.save({1: torch.zeros(2)}, path)


def write_sparse(path):
    state = torchvision.models.resnet18().state_dict()
    state["conv1.weight"] = state["conv1.weight"].to_sparse()
    torch.save(state, path)


def write_a_tensor(path):
    torch.save(torch.zeros(2), path)


def write_a_plain_pickle(path):
    path.write_bytes(pickle.dumps({"conv1.weight": [1.0, 2.0]}, protocol=2))


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"a", b"hello", b"conv1.weight = 0\n", b"\x80", b"\x80\x02", b"\x80\x02}"),
        *(
            b"\x80\x02}q\x00.",
            b"PK\x03\x04",
            b"\xff\xfe\x00",
            b"\x80\x02X\x02\x00\x00\x00\xff\xff.",
        ),
        *(b"h\x05.", b"{}", b"0" * 8, b"\x08" + 7 * b"\0" + b"{}      ", b"\xff" * 64, b"(lp0\n."),
    ],
)
def test_content_that_is_no_weights_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    model = resnet18.resnet18(3, (0, 0, 0), (1, 1, 1))
    with pytest.raises(UserError, match=name) as raised:
        backbones.load_into(model, "resnet18", backbones.file_name(tmp_path / name), dict)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_file_that_is_cut_off_is_refused_in_one_line(tmp_path, kind):
    state = {"a": torch.arange(100.0), "b": torch.ones(3, 4)}
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    content = path.read_bytes()
    assert weights.read_file(path).keys() == state.keys()
    for length in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=path.name) as raised:
            weights.read_file(path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("write", "name", "words"),
    [
        (write_wrong_shape, "a.pth", r"conv1\.weight has shape \(64, 3, 3, 3\)"),
        (write_extra_key, "a.pth", "holds extra, which a resnet18 lacks"),
        (write_another_network, "a.safetensors", "lacks conv1.weight"),
        (write_no_tensors, "a.pth", "should hold a state dict"),
        (write_other_keys, "a.pth", "should hold a state dict"),
        (write_a_tensor, "a.pth", "should hold a state dict"),
        (write_a_plain_pickle, "a.pth", "a.pth: "),
        (write_sparse, "a.pth", "conv1.weight should be a dense tensor"),
        (write_noise, "a.pth", "not a file of weights"),
        (write_noise, "a.safetensors", "not a file of weights"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(tiny, tmp_path, write, name, words):
    write(tmp_path / name)
    with pytest.raises(UserError, match=words) as raised:
        steps.begin(recipe_from(tmp_path / name), tiny, RunStore(), CPU)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*gone\.pth: No such file"):
        recipe_from(tmp_path / "gone.pth")
