"""What may a chart's title claim? A difference, only where it is more than noise.

Groups of runs are compared by Welch's t over seeds, proportions by their Wilson intervals. Whoever
picks the best of many makes many comparisons at once, so the level is Bonferroni's.
"""

from collections.abc import Hashable, Iterable, Mapping
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.intervals import Interval, accuracy_interval, differs
from lib.palette import label

Groups = Mapping[str, NDArray[np.float64]]
REFERENCE = label("none")
NO_BREAK = "\N{NO-BREAK SPACE}"


def per_cent(share: float, digits: int = 1) -> str:
    """0.9312 as `93.1 %`, with a space that doesn't break."""
    return f"{share:.{digits}%}".replace("%", f"{NO_BREAK}%")


def points(difference: float) -> str:
    """A difference of proportions in percentage points, with a second digit where it is small."""
    size = abs(difference) * 100
    return f"{size:.1f} points" if size >= 0.95 else f"{size:.2f} points"


def signed(difference: float) -> str:
    """A difference of proportions in percentage points, as `+3.1` or `−0.4`."""
    return f"{difference * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 seed`, `3 seeds`, `10,000 pictures`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def spelled(column: str) -> str:
    """A column's name as an axis shows it."""
    words = column.replace("_", " ")
    return words[:1].upper() + words[1:]


def worded(column: str, value: Hashable) -> str:
    """A column's value as a page says it: `MixUp`, and for a number what it is of."""
    if isinstance(value, Real):
        return f"{column.replace('_', ' ')} {value:g}"
    return label(value)


def groups_of(table: pd.DataFrame, by: str, value: str) -> dict[str, NDArray[np.float64]]:
    """The values of every group, best mean first; runs without a value are left out."""
    present = table.dropna(subset=[value])
    groups = {
        worded(by, name): part[value].to_numpy(dtype=float)
        for name, part in present.groupby(by, sort=False)
    }
    return dict(sorted(groups.items(), key=lambda item: -item[1].mean()))


def seeds_of(groups: Groups) -> str:
    """How many seeds stand behind each group."""
    return span([len(values) for values in groups.values()], "seed")


def span(numbers: Iterable[int], noun: str) -> str:
    """`3 seeds`, `2 to 3 seeds`; of no numbers, `0 seeds`."""
    found = sorted(set(numbers)) or [0]
    upper = count(int(found[-1]), noun)
    return upper if len(found) == 1 else f"{found[0]:,} to {upper}"


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


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"
