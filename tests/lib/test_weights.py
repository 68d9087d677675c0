import hashlib

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from lib import models, training, weights
from lib.errors import UserError
from lib.pretraining import pretrained, rotated
from lib.recipe import Recipe
from lib.runs import RunStore
from lib.training import fit

CPU = torch.device("cpu")
PRETRAINING = Recipe(model="resnet18", augmentation="none", epochs=1, batch_size=64)
TRAINS = {  # the first part of the body that trains, for each strategy
    "head": None,
    "last_block": "layer4.1",
    "layer4": "layer4.0",
    "all": "conv1",
}


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
    """Torchvision's state dict of a ResNet-18 with weights of its own."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        torch.save(torchvision.models.resnet18().state_dict(), path)
    return path


def recipe_from(path, **choices):
    name = pretrained(str(path), None, None, None)
    return Recipe(model="resnet18", weights=name, epochs=2, batch_size=32, lr=0.02, **choices)


@pytest.mark.parametrize("strategy", TRAINS)
def test_a_strategy_trains_its_part_and_leaves_the_rest(tiny, tmp_path, resnet_file, strategy):
    recipe = recipe_from(resnet_file, strategy=strategy, weight_decay=0.01)
    store = RunStore(tmp_path)
    before = training.begin(recipe, tiny, store, CPU, "fp32").model.state_dict()
    after = fit(recipe, tiny, store, "cpu").load_model().state_dict()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert "head.weight" in moved
    body = [name.removeprefix("body.") for name in moved if name.startswith("body.")]
    order = [name.removeprefix("body.") for name in before if name.startswith("body.")]
    first = TRAINS[strategy]
    if first is None:
        assert body == []
    else:
        start = next(i for i, name in enumerate(order) if name.startswith(first))
        assert set(body) == set(order[start:])  # batch norm's statistics among them


@pytest.mark.parametrize("strategy", TRAINS)
def test_only_what_trains_is_given_to_the_optimiser(tiny, resnet_file, strategy):
    recipe = recipe_from(resnet_file, strategy=strategy)
    state = training.begin(recipe, tiny, RunStore(), CPU, "fp32")
    given = sum(p.numel() for group in state.optimizers[0].param_groups for p in group["params"])
    assert given == models.count_parameters(state.model)[0]


def test_deeper_layers_learn_at_lower_rates(tiny, resnet_file):
    recipe = recipe_from(resnet_file, layer_decay=0.5)
    state = training.begin(recipe, tiny, RunStore(), CPU, "fp32")
    share = {id(p): g["share"] for g in state.optimizers[0].param_groups for p in g["params"]}
    rates = {name: share[id(p)] for name, p in state.model.named_parameters()}
    assert rates["head.weight"] == rates["head.bias"] == 1
    assert rates["body.layer4.0.conv1.weight"] == 0.5
    assert rates["body.layer3.0.conv1.weight"] == 0.25
    assert rates["body.conv1.weight"] == 0.5**6


def test_a_file_of_weights_is_what_the_backbone_starts_from(tiny, resnet_file):
    state = training.begin(recipe_from(resnet_file), tiny, RunStore(), CPU, "fp32")
    expected = torch.load(resnet_file, weights_only=True)["layer3.1.conv2.weight"]
    assert torch.equal(state.model.body.layer3[1].conv2.weight, expected)


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
    model = training.begin(recipe, tiny, RunStore(), CPU, "fp32").model
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


def test_rotation_labels_every_turn(tiny):
    turned = rotated(tiny)
    n = len(tiny.train)
    assert len(turned.train) == 4 * n
    assert turned.classes == ("0°", "90°", "180°", "270°")
    assert not turned.flip
    once = turned.train.images[n : 2 * n]
    assert torch.equal(once, torch.rot90(tiny.train.images, 1, (2, 3)))
    assert turned.train.labels[n : 2 * n].unique().tolist() == [1]
    assert turned.fingerprint != tiny.fingerprint


def test_rotation_trains_a_backbone_once_and_names_its_run(tiny, tmp_path, monkeypatch):
    store = RunStore(tmp_path)
    name = pretrained("rotation", tiny, store, PRETRAINING)
    run = store.get(name.removeprefix("run:"))
    assert run.dataset["classes"] == ["0°", "90°", "180°", "270°"]
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained again"))
    assert pretrained("rotation", tiny, store, PRETRAINING) == name
    recipe = Recipe(model="resnet18", weights=name, strategy="head")
    model = training.begin(recipe, tiny, store, CPU, "fp32").model
    learned = run.load_model().body.layer1[0].conv1.weight
    assert torch.equal(model.body.layer1[0].conv1.weight, learned)


def test_weights_that_changed_under_a_recipe_are_refused(tiny, tmp_path, resnet_file):
    path = tmp_path / "weights.pth"
    path.write_bytes(resnet_file.read_bytes())
    recipe = recipe_from(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(UserError, match="have changed"):
        training.begin(recipe, tiny, RunStore(), CPU, "fp32")


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
        training.begin(recipe_from(tmp_path / name), tiny, RunStore(), CPU, "fp32")
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"gone\.pth: cannot read"):
        recipe_from(tmp_path / "gone.pth")


@pytest.mark.parametrize("strategy", ["head", "all"])
def test_a_stopped_transfer_resumes_as_if_it_had_not_stopped(
    tiny, tmp_path, resnet_file, strategy, monkeypatch
):
    recipe = recipe_from(resnet_file, strategy=strategy)
    whole = fit(recipe, tiny, RunStore(tmp_path / "whole"), "cpu")

    def stop(event, **facts):
        if event == "epoch":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.progress, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, tiny, RunStore(tmp_path / "stopped"), "cpu")
    resumed = fit(recipe, tiny, RunStore(tmp_path / "stopped"), "cpu")
    figures = ["train_loss", "val_loss", "val_accuracy"]
    assert resumed.history[figures].equals(whole.history[figures])
