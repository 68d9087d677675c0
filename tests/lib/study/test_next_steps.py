"""What each day advises: made-up figures in which a rule should speak, and others."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.data.dataset import Split
from lib.diagnosis.calibration import softmax
from lib.study import next_steps
from lib.study.diagnostics import Subject, calibrated
from lib.training.runs import Predictions

SETTLED = [0.5, 0.7, 0.8, 0.85, 0.85, 0.85, 0.85, 0.85]
RISING = [0.5, 0.6, 0.65, 0.7, 0.74, 0.78, 0.82, 0.86]
SLOWER = [*RISING[:6], 0.815, 0.853]


def results(by, **groups):
    """One row per run: the setting's name and its validation accuracy."""
    rows = [(name, value) for name, values in groups.items() for value in values]
    return pd.DataFrame(rows, columns=[by, "val_accuracy"])


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


def settled(by, *names):
    return history(by, **dict.fromkeys(names, SETTLED))


def answers(right, wrong, classes=3):
    """Labels and predictions: `right[c]` correct of class c, `wrong[a, b]` of a predicted as b."""
    pairs = [(c, c) for c in range(classes) for _ in range(right[c])]
    pairs += [pair for pair, times in wrong.items() for _ in range(times)]
    labels, predicted = np.array(pairs).T
    return labels, predicted


