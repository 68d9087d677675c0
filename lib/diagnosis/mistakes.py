"""Confusion matrices, per-class accuracy and the worst mistakes of a model's predictions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lib.diagnosis.calibration import cross_entropy, softmax
from lib.intervals import accuracy_interval


def _counts(labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> NDArray[np.int64]:
    """How often each class (row) was predicted as each (column), after a check of the indices."""
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
    """One row per class: class, accuracy (its recall) with Wilson's low and high, precision, n.

    The accuracy of a class without pictures and the precision of one never predicted are NaN.
    """
    counts = _counts(labels, predicted, classes)
    right, total, times = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    intervals = [accuracy_interval(int(r), int(n)) for r, n in zip(right, total, strict=True)]
    return pd.DataFrame(
        {
            "class": list(classes),
            "accuracy": [interval.value for interval in intervals],
            "low": [interval.low for interval in intervals],
            "high": [interval.high for interval in intervals],
            "precision": np.divide(
                right, times, out=np.full(len(classes), np.nan), where=times > 0
            ),
            "n": total,
        }
    )


def most_confused(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str], top: int = 10
) -> pd.DataFrame:
    """The pairs of classes most often predicted for one another, in either direction.

    Columns: class_a, class_b, errors, a_as_b, b_as_a, share_of_both (errors per picture of the two
    classes). `class_a` is the one misclassified more often; pairs without errors are left out.
    """
    counts = _counts(labels, predicted, classes)
    total = counts.sum(axis=1)
    rows = []
    for i in range(len(classes)):
        for j in range(i):
            a, b = (i, j) if counts[i, j] > counts[j, i] else (j, i)
            if errors := counts[a, b] + counts[b, a]:
                share = errors / (total[a] + total[b])
                rows.append((classes[a], classes[b], errors, counts[a, b], counts[b, a], share))
    columns = ["class_a", "class_b", "errors", "a_as_b", "b_as_a", "share_of_both"]
    table = pd.DataFrame(rows, columns=columns)
    order = ["errors", "share_of_both", "class_a", "class_b"]
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
    probabilities, truth = softmax(logits), np.asarray(labels)
    predicted = probabilities.argmax(axis=1)
    loss = cross_entropy(logits, truth)
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-loss[wrong], kind="stable")][:top]
    return pd.DataFrame(
        {
            "id": [ids[i] for i in worst],
            "index": worst,
            "true": [classes[i] for i in truth[worst]],
            "predicted": [classes[i] for i in predicted[worst]],
            "confidence": probabilities[worst, predicted[worst]],
            "loss": loss[worst],
        }
    )
