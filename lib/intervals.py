"""Intervals of measured figures, and significant differences between them.

Wilson's interval for a proportion (1927), Student's t over three seeds and more, the percentile
bootstrap for everything else (Efron & Tibshirani 1993). Two seeds have a range and no interval:
Student's t would give an interval 13 times as wide as their distance. Differences: Welch's t over
seeds, and for two intervals the square-and-add rule of Newcombe (1998, method 10) and Zou & Donner
(2008). Imports no torch, so that charts and services start quickly.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A figure and its interval; bounds of NaN mean a single seed."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, row: Mapping[str, Any] | pd.Series, value: str = "accuracy") -> Self:
        """The interval in a table's row, whose columns are `value`, low and high; None is NaN."""
        figures = (row[name] for name in (value, "low", "high"))
        return cls(*(math.nan if figure is None else float(figure) for figure in figures))

    def __format__(self, spec: str) -> str:
        """`91.3 % (90.7–91.8)`; a float's format, such as `.3f`, gives `0.913 (0.907–0.918)`."""
        percent = not spec or spec.endswith("%")
        scale, digits = (100, f"{spec[:-1] or '.1'}f") if percent else (1, spec)
        value, low, high = (format(x * scale, digits) for x in (self.value, self.low, self.high))
        dash = " to " if self.low < 0 else "–"  # a dash before a minus sign reads badly
        certainty = self._certainty(f"{low}{dash}{high}")
        return f"{value} % ({certainty})" if percent else f"{value} ({certainty})"

    def _certainty(self, bounds: str) -> str:
        return bounds if math.isfinite(self.low) else "1 seed"

    def __str__(self) -> str:
        return format(self)

    def __sub__(self, other: "Interval") -> "Interval":
        """The difference of two independent figures, by the square-and-add rule.

        A `Range` says nothing about noise: a difference from one has bounds of NaN.
        """
        value = self.value - other.value
        if isinstance(self, Range) or isinstance(other, Range):
            return Interval(value, math.nan, math.nan)
        return Interval(
            value,
            value - math.hypot(self.value - self.low, other.high - other.value),
            value + math.hypot(self.high - self.value, other.value - other.low),
        )


class Range(Interval):
    """The mean of two runs, with the lower and the higher figure of the two as bounds."""

    def _certainty(self, bounds: str) -> str:
        return f"{bounds}, range of 2 seeds"


def accuracy_interval(correct: int, total: int, level: float = 0.95) -> Interval:
    """Wilson's interval for `correct` predictions out of `total`; of nothing, NaN within 0 to 1."""
    if not 0 <= correct <= total:
        raise ValueError(f"{correct} correct out of {total} predictions")
    if total == 0:
        return Interval(math.nan, 0.0, 1.0)
    bounds = stats.binomtest(correct, total).proportion_ci(level, method="wilson")
    return Interval(correct / total, float(bounds.low), float(bounds.high))


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean of one figure per seed with Student's t interval; a single seed has bounds of NaN."""
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or len(sample) == 0:
        raise ValueError(f"expected one value per seed, got an array of shape {sample.shape}")
    mean = float(sample.mean())
    if len(sample) == 1:
        return Interval(mean, math.nan, math.nan)
    error = sample.std(ddof=1) / math.sqrt(len(sample))
    half = float(stats.t.ppf((1 + level) / 2, len(sample) - 1) * error)
    return Interval(mean, mean - half, mean + half)


def mean_accuracy(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean of one accuracy per seed: with its interval, cut at 0 and 1, or of two as a `Range`.

    Parameters
    ----------
    values : float (N,)   accuracies in [0, 1]; a single one has bounds of NaN
    """
    sample = np.asarray(values, dtype=float)
    interval = mean_interval(sample, level)
    if len(sample) == 1:
        return interval
    if len(sample) == 2:
        return Range(interval.value, float(sample.min()), float(sample.max()))
    return Interval(interval.value, max(interval.low, 0.0), min(interval.high, 1.0))


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """`statistic(*arrays)` with the interval that resampling the rows gives it.

    The arrays are resampled together along their first axis. Some statistics grow under resampling
    (a calibration error does: noise adds to it) and would leave their own percentile interval; the
    replicates are therefore moved so that their mean is the statistic.
    """
    columns = [np.asarray(array) for array in arrays]
    rows = len(columns[0])
    if rows == 0 or any(len(column) != rows for column in columns):
        raise ValueError(f"arrays of {[len(column) for column in columns]} rows can't be resampled")
    generator = np.random.default_rng(seed)
    replicates = np.empty(resamples)
    for i in range(resamples):
        drawn = generator.integers(0, rows, rows)
        replicates[i] = statistic(*(column[drawn] for column in columns))
    value = float(statistic(*columns))
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(replicates - replicates.mean() + value, tails)
    return Interval(value, float(low), float(high))


def difference_interval(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """Welch's interval for mean(a) - mean(b), one value per seed; from one seed, NaN bounds."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    value = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        return Interval(value, math.nan, math.nan)
    if np.ptp(first) == np.ptp(second) == 0:
        return Interval(value, value, value)
    bounds = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    return Interval(value, float(bounds.low), float(bounds.high))


def differs(a: Interval | ArrayLike, b: Interval | ArrayLike, level: float = 0.95) -> bool:
    """Whether two figures differ by more than noise: their difference's interval leaves out zero.

    Two sequences of values over seeds are compared by Welch's t at `level`, two `Interval`s at the
    level that they carry. A single seed can't tell noise: with one on either side nothing differs.
    """
    if isinstance(a, Interval) and isinstance(b, Interval):
        difference = a - b
    elif isinstance(a, Interval) or isinstance(b, Interval):
        raise ValueError("an Interval can be compared with another Interval only")
    else:
        difference = difference_interval(a, b, level)
    return difference.low > 0 or difference.high < 0
