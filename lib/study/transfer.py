"""What each fine-tuning strategy trains, takes and reaches."""

from collections.abc import Iterable

import pandas as pd

from lib.models.parts import count_parameters
from lib.models.resnet18 import STRATEGIES, resnet18
from lib.study.ranking import grouped
from lib.study.selection import accuracy_over_seeds, results
from lib.training.runs import Run

STAGES = {  # of a ResNet-18, from its input to its output: a reader's name, torchvision's names
    "stem": ("conv1", "bn1"),
    "stage 1": ("layer1",),
    "stage 2": ("layer2",),
    "stage 3": ("layer3",),
    "stage 4": ("layer4",),
}


def trained_stages(classes: int) -> pd.DataFrame:
    """What each strategy trains of a ResNet-18 for that many classes.

    Returns
    -------
    table : strategy, stage (of `STAGES`, then head), trained and total (parameters)
    """
    rows = []
    for strategy in STRATEGIES:
        model = resnet18(classes, (0.0,) * 3, (1.0,) * 3, strategy=strategy)
        parts = {
            stage: [model.body.get_submodule(name) for name in names]
            for stage, names in STAGES.items()
        }
        for stage, modules in (parts | {"head": [model.head]}).items():
            counts = [count_parameters(module) for module in modules]
            trained, total = (sum(column) for column in zip(*counts, strict=True))
            rows.append((strategy, stage, trained, total))
    return pd.DataFrame(rows, columns=["strategy", "stage", "trained", "total"])


def convergence(history: pd.DataFrame, share: float = 0.95) -> tuple[int, float]:
    """The epoch and the seconds at which validation accuracy reached `share` of its own best."""
    reached = history[history["val_accuracy"] >= share * history["val_accuracy"].max()].iloc[0]
    return int(reached["epoch"]), float(reached["seconds"])


def strategy_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per strategy, means over its seeds.

    Returns
    -------
    table : strategy, trainable (parameters), epochs_to_95 and seconds_to_95 (of its own best
        validation accuracy), seconds, test_accuracy (an `Interval`), seeds
    """
    rows = []
    for strategy, group in grouped(runs, lambda run: run.recipe.strategy).items():
        means = pd.DataFrame(_figures(run) for run in group).mean().to_dict()
        accuracy = accuracy_over_seeds(group)
        rows.append({"strategy": strategy, **means, "test_accuracy": accuracy, "seeds": len(group)})
    return pd.DataFrame(rows)


def _figures(run: Run) -> dict[str, object]:
    epoch, seconds = convergence(run.history)
    return {
        "trainable": run.summary["trainable_parameters"],
        "epochs_to_95": epoch,
        "seconds_to_95": seconds,
        "seconds": run.summary["seconds"],
    }


def by_source(runs: Iterable[Run], source: str) -> pd.DataFrame:
    """`results` with a column `source`: where the backbone's weights come from.

    `source` is the name of the pretrained weights; others are `random_weights`.
    """
    table = results(runs)
    pretrained = table["weights"] != "none"
    return table.assign(source=pretrained.map({True: source, False: "random_weights"}))


def by_regularisation(runs: Iterable[Run]) -> pd.DataFrame:
    """`results` with a column `regularisation` that names smoothing and weight decay."""
    table = results(runs)
    pairs = zip(table["label_smoothing"], table["weight_decay"], strict=True)
    names = [f"smoothing {smoothing:g}, decay {decay:g}" for smoothing, decay in pairs]
    return table.assign(regularisation=names)
