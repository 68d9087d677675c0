import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.charts.comparisons import ablation
from lib.errors import UserError
from lib.models.strategies import STRATEGIES
from lib.pages.claims import comparison, comparison_finding, groups_of
from lib.pages.display import table as shown
from lib.pages.palette import label
from lib.pages.wording import NO_BREAK
from lib.study import transfer
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore
from tests.lib.charts.samples import subtitle


def curve(*accuracies, pace=2.0):
    """The history of a run whose every epoch takes `pace` seconds."""
    epochs = np.arange(1, len(accuracies) + 1)
    columns = {"epoch": epochs, "seconds": pace * epochs, "val_accuracy": accuracies}
    return pd.DataFrame(columns)


def made_up(strategy, *accuracies, seed=0, pace=2.0):
    """A run that went like that."""
    return SimpleNamespace(
        recipe=Recipe(model="resnet18", strategy=strategy, seed=seed),
        history=curve(*accuracies, pace=pace),
        summary={"seconds": pace * len(accuracies), "trainable_parameters": 5},
    )


@pytest.fixture
def strategies(monkeypatch):
    """Two seeds that reach the target, of which one drops again; one of two; none."""
    monkeypatch.setattr(transfer, "accuracy_over_seeds", lambda group: len(group))
    return [
        made_up("head", 0.5, 0.6, 0.7, 0.7),
        made_up("head", 0.5, 0.6, 0.71, 0.72, seed=1),
        made_up("last_stage", 0.8, 0.86, pace=10.0),
        made_up("last_stage", 0.87, 0.89, pace=10.0, seed=1),
        made_up("all", 0.6, 0.95, 0.9, pace=20.0),
        made_up("all", 0.9, 0.85, 0.9, pace=20.0, seed=1),
    ]


def test_time_to_an_accuracy_is_that_of_the_first_epoch_to_have_it():
    history = curve(0.5, 0.77, 0.7, 0.8)
    assert transfer.time_to(history, 0.77) == (2, 4.0)
    assert transfer.time_to(history, 0.78) == (4, 8.0)
    assert all(map(math.isnan, transfer.time_to(history, 0.81)))


def test_each_strategy_has_a_recipe_and_only_frozen_layers_have_stored_views():
    base = Recipe(model="efficientnet_lite0", epochs=8, lr=0.1)
    recipes = transfer.recipes(base, map_views=4)
    assert tuple(recipes) == STRATEGIES
    assert {name: recipe.strategy for name, recipe in recipes.items()} == {n: n for n in STRATEGIES}
    assert [recipe.map_views for recipe in recipes.values()] == [0, 4, 4, 0]
    head = recipes["head"]
    assert (head.head_fit, head.epochs, head.augmentation) == ("lbfgs", 1, "none")
    assert recipes["all"] == base


def test_regularisation_is_with_and_without_each():
    recipe = Recipe(model="resnet18", strategy="last_stage", lr=0.1)
    four = transfer.regularised(recipe)
    pairs = {(one.label_smoothing, one.weight_decay) for one in four}
    assert pairs == {(0.0, 0.0), (0.0, 5e-4), (0.1, 0.0), (0.1, 5e-4)}
    assert {one.replace(label_smoothing=0.1, weight_decay=5e-4) for one in four} == {recipe}


def test_the_target_is_below_the_last_epoch_of_the_best_strategy(strategies):
    assert transfer.target(strategies) == 0.88  # not 2 points below 0.95, which was its highest
    assert transfer.target([made_up("all", 0.9, 0.8749)]) == 0.85
    assert transfer.target([made_up("all", 0.97)]) == 0.95  # whatever binary fractions make of it
    assert transfer.target([made_up("all", 0.01)]) == 0.01
    sentence = transfer.target_sentence(strategies, 0.88).replace(NO_BREAK, " ")
    assert sentence == (
        "Target: 88 % validation accuracy: two percentage points below what the best strategy "
        "reaches after its last epoch (all layers, 90.0 % as the mean over seeds), rounded down."
    )
    assert transfer.target_sentence(strategies, 0.5).endswith("as this notebook's parameters say.")


def test_a_strategy_that_never_reaches_the_target_is_said_not_to(strategies):
    table = transfer.strategy_table(strategies, 0.88).set_index("strategy")
    assert table["reached_by"].tolist() == ["0 of 2 seeds", "1 of 2 seeds", "2 of 2 seeds"]
    assert table.loc["last_stage", ["epochs_to_target", "seconds_to_target"]].tolist() == [2, 20.0]
    assert table.loc["all", ["epochs_to_target", "seconds_to_target"]].tolist() == [1.5, 30.0]
    html = shown(table.reset_index(), formats=transfer.FORMATS).html
    assert html.count("not reached") == 2  # epochs and seconds of the head alone
    assert "1.5" in html


