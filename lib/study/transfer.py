"""What each fine-tuning strategy trains, takes and reaches; pretrained against random backbones.

Strategies are timed to one fixed validation accuracy, as in DAWNBench (Coleman et al., "DAWNBench:
An End-to-End Deep Learning Benchmark and Competition", NIPS ML Systems Workshop 2017): a share of
each one's own best would call the worst strategy as fast as the best.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import pandas as pd
from torch import nn

from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.intervals import paired_accuracies
from lib.models.parts import Classifier, count_parameters
from lib.models.strategies import STRATEGIES, Strategy
from lib.models.timm_networks import PREFIX
from lib.pages.claims import size_of
from lib.pages.palette import label
from lib.pages.wording import count, per_cent, signed, span
from lib.study.ranking import grouped
from lib.study.selection import (
    accuracy_of,
    accuracy_over_seeds,
    correct_by_seed,
    origin,
    results,
)
from lib.training.network import build
from lib.training.pretraining import pretrained
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore

STAGE = re.compile(r"(?:layer|s)(\d+)|(?:blocks|stages)_(\d+)")  # a part's name, of these kinds
BELOW_BEST = 0.02  # of accuracy: how far the target is below the best strategy
SAME = 0.001  # of accuracy: heads that were fitted to convergence differ by less
ONE_NETWORK = "one rotation network"


def _or_not_reached(value: float) -> str:
    return "not reached" if math.isnan(value) else f"{value:.3g}"


FORMATS = dict.fromkeys(("epochs_to_target", "seconds_to_target"), _or_not_reached)


def trained_stages(network: str, strategies: Iterable[Strategy], classes: int) -> pd.DataFrame:
    """What each strategy trains of a network for that many classes.

    Parameters
    ----------
    network : str   a recipe's `model`

    Returns
    -------
    table : strategy, stage (stem, stage 1, ..., head), trained and total (parameters)
    """
    rows = []
    for strategy in strategies:
        model = build(Recipe(model=network, strategy=strategy), classes, (0.0,) * 3, (1.0,) * 3)
        counts: dict[str, tuple[int, int]] = {}
        for stage, part in [*_staged(model), ("head", model.head)]:
            before, now = counts.get(stage, (0, 0)), count_parameters(part)
            counts[stage] = (before[0] + now[0], before[1] + now[1])
        rows += [(strategy, stage, *pair) for stage, pair in counts.items() if pair[1]]
    return pd.DataFrame(rows, columns=["strategy", "stage", "trained", "total"])


def _staged(model: Classifier) -> Iterator[tuple[str, nn.Module]]:
    """The parts of a network's body, each with the name of its stage."""
    stage = "stem"
    for name, part in model.body.named_children():
        if found := STAGE.fullmatch(name):
            stage = f"stage {found[1] or int(found[2]) + 1}"
        elif name == "network":
            stage = "all stages"
        elif stage != "stem":
            stage = "last layers"
        yield stage, part


def strategies_of(network: str, names: str = "") -> list[Strategy]:
    """Those of `STRATEGIES` that a network can be fine-tuned by, or some of them.

    Parameters
    ----------
    names : str   such as `head, all`; empty for every one

    Raises
    ------
    UserError   if a name is not among them
    """
    possible: list[Strategy] = []
    for strategy in STRATEGIES:
        with suppress(UserError):  # of a network without stages
            build(Recipe(model=network, strategy=strategy), 2, (0.0,) * 3, (1.0,) * 3)
            possible.append(strategy)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in possible:
            raise UserError(
                f"strategies: {network} has no {name!r}; choose of {', '.join(possible)}"
            )
    return [strategy for strategy in possible if not wanted or strategy in wanted]


def recipes(base: Recipe, map_views: int = 0) -> dict[Strategy, Recipe]:
    """The recipe of every strategy.

    The head alone is fitted to the frozen features until it converges, so it has no epochs and no
    augmentation.

    Parameters
    ----------
    base : Recipe     of the network, with all layers fine-tuned
    map_views : int   stored views per picture, of strategies that freeze most of the network
    """
    return {
        "head": base.replace(
            strategy="head", augmentation="none", head_fit="lbfgs", epochs=1, val_every=1
        ),
        "last_block": base.replace(strategy="last_block", map_views=map_views),
        "last_stage": base.replace(strategy="last_stage", map_views=map_views),
        "all": base,
    }


