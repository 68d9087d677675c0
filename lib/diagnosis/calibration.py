"""Temperature scaling, and measures of how well a model's confidence is calibrated.

Temperature scaling and the expected calibration error of Guo et al., "On Calibration of Modern
Neural Networks" (ICML 2017); its equal-mass variant of Nguyen & O'Connor (2015) and its
class-wise one of Kull et al. (2019); Brier's score (1950) for many classes. What is fitted is
fitted on validation predictions, never on test.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_softmax
from scipy.special import softmax as stable_softmax

from lib.intervals import (
    CalibratedReference,
    Interval,
    bootstrap_interval,
    calibrated_reference,
    paired_interval,
)

TEMPERATURE_BOUNDS = (0.05, 20.0)
BINS = 15  # as in Guo et al.
NAMES = ("nll", "brier", "ece", "equal_mass_ece", "classwise_ece", "mce")  # proper scores first

Floats = NDArray[np.float64]


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities (N, classes) of logits (N, classes) divided by the temperature."""
    return stable_softmax(np.asarray(logits, dtype=float) / temperature, axis=1)


def cross_entropy(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> Floats:
    """Minus the log-probability (N,) of each picture's true class, in nats."""
    log_probabilities = log_softmax(np.asarray(logits, dtype=float) / temperature, axis=1)
    truth = np.asarray(labels)
    return -log_probabilities[np.arange(len(truth)), truth]


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T that minimises the negative log-likelihood of softmax(logits / T).

    The loss is convex in 1/T, so its minimum is the root of its slope: the mean of the logit that
    the model expects less the true one. Where every prediction is right there is no minimum, since
    more confidence is always better; then, as in Platt (1999), 1 / (N + 2) of the truth is spread
    over all classes: the error to expect after N successes. The answer is kept within
    `TEMPERATURE_BOUNDS`; where almost every prediction is wrong, the hottest is best. Logits that
    are all alike give 1.

    Parameters
    ----------
    logits : float (N, classes)   of validation pictures
    labels : int (N,)

    Raises
    ------
    ValueError   if there are no predictions, the lengths differ or a logit is not finite
    """
    values, truth = _checked(logits, labels)
    if np.ptp(values, axis=1).max() == 0:
        return 1.0
    true_logit = values[np.arange(len(truth)), truth]
    doubt = 1 / (len(truth) + 2) if faultless(values, truth) else 0.0
    target = (1 - doubt) * true_logit + doubt * values.mean(axis=1)

    def slope(inverse: float) -> float:
        expected = (stable_softmax(values * inverse, axis=1) * values).sum(axis=1)
        return float((expected - target).mean())

    coldest, hottest = TEMPERATURE_BOUNDS
    if slope(1 / coldest) <= 0:
        return coldest
    if slope(1 / hottest) >= 0:
        return hottest
    return float(1 / brentq(slope, 1 / hottest, 1 / coldest, xtol=1e-12))


def faultless(logits: ArrayLike, labels: ArrayLike) -> bool:
    """Whether the true class has the highest logit of every picture (it may share it)."""
    values, truth = _checked(logits, labels)
    return bool((values[np.arange(len(truth)), truth] == values.max(axis=1)).all())


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    values, truth = np.asarray(logits, dtype=float), np.asarray(labels)
    if values.ndim != 2 or truth.shape != values.shape[:1] or len(truth) == 0:
        raise ValueError(f"{values.shape} logits do not go with {truth.shape} labels")
    if not np.isfinite(values).all():
        raise ValueError("a logit is not finite: the model's training diverged")
    return values, truth


def _edges(confidence: Floats, bins: int, equal_mass: bool) -> Floats:
    """Borders (bins + 1,) from 0 to 1, equally far apart or with equally many between them."""
    if not equal_mass:
        return np.linspace(0, 1, bins + 1)
    # The cuts of np.array_split: the first bins take what doesn't divide evenly.
    size, extra = divmod(len(confidence), bins)
    cuts = np.arange(1, bins) * size + np.minimum(np.arange(1, bins), extra)
    ordered = np.append(np.sort(confidence), 1.0)
    return np.concatenate(([0.0], ordered[cuts], [1.0]))


def _bin_of(confidence: Floats, edges: Floats) -> NDArray[np.intp]:
    """Each confidence's bin: closed below, open above, and the last one closed on both sides."""
    return np.minimum(np.searchsorted(edges, confidence, side="right") - 1, len(edges) - 2)


def reliability_table(
    confidence: ArrayLike, correct: ArrayLike, bins: int = BINS, equal_mass: bool = False
) -> pd.DataFrame:
    """One row per bin: low, high, count, share, mean confidence, accuracy; empty bins hold NaN.

    A bin holds low <= confidence < high; the last one also holds 1. With `equal_mass`, equal
    confidences stay in one bin, so that the order of the predictions changes nothing.

    Raises
    ------
    ValueError   if a confidence lies outside [0, 1], the lengths differ or there are no predictions
    """
    values, right = checked_confidence(confidence, correct)
    edges = _edges(values, bins, equal_mass)
    index = _bin_of(values, edges)
    count = np.bincount(index, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "count": count,
            "share": count / len(values),
            "confidence": np.bincount(index, values, bins) / filled,
            "accuracy": np.bincount(index, right, bins) / filled,
        }
    )


