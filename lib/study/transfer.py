"""What does each way of retraining a pretrained network cost, and what does it bring?"""

from collections.abc import Iterable

import pandas as pd

from lib.intervals import mean_accuracy
from lib.study.selection import results
from lib.training.runs import Run


def convergence(history: pd.DataFrame, share: float = 0.95) -> tuple[int, float]:
    """The epoch and the seconds at which validation accuracy reached `share` of its own best."""
    reached = history[history["val_accuracy"] >= share * history["val_accuracy"].max()].iloc[0]
    return int(reached["epoch"]), float(reached["seconds"])


def strategy_table(runs: Iterable[Run]) -> pd.DataFrame:
    """A row for each strategy, means over its seeds.

    Returns
    -------
    table : strategy, trainable (parameters), total (parameters), epochs_to_95 and seconds_to_95 (of
        its own best validation accuracy), seconds, test_accuracy (an `Interval`), seeds
    """
    table = pd.DataFrame(_figures(run) for run in runs)
    rows = []
    for strategy, group in table.groupby("strategy", sort=False):
        figures = group.drop(columns=["strategy", "test_accuracy"]).mean().to_dict()
        accuracy = mean_accuracy(group["test_accuracy"])
        rows.append(
            {"strategy": strategy, **figures, "test_accuracy": accuracy, "seeds": len(group)}
        )
    return pd.DataFrame(rows)


def _figures(run: Run) -> dict[str, object]:
    epoch, seconds = convergence(run.history)
    return {
        "strategy": run.recipe.strategy,
        "trainable": run.summary["trainable_parameters"],
        "total": run.summary["parameters"],
        "epochs_to_95": epoch,
        "seconds_to_95": seconds,
        "seconds": run.summary["seconds"],
        "test_accuracy": run.summary["test_accuracy"],
    }


def by_source(runs: Iterable[Run], source: str) -> pd.DataFrame:
    """`results` with a column `source`: `source`, or none for a backbone with random weights."""
    table = results(runs)
    return table.assign(source=table["weights"].where(table["weights"] == "none", source))


def by_regularisation(runs: Iterable[Run]) -> pd.DataFrame:
    """`results` with a column `regularisation` that names smoothing and weight decay."""
    table = results(runs)
    pairs = zip(table["label_smoothing"], table["weight_decay"], strict=True)
    names = [f"smoothing {smoothing:g}, decay {decay:g}" for smoothing, decay in pairs]
    return table.assign(regularisation=names)
