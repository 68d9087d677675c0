import pytest
import torch

from lib.training import loop, steps
from lib.training.pretraining import each_from, pretrained, rotated, starting_from
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

CPU = torch.device("cpu")


PRETRAINING = Recipe(model="resnet18", augmentation="none", epochs=1, batch_size=64)


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
    (name,) = pretrained("rotation", tiny, store, PRETRAINING)
    run = store.get(name.removeprefix("run:"))
    assert run.dataset["classes"] == ["0°", "90°", "180°", "270°"]
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained again"))
    assert pretrained("rotation", tiny, store, PRETRAINING) == (name,)
    recipe = Recipe(model="resnet18", weights=name, strategy="head")
    model = steps.begin(recipe, tiny, store, CPU).model
    learned = run.load_model().body.layer1[0].conv1.weight
    assert torch.equal(model.body.layer1[0].conv1.weight, learned)


def test_each_seed_pretrains_a_network_and_settings_start_from_the_same(tiny, tmp_path):
    store = RunStore(tmp_path)
    networks = pretrained("rotation", tiny, store, PRETRAINING, seeds=2)
    assert [store.get(name.removeprefix("run:")).recipe.seed for name in networks] == [0, 1]
    assert pretrained("rotation", tiny, store, PRETRAINING) == networks[:1]
    assert pretrained("imagenet", tiny, store, PRETRAINING, seeds=2) == ("imagenet",)
    head = Recipe(model="resnet18", strategy="head", epochs=1, batch_size=32)
    begun = [starting_from(networks, head, seed) for seed in range(3)]
    assert [recipe.weights for recipe in begun] == [*networks, networks[0]]
    assert [recipe.seed for recipe in begun] == [0, 1, 2]
    longer = head.replace(epochs=2)
    assert each_from(networks, [head, longer], 3) == [
        *begun,
        *(starting_from(networks, longer, seed) for seed in range(3)),
    ]