def target(runs: Sequence[Run]) -> float:
    """The validation accuracy that all strategies are timed to, a whole per cent.

    It is `BELOW_BEST` less than the best strategy has after its last epoch, as a mean over seeds,
    and rounded down.
    """
    _, accuracy = _best_strategy(runs)
    return max(1, math.floor(round(100 * (accuracy - BELOW_BEST), 6))) / 100


def target_sentence(runs: Sequence[Run], accuracy: float) -> str:
    """Which target the strategies are timed to, and where it comes from."""
    text = f"Target: {per_cent(accuracy, 0)} validation accuracy"
    if accuracy != target(runs):
        return f"{text}, as this notebook's parameters say."
    name, reached = _best_strategy(runs)
    return (
        f"{text}: two percentage points below what the best strategy reaches after its last epoch "
        f"({name}, {per_cent(reached)} as the mean over seeds), rounded down."
    )


def _best_strategy(runs: Sequence[Run]) -> tuple[str, float]:
    """The strategy of highest mean validation accuracy after the last epoch, and that accuracy."""
    means = {
        label(name): sum(run.history["val_accuracy"].iloc[-1] for run in group) / len(group)
        for name, group in grouped(runs, lambda run: run.recipe.strategy).items()
    }
    best = max(means, key=lambda name: means[name])
    return best, means[best]


def time_to(history: pd.DataFrame, accuracy: float) -> tuple[float, float]:
    """The first epoch after which validation accuracy is that high, and the seconds until then.

    Both are NaN if it never is.
    """
    reached = history[history["val_accuracy"] >= accuracy]
    if reached.empty:
        return math.nan, math.nan
    return float(reached["epoch"].iloc[0]), float(reached["seconds"].iloc[0])


def strategy_table(runs: Iterable[Run], accuracy: float) -> pd.DataFrame:
    """One row per strategy, means over its seeds.

    Parameters
    ----------
    accuracy : float   of validation, that all are timed to

    Returns
    -------
    table : strategy, trainable (parameters), epochs_to_target and seconds_to_target (means over the
        seeds that reach it, NaN if none does), reached_by (how many of the seeds do), seconds (of
        the whole training), test_accuracy (an `Interval`), seeds
    """
    rows = []
    for strategy, group in grouped(runs, lambda run: run.recipe.strategy).items():
        times = pd.DataFrame([time_to(run.history, accuracy) for run in group])
        epochs, seconds = times.mean()
        rows.append(
            {
                "strategy": strategy,
                "trainable": group[0].summary["trainable_parameters"],
                "epochs_to_target": epochs,
                "seconds_to_target": seconds,
                "reached_by": f"{times[0].count()} of {count(len(group), 'seed')}",
                "seconds": sum(run.summary["seconds"] for run in group) / len(group),
                "test_accuracy": accuracy_over_seeds(group),
            }
        )
    return pd.DataFrame(rows)


def by_source(runs: Iterable[Run], source: str) -> pd.DataFrame:
    """Heads on pretrained and on random backbones, in rows that are independent of one another.

    Heads on one network have its luck in common, so they are averaged: several pretrained networks
    have a row each, as have the random backbones, each of which has one head. Heads on a single
    pretrained network have a row each; they tell about that network alone.

    Parameters
    ----------
    source : str   the name of the pretrained weights; others are `random_weights`. A network that
                   is alone in being pretrained by rotation is named so.

    Returns
    -------
    table : source, backbone, val_accuracy, test_accuracy; and heads (their number) where rows are
        backbones, run_id and seed where they are runs
    """
    table = results(runs)
    drawn = table["weights"] == "none"
    single = table.loc[~drawn, "weights"].nunique() < 2
    if single and source == "rotation":
        source = ONE_NETWORK
    table = table.assign(
        source=drawn.map({True: "random_weights", False: source}),
        backbone=table["weights"].where(~drawn, "random, seed " + table["seed"].astype(str)),
    )
    names = ["source", "backbone"]
    figures = ["val_accuracy", "test_accuracy"]
    if single:
        return table[["run_id", "seed", *names, *figures]]
    grouped_rows = table.groupby(names, sort=False)
    return grouped_rows[figures].mean().assign(heads=grouped_rows.size()).reset_index()