def checked_confidence(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    """Both as floats (N,).

    Raises
    ------
    ValueError   if a confidence lies outside [0, 1], the lengths differ or there are no predictions
    """
    values, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if values.shape != right.shape or values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{values.shape} confidences do not go with {right.shape} outcomes")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a confidence lies outside [0, 1]")
    return values, right


def expected_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, bins: int = BINS, equal_mass: bool = False
) -> float:
    """Mean gap between confidence and accuracy over bins, weighted by bin size, in [0, 1].

    Parameters
    ----------
    confidence : float (N,)   probability given to the predicted class
    correct : bool (N,)       whether that prediction was right
    bins : int                number of bins; empty ones count nothing
    equal_mass : bool         bins hold equally many predictions instead of equally wide ranges

    Raises
    ------
    ValueError   if a confidence lies outside [0, 1], the lengths differ or there are no predictions
    """
    values, right = checked_confidence(confidence, correct)
    return _mean_gap(_bin_of(values, _edges(values, bins, equal_mass)), values - right)


def ece_reference(
    confidence: ArrayLike, correct: ArrayLike, bins: int = BINS
) -> CalibratedReference:
    """The calibration error that a perfectly calibrated model with these confidences would show.

    A finite sample shows an error even then: see `lib.intervals.calibrated_reference`.

    Parameters
    ----------
    confidence : float (N,)   probability given to the predicted class
    correct : bool (N,)       whether that prediction was right
    """
    values, right = checked_confidence(confidence, correct)
    index = _bin_of(values, _edges(values, bins, equal_mass=False))
    return calibrated_reference(
        lambda confidence, correct: _mean_gap(index, confidence - correct), values, right
    )


def maximum_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """The widest gap between confidence and accuracy of any bin that isn't empty, in [0, 1]."""
    values, right = checked_confidence(confidence, correct)
    return _widest_gap(_bin_of(values, _edges(values, bins, False)), values - right)


def classwise_ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> float:
    """Mean over classes of the calibration error of each class's own probability, in [0, 1].

    Every class counts alike, one that is missing from the labels too: its probability should be 0.

    Parameters
    ----------
    probabilities : float (N, classes)
    labels : int (N,)
    """
    return _mean_gap(*_classwise_gaps(*_checked(probabilities, labels), bins))


def _classwise_gaps(
    probabilities: Floats, labels: NDArray[np.int64], bins: int
) -> tuple[NDArray[np.intp], Floats]:
    """For each picture and class (N, classes): its bin among all classes' bins, and its gap."""
    classes = np.arange(probabilities.shape[1])
    index = _bin_of(probabilities, np.linspace(0, 1, bins + 1)) + classes * bins
    return index, probabilities - (labels[:, None] == classes)


def _mean_gap(index: NDArray[np.intp], gap: Floats) -> float:
    """Mean size of the bins' summed gaps: the calibration error without a table, for resampling."""
    return float(np.abs(np.bincount(index.ravel(), gap.ravel())).sum() / gap.size)


def _widest_gap(index: NDArray[np.intp], gap: Floats) -> float:
    return float((np.abs(np.bincount(index, gap)) / np.maximum(np.bincount(index), 1)).max())


