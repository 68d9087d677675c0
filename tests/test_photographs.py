"""EfficientNet-Lite0 on photographs: few labels are enough for the head on its ImageNet weights."""

import pytest

from lib.data.dataset import load
from lib.study import labels
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from tests import photographs


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "photographs"
    photographs.write(folder, each=20)
    return load(str(folder), 64, test_share=0.5)


def test_no_two_photographs_are_alike(pictures):
    assert pictures.classes == ("cat", "coffee", "flower", "rocket")
    assert pictures.available + len(pictures.val) + len(pictures.test) == 80
    assert not pictures.left_out


def test_the_pretrained_head_knows_them_from_few_labels(pictures, tmp_path):
    head = Recipe(
        model="efficientnet_lite0",
        weights="imagenet",
        image_size=96,
        strategy="head",
        augmentation="none",
        head_fit="lbfgs",
        epochs=1,
    )
    settings = {"head": head, "small_cnn": Recipe(width=8, epochs=2, batch_size=16, lr=0.1)}
    store = RunStore(tmp_path / "runs")
    table = labels.train(settings, ["imagenet"], pictures, store, draws=1)
    means = table.pivot(index="labels", columns="setting", values="test_accuracy")
    assert means["head"].iloc[-1] > 0.9
    assert means["head"].iloc[0] > means["small_cnn"].iloc[0] + 0.2
