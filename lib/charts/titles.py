"""Chart titles and findings that claim only significant differences.

Groups of runs are compared by Welch's t over seeds, proportions by their Wilson intervals. Whoever
picks the best of many makes many comparisons at once, so the level is Bonferroni's.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.intervals import Interval, accuracy_interval, differs
from lib.pages.palette import label
from lib.pages.wording import (
    axis_title,
    count,
    display_name,
    duration,
    per_cent,
    plural,
    points,
    span,
)

Groups = Mapping[str, NDArray[np.float64]]
REFERENCES = {label("none"), label("random_weights")}  # what others are compared with


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


def spread_of(counts: Iterable[int], interval: str) -> str:
    """What `lib.intervals.mean_accuracy` gives for settings of so many seeds: `its {interval}`.

    `counts` are the settings' numbers of seeds; of two seeds there is a range and no interval.
    """
    several = {int(count) for count in counts}
    if several == {2}:
        return "the range of the two seeds"
    return f"its {interval}" + (" (of two seeds their range)" if 2 in several else "")


def comparison(groups: Groups, value: str) -> str | None:
    """The best group and by how much it leads; nothing where its lead is not significant.

    `value` is the column that the figures come from, such as `test_accuracy`.
    """
    if len(groups) < 2:
        return None
    best, second = list(groups)[:2]
    level = 1 - 0.05 / (len(groups) - 1)
    mean = {name: float(values.mean()) for name, values in groups.items()}
    highest = f"Highest {axis_title(value).lower()}: {best}, {per_cent(mean[best])}"
    if differs(groups[best], groups[second], level):
        return f"{highest}, {points(mean[best] - mean[second])} above {second}"
    for reference in REFERENCES & groups.keys():
        if differs(groups[best], groups[reference], level):
            gain = points(mean[best] - mean[reference])
            return f"{highest}, {gain} above {reference}; not significantly different from {second}"
    return None


def comparison_finding(groups: Groups, by: str, value: str) -> str:
    """What a comparison comes to, in a sentence that stands alone."""
    if result := comparison(groups, value):
        return f"{result}."
    if any(len(values) < 2 for values in groups.values()):
        return "Trained with one seed only: differences may be due to chance."
    best, values = next(iter(groups.items()))
    mean = per_cent(float(values.mean()))
    return f"No significant difference between {plural(by)} (highest mean: {best}, {mean})."


def extremes(table: pd.DataFrame) -> tuple[pd.Series, pd.Series] | None:
    """The rows (accuracy, n) of lowest and highest accuracy, if they differ significantly."""
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

    Equal means not significantly different, and not below the best's interval: a row that is known
    too badly to differ from anything is no match for the best. With a column `seeds`, accuracies
    are means over so many; where two stand behind one, low and high are a range, which claims
    nothing.
    """
    neutral = "Accuracy against training time"
    if len(table) < 2 or table[["low", "high"]].isna().any(axis=None):
        return neutral
    if "seeds" in table and (table["seeds"] == 2).any():
        return neutral  # a range tells no noise
    rows = table.to_dict("index")
    intervals = {key: Interval.of(row) for key, row in rows.items()}
    best = table["accuracy"].idxmax()
    equals = [
        key
        for key, interval in intervals.items()
        if interval.value >= intervals[best].low and not differs(interval, intervals[best])
    ]
    quickest = table.loc[equals, "seconds"].idxmin()
    row = rows[quickest]
    if quickest != best:
        ratio = rows[best]["seconds"] / row["seconds"]
        if ratio < 1.2:
            return neutral
        return (
            f"{row['label']} trains {ratio:.1f} times faster than the most accurate setting; "
            "accuracy not significantly different"
        )
    if len(equals) > 1:
        return neutral
    seeds = int(row.get("seeds", 1))
    accuracy = "Best mean test accuracy" if seeds > 1 else "Best test accuracy"
    behind = f"{count(seeds, 'seed')}, {duration(row['seconds'])} of training"
    return f"{accuracy}: {row['label']}, {per_cent(row['accuracy'])} ({behind})"
