"""Whether training still comes to the results that `VERSION` stands for.

A test here that fails says that the same recipe now trains to another result. If that is meant,
raise `VERSION` in lib/training/runs.py, so that no stored run is taken for a new one, and renew
`FIGURES`. A test that passes while results change is a recipe that is missing here.
"""

import pytest

from lib.training.loop import fit
from lib.training.pretraining import rotated
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from tests.imports import reached_from

SMALL = {"width": 8, "epochs": 2, "batch_size": 16, "lr": 0.3}
RESNET = {"model": "resnet18", "epochs": 2, "batch_size": 32, "lr": 0.05}
RECIPES = {
    "small CNN": SMALL,
    "SGD": {**SMALL, "optimizer": "sgd", "bias_lr": 4.0},
    "PyTorch's initialisation": {
        **SMALL,
        "whitening": False,
        "identity": False,
        "logit_scale": 1.0,
    },
    "no augmentation": {**SMALL, "augmentation": "none"},
    "RandAugment": {**SMALL, "augmentation": "randaugment"},
    "Cutout": {**SMALL, "augmentation": "cutout"},
    "MixUp": {**SMALL, "augmentation": "mixup"},
    "CutMix": {**SMALL, "augmentation": "cutmix"},
    "early pictures": {**SMALL, "early_size": 4},
    "no regularisation": {
        **SMALL,
        "label_smoothing": 0.0,
        "weight_decay": 0.0,
        "warmup": 0.0,
        "momentum": 0.5,
    },
    "ResNet-18": {**RESNET, "layer_decay": 0.7, "image_size": 12},
    "ResNet-18, head only": {**RESNET, "strategy": "head", "views": 2, "lr": 0.5},
    "ResNet-18, last stage": {**RESNET, "strategy": "last_stage"},
    "ResNet-18, last block": {**RESNET, "strategy": "last_block"},
    "ResNet-18, fitted head": {
        **{"model": "resnet18", "strategy": "head", "head_fit": "lbfgs"},
        **{"augmentation": "none", "epochs": 1},
    },
    "EfficientNet-Lite0": {**RESNET, "model": "efficientnet_lite0", "image_size": 32},
}
# the training loss of the last epoch, and the test loss, of VERSION 1
FIGURES = {
    "small CNN": (1.06081, 1.08465),
    "SGD": (0.99001, 0.89907),
    "PyTorch's initialisation": (0.48837, 0.45149),
    "no augmentation": (1.03901, 1.08657),
    "RandAugment": (1.09577, 1.10216),
    "Cutout": (1.06721, 1.07958),
    "MixUp": (1.08753, 1.05861),
    "CutMix": (1.08114, 1.09438),
    "early pictures": (1.07343, 1.06031),
    "no regularisation": (1.06353, 1.09459),
    "ResNet-18": (0.4886, 0.86829),
    "ResNet-18, head only": (1.37556, 0.31721),
    "ResNet-18, last stage": (0.63264, 0.79386),
    "ResNet-18, last block": (0.40124, 0.97987),
    "ResNet-18, fitted head": (0.29175, 0.08359),
    "EfficientNet-Lite0": (3.37367, 1.26778),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_still_trains_to_the_figures_of_its_version(tiny, tmp_path, name):
    run = fit(Recipe(**RECIPES[name], precision="fp32"), tiny, RunStore(tmp_path), "cpu")
    found = run.history["train_loss"].iloc[-1], run.summary["test_loss"]
    assert found == pytest.approx(FIGURES[name], rel=0.01)


def test_rotated_pictures_are_still_those_of_the_version(tiny):
    turned = rotated(tiny)
    assert turned.fingerprint == "tiny-rotated"
    assert turned.train.images.long().sum() == 4 * tiny.train.images.long().sum()
    assert turned.train.images[96, 0, 0].tolist() == tiny.train.images[0, 0, :, -1].tolist()


DECIDE = {  # what a run's result depends on, besides its recipe and its pictures
    "lib.embeddings.engines",
    "lib.embeddings.store",
    "lib.models.parts",
    "lib.models.resnet18",
    "lib.models.small_cnn",
    "lib.models.strategies",
    "lib.models.timm_networks",
    "lib.models.weights",
    "lib.training.augment",
    "lib.training.backbones",
    "lib.training.batches",
    "lib.training.hardware",
    "lib.training.head_fit",
    "lib.training.loop",
    "lib.training.network",
    "lib.training.optimizers",
    "lib.training.precision",
    "lib.training.randaugment",
    "lib.training.recipe",
    "lib.training.steps",
    "lib.training.threads",
}
DO_NOT = {
    "lib.errors",
    "lib.files",
    "lib.intervals",
    "lib.progress",
    "lib.training.predictions",
    "lib.training.runs",
    "lib.training.timing",
}


def test_every_module_that_training_uses_is_known_to_decide_or_not():
    """A new one belongs into `DECIDE`, with a recipe above that runs it, or into `DO_NOT`."""
    used = {name for name in reached_from("lib.training.loop") if not name.startswith("lib.data")}
    assert used == DECIDE | DO_NOT
