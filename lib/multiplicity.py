"""Many comparisons at once: which of them are significant, corrected for their number.

Holm's correction (1979) of several tests, and the cells of a table in which groups of seeds differ,
by Welch's t-test (1947). Intervals of single differences are in `lib.intervals`.
"""

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lib.intervals import Interval, difference_interval

K = TypeVar("K", bound=Hashable)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """The p-values of several tests, adjusted for their number (Holm 1979), in their order."""
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def clear_differences(
    cells: Mapping[K, tuple[ArrayLike, ArrayLike]], level: float = 0.95
) -> dict[K, Interval]:
    """The cells of a table in which two groups differ, by Welch's t and Holm over all cells.

    The chance that any cell is named although none differs is at most 1 - level. Cells with a
    single value on a side, or without any variance, count among the cells and are never named.

    Parameters
    ----------
    cells : for each the values of a group, one per seed, and those of its reference

    Returns
    -------
    dict : the named cells, in their order, with Welch's interval of the difference at `level`
    """
    adjusted = holm([_welch_p(*groups) for groups in cells.values()])
    return {
        key: difference_interval(*groups, level)
        for (key, groups), p in zip(cells.items(), adjusted, strict=True)
        if p < 1 - level
    }


def _welch_p(first: ArrayLike, second: ArrayLike) -> float:
    """Of Welch's t-test; 1 where `difference_interval` has no bounds."""
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if min(len(one), len(other)) < 2 or np.ptp(one) == np.ptp(other) == 0:
        return 1.0
    sides = [(side.mean(), side.std(ddof=1), len(side)) for side in (one, other)]
    return float(stats.ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def visible_difference(
    cells: Mapping[K, tuple[ArrayLike, ArrayLike]], level: float = 0.95
) -> float:
    """The difference from which `clear_differences` would name a cell, the median over cells.

    NaN where no cell has an interval.
    """
    strict = 1 - (1 - level) / max(1, len(cells))
    intervals = [difference_interval(*groups, strict) for groups in cells.values()]
    halves = [(one.high - one.low) / 2 for one in intervals if math.isfinite(one.low)]
    return float(np.median(halves)) if halves else math.nan
