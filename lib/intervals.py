"""Intervals of measured figures, and significant differences between them.

One network: Wilson's interval for a proportion (1927), and for other figures the percentile
bootstrap (Efron & Tibshirani 1993). A recipe, trained with several seeds and tested on the same
pictures, varies with both: `recipe_accuracy`. Over seeds alone, on fixed pictures: Student's t. Two
seeds have a range and no interval: Student's t would give one 13 times as wide as their distance.

Differences on the same pictures are paired: the score interval of Tango (1998) and McNemar's test
(1947) for two networks, `recipe_difference` for two recipes. Unpaired ones: Welch's t over seeds,
and for two intervals the square-and-add rule of Newcombe (1998, method 10) and Zou & Donner (2008).
Imports no torch, so that charts and services start quickly.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats


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

    @property
    def clear(self) -> bool:
        """Whether this difference is significant: its interval leaves out zero."""
        return self.low > 0 or self.high < 0

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
    """Welch's interval for mean(a) - mean(b), one value per seed.

    The bounds are NaN from one seed, and where neither side varies: few seeds can agree by chance.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    value = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2 or np.ptp(first) == np.ptp(second) == 0:
        return Interval(value, math.nan, math.nan)
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
    return difference.clear


# Seeds and pictures


def recipe_accuracy(correct: ArrayLike, level: float = 0.95) -> Interval:
    """The accuracy of a recipe on pictures of this kind, from seeds tested on the same pictures.

    The variance is that of the pictures' mean correctness plus that of the seeds' accuracies, each
    over its number (crossed random effects: Owen 2007, "The pigeonhole bootstrap"; the part that
    both contain counts twice, which errs on the wide side). It becomes the effective number of
    pictures of Wilson's interval (Franco et al. 2019 compare such intervals), with a quantile of
    Student's t at Satterthwaite's degrees of freedom (1946). One seed has Wilson's interval itself.

    Parameters
    ----------
    correct : bool (seeds, pictures)   whether each seed's network is right on each picture
    """
    table = _by_seed_and_picture(correct)
    seeds, pictures = table.shape
    value = float(table.mean())
    if seeds == 1:
        return accuracy_interval(int(table.sum()), pictures, level)
    parts = [_variance(table.mean(axis=0)), _variance(table.mean(axis=1))]
    error = sum(variance / number for variance, number in parts)
    spread = value * (1 - value)
    # at most as many as there are predictions, and pictures alone where no prediction is wrong
    effective = min(spread / error, seeds * pictures) if error > 0 else pictures
    t = _t_quantile(parts, level)
    low, high = _wilson(value, effective, t)
    return Interval(value, low, high)


def recipe_difference(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Interval:
    """The accuracy of one recipe less that of another, both tested on the same pictures.

    Pictures are paired, seeds are not: what is hard for both recipes cancels out, and each recipe
    adds the variance over its seeds. With one seed of either, how seeds vary is unknown, and the
    bounds are NaN.

    Parameters
    ----------
    first, second : bool (seeds, pictures)   the same pictures in the same order
    """
    tables = [_by_seed_and_picture(first), _by_seed_and_picture(second)]
    if tables[0].shape[1] != tables[1].shape[1]:
        raise ValueError(f"{tables[0].shape[1]} and {tables[1].shape[1]} pictures cannot be paired")
    value = float(tables[0].mean() - tables[1].mean())
    if min(len(table) for table in tables) < 2:
        return Interval(value, math.nan, math.nan)
    gains = tables[0].mean(axis=0) - tables[1].mean(axis=0)
    parts = [_variance(gains), *(_variance(table.mean(axis=1)) for table in tables)]
    half = _t_quantile(parts, level) * math.sqrt(sum(v / number for v, number in parts))
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))


def crossed_mean(values: ArrayLike, level: float = 0.95) -> Interval:
    """The mean of a figure that varies with pictures and with repetitions on the same pictures.

    As in `recipe_accuracy`, the variance is that of the pictures' means plus that of the
    repetitions' means, each over its number. The bounds are NaN where there is only one of either.

    Parameters
    ----------
    values : float (repetitions, pictures)   NaN where there is no figure
    """
    table = _by_seed_and_picture(values)
    known = ~np.isnan(table)
    if not known.any():
        return Interval(math.nan, math.nan, math.nan)
    value = float(table[known].mean())
    means = [np.nanmean(side[~np.isnan(side).all(axis=1)], axis=1) for side in (table, table.T)]
    if min(map(len, means)) < 2:
        return Interval(value, math.nan, math.nan)
    parts = [_variance(side) for side in means]
    half = _t_quantile(parts, level) * math.sqrt(sum(v / number for v, number in parts))
    return Interval(value, value - half, value + half)


def _by_seed_and_picture(correct: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(correct, dtype=float)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"expected (seeds, pictures), got an array of shape {table.shape}")
    return table


def _variance(values: NDArray[np.float64]) -> tuple[float, int]:
    """The variance of values, and their number."""
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0, len(values)


