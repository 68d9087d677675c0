import dataclasses
import hashlib
import json

import pytest

from lib.errors import UserError
from lib.training.recipe import LATER, OF_OTHERS, OF_SMALL, Recipe

OF_NETWORK = {"small_cnn": OF_SMALL, "resnet18": OF_OTHERS}
NETWORKS = {"small_cnn": Recipe(), "resnet18": Recipe(model="resnet18")}
CHANGED = {
    "model": "resnet18",
    "augmentation": "mixup",
    "optimizer": "sgd",
    "precision": "bf16",
    "strategy": "head",
    "head_fit": "lbfgs",
    "weights": "rotation",
}
# what a field can be chosen with
NEEDED = {"head_fit": {"strategy": "head", "epochs": 1}, "map_views": {"strategy": "last_stage"}}


def changed(field):
    """Another value of a field than its default."""
    value = getattr(Recipe(), field)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return CHANGED[field]
    return value + 1 if isinstance(value, int) else value / 2 + 1e-4


def test_a_recipe_survives_the_way_through_plain_values():
    recipe = Recipe(epochs=3, augmentation="mixup", lr=0.05)
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Recipe)])
def test_every_field_counts_in_the_digest_of_a_network_that_reads_it(field):
    readers = [model for model in NETWORKS if field in OF_NETWORK[model]] or list(NETWORKS)
    readers = [model for model in readers if (model, field) != ("resnet18", "model")]
    for model in readers:
        recipe = NETWORKS[model].replace(**NEEDED.get(field, {}))
        assert recipe.replace(**{field: changed(field)}).digest() != recipe.digest()


@pytest.mark.parametrize(
    ("model", "field"),
    [(model, field) for other, fields in OF_NETWORK.items() for field in fields
     for model in NETWORKS if model != other],
)  # fmt: skip
def test_a_choice_of_another_network_is_refused_and_not_recorded(model, field):
    assert field not in NETWORKS[model].to_dict()
    with pytest.raises(UserError, match=f"^recipe: {field} = .* is a choice of .*; leave it out"):
        NETWORKS[model].replace(**{field: changed(field)})


def test_a_whole_number_is_the_same_rate_as_its_float():
    assert Recipe(lr=1) == Recipe(lr=1.0)
    assert Recipe(lr=1).digest() == Recipe(lr=1.0).digest()


def test_an_unknown_field_is_refused_with_the_nearest_one():
    with pytest.raises(UserError, match="'epoch'; did you mean 'epochs'"):
        Recipe.from_dict({"epoch": 3})


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("epochs", 0, "greater than or equal to 1"),
        ("epochs", 2.5, "valid integer"),
        ("epochs", True, "valid integer"),
        ("lr", "fast", "valid number"),
        ("lr", 0.0, "greater than or equal to 0.00000001"),
        ("lr", float("nan"), "less than or equal to"),
        ("augmentation", "blur", "'none', 'flip_crop'"),
        (
            "model",
            "vgg",
            "small_cnn, resnet18, efficientnet_lite0, or timm: and the name",
        ),
        ("model", "timm:a/b", "timm: and the name of a network"),
        ("label_smoothing", 1.0, "less than or equal to 0.99"),
        ("seed", -1, "greater than or equal to 0"),
        ("test_flip", "yes", "valid boolean"),
    ],
)
def test_a_bad_value_is_one_line_with_what_would_do(field, value, words):
    expected = f"^recipe: {field} = .*: (input )?should be .*{words}"
    with pytest.raises(UserError, match=expected) as error:
        Recipe(**{field: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("strategy", ["head", "all"])
def test_maps_are_stored_of_partly_frozen_networks_alone(strategy):
    with pytest.raises(UserError, match="map_views = 2 needs strategy = 'last_block' or"):
        Recipe(model="resnet18", strategy=strategy, map_views=2)


def test_early_pictures_are_of_networks_that_take_pictures_as_they_are():
    assert Recipe(early_size=24).digest() != Recipe().digest()
    with pytest.raises(UserError, match=r"early_size = 24 is for .* set image_size = 0") as raised:
        Recipe(early_size=24, image_size=64)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="early_size = 24 is a choice of small_cnn"):
        Recipe(model="resnet18", early_size=24)


@pytest.mark.parametrize(
    ("pictures", "every"), [(10, 120), (1000, 7), (5000, 2), (40_000, 1), (100_000, 1)]
)
def test_validation_takes_a_tenth_of_the_time_or_less(pictures, every):
    """A picture takes a third of the time in validation that it takes in training."""
    recipe = Recipe(epochs=120).validated_for(pictures, 2000)
    assert recipe == Recipe(epochs=120, val_every=every)
    assert 2000 / (3 * pictures * every) <= 0.1 or recipe.validated == [120]


def test_earlier_records_keep_their_names():
    earlier = {**Recipe(model="resnet18", strategy="last_stage").to_dict(), "strategy": "layer4"}
    for field in LATER:
        earlier.pop(field, None)
    read = Recipe.from_dict(earlier)
    assert read.strategy == "last_stage"
    text = json.dumps(earlier, sort_keys=True)
    assert read.digest() == hashlib.sha256(text.encode()).hexdigest()[:16]