def test_a_strategys_row_sums_its_seeds_up(several):
    _, runs = several
    table = transfer.strategy_table(runs, 0.01)
    assert list(table["strategy"]) == ["all", "head"]
    row = table.set_index("strategy").loc["all"]
    seconds = [run.summary["seconds"] for run in runs[:4]]
    assert row["reached_by"] == "4 of 4 seeds"
    assert row["epochs_to_target"] == 1
    assert row["seconds"] == pytest.approx(sum(seconds) / 4)
    assert table.set_index("strategy").loc["head", "trainable"] == 512 * 3 + 3


def heads(monkeypatch, pretrained, random):
    """`by_source` of heads with these test accuracies: on each network, and on random ones."""
    rows = [
        (f"{network}{seed}", f"run:{network}", seed, accuracy)
        for network, accuracies in pretrained.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    rows += [(f"none{seed}", "none", seed, accuracy) for seed, accuracy in enumerate(random)]
    table = pd.DataFrame(rows, columns=["run_id", "weights", "seed", "test_accuracy"])
    monkeypatch.setattr(transfer, "results", lambda runs: runs)
    return transfer.by_source(table.assign(val_accuracy=table["test_accuracy"]), "rotation")


RANDOM = [0.75, 0.765, 0.78, 0.795, 0.81]


def test_heads_on_a_pretrained_network_count_once(monkeypatch):
    spread = {"a": [0.9, 0.901, 0.899, 0.9, 0.9], "b": [0.78, 0.781, 0.779], "c": [0.84] * 4}
    table = heads(monkeypatch, spread, RANDOM)
    groups = groups_of(table, "source", "test_accuracy")
    assert {name: len(values) for name, values in groups.items()} == {
        "rotation": 3,
        "random weights": 5,
    }
    assert groups["rotation"].tolist() == pytest.approx([0.9, 0.78, 0.84])
    assert comparison_finding(table, "source").startswith("No significant")
    # as if each head were evidence of its own, the same figures would be called significant
    rows = {"rotation": np.concatenate(list(spread.values())), "random weights": np.array(RANDOM)}
    assert "above random weights" in comparison(rows)
    assert transfer.evidence_sentence(table) == (
        "Compared are 3 pretrained networks (rotation), each by the mean of its 3 to 5 heads, with "
        "5 random backbones of one head each: heads on the same network are not independent "
        "evidence about pretraining."
    )
    drawn = subtitle(ablation(table, by="source"))
    assert drawn == (
        "Test accuracy, 3 to 5 backbones; dot: one backbone, the mean of its heads; bar: mean, "
        "line: its 95 % interval over backbones"
    )


def test_heads_on_a_single_network_are_about_that_network(monkeypatch):
    table = heads(monkeypatch, {"a": [0.9, 0.91, 0.92, 0.9, 0.91]}, RANDOM)
    groups = groups_of(table, "source", "test_accuracy")
    assert {name: len(values) for name, values in groups.items()} == {
        "one rotation network": 5,
        "random weights": 5,
    }
    claim = comparison_finding(table, "source")
    assert claim.startswith("Best on validation: one rotation network, ")  # not: rotation
    assert transfer.evidence_sentence(table) == (
        "Compared are 5 heads on one pretrained network (by rotation) with 5 random backbones of "
        "one head each: the result is about this network, not about others that are pretrained in "
        "the same way."
    )
    assert "over seeds" in subtitle(ablation(table, by="source"))
    alike = heads(monkeypatch, {"a": [0.9, 0.9001, 0.9, 0.9, 0.9]}, RANDOM)
    assert "(by rotation), which converge to about one accuracy, with 5 random" in (
        transfer.evidence_sentence(alike)
    )
    alone = heads(monkeypatch, {}, RANDOM)
    assert transfer.evidence_sentence(alone) == "All backbones have random weights."


def test_tables_name_where_weights_came_from_and_how_a_run_was_regularised(several):
    runs = [Run(run.path) for run in several[1]]
    pretrained = dataclasses.replace(runs[-1].recipe, weights="imagenet")
    runs[-1].__dict__["recipe"] = pretrained  # as if it had been
    sources = transfer.by_source(runs, "imagenet")["source"]
    assert "run_id" in transfer.by_source(runs, "imagenet")  # of one network: a row per run
    assert sources.tolist() == [*["random_weights"] * (len(runs) - 1), "imagenet"]
    plain = dataclasses.replace(runs[0].recipe, label_smoothing=0.0, weight_decay=0.0)
    runs[0].__dict__["recipe"] = plain
    assert set(transfer.by_regularisation(runs)["regularisation"]) == {
        "smoothing 0, decay 0",
        "smoothing 0.1, decay 0.0005",
    }


def stages_of(network):
    return transfer.trained_stages(network, transfer.strategies_of(network), 10)


def test_the_strategies_of_a_network_are_those_that_it_has_or_some():
    assert transfer.strategies_of("resnet18") == list(STRATEGIES)
    assert transfer.strategies_of("resnet18", "all, head") == ["head", "all"]
    assert transfer.strategies_of("timm:test_vit") == ["head", "all"]
    line = "strategies: timm:test_vit has no 'last_block'; choose of head, all"
    with pytest.raises(UserError, match=line):
        transfer.strategies_of("timm:test_vit", "head, last_block")


def test_each_strategy_trains_its_stages():
    table = stages_of("resnet18").set_index(["strategy", "stage"])["trained"]
    assert table.loc["head"].tolist() == [0, 0, 0, 0, 0, 5130]
    assert table.loc["all"].min() > 0
    assert 0 < table.loc[("last_block", "stage 4")] < table.loc[("last_stage", "stage 4")]
    assert table.loc["last_stage"].iloc[:4].sum() == 0


def test_the_stages_of_other_networks_are_told_apart_too():
    lite0 = stages_of("efficientnet_lite0")
    stages = ["stem", *(f"stage {n}" for n in range(1, 8)), "last layers", "head"]
    assert lite0["stage"].unique().tolist() == stages
    trained = lite0.pivot(index="stage", columns="strategy", values="trained").loc[stages]
    assert (trained["head"] > 0).tolist() == [False] * 9 + [True]
    assert (trained["last_block"] > 0).tolist() == [False] * 7 + [True] * 3
    assert (trained["last_stage"] > 0).tolist() == [False] * 6 + [True] * 4
    whole = stages_of("timm:test_vit")
    assert whole["strategy"].unique().tolist() == ["head", "all"]
    assert whole["stage"].unique().tolist() == ["all stages", "head"]


HEAD = Recipe(model="resnet18", strategy="head", augmentation="none", head_fit="lbfgs", epochs=1)


def test_other_backbones_have_the_weights_of_their_publishers():
    never = pytest.fail
    recipes = transfer.on_other_backbones("efficientnet_lite0, timm:convnext_tiny", HEAD, never)
    assert [(recipe.model, recipe.weights) for recipe in recipes] == [
        ("efficientnet_lite0", "imagenet"),
        ("timm:convnext_tiny", "timm"),
    ]
    assert all(recipe.head_fit == "lbfgs" for recipe in recipes)
    assert transfer.on_other_backbones("", HEAD, never) == []


def test_rotation_is_another_backbone_for_pictures_of_their_own_size():
    head = HEAD.replace(model="efficientnet_lite0", weights="imagenet", image_size=128)
    [recipe] = transfer.on_other_backbones("rotation", head, lambda: "run:0123456789ab")
    assert recipe == HEAD.replace(model="resnet18", weights="run:0123456789ab", image_size=0)


def test_heads_on_several_backbones_are_compared_on_the_same_pictures(tiny, tmp_path):
    store = RunStore(tmp_path / "runs")
    other = HEAD.replace(model="efficientnet_lite0", image_size=32)
    heads = [fit(recipe, tiny, store) for recipe in (HEAD, other)]
    table = transfer.backbone_table(heads)
    assert table["backbone"].tolist() == ["ResNet-18", "EfficientNet-Lite0"]
    assert table["features"].tolist() == [512, 1280]
    assert table["weights"].tolist() == ["random weights"] * 2
    first, second = sorted(heads, key=lambda run: -run.summary["val_accuracy"])
    sentence = transfer.backbone_sentence(heads)
    assert f"on {label(first.recipe.model)}, test accuracy " in sentence
    assert f"on {label(second.recipe.model)}" in sentence


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (95, "4.0 percentage points (0.2 to 9.8) above that on ResNet-18, the second"),
        (92, "not significantly different from that on ResNet-18 ("),
    ],
)
def test_a_pair_of_heads_is_compared_picture_by_picture(monkeypatch, right, words):
    correct = {"resnet18": np.arange(100) < 91, "efficientnet_lite0": np.arange(100) < right}
    heads = [
        SimpleNamespace(
            recipe=HEAD.replace(model=model), summary={"val_accuracy": number / 10, "test": right}
        )
        for number, model in enumerate(correct)
    ]
    monkeypatch.setattr(
        transfer, "correct_by_seed", lambda runs: np.array([correct[r.recipe.model] for r in runs])
    )
    monkeypatch.setattr(transfer, "accuracy_of", lambda run: run.summary["test"])
    assert words in transfer.backbone_sentence(heads)
