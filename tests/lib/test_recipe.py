import dataclasses

import pytest

from lib.errors import UserError
from lib.recipe import CHOICES, Recipe


def test_a_recipe_survives_the_way_through_plain_values():
    recipe = Recipe(epochs=3, augmentation="mixup", lr=0.05)
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Recipe)])
def test_every_field_counts_in_the_digest(field):
    recipe = Recipe(model="resnet18")
    value = getattr(recipe, field)
    if isinstance(value, bool):
        changed = not value
    elif isinstance(value, str):
        changed = next((c for c in CHOICES.get(field, ()) if c != value), "rotation")
    else:
        changed = value + 1 if isinstance(value, int) else value / 2 + 1e-4
    assert recipe.but(**{field: changed}).digest() != recipe.digest()


def test_an_unknown_field_is_refused_with_the_nearest_one():
    with pytest.raises(UserError, match="'epoch'; did you mean 'epochs'"):
        Recipe.from_dict({"epoch": 3})


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("epochs", 0, "between 1 and"),
        ("epochs", 2.5, "of type int"),
        ("epochs", True, "of type int"),
        ("lr", "fast", "of type float"),
        ("lr", 0.0, "between"),
        ("augmentation", "blur", "one of none, flip_crop"),
        ("model", "vgg", "one of small_cnn"),
        ("label_smoothing", 1.0, "between 0.0 and 0.99"),
        ("seed", -1, "between 0"),
    ],
)
def test_a_bad_value_is_named_with_what_would_do(field, value, words):
    with pytest.raises(UserError, match=f"{field} = .*{words}"):
        Recipe(**{field: value})


@pytest.mark.parametrize("choices", [{"strategy": "head"}, {"weights": "imagenet"}])
def test_the_small_network_has_no_transfer(choices):
    with pytest.raises(UserError, match="needs model = 'resnet18'"):
        Recipe(**choices)
