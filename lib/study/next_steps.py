"""What follows from each day, as sentences on what to do next.

A sentence is generated from the runs at hand and only where the evidence is significant, so a day
may have none. Figures of several seeds are compared by Welch's t (1947), trends by Student's t over
one slope per seed; both need three seeds and some spread between them. Several comparisons at once
share the 5 % by Bonferroni's or Holm's correction (Holm 1979). What can be chosen is compared on
validation pictures; test pictures tell which pictures to collect and whether they are enough.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lib.charts.titles import Groups, groups_of
from lib.data.dataset import Split
from lib.diagnosis.calibration import calibrated_ece, expected_calibration_error, softmax
from lib.diagnosis.mistakes import most_confused, per_class, stands_out
from lib.intervals import Interval, accuracy_interval, difference_interval, mean_interval
from lib.models.resnet18 import STRATEGIES
from lib.pages.display import Fragment, unbroken
from lib.pages.palette import label
from lib.pages.wording import corruption, count, listed, per_cent, points
from lib.study.diagnostics import Subject
from lib.training.runs import Run

SEEDS = 3  # the fewest that tell noise
LEVEL = 0.05  # of every test
WINDOW = 3  # epochs, the fewest that a trend is measured over
RISE = 0.005  # of accuracy over that window: a smaller rise is not worth a longer training
NEGLIGIBLE = 0.02  # of accuracy: a gain that is surely smaller is not worth a pretraining
PATTERN = 3  # errors of a class: fewer are none
SEVERITY = 3  # of 5, the middle one
LARGE = 0.1  # of accuracy: a loss under corruption that is surely larger is worth an augmentation
SIGNIFICANT_FROM = 6  # disagreements: five that all favour one model have p = 0.06
POWER = 0.8
TOO_MANY = 100  # times the present test pictures: more will hardly be collected

NONE = "No advice: nothing measured here is significant enough to say what to do next."


def listing(sentences: Sequence[str]) -> Fragment:
    """The sentences as a list, or one line that there are none."""
    if not sentences:
        return Fragment(f"<p>{unbroken(NONE)}</p>", NONE)
    items = "".join(f"<li>{unbroken(sentence)}</li>" for sentence in sentences)
    return Fragment(f'<ul class="daybook-next">{items}</ul>', "\n".join(sentences))


# The days


def after_augmentations(results: pd.DataFrame, history: pd.DataFrame) -> list[str]:
    """Day 1: which augmentation to train with, which to leave out, and whether to train longer.

    An augmentation is compared with none; the level is Bonferroni's for all of them.

    Parameters
    ----------
    results : augmentation and val_accuracy, one row per run
    history : augmentation and the columns of `still_rising`, one row per run and epoch
    """
    groups = groups_of(results, "augmentation", "val_accuracy")
    plain = label("none")
    gains = {
        name: by
        for name in groups
        if name != plain and (by := gain(groups, name, plain, len(groups) - 1))
    }
    better = [name for name, by in gains.items() if by.low > 0]  # as the groups, best first
    worse = [name for name, by in gains.items() if by.high < 0]
    sentences = []
    if better:
        sentences.append(f"Train with {better[0]}: {_apart(gains[better[0]], plain)}.")
    if worse:
        them = "it" if len(worse) == 1 else "them"
        sentences.append(
            f"Leave out {listed(worse)} in a training of this length: with {them} validation "
            f"accuracy is significantly below that of {plain}."
        )
    return sentences + still_rising(history, "augmentation")


def after_scratch(
    history: pd.DataFrame, labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]
) -> list[str]:
    """Day 2: whether to train longer or to regularise, and of what to collect more pictures.

    Parameters
    ----------
    history : model and the columns of `still_rising` and `overfitting`
    labels, predicted : int (N,)   of the test split
    """
    trend = overfitting(history) or still_rising(history, "model")
    return trend + weak_classes(labels, predicted, classes)


def after_transfer(
    results: pd.DataFrame, by_source: pd.DataFrame, history: pd.DataFrame
) -> list[str]:
    """Day 3: how much to fine-tune, whether pretraining pays, and whether to train longer.

    The best strategy is advised if it is significantly above all that train less of the network,
    and more than it is advised against if it is significantly above all that train more. Seeds of
    one pretrained backbone say nothing about another pretraining, and neither does the sentence.

    Parameters
    ----------
    results : strategy and val_accuracy, one row per run
    by_source : source (`random_weights` or a name) and val_accuracy, one row per run
    history : strategy and the columns of `still_rising`
    """
    strategies = _strategies(groups_of(results, "strategy", "val_accuracy"))
    return strategies + _pretraining(by_source) + still_rising(history, "strategy")


def _strategies(groups: Groups) -> list[str]:
    ordered = [name for name in map(label, STRATEGIES) if name in groups]
    best = next(name for name in groups if name in ordered)
    place = ordered.index(best)

    def leads(others: list[str]) -> dict[str, Interval]:
        gains = {name: gain(groups, best, name, len(ordered) - 1) for name in others}
        return {name: by for name, by in gains.items() if by and by.low > 0}

    less, more = ordered[:place], ordered[place + 1 :]
    above_less, above_more = leads(less), leads(more)
    enough = len(above_more) == len(more)
    if less and len(above_less) == len(less):
        rival = next(name for name in groups if name in less)  # the best of these
        least = "" if enough else "at least "
        return [f"Fine-tune {least}{best}: {_apart(above_less[rival], rival)}."]
    if more and enough:
        rival = next(name for name in groups if name in more)
        return [f"Fine-tune no more than {best}: {_apart(above_more[rival], rival)}."]
    return []


def _pretraining(by_source: pd.DataFrame) -> list[str]:
    groups = groups_of(by_source, "source", "val_accuracy")
    random = label("random_weights")
    for name in groups:
        by = None if name == random else gain(groups, name, random)
        if by is None:
            continue
        if by.low > 0:
            return [f"Keep this pretrained backbone ({name}): {_apart(by, random)}."]
        if by.high < 0:
            return [
                f"Pretrain on more pictures or longer, or start from other weights than {name}: "
                f"{_apart(by, random)}."
            ]
        if by.high < NEGLIGIBLE:
            return [
                f"Save the time of this pretraining ({name}): it gains at most {points(by.high)} "
                f"over {random}."
            ]
    return []


def after_diagnosis(subject: Subject, corrupted: pd.DataFrame, test: Split) -> list[str]:
    """Day 4: which corruptions to augment with, and what to do about the calibration.

    The accuracy under a corruption is compared with that of the same pictures without one as if
    they were others, which is conservative; the level is Bonferroni's for all corruptions.

    Parameters
    ----------
    corrupted : of `lib.diagnosis.robustness.corruption_accuracy`, on the pictures of `test`
    test : Split   the pictures that were corrupted, or all of the test split
    """
    predictions = subject.predictions
    correct = predictions.logits.argmax(1) == predictions.labels
    clean = pd.Series(correct, index=list(predictions.ids)).loc[list(test.ids)]
    return [
        *augment_with(corrupted, int(clean.sum()), len(clean)),
        *calibration_steps(predictions.logits, predictions.labels, subject.calibration.temperature),
    ]


def after_selection(competing: Mapping[str, Run]) -> list[str]:
    """Day 5: how many test pictures would tell the two best models apart.

    Parameters
    ----------
    competing : runs by their names, the best by validation accuracy first
    """
    if len(competing) < 2:
        return []
    (name, first), (other, second) = list(competing.items())[:2]
    correct = [
        test.logits.argmax(1) == test.labels
        for test in (first.predictions("test"), second.predictions("test"))
    ]
    return more_test_pictures(name, other, *correct)


# The rules


def gain(groups: Groups, name: str, other: str, comparisons: int = 1) -> Interval | None:
    """By how much the mean of one group is above another's, with Welch's interval over seeds.

    Parameters
    ----------
    groups : one figure per seed (N,) by the group's name
    comparisons : int   how many are made at once: the level is 95 % for all together

    Returns
    -------
    Interval, or None where a group has fewer than `SEEDS` or no seed differs from another
    """
    if other not in groups or name not in groups:
        return None
    a, b = groups[name], groups[other]
    if min(len(a), len(b)) < SEEDS or np.ptp(a) == np.ptp(b) == 0:
        return None
    return difference_interval(a, b, 1 - LEVEL / comparisons)


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
    three and more classes, the pair that `lib.diagnosis.mistakes.stands_out`.

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


def holm(pvalues: Sequence[float]) -> NDArray[np.float64]:
    """P-values (N,) adjusted for their number by Holm's step-down method (1979)."""
    values = np.asarray(pvalues, dtype=float)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


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
    with the same confidences: `lib.diagnosis.calibration.calibrated_ece`.

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
        limits.append(calibrated_ece(confidence, 1 - LEVEL))
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


def _apart(by: Interval, other: str) -> str:
    """How far validation accuracy is above or below another, from an interval without zero."""
    low, high = (f"{100 * end:.1f}" for end in sorted((abs(by.low), abs(by.high))))
    side = "above" if by.low > 0 else "below"
    return f"validation accuracy is {points(by.value)} ({low} to {high}) {side} that of {other}"
