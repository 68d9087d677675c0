import torch

from lib.training import network
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from lib.training.steps import begin

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def test_the_seed_decides_the_weights_and_nothing_else_is_touched():
    before = torch.get_rng_state()
    first, again, other = (
        network.build(Recipe(width=4, seed=seed), 3, MEAN, STD).state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    name = "head.0.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


def test_without_whitening_the_first_convolution_trains(tiny):
    recipe = Recipe(width=4, whitening=False, epochs=1)
    model = begin(recipe, tiny, RunStore(), torch.device("cpu")).model
    assert all(parameter.requires_grad for parameter in model.body.whitening.parameters())
