import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from lib.diagnosis import calibration

CLASSES = 10


def predictions(count=2000, spread=2.0, missing=None, seed=0):
    """Logits and labels drawn from them: perfectly calibrated at a temperature of 1."""
    generator = np.random.default_rng(seed)
    logits = spread * generator.normal(size=(count, CLASSES))
    if missing is not None:
        logits[:, missing] = -40
    chance = calibration.softmax(logits).cumsum(axis=1)
    labels = (generator.random((count, 1)) < chance).argmax(axis=1)
    return logits, labels


def by_hand(confidence, correct, low, high, last):
    """Weight and gap of one bin, counted picture by picture."""
    inside = [
        (c, r)
        for c, r in zip(confidence, correct, strict=True)
        if low <= c < high or (last and c == high)
    ]
    if not inside:
        return 0.0, 0.0
    gap = abs(sum(c for c, _ in inside) - sum(r for _, r in inside)) / len(inside)
    return len(inside) / len(confidence), gap


def by_hand_bins(confidence, correct, bins):
    edges = [i / bins for i in range(bins + 1)]
    return [
        by_hand(confidence, correct, edges[i], edges[i + 1], last=i == bins - 1)
        for i in range(bins)
    ]


def random_case(name):
    generator = np.random.default_rng(5)
    confidence, correct = generator.random(300), generator.random(300) < 0.6
    edge = generator.random(300) < 0.3
    return {
        "random": (confidence, correct),
        "all right": (confidence, np.ones(300, bool)),
        "all wrong": (confidence, np.zeros(300, bool)),
        "many of confidence 1": (np.where(edge, 1.0, confidence), correct),
        "many of confidence 0": (np.where(edge, 0.0, confidence), correct),
        "only confidence 1": (np.ones(300), correct),
        "only confidence 0": (np.zeros(300), correct),
        "empty bins": (0.4 + 0.1 * confidence, correct),
        "one prediction": (confidence[:1], correct[:1]),
    }[name]


CASES = [
    "random",
    "all right",
    "all wrong",
    "many of confidence 1",
    "many of confidence 0",
    "only confidence 1",
    "only confidence 0",
    "empty bins",
    "one prediction",
]


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("case", CASES)
def test_calibration_errors_are_the_sums_by_hand(case, bins):
    confidence, correct = random_case(case)
    expected = by_hand_bins(confidence, correct, bins)
    ece = calibration.expected_calibration_error(confidence, correct, bins)
    assert ece == pytest.approx(sum(weight * gap for weight, gap in expected))
    mce = calibration.maximum_calibration_error(confidence, correct, bins)
    assert mce == pytest.approx(max(gap for _, gap in expected))


def torchmetrics_error(logits, labels, norm):
    probabilities = torch.from_numpy(calibration.softmax(logits))
    return multiclass_calibration_error(
        probabilities, torch.from_numpy(labels), CLASSES, n_bins=15, norm=norm
    ).item()


