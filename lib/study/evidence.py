"""When figures are evidence for a next step: rules that speak only where it is significant.

Figures of several seeds are compared by Welch's t (1947), trends by Student's t over one slope per
seed; both need three seeds and some spread between them. Several comparisons at once share the 5 %
by Bonferroni's or Holm's correction (Holm 1979).
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from lib.diagnosis.calibration import ece_reference, expected_calibration_error, softmax
from lib.diagnosis.mistakes import most_confused, per_class
from lib.intervals import Interval, accuracy_interval, difference_interval, mean_interval
from lib.multiplicity import holm
from lib.pages.claims import Groups, stands_out
from lib.pages.palette import label
from lib.pages.wording import corruption, count, listed, per_cent, points

SEEDS = 3  # the fewest that tell noise
LEVEL = 0.05  # of every test
WINDOW = 3  # epochs, the fewest that a trend is measured over
RISE = 0.005  # of accuracy over that window: a smaller rise is not worth a longer training
PATTERN = 3  # errors of a class: fewer are none
SEVERITY = 3  # of 5, the middle one
LARGE = 0.1  # of accuracy: a loss under corruption that is surely larger is worth an augmentation
SIGNIFICANT_FROM = 6  # disagreements: five that all favour one model have p = 0.06
POWER = 0.8
TOO_MANY = 100  # times the present test pictures: more will hardly be collected


def enough_seeds(groups: Groups) -> Groups:
    """The groups of `SEEDS` and more."""
    return {name: values for name, values in groups.items() if len(values) >= SEEDS}


def gain(groups: Groups, name: str, other: str) -> Interval | None:
    """By how much the mean of one group is above another's, with Welch's interval over seeds.

    Parameters
    ----------
    groups : one figure per seed (N,) by the group's name

    Returns
    -------
    Interval, or None where a group has fewer than `SEEDS` or no seed differs from another
    """
    known = enough_seeds(groups)
    if other not in known or name not in known:
        return None
    a, b = known[name], known[other]
    return None if np.ptp(a) == np.ptp(b) == 0 else difference_interval(a, b)


def trend(history: pd.DataFrame, column: str, comparisons: int = 1) -> Interval | None:
    """How much a figure changes over the last quarter of the epochs, three at least.

    The slope of each run by least squares, times the length of the quarter; its interval is
    Student's t over the runs.

    Parameters
    ----------
    history : run_id, epoch and `column`, of runs of one setting
    comparisons : int   how many are made at once: the level is 95 % for all together

    Returns
    -------
    Interval, or None with fewer than `SEEDS` runs, or where a run has too few epochs or a figure
    that is not finite
    """
    changes = []
    for _, run in history.groupby("run_id", sort=False):
        last = run.sort_values("epoch").tail(window(len(run)))
        if len(run) < 2 * WINDOW or not np.isfinite(last[column].astype(float)).all():
            return None
        slope = np.polyfit(last["epoch"].astype(float), last[column].astype(float), 1)[0]
        changes.append(slope * (len(last) - 1))
    if len(changes) < SEEDS or np.ptp(changes) == 0:
        return None
    return mean_interval(changes, 1 - LEVEL / comparisons)


def window(epochs: int) -> int:
    """Over how many epochs a trend is measured: the last quarter, three at least."""
    return max(WINDOW, math.ceil(epochs / 4))


def still_rising(history: pd.DataFrame, by: str) -> list[str]:
    """Which settings to train longer: validation accuracy rises to the end, by `RISE` or more.

    The learning rate decays to the end too, so part of a rise may be its doing: more epochs are a
    thing to try, not a promise.

    Parameters
    ----------
    history : run_id, epoch, val_accuracy and the column `by` that names the settings
    """
    settings = dict(list(history.groupby(by, sort=False)))
    rises = {}
    for name, part in settings.items():
        rise = trend(part, "val_accuracy", len(settings))
        if rise is not None and rise.low > 0 and rise.value >= RISE:
            rises[label(str(name))] = (rise, window(int(part["epoch"].max())))
    if not rises:
        return []
    names = listed(list(rises))
    lengths = sorted({epochs for _, epochs in rises.values()})
    span = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    least, most = (
        f"{100 * end(rise.value for rise, _ in rises.values()):.1f}" for end in (min, max)
    )
    amounts = least if least == most else f"{least} to {most}"
    whose = f" {names}" if len(settings) > 1 else ""
    return [
        f"Train{whose} longer: validation accuracy still rises over the last {span} epochs, by "
        f"{amounts} percentage points."
    ]


def overfitting(history: pd.DataFrame) -> list[str]:
    """Whether to regularise: validation loss rises to the end while training loss falls.

    Parameters
    ----------
    history : run_id, epoch, train_loss and val_loss (in nats), of runs of one setting
    """
    val, train = (trend(history, column, 2) for column in ("val_loss", "train_loss"))
    if val is None or train is None or val.low <= 0 or train.high >= 0:
        return []
    epochs = window(int(history["epoch"].max()))
    return [
        f"Augment or regularise more, or stop earlier: over the last {epochs} epochs validation "
        "loss rises while training loss falls."
    ]


def weak_classes(labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> list[str]:
    """Of which classes to collect more pictures.

    A class with `PATTERN` errors or more whose accuracy is significantly below that of all other
    pictures, by Fisher's exact test (1935) with Holm's correction for the number of classes; and of
    three and more classes, the pair that `lib.pages.claims.stands_out`.

    Parameters
    ----------
    labels, predicted : int (N,)   indices of `classes`
    """
    table = per_class(labels, predicted, classes)
    known = table[table["n"] > 0]
    right, n = (known["accuracy"] * known["n"]).round().astype(int), known["n"].astype(int)
    tests = [
        stats.fisher_exact(
            [[r, k - r], [right.sum() - r, n.sum() - k - (right.sum() - r)]], alternative="less"
        ).pvalue
        for r, k in zip(right, n, strict=True)
    ]
    weak = known[(holm(tests) < LEVEL) & (n - right >= PATTERN)].sort_values("accuracy")
    sentences = []
    if len(weak):
        figures = listed([per_cent(accuracy) for accuracy in weak["accuracy"]])
        one = len(weak) == 1
        sentences.append(
            f"Collect more pictures of {listed(list(weak['class']))}: "
            f"{'its accuracy' if one else 'their accuracies'} ({figures}) "
            f"{'is' if one else 'are'} significantly below that of the other classes."
        )
    pairs = most_confused(labels, predicted, classes, top=2)
    if len(classes) > 2 and stands_out(pairs):
        first = pairs.iloc[0]
        a, b = sorted((first["class_a"], first["class_b"]))
        sentences.append(
            f"Collect pictures that tell {a} and {b} apart: they are confused significantly more "
            f"often than any other pair ({count(int(first['errors']), 'error')})."
        )
    return sentences


def augment_with(corrupted: pd.DataFrame, correct: int, total: int) -> list[str]:
    """The corruptions that surely cost more accuracy than `LARGE` at `SEVERITY`, two at most.

    Parameters
    ----------
    corrupted : corruption, severity, accuracy, n
    correct, total : int   of the same pictures without corruption
    """
    rows = corrupted[corrupted["severity"] == SEVERITY].sort_values("accuracy").to_dict("records")
    level = 1 - LEVEL / max(1, len(rows))
    clean = accuracy_interval(correct, total, level)
    losses = {}
    for row in rows:
        under = accuracy_interval(round(row["accuracy"] * row["n"]), int(row["n"]), level)
        if (clean - under).low > LARGE:
            losses[corruption(row["corruption"])] = clean.value - under.value
    if not losses:
        return []
    names = list(losses)[:2]
    amounts = listed([f"{100 * losses[name]:.1f}" for name in names])
    verb = "lowers" if len(names) == 1 else "lower"
    pronoun = "it" if len(names) == 1 else "they"
    return [
        f"If such pictures occur in use, train with {listed(names)} as augmentation: at severity "
        f"{SEVERITY} {pronoun} {verb} accuracy by {amounts} percentage points. Then test with "
        "corruptions that were not trained with."
    ]


def calibration_steps(logits: ArrayLike, labels: ArrayLike, temperature: float) -> list[str]:
    """What to do about the confidence: nothing where a calibrated model would show as much error.

    The expected calibration error is compared with what chance gives a perfectly calibrated model
    with the same confidences: `lib.diagnosis.calibration.ece_reference`.

    Parameters
    ----------
    logits : float (N, classes)   of test pictures
    labels : int (N,)
    """
    values, truth = np.asarray(logits, dtype=float), np.asarray(labels)
    correct = values.argmax(axis=1) == truth
    errors, limits = [], []
    for divisor in (1.0, temperature):
        confidence = softmax(values, divisor).max(axis=1)
        errors.append(expected_calibration_error(confidence, correct))
        limits.append(ece_reference(confidence, correct).high)
    if errors[1] > limits[1]:
        return [
            "Fit the temperature on more validation pictures: after scaling the expected "
            f"calibration error is {per_cent(errors[1])}, and a calibrated model would show at "
            f"most {per_cent(limits[1])}."
        ]
    if errors[0] > limits[0]:
        return [
            "Use the confidence after temperature scaling only: before it the expected calibration "
            f"error is {per_cent(errors[0])}, and a calibrated model would show at most "
            f"{per_cent(limits[0])}."
        ]
    return []


def more_test_pictures(name: str, other: str, first: ArrayLike, second: ArrayLike) -> list[str]:
    """How many test pictures would show a difference as large as the measured one.

    Two models on the same pictures are compared by McNemar's exact test of the pictures on which
    one is correct and the other is not (1947). The number is Connor's (Biometrics 1987) for a level
    of 5 % and a power of 80 %. With fewer than six such pictures no outcome is significant; then it
    is the number that gives six.

    Parameters
    ----------
    first, second : bool (N,)   whether each model is correct on each picture
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    total, wins, losses = len(a), int((a & ~b).sum()), int((b & ~a).sum())
    disagreements = wins + losses
    if disagreements == 0 or (disagreements >= SIGNIFICANT_FROM and wins == losses):
        return []
    between = f"“{name}” and “{other}”"
    on = f"on {count(disagreements, 'picture')} of {total:,} one is correct and the other is not"
    if disagreements < SIGNIFICANT_FROM:
        needed = _rounded(SIGNIFICANT_FROM * total / disagreements)
        return [
            f"Test on more pictures to tell {between} apart: {on}, too few for any difference to "
            f"be significant; that takes about {needed:,} test pictures."
        ]
    if stats.binomtest(wins, disagreements).pvalue < LEVEL:
        return []
    rate, difference = disagreements / total, abs(wins - losses) / total
    normal = stats.norm.ppf([1 - LEVEL / 2, POWER])
    root = normal[0] * math.sqrt(rate) + normal[1] * math.sqrt(rate - difference**2)
    needed = _rounded((root / difference) ** 2)
    if needed > TOO_MANY * total:
        return [
            f"Choose between {between} by size and speed: to show a difference as small as the "
            f"measured one, {points(difference)}, takes about {needed:,} test pictures."
        ]
    return [
        f"Test on more pictures to tell {between} apart: their difference of {points(difference)} "
        f"is not significant ({on}); if it is as large as measured, about {needed:,} test pictures "
        f"show it with a probability of {POWER:.0%}.".replace("%", "\N{NO-BREAK SPACE}%")
    ]


def _rounded(number: float) -> int:
    """Up to two significant digits, since no more are known."""
    digits = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / digits) * digits
