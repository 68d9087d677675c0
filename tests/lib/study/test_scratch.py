"""Day 2's second network."""

from types import SimpleNamespace

import numpy as np

from lib.study.scratch import by_network, flip_sentence, second
from lib.training.recipe import Recipe
from tests.lib.study.made_up import MadeUp


def test_without_a_width_there_is_no_second_network():
    assert second(Recipe(), 0, 32, 3) == []


def test_the_second_network_is_wider_and_trains_for_longer():
    recipes = second(Recipe(early_size=24, lr=0.3), 64, 32, 3)
    assert [recipe.seed for recipe in recipes] == [0, 1, 2]
    expected = Recipe(early_size=24, lr=0.3, width=64, epochs=32, augmentation="cutout")
    assert recipes[0] == expected.replace(test_flip=True)


def test_networks_are_named_by_width_and_epochs():
    right = np.array([True, False])
    recipes = [Recipe(epochs=14), *second(Recipe(), 64, 32, 1)]
    table = by_network([MadeUp(right, right, recipe) for recipe in recipes])
    assert table["network"].tolist() == ["32 channels, 14 epochs", "64 channels, 32 epochs"]


def test_the_sentence_on_flips_gives_both_accuracies_over_seeds():
    pairs = [(0.93, 0.94), (0.94, 0.945), (0.935, 0.946)]
    runs = [
        SimpleNamespace(summary={"test_accuracy": alone, "test_accuracy_flip": flipped})
        for alone, flipped in pairs
    ]
    sentence = flip_sentence(runs).replace("\N{NO-BREAK SPACE}", " ")
    assert sentence.startswith("The second network has a test accuracy of 93.5 % (92.3–94.7); with")
    assert "mirror image, 94.4 % (93.6–95.2)" in sentence
    assert sentence.endswith("Intervals are over 3 seeds.")