def evidence_sentence(table: pd.DataFrame) -> str:
    """What a comparison of `by_source` rests on, and so what it is about."""
    pretrained = table[table["source"] != "random_weights"]
    if pretrained.empty:
        return "All backbones have random weights."
    random = count(len(table) - len(pretrained), "random backbone")
    name = label(pretrained["source"].iloc[0])
    name = "by rotation" if name == ONE_NETWORK else name
    if "heads" in table:
        heads = span(pretrained["heads"], "head")
        return (
            f"Compared are {count(len(pretrained), 'pretrained network')} ({name}), each by the "
            f"mean of its {heads}, with {random} of one head each: heads on the same network are "
            "not independent evidence about pretraining."
        )
    spread = pretrained["test_accuracy"].max() - pretrained["test_accuracy"].min()
    same = len(pretrained) > 1 and spread < SAME
    alike = ", which converge to about one accuracy," if same else ""
    return (
        f"Compared are {count(len(pretrained), 'head')} on one pretrained network ({name}){alike} "
        f"with {random} of one head each: the result is about this network, not about others that "
        "are pretrained in the same way."
    )


def on_other_backbones(names: str, head: Recipe, rotation: Callable[[], str]) -> list[Recipe]:
    """The recipe of a head on other backbones, each with the weights that its publisher trained.

    Parameters
    ----------
    names : str           of networks, such as `efficientnet_lite0, timm:convnext_tiny`; `rotation`
                          is a ResNet-18 that learned on these pictures, at their own size
    rotation : function   pretrains that one, and says what its weights are called
    """

    def on(name: str) -> Recipe:
        if name == "rotation":
            return head.replace(model="resnet18", weights=rotation(), image_size=0)
        weights = "timm" if name.startswith(PREFIX) else "imagenet"
        return head.replace(model=name, weights=weights)

    return [on(name.strip()) for name in names.split(",") if name.strip()]


def by_rotation(unlabelled: Dataset, store: RunStore, pretraining: Recipe) -> str:
    """What a ResNet-18's weights are called that learned these pictures' turns, at their size."""
    small = pretraining.replace(model="resnet18", image_size=0)
    return pretrained("rotation", unlabelled, store, small)[0]


def backbone_table(heads: Iterable[Run]) -> pd.DataFrame:
    """One row per head that was fitted on a backbone: what the backbone is, and its accuracies.

    Returns
    -------
    table : backbone, weights, features (their number), parameters (of the whole network),
        val_accuracy, test_accuracy (an `Interval`), seconds
    """
    return pd.DataFrame(
        {
            "backbone": label(run.recipe.model),
            "weights": origin(run.recipe.weights),
            "features": run.summary["trainable_parameters"] // len(run.dataset["classes"]) - 1,
            "parameters": run.summary["parameters"],
            "val_accuracy": run.summary["val_accuracy"],
            "test_accuracy": accuracy_of(run),
            "seconds": run.summary["seconds"],
        }
        for run in heads
    )


def backbone_sentence(heads: Iterable[Run]) -> str:
    """Which backbone's head is the best on validation, and how it differs from the second on test.

    Both see the same test pictures, so they are compared picture by picture (Tango 1998).
    """
    first, second, *_ = sorted(heads, key=lambda run: -run.summary["val_accuracy"])
    gap = paired_accuracies(*correct_by_seed([first, second])).difference
    name, other = label(first.recipe.model), label(second.recipe.model)
    text = f"Best head on validation: on {name}, test accuracy {accuracy_of(first)}"
    if not gap.clear:
        between = f"{signed(gap.low)} to {signed(gap.high)} percentage points"
        return f"{text}, not significantly different from that on {other} ({between})."
    side = "above" if gap.low > 0 else "below"
    return (
        f"{text}, {size_of(gap)} {side} that on {other}, the second on validation, on the same "
        "test pictures."
    )


def regularised(recipe: Recipe) -> list[Recipe]:
    """The recipe with and without label smoothing, each with and without weight decay."""
    return [
        recipe.replace(label_smoothing=smoothing, weight_decay=decay)
        for smoothing in (0.0, 0.1)
        for decay in (0.0, 0.0005)
    ]


def by_regularisation(runs: Iterable[Run]) -> pd.DataFrame:
    """`results` with a column `regularisation` that names smoothing and weight decay."""
    table = results(runs)
    pairs = zip(table["label_smoothing"], table["weight_decay"], strict=True)
    names = [f"smoothing {smoothing:g}, decay {decay:g}" for smoothing, decay in pairs]
    return table.assign(regularisation=names)
