"""Made-up results of runs: some that are evidence, and some that are none."""

import numpy as np
import pandas as pd

SETTLED = [0.5, 0.7, 0.8, 0.85, 0.85, 0.85, 0.85, 0.85]


RISING = [0.5, 0.6, 0.65, 0.7, 0.74, 0.78, 0.82, 0.86]


def history(by="model", seeds=3, noise=0.002, **settings):
    """Histories whose validation accuracy follows a curve, each seed with noise of its own."""
    random = np.random.default_rng(0)
    parts = []
    for name, curve in settings.items():
        for seed in range(seeds):
            accuracy = np.array(curve) + noise * random.standard_normal(len(curve))
            parts.append(
                pd.DataFrame(
                    {
                        by: name,
                        "run_id": f"{name}-{seed}",
                        "epoch": np.arange(1, len(curve) + 1),
                        "val_accuracy": accuracy,
                        "val_loss": 1.5 - accuracy,
                        "train_loss": 1.4 - accuracy,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def answers(right, wrong, classes=3):
    """Labels and predictions: `right[c]` correct of class c, `wrong[a, b]` of a predicted as b."""
    pairs = [(c, c) for c in range(classes) for _ in range(right[c])]
    pairs += [pair for pair, times in wrong.items() for _ in range(times)]
    labels, predicted = np.array(pairs).T
    return labels, predicted


def corruptions(n=400, severity=3, **accuracies):
    rows = [(name, severity, accuracy, n) for name, accuracy in accuracies.items()]
    return pd.DataFrame(rows, columns=["corruption", "severity", "accuracy", "n"])


def outcomes(both, first, second, neither=0):
    """Whether each of two models is correct: on so many pictures both, one alone, neither."""
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return a, b
