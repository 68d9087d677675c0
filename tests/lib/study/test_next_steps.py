"""What each day advises: made-up figures in which a rule should speak, and others."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.data.dataset import Split
from lib.study import evidence, next_steps
from lib.study.diagnostics import Subject, calibrated
from lib.training.predictions import Predictions
from tests.lib.study.outcomes import RISING, SETTLED, answers, corruptions, history, outcomes


def results(by, **groups):
    """One row per run: the setting's name and its validation accuracy."""
    rows = [(name, value) for name, values in groups.items() for value in values]
    return pd.DataFrame(rows, columns=[by, "val_accuracy"])


def settled(by, *names):
    return history(by, **dict.fromkeys(names, SETTLED))


def test_the_best_augmentation_is_advised_where_its_gain_is_significant():
    table = results(
        "augmentation",
        none=[0.80, 0.81, 0.79],
        flip_crop=[0.90, 0.91, 0.905],
        mixup=[0.88, 0.87, 0.885],
        cutmix=[0.60, 0.61, 0.60],
        cutout=[0.80, 0.82, 0.79],
    )
    better, worse = next_steps.after_augmentations(table, settled("augmentation", "none"))
    tested = stats.ttest_ind([0.90, 0.91, 0.905], [0.80, 0.81, 0.79], equal_var=False)
    bounds = tested.confidence_interval(0.95)
    assert better == (
        "Train with flip + crop: validation accuracy is 10.5 percentage points "
        f"({100 * bounds.low:.1f} to {100 * bounds.high:.1f}) above that of no augmentation."
    )
    assert worse == (
        "Leave out CutMix in a training of this length: with it validation accuracy is "
        "significantly below that of no augmentation."
    )


@pytest.mark.parametrize(
    "groups",
    [
        {"none": [0.80, 0.81, 0.79], "flip_crop": [0.82, 0.79, 0.81]},  # within noise
        {"none": [0.80, 0.81], "flip_crop": [0.90, 0.905]},  # two seeds
        {"none": [0.80] * 3, "flip_crop": [0.81] * 3},  # no spread, so no noise to compare with
        {"flip_crop": [0.80, 0.81, 0.79], "mixup": [0.90, 0.91, 0.905]},  # nothing to compare with
    ],
)
def test_no_augmentation_is_advised_where_the_evidence_is_thin(groups):
    table = results("augmentation", **groups)
    assert next_steps.after_augmentations(table, settled("augmentation", "none")) == []


def test_loss_that_rises_on_validation_alone_is_overfitting():
    curves = history(small_cnn=RISING)
    labels, predicted = answers([50, 50, 50], {(0, 1): 1, (1, 2): 1})
    (rising,) = next_steps.after_scratch(curves, labels, predicted, "abc")
    assert rising.startswith("Train longer: validation accuracy still rises over the last 3")
    curves["val_loss"] = 0.2 + curves["val_accuracy"]  # overconfident: accuracy rises as well
    assert next_steps.after_scratch(curves, labels, predicted, "abc") == [
        "Augment or regularise more, or stop earlier: over the last 3 epochs validation loss rises "
        "while training loss falls."
    ]
    curves["train_loss"] = curves["val_loss"]
    assert evidence.overfitting(curves) == []


HEADS = {"head": [0.70, 0.71, 0.70], "last_block": [0.705, 0.71, 0.70]}


SAME = results("source", random_weights=[0.5, 0.8, 0.6], rotation=[0.6, 0.7, 0.5])


def after_transfer(by_source=SAME, **strategies):
    table = results("strategy", **strategies)
    return next_steps.after_transfer(table, by_source, settled("strategy", *strategies))


STAGE4 = [0.80, 0.81, 0.805]


def test_as_much_is_fine_tuned_as_gains_significantly():
    (advice,) = after_transfer(**HEADS, last_stage=STAGE4, all=[0.80, 0.805, 0.80])
    assert advice.startswith("Fine-tune at least last stage + head: validation accuracy is 10.")
    assert advice.endswith(" above that of last block.")
    (advice,) = after_transfer(**HEADS, last_stage=STAGE4, all=[0.9, 0.91, 0.905])
    assert advice.startswith("Fine-tune all layers: ")
    (advice,) = after_transfer(**HEADS, last_stage=STAGE4, all=[0.6, 0.61, 0.605])
    assert advice.startswith("Fine-tune last stage + head: ")
    (advice,) = after_transfer(
        head=[0.9, 0.91, 0.9], last_block=[0.8, 0.8, 0.81], last_stage=STAGE4
    )
    assert advice.startswith("Fine-tune no more than head only: validation accuracy is 9.8 perc")
    assert advice.endswith(" above that of last stage + head.")


def test_no_strategy_is_advised_where_a_smaller_one_may_be_as_good():
    assert after_transfer(**HEADS) == []
    head = [0.83, 0.835, 0.81]
    assert after_transfer(head=head, last_stage=[0.78, 0.77, 0.76], all=[0.84, 0.85, 0.83]) == []


@pytest.mark.parametrize(
    ("pretrained", "random", "advice"),
    [
        ([0.8, 0.81, 0.805], [0.7, 0.71, 0.7], "Keep this pretrained backbone (rotation): "),
        ([0.6, 0.61, 0.605], [0.7, 0.71, 0.7], "Pretrain on more pictures or longer, or start"),
        ([0.701, 0.702, 0.7], [0.7, 0.701, 0.7], "Save the time of this pretraining (rotation): "),
    ],
)
def test_a_pretraining_is_kept_changed_or_spared(pretrained, random, advice):
    by_source = results("source", rotation=pretrained, random_weights=random)
    (sentence,) = after_transfer(by_source, **HEADS)
    assert sentence.startswith(advice)


def test_the_day_of_diagnosis_counts_the_corrupted_pictures_alone(run, tiny):
    subject = Subject(run, tiny)
    test = tiny.test.first(10)
    predictions = run.predictions("test")
    right = (predictions.logits.argmax(1) == predictions.labels)[:10]
    table = corruptions(fog=0.0, n=10)
    expected = evidence.augment_with(table, int(right.sum()), 10)
    temperature = calibrated(run).temperature
    expected += evidence.calibration_steps(predictions.logits, predictions.labels, temperature)
    assert next_steps.after_diagnosis(subject, table, test) == expected
    shuffled = Split(test.images.flip(0), test.labels.flip(0), test.ids[::-1])
    assert next_steps.after_diagnosis(subject, table, shuffled) == expected


def test_the_two_best_candidates_are_compared():
    def candidate(correct):
        logits = np.stack([np.zeros(len(correct)), np.where(correct, 1.0, -1.0)], axis=1)
        test = Predictions(np.arange(len(correct)), np.ones(len(correct), dtype=int), logits)
        return SimpleNamespace(predictions=lambda split: test)

    a, b = outcomes(355, 3, 1)
    competing = {"A": [candidate(a)], "B": [candidate(b)], "C": [candidate(b)]}
    assert next_steps.after_selection(competing) == evidence.more_test_pictures("A", "B", a, b)
    assert next_steps.after_selection({"A": [candidate(a)]}) == []


def test_advice_is_a_list_and_its_absence_one_line():
    some = next_steps.listing(["Collect <b> & 3.", "Train longer."])
    assert some.html == (
        '<ul class="daybook-next"><li>Collect &lt;b&gt; &amp; 3.</li><li>Train longer.</li></ul>'
    )
    assert some.text == "Collect <b> & 3.\nTrain longer."
    assert next_steps.listing([]).html == f"<p>{next_steps.NONE}</p>"
