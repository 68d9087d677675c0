import itertools

import pytest

from lib.study.ranking import best_of, mean_validation, recipe_of, recipes, scaled_loss
from lib.training.recipe import Recipe
from tests.lib.study.made_up import MadeUp, Store, right

PLAIN = Recipe(augmentation="none")
CROPPED = Recipe(augmentation="flip_crop")


def seeds(recipe, *accuracies, **facts):
    """A run for each number of validation pictures of 100 that are right."""
    return [
        MadeUp(right(n), right(80), recipe.replace(seed=seed), **facts)
        for seed, n in enumerate(accuracies)
    ]


def test_a_lucky_seed_makes_no_recipe_the_best():
    lucky, steady = seeds(PLAIN, 99, 70, 71), seeds(CROPPED, 90, 91, 92)
    assert max([*lucky, *steady], key=lambda run: run.summary["val_accuracy"]) is lucky[0]
    assert best_of([*lucky, *steady]) is steady[2]
    assert [group[0].recipe.augmentation for group in recipes([*lucky, *steady])] == [
        "flip_crop",
        "none",
    ]
    assert mean_validation(steady) == 0.91


def test_ties_are_broken_after_temperature_scaling():
    """The unscaled loss prefers the surer run; scaled, the two losses are what they are."""
    smooth = MadeUp(right(90), right(80), CROPPED.replace(label_smoothing=0.1), sure=1.0, loss=0.9)
    sharp = MadeUp(right(90), right(80), CROPPED.replace(label_smoothing=0.0), sure=4.0, loss=0.2)
    assert abs(scaled_loss(smooth) - scaled_loss(sharp)) < 1e-6

    worse = MadeUp(right(90), right(80), CROPPED.replace(label_smoothing=0.0), sure=4.0, loss=0.2)
    val = worse.predictions("val")
    val.logits[90:, 1] = 40  # its ten mistakes are very confident ones
    worse.predictions = lambda split: val
    assert scaled_loss(worse) > scaled_loss(smooth)
    assert best_of([worse, smooth]) is smooth


def test_the_order_of_the_runs_decides_nothing():
    runs = [*seeds(PLAIN, 90, 90), *seeds(CROPPED, 90, 90)]
    orders = [recipes(order) for order in itertools.permutations(runs)]
    assert all(order == orders[0] for order in orders)


def test_pictures_and_epochs_are_part_of_a_recipe():
    few, many = seeds(PLAIN, 90)[0], seeds(PLAIN, 80, pictures=1000)[0]
    longer = seeds(PLAIN.replace(epochs=30), 85)[0]
    assert len(recipes([few, many, longer])) == 3


@pytest.mark.parametrize("model", ["resnet18", "efficientnet_lite0"])
def test_pretrainings_that_differ_in_their_seed_are_of_one_recipe(model):
    turned = Recipe(model=model, label_smoothing=0.0, epochs=5)
    pretrained = [MadeUp(right(50), right(50), turned.replace(seed=seed)) for seed in (0, 1)]
    other = MadeUp(right(50), right(50), turned.replace(epochs=9))
    store = Store([*pretrained, other])

    def head(source, seed):
        recipe = Recipe(model=model, strategy="head", weights=source, seed=seed)
        return MadeUp(right(80), right(80), recipe, store=store)

    first, second, longer = (
        head(f"run:{run.run_id}", seed) for seed, run in enumerate([*pretrained, other])
    )
    assert recipe_of(first) == recipe_of(second)
    assert recipe_of(first) != recipe_of(longer)
    assert recipe_of(first) != recipe_of(head("none", 0))
    assert recipe_of(head("run:gone", 0)) != recipe_of(first)