@pytest.mark.parametrize("missing", [None, 0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_calibration_errors_are_torchmetrics(temperature, missing):
    logits, labels = predictions(missing=missing)
    logits = logits / temperature
    confidence = calibration.softmax(logits).max(axis=1)
    assert confidence.max() < 1
    correct = logits.argmax(axis=1) == labels
    ece = calibration.expected_calibration_error(confidence, correct)
    assert ece == pytest.approx(torchmetrics_error(logits, labels, "l1"), abs=1e-6)
    mce = calibration.maximum_calibration_error(confidence, correct)
    assert mce == pytest.approx(torchmetrics_error(logits, labels, "max"), abs=1e-6)


def test_confidence_of_exactly_1_is_in_the_last_bin():
    # torchmetrics counts it apart from 0.95: two gaps of 0.95 and 0, not their common bin's.
    logits = np.log([[0.95, 0.05], [1.0, 1e-300]])
    confidence, correct = calibration.softmax(logits).max(axis=1), np.array([False, True])
    assert confidence[1] == 1.0
    ece = calibration.expected_calibration_error(confidence, correct)
    assert ece == pytest.approx(abs((0.95 + 1) - 1) / 2)
    table = calibration.reliability_table(confidence, correct)
    assert table["count"].iloc[-1] == 2


def test_reliability_table_keeps_empty_bins_empty():
    table = calibration.reliability_table([0.0, 0.05, 1.0], [False, True, True], bins=10)
    assert list(table["count"]) == [2] + [0] * 8 + [1]
    assert table["share"].sum() == pytest.approx(1)
    empty = table[table["count"] == 0]
    assert empty[["confidence", "accuracy"]].isna().all(axis=None)
    first = table.iloc[0]
    assert (first["low"], first["high"]) == (0, 0.1)
    assert (first["confidence"], first["accuracy"]) == pytest.approx((0.025, 0.5))


@pytest.mark.parametrize("count", [1, 5, 15, 100, 307])
def test_equal_mass_bins_are_an_even_split(count):
    generator = np.random.default_rng(count)
    confidence, correct = generator.random(count), generator.random(count) < 0.5
    order = np.argsort(confidence)
    parts = zip(
        np.array_split(confidence[order], 15), np.array_split(correct[order], 15), strict=True
    )
    expected = sum(abs(c.sum() - r.sum()) for c, r in parts) / count
    ece = calibration.expected_calibration_error(confidence, correct, equal_mass=True)
    assert ece == pytest.approx(expected)
    counts = calibration.reliability_table(confidence, correct, equal_mass=True)["count"]
    assert counts.sum() == count
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_equal_mass_bins_keep_ties_together(value):
    correct = np.arange(100) < 70
    ece = calibration.expected_calibration_error(np.full(100, value), correct, equal_mass=True)
    assert ece == pytest.approx(abs(value - 0.7))


@pytest.mark.parametrize("missing", [None, 3])
def test_classwise_ece_by_hand(missing):
    logits, labels = predictions(300, missing=missing)
    probabilities = calibration.softmax(logits)
    expected = 0.0
    for k in range(CLASSES):
        rows = by_hand_bins(probabilities[:, k], labels == k, 15)
        expected += sum(weight * gap for weight, gap in rows) / CLASSES
    assert calibration.classwise_ece(probabilities, labels) == pytest.approx(expected)


@pytest.mark.parametrize("missing", [None, 3])
def test_nll_and_brier_are_scikit_learns(missing):
    logits, labels = predictions(500, missing=missing)
    for temperature in (0.7, 1.0, 2.0):
        probabilities = calibration.softmax(logits, temperature)
        nll = metrics.log_loss(labels, probabilities, labels=range(CLASSES))
        assert calibration.nll(logits, labels, temperature) == pytest.approx(nll)
        brier = metrics.brier_score_loss(
            labels, probabilities, labels=range(CLASSES), scale_by_half=False
        )
        assert calibration.brier(probabilities, labels) == pytest.approx(brier)


def test_huge_logits_stay_finite():
    logits, labels = np.array([[1e5, 0.0], [0.0, 1e5]]), np.array([0, 0])
    assert calibration.nll(logits, labels) == pytest.approx(5e4)
    assert calibration.brier(calibration.softmax(logits), labels) == pytest.approx(1)


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.7, 4.0])
def test_temperature_recovers_what_logits_were_multiplied_by(factor):
    logits, labels = predictions(5000)
    assert calibration.fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)
    # And exactly so, compared with the fit of the logits themselves.
    itself = calibration.fit_temperature(logits, labels)
    assert calibration.fit_temperature(factor * logits, labels) == pytest.approx(factor * itself)


@pytest.mark.parametrize("seed", range(3))
def test_temperature_minimises_the_loss(seed):
    logits, labels = predictions(200, spread=3, seed=seed)
    theirs = minimize_scalar(
        lambda t: calibration.nll(3 * logits, labels, t), bounds=(0.05, 20), method="bounded"
    )
    assert calibration.fit_temperature(3 * logits, labels) == pytest.approx(theirs.x, rel=1e-3)