# Day 1


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
    gap = stats.ttest_ind([0.90, 0.91, 0.905], [0.80, 0.81, 0.79], equal_var=False)
    low, high = gap.confidence_interval(1 - 0.05 / 4)
    assert better == (
        "Train with flip + crop: validation accuracy is 10.5 percentage points "
        f"({100 * low:.1f} to {100 * high:.1f}) above that of no augmentation."
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


def test_settings_whose_accuracy_still_rises_are_named():
    curves = history("augmentation", none=SETTLED, mixup=RISING, cutmix=SLOWER, noise=1e-5)
    assert next_steps.still_rising(curves, "augmentation") == [
        "Train MixUp and CutMix longer: validation accuracy still rises over the last 3 epochs, by "
        "7.3 to 8.0 percentage points."
    ]


def test_a_trend_is_the_slope_over_the_last_quarter():
    rise = next_steps.trend(history(small_cnn=[*SETTLED, *SETTLED]), "val_accuracy")
    assert rise.low < 0 < rise.high
    exact = history(small_cnn=RISING, noise=0)
    exact.loc[exact["run_id"] == "small_cnn-1", "val_accuracy"] *= 1.1
    slopes = 0.08 * np.array([1, 1.1, 1])  # 0.04 an epoch, over the two steps of three epochs
    measured = next_steps.trend(exact, "val_accuracy")
    assert measured.value == pytest.approx(slopes.mean())
    bounds = stats.t.interval(0.95, 2, slopes.mean(), stats.sem(slopes))
    assert (measured.low, measured.high) == pytest.approx(bounds)
    assert [next_steps.window(epochs) for epochs in (6, 12, 13, 40)] == [3, 3, 4, 10]


@pytest.mark.parametrize(
    "curves",
    [
        history(small_cnn=SETTLED),
        history(small_cnn=RISING, seeds=2),
        history(small_cnn=RISING[:5]),  # too short to have an end
        history(small_cnn=[0.5, *[0.8 + 0.001 * epoch for epoch in range(7)]], noise=1e-6),
        history(small_cnn=RISING, noise=0.05),
    ],
)
def test_a_training_that_has_settled_or_is_uncertain_is_not_lengthened(curves):
    assert next_steps.still_rising(curves, "model") == []


# Day 2


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
    assert next_steps.overfitting(curves) == []


def test_classes_significantly_below_the_rest_need_pictures():
    labels, predicted = answers([58, 40, 60], {(1, 0): 10, (1, 2): 10, (0, 2): 2})
    assert next_steps.weak_classes(labels, predicted, "abc") == [
        "Collect more pictures of b: its accuracy (66.7\N{NO-BREAK SPACE}%) is significantly below "
        "that of the other classes."
    ]


def test_a_pair_that_stands_out_needs_pictures_that_tell_it_apart():
    labels, predicted = answers([54, 53, 60], {(0, 1): 6, (1, 0): 6, (1, 2): 1})
    assert next_steps.weak_classes(labels, predicted, "abc") == [
        "Collect pictures that tell a and b apart: they are confused significantly more often than "
        "any other pair (12 errors)."
    ]
    two = answers([54, 54], {(0, 1): 6, (1, 0): 6}, classes=2)
    assert next_steps.weak_classes(*two, "ab") == []  # of two classes there is one pair


def test_a_few_errors_are_no_pattern():
    labels, predicted = answers([59, 57, 60], {(0, 1): 1, (1, 0): 2, (1, 2): 1})
    assert next_steps.weak_classes(labels, predicted, "abc") == []
    labels, predicted = answers([1, 0, 60], {(1, 0): 1})  # a class of one picture
    assert next_steps.weak_classes(labels, predicted, "abc") == []


def test_holms_correction_is_that_of_an_independent_hand():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.04 raised to what is before it
    assert next_steps.holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert next_steps.holm([0.6, 0.7]).max() == 1


# Day 3

HEADS = {"head": [0.70, 0.71, 0.70], "last_block": [0.705, 0.71, 0.70]}
SAME = results("source", random_weights=[0.5, 0.8, 0.6], rotation=[0.6, 0.7, 0.5])


def after_transfer(by_source=SAME, **strategies):
    table = results("strategy", **strategies)
    return next_steps.after_transfer(table, by_source, settled("strategy", *strategies))


STAGE4 = [0.80, 0.81, 0.805]


def test_as_much_is_fine_tuned_as_gains_significantly():
    (advice,) = after_transfer(**HEADS, layer4=STAGE4, all=[0.80, 0.805, 0.80])
    assert advice.startswith("Fine-tune at least stage 4 + head: validation accuracy is 10.0 perc")
    assert advice.endswith(" above that of last block.")
    (advice,) = after_transfer(**HEADS, layer4=STAGE4, all=[0.9, 0.91, 0.905])
    assert advice.startswith("Fine-tune all layers: ")
    (advice,) = after_transfer(**HEADS, layer4=STAGE4, all=[0.6, 0.61, 0.605])
    assert advice.startswith("Fine-tune stage 4 + head: ")
    (advice,) = after_transfer(head=[0.9, 0.91, 0.9], last_block=[0.8, 0.8, 0.81], layer4=STAGE4)
    assert advice.startswith("Fine-tune no more than head only: validation accuracy is 9.8 perc")
    assert advice.endswith(" above that of stage 4 + head.")


def test_no_strategy_is_advised_where_a_smaller_one_may_be_as_good():
    assert after_transfer(**HEADS) == []
    head = [0.83, 0.835, 0.81]
    assert after_transfer(head=head, layer4=[0.78, 0.77, 0.76], all=[0.84, 0.85, 0.83]) == []


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


# Day 4


def corruptions(n=400, severity=3, **accuracies):
    rows = [(name, severity, accuracy, n) for name, accuracy in accuracies.items()]
    return pd.DataFrame(rows, columns=["corruption", "severity", "accuracy", "n"])


def test_the_two_worst_corruptions_are_trained_with():
    table = corruptions(gaussian_noise=0.5, fog=0.85, motion_blur=0.3, contrast=0.55)
    assert next_steps.augment_with(table, 360, 400) == [
        "If such pictures occur in use, train with motion blur and Gaussian noise as augmentation: "
        "at severity 3 they lower accuracy by 60.0 and 40.0 percentage points. Then test with "
        "corruptions that were not trained with."
    ]


def test_a_corruption_is_no_reason_where_its_loss_may_be_small():
    assert next_steps.augment_with(corruptions(fog=0.82), 360, 400) == []
    assert next_steps.augment_with(corruptions(fog=0.6, n=20), 18, 20) == []  # 18 against 12 of 20
    assert next_steps.augment_with(corruptions(fog=0.3, severity=5), 360, 400) == []


def drawn(pictures, spread=2.0, classes=5):
    """Logits, and labels drawn from their softmax: a perfectly calibrated model."""
    random = np.random.default_rng(1)
    logits = spread * random.standard_normal((pictures, classes))
    labels = np.array([random.choice(classes, p=p) for p in softmax(logits)])
    return logits, labels


def test_a_calibration_is_mended_where_chance_does_not_explain_its_error():
    logits, labels = drawn(1500)
    assert next_steps.calibration_steps(logits, labels, 1.0) == []
    (advice,) = next_steps.calibration_steps(3 * logits, labels, 3.0)
    assert advice.startswith("Use the confidence after temperature scaling only: before it the ")
    (advice,) = next_steps.calibration_steps(3 * logits, labels, 1.0)
    assert advice.startswith("Fit the temperature on more validation pictures: after scaling the ")
    assert next_steps.calibration_steps(3 * logits[:12], labels[:12], 1.0) == []


def test_the_day_of_diagnosis_counts_the_corrupted_pictures_alone(run, tiny):
    subject = Subject(run, tiny)
    test = tiny.test.first(10)
    predictions = run.predictions("test")
    right = (predictions.logits.argmax(1) == predictions.labels)[:10]
    table = corruptions(fog=0.0, n=10)
    expected = next_steps.augment_with(table, int(right.sum()), 10)
    temperature = calibrated(run).temperature
    expected += next_steps.calibration_steps(predictions.logits, predictions.labels, temperature)
    assert next_steps.after_diagnosis(subject, table, test) == expected
    shuffled = Split(test.images.flip(0), test.labels.flip(0), test.ids[::-1])
    assert next_steps.after_diagnosis(subject, table, shuffled) == expected


# Day 5


def outcomes(both, first, second, neither=0):
    """Whether each of two models is correct: on so many pictures both, one alone, neither."""
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return a, b


def test_a_difference_that_is_not_significant_needs_pictures():
    (advice,) = next_steps.more_test_pictures("A", "B", *outcomes(380, 14, 6))
    # Connor (1987): rate 20/400, difference 8/400
    needed = (1.95996 * 0.05**0.5 + 0.84162 * (0.05 - 0.02**2) ** 0.5) ** 2 / 0.02**2
    assert 960 < needed < 1000
    assert advice == (
        "Test on more pictures to tell “A” and “B” apart: their difference of 2.0 percentage "
        "points is not significant (on 20 pictures of 400 one is correct and the other is not); if "
        "it is as large as measured, about 980 test pictures show it with a probability of "
        "80\N{NO-BREAK SPACE}%."
    )


def test_so_many_pictures_show_the_difference_four_times_out_of_five():
    random = np.random.default_rng(0)
    draws = random.multinomial(980, [14 / 400, 6 / 400, 380 / 400], 1000)
    significant = [stats.binomtest(a, a + b).pvalue < 0.05 for a, b, _ in draws]
    assert 0.72 < np.mean(significant) < 0.84  # the exact test is somewhat conservative


def test_few_disagreements_are_never_significant():
    (advice,) = next_steps.more_test_pictures("A", "B", *outcomes(355, 3, 1))
    assert advice == (
        "Test on more pictures to tell “A” and “B” apart: on 4 pictures of 359 one is correct and "
        "the other is not, too few for any difference to be significant; that takes about 540 test "
        "pictures."
    )


def test_models_that_hardly_differ_are_chosen_by_cost():
    (advice,) = next_steps.more_test_pictures("A", "B", *outcomes(300, 51, 50))
    assert advice.startswith("Choose between “A” and “B” by size and speed: ")
    assert "0.25 percentage points, takes about" in advice


@pytest.mark.parametrize(
    "pictures",
    [
        outcomes(380, 18, 2),  # significant already
        outcomes(380, 10, 10),  # no difference at all
        outcomes(380, 0, 0, 20),  # no disagreement
    ],
)
def test_more_pictures_are_not_asked_for_in_vain(pictures):
    assert next_steps.more_test_pictures("A", "B", *pictures) == []


def test_the_two_best_candidates_are_compared():
    def candidate(correct):
        logits = np.stack([np.zeros(len(correct)), np.where(correct, 1.0, -1.0)], axis=1)
        test = Predictions(np.arange(len(correct)), np.ones(len(correct), dtype=int), logits)
        return SimpleNamespace(predictions=lambda split: test)

    a, b = outcomes(355, 3, 1)
    competing = {"A": candidate(a), "B": candidate(b), "C": candidate(b)}
    assert next_steps.after_selection(competing) == next_steps.more_test_pictures("A", "B", a, b)
    assert next_steps.after_selection({"A": candidate(a)}) == []


# The page


def test_advice_is_a_list_and_its_absence_one_line():
    some = next_steps.listing(["Collect <b> & 3.", "Train longer."])
    assert some.html == (
        '<ul class="daybook-next"><li>Collect &lt;b&gt; &amp; 3.</li><li>Train longer.</li></ul>'
    )
    assert some.text == "Collect <b> & 3.\nTrain longer."
    assert next_steps.listing([]).html == f"<p>{next_steps.NONE}</p>"
