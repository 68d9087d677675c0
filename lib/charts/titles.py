"""What may a chart's title claim? A difference, only where it is more than noise.

Groups of runs are compared by Welch's t over seeds, proportions by their Wilson intervals. Whoever
picks the best of many makes many comparisons at once, so the level is Bonferroni's.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.intervals import Interval, accuracy_interval, differs
from lib.pages.palette import label
from lib.pages.wording import display_name, duration, per_cent, points, span

Groups = Mapping[str, NDArray[np.float64]]
REFERENCE = label("none")


def groups_of(table: pd.DataFrame, by: str, value: str) -> dict[str, NDArray[np.float64]]:
    """The values of every group, best mean first; runs without a value are left out."""
    present = table.dropna(subset=[value])
    groups = {
        display_name(by, name): part[value].to_numpy(dtype=float)
        for name, part in present.groupby(by, sort=False)
    }
    return dict(sorted(groups.items(), key=lambda item: -item[1].mean()))


def seeds_of(groups: Groups) -> str:
    """How many seeds stand behind each group."""
    return span([len(values) for values in groups.values()], "seed")


def repeated(groups: Groups) -> bool:
    """Whether any setting was trained with more than one seed."""
    return any(len(values) > 1 for values in groups.values())


def leader(groups: Groups) -> str | None:
    """Which group is best and by how much; nothing where the best is not clearly so."""
    if len(groups) < 2:
        return None
    best, second = list(groups)[:2]
    level = 1 - 0.05 / (len(groups) - 1)
    mean = {name: float(values.mean()) for name, values in groups.items()}
    at = f"Best: {best} at {per_cent(mean[best])}"
    if differs(groups[best], groups[second], level):
        return f"{at}, {points(mean[best] - mean[second])} above {second}"
    if REFERENCE in groups and differs(groups[best], groups[REFERENCE], level):
        gain = points(mean[best] - mean[REFERENCE])
        return f"{at}, {gain} above {REFERENCE}, within noise of {second}"
    return None


def led(groups: Groups, by: str, neutral: str) -> str:
    """A title about groups of runs: the leader, that there is none, or `neutral` if unknowable."""
    if found := leader(groups):
        return found
    if len(groups) < 2 or any(len(values) < 2 for values in groups.values()):
        return neutral
    return f"The best {by.replace('_', ' ')} is not clear: its lead is within noise"


def extremes(table: pd.DataFrame) -> tuple[pd.Series, pd.Series] | None:
    """The rows (accuracy, n) of lowest and highest accuracy, if they differ by more than noise."""
    known = table.dropna(subset=["accuracy"]).reset_index(drop=True)
    if len(known) < 2:
        return None
    level = 1 - 0.05 / (len(known) * (len(known) - 1) / 2)
    lowest, highest = known.loc[known["accuracy"].idxmin()], known.loc[known["accuracy"].idxmax()]

    def interval(row: pd.Series) -> Interval:
        return accuracy_interval(round(row["accuracy"] * row["n"]), int(row["n"]), level)

    return (lowest, highest) if differs(interval(lowest), interval(highest)) else None


def time_title(table: pd.DataFrame) -> str:
    """The most accurate row of label, seconds, accuracy, low, high, or a faster one equal to it.

    Equal means not told apart and not below the best's interval: a row that is known too badly to
    be told apart from anything is no match for the best.
    """
    neutral = "Accuracy against training time"
    if len(table) < 2 or table[["low", "high"]].isna().any(axis=None):
        return neutral
    intervals = {row.Index: Interval(row.accuracy, row.low, row.high) for row in table.itertuples()}
    best = table["accuracy"].idxmax()
    level_with = [
        row
        for row, found in intervals.items()
        if found.value >= intervals[best].low and not differs(found, intervals[best])
    ]
    quickest = table.loc[level_with, "seconds"].idxmin()
    name, seconds = table.loc[quickest, "label"], table.loc[quickest, "seconds"]
    if quickest != best:
        ratio = table.loc[best, "seconds"] / seconds
        if ratio < 1.2:
            return neutral
        return f"{ratio:.1f} times faster and within noise of the best: {name}"
    if len(level_with) > 1:
        return neutral
    return f"Best: {name}, {per_cent(table.loc[best, 'accuracy'])} after {duration(seconds)}"
