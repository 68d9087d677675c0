"""What follows from each day, as sentences on what to do next.

The rules, each of which speaks only where the evidence is significant, are in `evidence.py`; so a
day may have no sentence. What can be chosen is compared on validation pictures; test pictures tell
which pictures to collect and whether they are enough.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from numpy.typing import ArrayLike

from lib.data.dataset import Split
from lib.intervals import Interval
from lib.models.strategies import STRATEGIES
from lib.pages.claims import Groups, from_reference, groups_of, size_of
from lib.pages.display import Fragment, note, unbroken
from lib.pages.palette import label
from lib.pages.wording import listed, points
from lib.study.diagnostics import Subject
from lib.study.evidence import (
    augment_with,
    calibration_steps,
    enough_seeds,
    gain,
    more_test_pictures,
    overfitting,
    still_rising,
    weak_classes,
)
from lib.training.runs import Run

NEGLIGIBLE = 0.02  # of accuracy: a gain that is surely smaller is not worth a pretraining

NONE = "No advice: nothing measured here is significant enough to say what to do next."


def listing(sentences: Sequence[str]) -> Fragment:
    """The sentences as a list, or one line that there are none."""
    if not sentences:
        return note(NONE)
    items = "".join(f"<li>{unbroken(sentence)}</li>" for sentence in sentences)
    return Fragment(f'<ul class="daybook-next">{items}</ul>', "\n".join(sentences))


# The days


def after_augmentations(results: pd.DataFrame, history: pd.DataFrame) -> list[str]:
    """Day 1: which augmentation to train with, which to leave out, and whether to train longer.

    All augmentations are compared with none, by the rule of the day's finding.

    Parameters
    ----------
    results : augmentation and val_accuracy, one row per run
    history : augmentation and the columns of `still_rising`, one row per run and epoch
    """
    groups = enough_seeds(groups_of(results, "augmentation", "val_accuracy"))
    plain = label("none")
    gains = from_reference(groups, plain) if plain in groups else {}
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
    and more than it is advised against if it is significantly above all that train more. A claim
    about all of them needs no correction for their number: each comparison has to hold. Heads on
    one pretrained backbone say nothing about another pretraining, and neither does the sentence.

    Parameters
    ----------
    results : strategy and val_accuracy, one row per run
    by_source : of `lib.study.transfer.by_source`: source (`random_weights` or a name) and
                val_accuracy; with the column heads, one row per backbone
    history : strategy and the columns of `still_rising`
    """
    strategies = _strategies(groups_of(results, "strategy", "val_accuracy"))
    return strategies + _pretraining(by_source) + still_rising(history, "strategy")


def _strategies(groups: Groups) -> list[str]:
    ordered = [name for name in map(label, STRATEGIES) if name in groups]
    best = next(name for name in groups if name in ordered)
    place = ordered.index(best)

    def leads(others: list[str]) -> dict[str, Interval]:
        gains = {name: gain(groups, best, name) for name in others}
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
            kept = (
                "Keep this pretraining" if "heads" in by_source else "Keep this pretrained backbone"
            )
            return [f"{kept} ({name}): {_apart(by, random)}."]
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
    corrupted : of `lib.diagnosis.corruption_accuracy.UnderCorruption`, on the pictures of `test`
    test : Split   the pictures that were corrupted, or all of the test split
    """
    predictions = subject.predictions
    correct = predictions.logits.argmax(1) == predictions.labels
    clean = pd.Series(correct, index=list(predictions.ids)).loc[list(test.ids)]
    return [
        *augment_with(corrupted, int(clean.sum()), len(clean)),
        *calibration_steps(predictions.logits, predictions.labels, subject.calibration.temperature),
    ]


def after_selection(competing: Mapping[str, Sequence[Run]]) -> list[str]:
    """Day 5: how many test pictures would tell the runs of the two best recipes apart.

    Parameters
    ----------
    competing : of `lib.study.selection.candidates`
    """
    if len(competing) < 2:
        return []
    (name, first), (other, second) = list(competing.items())[:2]
    correct = [
        test.logits.argmax(1) == test.labels
        for test in (first[0].predictions("test"), second[0].predictions("test"))
    ]
    return more_test_pictures(name, other, *correct)


def _apart(by: Interval, other: str) -> str:
    """How far validation accuracy is above or below another, from an interval without zero."""
    side = "above" if by.low > 0 else "below"
    return f"validation accuracy is {size_of(by)} {side} that of {other}"
