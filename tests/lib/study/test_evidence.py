"""When figures are evidence for a next step, and when they are not."""

import numpy as np
import pytest
from scipy import stats

from lib.diagnosis.calibration import softmax
from lib.study import evidence
from tests.lib.study.outcomes import RISING, SETTLED, answers, corruptions, history, outcomes

SLOWER = [*RISING[:6], 0.815, 0.853]


def test_settings_whose_accuracy_still_rises_are_named():
    curves = history("augmentation", none=SETTLED, mixup=RISING, cutmix=SLOWER, noise=1e-5)
    assert evidence.still_rising(curves, "augmentation") == [
        "Train MixUp and CutMix longer: validation accuracy still rises over the last 3 epochs, by "
        "7.3 to 8.0 percentage points."
    ]


def test_a_trend_is_the_slope_over_the_last_quarter():
    rise = evidence.trend(history(small_cnn=[*SETTLED, *SETTLED]), "val_accuracy")
    assert rise.low < 0 < rise.high
    exact = history(small_cnn=RISING, noise=0)
    exact.loc[exact["run_id"] == "small_cnn-1", "val_accuracy"] *= 1.1
    slopes = 0.08 * np.array([1, 1.1, 1])  # 0.04 an epoch, over the two steps of three epochs
    measured = evidence.trend(exact, "val_accuracy")
    assert measured.value == pytest.approx(slopes.mean())
    bounds = stats.t.interval(0.95, 2, slopes.mean(), stats.sem(slopes))
    assert (measured.low, measured.high) == pytest.approx(bounds)
    assert [evidence.window(epochs) for epochs in (6, 12, 13, 40)] == [3, 3, 4, 10]


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
    assert evidence.still_rising(curves, "model") == []


def test_classes_significantly_below_the_rest_need_pictures():
    labels, predicted = answers([58, 40, 60], {(1, 0): 10, (1, 2): 10, (0, 2): 2})
    assert evidence.weak_classes(labels, predicted, "abc") == [
        "Collect more pictures of b: its accuracy (66.7\N{NO-BREAK SPACE}%) is significantly below "
        "that of the other classes."
    ]


def test_a_pair_that_stands_out_needs_pictures_that_tell_it_apart():
    labels, predicted = answers([54, 53, 60], {(0, 1): 6, (1, 0): 6, (1, 2): 1})
    assert evidence.weak_classes(labels, predicted, "abc") == [
        "Collect pictures that tell a and b apart: they are confused significantly more often than "
        "any other pair (12 errors)."
    ]
    two = answers([54, 54], {(0, 1): 6, (1, 0): 6}, classes=2)
    assert evidence.weak_classes(*two, "ab") == []  # of two classes there is one pair


def test_a_few_errors_are_no_pattern():
    labels, predicted = answers([59, 57, 60], {(0, 1): 1, (1, 0): 2, (1, 2): 1})
    assert evidence.weak_classes(labels, predicted, "abc") == []
    labels, predicted = answers([1, 0, 60], {(1, 0): 1})  # a class of one picture
    assert evidence.weak_classes(labels, predicted, "abc") == []


def test_the_two_worst_corruptions_are_trained_with():
    table = corruptions(gaussian_noise=0.5, fog=0.85, motion_blur=0.3, contrast=0.55)
    assert evidence.augment_with(table, 360, 400) == [
        "If such pictures occur in use, train with motion blur and Gaussian noise as augmentation: "
        "at severity 3 they lower accuracy by 60.0 and 40.0 percentage points. Then test with "
        "corruptions that were not trained with."
    ]


def test_a_corruption_is_no_reason_where_its_loss_may_be_small():
    assert evidence.augment_with(corruptions(fog=0.82), 360, 400) == []
    assert evidence.augment_with(corruptions(fog=0.6, n=20), 18, 20) == []  # 18 against 12 of 20
    assert evidence.augment_with(corruptions(fog=0.3, severity=5), 360, 400) == []


def drawn(pictures, spread=2.0, classes=5):
    """Logits, and labels drawn from their softmax: a perfectly calibrated model."""
    random = np.random.default_rng(1)
    logits = spread * random.standard_normal((pictures, classes))
    labels = np.array([random.choice(classes, p=p) for p in softmax(logits)])
    return logits, labels


def test_a_calibration_is_mended_where_chance_does_not_explain_its_error():
    logits, labels = drawn(1500)
    assert evidence.calibration_steps(logits, labels, 1.0) == []
    (advice,) = evidence.calibration_steps(3 * logits, labels, 3.0)
    assert advice.startswith("Use the confidence after temperature scaling only: before it the ")
    (advice,) = evidence.calibration_steps(3 * logits, labels, 1.0)
    assert advice.startswith("Fit the temperature on more validation pictures: after scaling the ")
    assert evidence.calibration_steps(3 * logits[:12], labels[:12], 1.0) == []


def test_a_difference_that_is_not_significant_needs_pictures():
    (advice,) = evidence.more_test_pictures("A", "B", *outcomes(380, 14, 6))
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
    (advice,) = evidence.more_test_pictures("A", "B", *outcomes(355, 3, 1))
    assert advice == (
        "Test on more pictures to tell “A” and “B” apart: on 4 pictures of 359 one is correct and "
        "the other is not, too few for any difference to be significant; that takes about 540 test "
        "pictures."
    )


def test_models_that_hardly_differ_are_chosen_by_cost():
    (advice,) = evidence.more_test_pictures("A", "B", *outcomes(300, 51, 50))
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
    assert evidence.more_test_pictures("A", "B", *pictures) == []