def nll(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of the true classes, in nats."""
    values, truth = _checked(logits, labels)
    return float(cross_entropy(values, truth, temperature).mean())


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean squared distance of the probabilities (N, classes) from the truth, in [0, 2]."""
    return float(_squared_distances(*_checked(probabilities, labels)).mean())


def _squared_distances(probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    return ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)


class _Metric(NamedTuple):
    """A measure of calibration: its greatest value, how it is computed, and from which arrays."""

    most: float
    statistic: Callable[..., float]
    arrays: tuple[NDArray[Any], ...]  # one row a picture


def _metrics(
    logits: Floats,
    labels: NDArray[np.int64],
    temperature: float,
    bins: int,
    names: Collection[str],
) -> dict[str, _Metric]:
    """The measures of `names` at one temperature. What resampling can't change is computed once."""
    probabilities = softmax(logits, temperature)
    confidence = probabilities.max(axis=1)
    correct = logits.argmax(axis=1) == labels
    gap = confidence - correct
    index = _bin_of(confidence, _edges(confidence, bins, equal_mass=False))

    def equal_mass_ece(confidence: Floats, correct: Floats) -> float:
        return expected_calibration_error(confidence, correct, bins, equal_mass=True)

    metrics = {
        "ece": _Metric(1.0, _mean_gap, (index, gap)),
        "equal_mass_ece": _Metric(1.0, equal_mass_ece, (confidence, correct)),
        "classwise_ece": _Metric(1.0, _mean_gap, _classwise_gaps(probabilities, labels, bins)),
        "mce": _Metric(1.0, _widest_gap, (index, gap)),
        "nll": _Metric(np.inf, np.mean, (cross_entropy(logits, labels, temperature),)),
        "brier": _Metric(2.0, np.mean, (_squared_distances(probabilities, labels),)),
    }
    return {name: metric for name, metric in metrics.items() if name in names}


def calibration_table(
    logits: ArrayLike,
    labels: ArrayLike,
    temperature: float,
    bins: int = BINS,
    resamples: int = 1000,
    names: Collection[str] = NAMES,
) -> pd.DataFrame:
    """The metrics of `names` before and after scaling by the temperature, with intervals.

    Columns: metric, scaling ("before", "after"), temperature, value, low, high, n. The intervals
    are bootstrapped at a level of 95 %.
    """
    values, truth = _checked(logits, labels)
    rows = []
    for scaling, t in (("before", 1.0), ("after", temperature)):
        for name, metric in _metrics(values, truth, t, bins, names).items():
            interval = bootstrap_interval(metric.statistic, *metric.arrays, resamples=resamples)
            low, high = max(0.0, interval.low), min(metric.most, interval.high)
            rows.append((name, scaling, t, interval.value, low, high, len(truth)))
    columns = ["metric", "scaling", "temperature", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def calibration_changes(
    logits: ArrayLike,
    labels: ArrayLike,
    temperature: float,
    bins: int = BINS,
    resamples: int = 1000,
    names: Collection[str] = NAMES,
) -> pd.DataFrame:
    """By how much scaling changes each metric of `names`.

    Columns: metric, value (after less before), low, high. Both figures are of the same pictures,
    which are drawn together (`paired_interval`).
    """
    values, truth = _checked(logits, labels)
    before, after = (_metrics(values, truth, t, bins, names) for t in (1.0, temperature))
    rows = []
    for name, metric in after.items():
        change = paired_interval(
            metric.statistic, metric.arrays, before[name].arrays, resamples=resamples
        )
        rows.append((name, change.value, change.low, change.high))
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high"])


@dataclass(frozen=True)
class Calibration:
    """A temperature from validation, and what it does to test predictions."""

    temperature: float
    fitted_on: int  # validation pictures
    faultless: bool  # whether all of them are predicted correctly: they determine no temperature
    metrics: pd.DataFrame  # of `calibration_table`
    changes: pd.DataFrame  # of `calibration_changes`
    excess: Interval  # mean confidence less accuracy before scaling
    reference: CalibratedReference  # of the expected calibration error after scaling
    reliability: pd.DataFrame  # of `reliability_table`, with a column scaling: "before", "after"

    def metric(self, name: str, scaling: str) -> Interval:
        """One of the metrics before or after scaling."""
        chosen = (self.metrics["metric"] == name) & (self.metrics["scaling"] == scaling)
        return Interval.of(self.metrics[chosen].iloc[0], "value")

    def change(self, name: str) -> Interval:
        """By how much scaling changes one of the metrics."""
        return Interval.of(self.changes.set_index("metric").loc[name], "value")

    def means(self, scaling: str) -> tuple[float, float]:
        """Mean confidence and accuracy of the test predictions before or after scaling."""
        bins = self.reliability[self.reliability["scaling"] == scaling].dropna()
        confidence, accuracy = (
            float((bins["share"] * bins[name]).sum()) for name in ("confidence", "accuracy")
        )
        return confidence, accuracy


def calibrate(
    val_logits: ArrayLike,
    val_labels: ArrayLike,
    test_logits: ArrayLike,
    test_labels: ArrayLike,
    bins: int = BINS,
    resamples: int = 1000,
    names: Collection[str] = NAMES,
) -> Calibration:
    """Fit the temperature on validation predictions and measure it on test predictions.

    Parameters
    ----------
    names : metrics   those that are measured; fewer take less time
    """
    temperature = fit_temperature(val_logits, val_labels)
    logits, labels = _checked(test_logits, test_labels)
    correct = logits.argmax(axis=1) == labels
    reliability = [
        reliability_table(softmax(logits, t).max(axis=1), correct, bins).assign(scaling=scaling)
        for scaling, t in (("before", 1.0), ("after", temperature))
    ]
    return Calibration(
        temperature,
        len(np.asarray(val_labels)),
        faultless(val_logits, val_labels),
        calibration_table(logits, labels, temperature, bins, resamples, names),
        calibration_changes(logits, labels, temperature, bins, resamples, names),
        bootstrap_interval(np.mean, softmax(logits).max(axis=1) - correct, resamples=resamples),
        ece_reference(softmax(logits, temperature).max(axis=1), correct, bins),
        pd.concat(reliability, ignore_index=True),
    )


def calibration_error(table: pd.DataFrame) -> float:
    """The expected calibration error of a `reliability_table`."""
    return float((table["share"] * (table["accuracy"] - table["confidence"]).abs()).sum())