def _t_quantile(parts: Iterable[tuple[float, int]], level: float) -> float:
    """Student's t quantile for a sum of variances of means, after Satterthwaite."""
    errors = [(variance / number, number - 1) for variance, number in parts if variance > 0]
    if not errors:
        return float(stats.norm.ppf((1 + level) / 2))
    freedom = sum(e for e, _ in errors) ** 2 / sum(e**2 / df for e, df in errors)
    return float(stats.t.ppf((1 + level) / 2, freedom))


def _wilson(value: float, number: float, z: float) -> tuple[float, float]:
    """Wilson's interval for a number of trials that need not be whole."""
    middle = (value + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number)
    half *= math.sqrt(value * (1 - value) / number + z**2 / (4 * number**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


# The same pictures


@dataclass(frozen=True)
class Paired:
    """How two networks differ on the same pictures: their difference and McNemar's exact test."""

    difference: Interval  # of the accuracies, first less second
    only_first: int  # pictures that the first alone is right on
    only_second: int
    p: float  # of McNemar's test: two-sided, binomial

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.difference.clear


def paired_accuracies(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Paired:
    """Compare two networks on the same pictures, by the score interval of Tango (1998).

    Parameters
    ----------
    first, second : bool (N,)   whether each is right on each picture
    """
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if one.shape != other.shape or one.ndim != 1 or len(one) == 0:
        raise ValueError(f"arrays of shape {one.shape} and {other.shape} cannot be paired")
    total, only_first = len(one), int((one & ~other).sum())
    only_second = int((other & ~one).sum())
    p = mcnemar(only_first, only_second)
    low, high = _tango(only_first, only_second, total, float(stats.norm.ppf((1 + level) / 2)))
    difference = Interval((only_first - only_second) / total, low, high)
    return Paired(difference, only_first, only_second, p)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided, of the pictures on which just one of two is right."""
    discordant = only_first + only_second
    return float(stats.binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def _tango(b: int, c: int, n: int, z: float) -> tuple[float, float]:
    """The differences of two paired proportions at which the score statistic is within z."""

    def excess(difference: float) -> float:
        """The statistic, signed, of the hypothesis that the true difference is this one."""
        linear = -b - c + (2 * n - b + c) * difference
        constant = -c * difference * (1 - difference)
        share = (math.sqrt(linear**2 - 8 * n * constant) - linear) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        distance = b - c - n * difference
        if variance <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(variance)

    estimate, edge = (b - c) / n, 1 - 1e-12
    low = -1.0 if excess(-edge) < z else optimize.brentq(lambda d: excess(d) - z, -edge, estimate)
    high = 1.0 if excess(edge) > -z else optimize.brentq(lambda d: excess(d) + z, estimate, edge)
    return float(low), float(high)


def paired_interval(
    statistic: Callable[..., float],
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    resamples: int = 1000,
) -> Interval:
    """A figure of one network less that of another on the same pictures, by the bootstrap.

    Parameters
    ----------
    statistic : callable      the figure, from a network's arrays
    first, second : arrays    of each, with one row a picture, which are drawn together
    """
    width = len(first)

    def difference(*columns: NDArray[np.float64]) -> float:
        return statistic(*columns[:width]) - statistic(*columns[width:])

    return bootstrap_interval(difference, *first, *second, resamples=resamples)


# Calibration


@dataclass(frozen=True)
class CalibratedReference:
    """What a calibration error would be if the confidences were perfectly calibrated."""

    mean: float
    high: float  # its 95th percentile
    p: float  # the share of draws that are at least as large as what was measured

    @property
    def told_apart(self) -> bool:
        """Whether the measured error is more than a calibrated network would show."""
        return self.p < 0.05


def calibrated_reference(
    statistic: Callable[[NDArray[np.float64], NDArray[np.bool_]], float],
    confidence: ArrayLike,
    correct: ArrayLike,
    draws: int = 1000,
    seed: int = 0,
) -> CalibratedReference:
    """The calibration error of a calibrated network with these confidences (Bröcker & Smith 2007).

    A calibration error over bins is above zero by noise alone, the more so the fewer pictures. So
    whether each prediction is correct is drawn again with its confidence as the probability
    (consistency resampling; Vaicenavicius et al. 2019 build their test on it).

    Parameters
    ----------
    statistic : callable     the error of confidences and correctness, such as an ECE
    confidence : float (N,)  of the predicted classes
    correct : bool (N,)      which predictions are correct
    """
    values = np.asarray(confidence, dtype=float)
    measured = statistic(values, np.asarray(correct, dtype=bool))
    generator = np.random.default_rng(seed)
    errors = np.array(
        [statistic(values, generator.random(len(values)) < values) for _ in range(draws)]
    )
    at_least = (1 + int((errors >= measured).sum())) / (1 + draws)
    return CalibratedReference(float(errors.mean()), float(np.quantile(errors, 0.95)), at_least)