@pytest.mark.parametrize("factor", [0.01, 0.3, 1.0, 8.0, 100.0])
def test_temperature_never_changes_a_predicted_class(factor):
    logits, labels = predictions(300)
    logits = (factor * logits).astype(np.float32)
    temperature = calibration.fit_temperature(logits, labels)
    scaled = calibration.softmax(logits, temperature)
    np.testing.assert_array_equal(scaled.argmax(axis=1), logits.argmax(axis=1))


@pytest.mark.parametrize("margin", [1.0, 5.0, 50.0])
def test_temperature_of_faultless_predictions_leaves_a_doubt(margin):
    labels = np.arange(200) % CLASSES
    logits = margin * np.eye(CLASSES)[labels]
    confidence = calibration.softmax(logits, calibration.fit_temperature(logits, labels))
    # One in 202 is spread over all ten classes, the right one too.
    assert confidence.max(axis=1) == pytest.approx(1 - 0.9 / 202)


def test_temperature_at_its_bounds():
    logits, _ = predictions(200)
    low, high = calibration.TEMPERATURE_BOUNDS
    assert calibration.fit_temperature(logits, logits.argmin(axis=1)) == high
    right = np.eye(CLASSES)[np.zeros(200, int)] * 1e-4
    assert calibration.fit_temperature(right, np.zeros(200, int)) == low
    assert calibration.fit_temperature(np.ones((5, 3)), [0, 1, 2, 0, 1]) == 1


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.empty((0, 3)), np.empty(0, int), "do not go with"),
        (np.zeros((2, 3)), [0], "do not go with"),
        ([[np.nan, 0.0]], [0], "not finite"),
        ([[np.inf, 0.0]], [0], "not finite"),
    ],
)
def test_unusable_logits_are_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        calibration.fit_temperature(logits, labels)


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([1.1], [True], "outside"),
        ([-0.1], [True], "outside"),
        ([np.nan], [True], "outside"),
        ([0.5], [True, False], "do not go with"),
        ([], [], "do not go with"),
    ],
)
def test_unusable_confidences_are_refused(confidence, correct, message):
    with pytest.raises(ValueError, match=message):
        calibration.expected_calibration_error(confidence, correct)


def test_calibration_table_agrees_with_the_single_functions():
    logits, labels = predictions(1000)
    logits = 2.5 * logits
    table = calibration.calibration_table(logits, labels, 2.5, resamples=200)
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert (table["n"] == 1000).all()
    correct = logits.argmax(axis=1) == labels
    for scaling, temperature in (("before", 1.0), ("after", 2.5)):
        probabilities = calibration.softmax(logits, temperature)
        confidence = probabilities.max(axis=1)
        expected = {
            "ece": calibration.expected_calibration_error(confidence, correct),
            "equal_mass_ece": calibration.expected_calibration_error(
                confidence, correct, equal_mass=True
            ),
            "classwise_ece": calibration.classwise_ece(probabilities, labels),
            "mce": calibration.maximum_calibration_error(confidence, correct),
            "nll": calibration.nll(logits, labels, temperature),
            "brier": calibration.brier(probabilities, labels),
        }
        rows = table[table["scaling"] == scaling]
        assert (rows["temperature"] == temperature).all()
        assert dict(zip(rows["metric"], rows["value"], strict=True)) == pytest.approx(expected)
    values = table.pivot(index="metric", columns="scaling", values="value")
    assert (values["after"] < values["before"]).all()


