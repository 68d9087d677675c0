"""How often is the model right, how sure is that figure, and what does it mistake for what?

Intervals: Wilson's for a proportion (1927), Student's t over seeds, the percentile bootstrap for
everything else (Efron & Tibshirani 1993). Differences: Welch's t over seeds, and for two intervals
the square-and-add rule of Newcombe (1998, method 10) and Zou & Donner (2008).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import log_softmax
from torch import Tensor, nn


@dataclass(frozen=True)
class Interval:
    """A figure and the range that it plausibly lies in; bounds of NaN mean a single seed."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """`91.3 % (90.7–91.8)`; a float's format, such as `.3f`, gives `0.913 (0.907–0.918)`."""
        percent = not spec or spec.endswith("%")
        scale, digits = (100, f"{spec[:-1] or '.1'}f") if percent else (1, spec)
        value, low, high = (format(x * scale, digits) for x in (self.value, self.low, self.high))
        dash = " to " if self.low < 0 else "–"  # a dash before a minus sign reads badly
        certainty = f"{low}{dash}{high}" if math.isfinite(self.low) else "1 seed"
        return f"{value} % ({certainty})" if percent else f"{value} ({certainty})"

    def __str__(self) -> str:
        return format(self)

    def __sub__(self, other: "Interval") -> "Interval":
        """The difference of two independent figures, by the square-and-add rule."""
        value = self.value - other.value
        return Interval(
            value,
            value - math.hypot(self.value - self.low, other.high - other.value),
            value + math.hypot(self.high - self.value, other.value - other.low),
        )


def accuracy_interval(correct: int, total: int, level: float = 0.95) -> Interval:
    """Wilson's interval for `correct` right out of `total`; of nothing, NaN within 0 to 1."""
    if not 0 <= correct <= total:
        raise ValueError(f"{correct} right out of {total} predictions")
    if total == 0:
        return Interval(math.nan, 0.0, 1.0)
    z = float(stats.norm.ppf((1 + level) / 2))
    share = correct / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2) / (1 + z**2 / total)
    # The bounds are exactly 0 and 1 where nothing and where everything is right, but for rounding.
    low = centre - half if correct > 0 else 0.0
    high = centre + half if correct < total else 1.0
    return Interval(share, low, high)


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
    """`mean_interval` of accuracies, which lie within 0 to 1 whatever Student's t says."""
    interval = mean_interval(values, level)
    low, high = (min(max(bound, 0.0), 1.0) for bound in (interval.low, interval.high))
    return interval if math.isnan(interval.low) else Interval(interval.value, low, high)


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """`statistic(*arrays)` with the spread that it has when the rows are drawn anew.

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
    variances = first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)
    error = math.sqrt(sum(variances))
    if error == 0:
        return Interval(value, value, value)
    freedom = error**4 / (
        variances[0] ** 2 / (len(first) - 1) + variances[1] ** 2 / (len(second) - 1)
    )
    half = float(stats.t.ppf((1 + level) / 2, freedom) * error)
    return Interval(value, value - half, value + half)


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


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters lie."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Every module in evaluation mode inside the block, and in its own earlier mode after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield model
    finally:
        for module, training in modes:
            module.training = training


@torch.inference_mode()
def predict(
    model: nn.Module,
    images: Tensor,
    batch_size: int = 512,
    device: torch.device | str | None = None,
) -> NDArray[np.float32]:
    """Logits float32 (N, classes) of uint8 pictures (N, 3, H, W), in full precision.

    The model is moved to `device` where one is given and otherwise computes where it lies.
    """
    if device is not None:
        model.to(device)
    target = device_of(model)
    with evaluating(model):
        logits = [
            model(batch.to(target, non_blocking=True).float() / 255).float()
            for batch in images.split(batch_size)
        ]
    return torch.cat(logits).cpu().numpy()


def _counts(labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> NDArray[np.int64]:
    """How often each class (row) was taken for each (column), after a check of the indices."""
    size = len(classes)
    rows, columns = np.asarray(labels), np.asarray(predicted)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise ValueError(f"{rows.shape} labels do not go with {columns.shape} predictions")
    if any(len(x) and (x.min() < 0 or x.max() >= size) for x in (rows, columns)):
        raise ValueError(f"a label or prediction lies outside the {size} classes")
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def confusion_matrix(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]
) -> pd.DataFrame:
    """A row for every pair of classes: true, predicted, count, share of the true class.

    Pairs that never happened are there with 0; the share of a class without pictures is NaN.
    """
    counts = _counts(labels, predicted, classes)
    with np.errstate(invalid="ignore"):
        share = counts / counts.sum(axis=1, keepdims=True)
    return pd.DataFrame(
        {
            "true": np.repeat(np.asarray(classes, dtype=object), len(classes)),
            "predicted": np.tile(np.asarray(classes, dtype=object), len(classes)),
            "count": counts.ravel(),
            "share": share.ravel(),
        }
    )


def per_class(labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> pd.DataFrame:
    """A row a class: class, accuracy (its recall) with Wilson's low and high, precision, n.

    The accuracy of a class without pictures and the precision of one never predicted are NaN.
    """
    counts = _counts(labels, predicted, classes)
    right, total, named = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    intervals = [accuracy_interval(int(r), int(n)) for r, n in zip(right, total, strict=True)]
    return pd.DataFrame(
        {
            "class": list(classes),
            "accuracy": [interval.value for interval in intervals],
            "low": [interval.low for interval in intervals],
            "high": [interval.high for interval in intervals],
            "precision": np.divide(
                right, named, out=np.full(len(classes), np.nan), where=named > 0
            ),
            "n": total,
        }
    )


def most_confused(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str], top: int = 10
) -> pd.DataFrame:
    """The pairs of classes most often taken for one another, in either direction.

    Columns: first, second, count, first_as_second, second_as_first, share (of the pictures of both
    classes). `first` is the class more often mistaken; pairs that were never confused are left out.
    """
    counts = _counts(labels, predicted, classes)
    total = counts.sum(axis=1)
    rows = []
    for i in range(len(classes)):
        for j in range(i):
            a, b = (i, j) if counts[i, j] > counts[j, i] else (j, i)
            if count := counts[a, b] + counts[b, a]:
                share = count / (total[a] + total[b])
                rows.append((classes[a], classes[b], count, counts[a, b], counts[b, a], share))
    columns = ["first", "second", "count", "first_as_second", "second_as_first", "share"]
    table = pd.DataFrame(rows, columns=columns)
    order = ["count", "share", "first", "second"]
    table = table.sort_values(order, ascending=[False, False, True, True])
    return table.head(top).reset_index(drop=True)


def worst_mistakes(
    logits: ArrayLike,
    labels: ArrayLike,
    ids: Sequence[str],
    classes: Sequence[str],
    top: int = 20,
) -> pd.DataFrame:
    """The wrong predictions of greatest loss (in nats).

    Columns: id, index (the row of `logits`), true, predicted, confidence, loss.
    """
    log_probabilities = log_softmax(np.asarray(logits, dtype=float), axis=1)
    truth = np.asarray(labels)
    predicted = log_probabilities.argmax(axis=1)
    loss = -log_probabilities[np.arange(len(truth)), truth]
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-loss[wrong], kind="stable")][:top]
    return pd.DataFrame(
        {
            "id": [ids[i] for i in worst],
            "index": worst,
            "true": [classes[i] for i in truth[worst]],
            "predicted": [classes[i] for i in predicted[worst]],
            "confidence": np.exp(log_probabilities[worst, predicted[worst]]),
            "loss": loss[worst],
        }
    )
