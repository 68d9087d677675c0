import pytest
import torch

from lib.models import parts
from lib.training import steps
from lib.training.loop import fit
from lib.training.runs import RunStore
from tests.lib.conftest import CPU, recipe_from

TRAINS = {  # the first part of the body that trains, for each strategy
    "head": None,
    "last_block": "layer4.1",
    "last_stage": "layer4.0",
    "all": "conv1",
}


@pytest.mark.parametrize("strategy", TRAINS)
def test_a_strategy_trains_its_part_and_leaves_the_rest(tiny, tmp_path, resnet_file, strategy):
    recipe = recipe_from(resnet_file, strategy=strategy, weight_decay=0.01)
    store = RunStore(tmp_path)
    before = steps.begin(recipe, tiny, store, CPU).model.state_dict()
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
    state = steps.begin(recipe, tiny, RunStore(), CPU)
    given = sum(p.numel() for group in state.optimizers[0].param_groups for p in group["params"])
    assert given == parts.count_parameters(state.model)[0]


def test_layers_nearer_the_input_learn_at_lower_rates(tiny, resnet_file):
    recipe = recipe_from(resnet_file, layer_decay=0.5)
    state = steps.begin(recipe, tiny, RunStore(), CPU)
    scale = {id(p): g["lr_scale"] for g in state.optimizers[0].param_groups for p in g["params"]}
    rates = {name: scale[id(p)] for name, p in state.model.named_parameters()}
    assert rates["head.weight"] == rates["head.bias"] == 1
    assert rates["body.layer4.0.conv1.weight"] == 0.5
    assert rates["body.layer3.0.conv1.weight"] == 0.25
    assert rates["body.conv1.weight"] == 0.5**6