def test_interval_of_a_calibration_error_covers_what_many_samples_show():
    """The spread of the error over fresh samples of 1000 fits in the interval from one of them."""
    logits, labels = predictions(20_000)
    correct = logits.argmax(axis=1) == labels
    confidence = calibration.softmax(logits, 0.5).max(axis=1)
    errors = [
        calibration.expected_calibration_error(confidence[i : i + 1000], correct[i : i + 1000])
        for i in range(0, 20_000, 1000)
    ]
    table = calibration.calibration_table(2 * logits[:1000], labels[:1000], 2.0, resamples=500)
    ece = table[(table["metric"] == "ece") & (table["scaling"] == "before")].iloc[0]
    half = (ece["high"] - ece["low"]) / 2
    assert half == pytest.approx(1.96 * np.std(errors, ddof=1), rel=0.5)


def test_swapped_test_labels_leave_the_temperature_alone():
    val, test = predictions(seed=1), predictions(seed=2)
    swapped = np.random.default_rng(0).permutation(test[1])
    one, other = (
        calibration.calibrate(val[0], val[1], test[0], labels, resamples=10)
        for labels in (test[1], swapped)
    )
    assert one.temperature == other.temperature == calibration.fit_temperature(*val)
    assert not one.metrics.equals(other.metrics)
    assert not one.reliability.equals(other.reliability)


def test_calibrate_reports_before_and_after():
    val, test = predictions(seed=1), predictions(seed=2)
    result = calibration.calibrate(3 * val[0], val[1], 3 * test[0], test[1], resamples=50)
    ece = result.metrics.set_index(["metric", "scaling"]).loc["ece", "value"]
    assert ece["after"] < 0.05
    assert ece["before"] > 0.15
    for scaling, temperature in (("before", 1.0), ("after", result.temperature)):
        rows = result.reliability[result.reliability["scaling"] == scaling]
        expected = calibration.reliability_table(
            calibration.softmax(3 * test[0], temperature).max(axis=1),
            test[0].argmax(axis=1) == test[1],
        )
        pd.testing.assert_frame_equal(rows.drop(columns="scaling").reset_index(drop=True), expected)


def test_fitting_takes_no_test_predictions():
    assert list(inspect.signature(calibration.fit_temperature).parameters) == ["logits", "labels"]


def test_a_tables_calibration_error_is_that_of_its_predictions():
    rng = np.random.default_rng(1)
    confidence, correct = rng.random(500), rng.random(500) < 0.6
    table = calibration.reliability_table(confidence, correct)
    expected = calibration.expected_calibration_error(confidence, correct)
    assert calibration.calibration_error(table) == pytest.approx(expected)


def test_a_calibrated_model_stays_below_its_reference_as_often_as_asked():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.3, 1.0, 500)
    right = random.random(500) < confidence
    reference = calibration.ece_reference(confidence, right)
    errors = [
        calibration.expected_calibration_error(confidence, random.random(500) < confidence)
        for _ in range(600)
    ]
    assert np.mean(np.array(errors) < reference.high) == pytest.approx(0.95, abs=0.03)
    assert np.mean(errors) == pytest.approx(reference.mean, rel=0.05)
    assert not reference.told_apart
    assert calibration.ece_reference(confidence, random.random(500) < 0.3).told_apart


def test_changes_are_those_of_the_table_and_paired():
    random = np.random.default_rng(4)
    logits = random.normal(size=(400, 5)) * 2
    labels = np.array([random.choice(5, p=row) for row in calibration.softmax(logits, 2.0)])
    table = calibration.calibration_table(logits, labels, 2.0).set_index(["metric", "scaling"])
    changes = calibration.calibration_changes(logits, labels, 2.0).set_index("metric")
    for metric, change in changes.iterrows():
        before, after = (table.loc[(metric, scaling)] for scaling in ("before", "after"))
        assert change["value"] == pytest.approx(after["value"] - before["value"])
        assert change["low"] <= change["value"] <= change["high"]
    nll = [table.loc[("nll", scaling)] for scaling in ("before", "after")]
    apart = sum((row["high"] - row["low"]) ** 2 for row in nll) ** 0.5
    change = changes.loc["nll"]
    assert change["high"] - change["low"] < apart  # what is hard stays hard, and cancels out
    assert change["high"] < 0
