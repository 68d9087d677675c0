"""Selective prediction: the model answers where it is sure, and a person where it is not.

The risk-coverage curve and its area are those of Geifman & El-Yaniv (2017).
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lib.diagnosis.calibration import checked_confidence


def _accuracy_of_most_confident(confidence: ArrayLike, correct: ArrayLike) -> NDArray[np.float64]:
    """Accuracy (N,) of the 1, 2, ..., N most confident predictions.

    Equal confidences share their mean outcome: the accuracy to expect when ties are drawn by lot.
    """
    values, right = checked_confidence(confidence, correct)
    _, group, size = np.unique(-values, return_inverse=True, return_counts=True)
    shared = np.repeat(np.bincount(group, right) / size, size)
    return np.cumsum(shared) / np.arange(1, len(values) + 1)


def selective(confidence: ArrayLike, correct: ArrayLike, points: int = 100) -> pd.DataFrame:
    """Accuracy when only the most confident predictions count, the rest being left to a person.

    At most `points` rows of coverage (share of predictions kept, up to 1), threshold (least
    confidence among them), accuracy and n.
    """
    accuracy = _accuracy_of_most_confident(confidence, correct)
    ordered = -np.sort(-np.asarray(confidence, dtype=float))
    total = len(accuracy)
    sizes = np.unique(np.ceil(np.arange(1, points + 1) * total / points).astype(int))
    return pd.DataFrame(
        {
            "coverage": sizes / total,
            "threshold": ordered[sizes - 1],
            "accuracy": accuracy[sizes - 1],
            "n": sizes,
        }
    )


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean error over all coverages; 0 is best."""
    return float(1 - _accuracy_of_most_confident(confidence, correct).mean())
