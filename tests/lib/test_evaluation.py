import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from torch import nn

from lib import evaluation
from lib.evaluation import Interval

CLASSES = ["ant", "bee", "cow"]


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (10, 10), (1, 3), (913, 1000), (5, 9)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_accuracy_interval_is_scipys_wilson(correct, total, level):
    ours = evaluation.accuracy_interval(correct, total, level)
    theirs = stats.binomtest(correct, total).proportion_ci(level, method="wilson")
    assert ours.value == correct / total
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=200, deadline=None)
def test_accuracy_interval_holds_its_value(case):
    interval = evaluation.accuracy_interval(*case)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_accuracy_of_nothing_is_unknown():
    interval = evaluation.accuracy_interval(0, 0)
    assert math.isnan(interval.value)
    assert (interval.low, interval.high) == (0, 1)
    with pytest.raises(ValueError, match="4 right out of 3"):
        evaluation.accuracy_interval(4, 3)


def test_the_interval_of_a_mean_accuracy_stays_within_0_and_1():
    interval = evaluation.mean_accuracy([0.98, 1.0, 1.0])
    assert interval.low == evaluation.mean_interval([0.98, 1.0, 1.0]).low
    assert interval.high == 1
    assert math.isnan(evaluation.mean_accuracy([0.9]).high)


def test_mean_interval_is_scipys_t():
    values = [0.91, 0.93, 0.9, 0.925]
    ours = evaluation.mean_interval(values, 0.9)
    theirs = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx(theirs)


def test_one_seed_has_no_interval_and_says_so():
    interval = evaluation.mean_interval([0.913])
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert str(interval) == "91.3 % (1 seed)"
    with pytest.raises(ValueError, match="one value per seed"):
        evaluation.mean_interval([])


@pytest.mark.parametrize(
    ("spec", "text"),
    [("", "91.3 % (90.7–91.8)"), (".2%", "91.30 % (90.70–91.80)"), (".3f", "0.913 (0.907–0.918)")],
)
def test_interval_as_text(spec, text):
    assert format(Interval(0.913, 0.907, 0.918), spec) == text


def test_interval_below_zero_as_text():
    assert str(Interval(0.012, -0.003, 0.027)) == "1.2 % (-0.3 to 2.7)"


def test_bootstrap_of_a_mean_is_scipys_percentile_bootstrap():
    values = np.random.default_rng(1).exponential(size=400)
    ours = evaluation.bootstrap_interval(np.mean, values, resamples=4000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.1 * width)


def test_bootstrap_keeps_arrays_together_and_its_seed():
    generator = np.random.default_rng(0)
    first = generator.normal(size=100)
    second = first + 0.1 * generator.normal(size=100)

    def correlation(a, b):
        return np.corrcoef(a, b)[0, 1]

    interval = evaluation.bootstrap_interval(correlation, first, second, seed=3)
    assert interval == evaluation.bootstrap_interval(correlation, first, second, seed=3)
    assert interval != evaluation.bootstrap_interval(correlation, first, second, seed=4)
    assert interval.low > 0.95
    with pytest.raises(ValueError, match=r"\[100, 99\] rows"):
        evaluation.bootstrap_interval(correlation, first, second[1:])


@pytest.mark.parametrize(
    ("a", "b"), [([0.9, 0.91, 0.93], [0.88, 0.9, 0.87]), ([0.5, 0.9], [0.1, 0.2, 0.3, 0.25])]
)
def test_difference_interval_is_scipys_welch(a, b):
    ours = evaluation.difference_interval(a, b)
    test = stats.ttest_ind(a, b, equal_var=False)
    theirs = test.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert evaluation.differs(a, b) == (test.pvalue < 0.05)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0.9, 0.91, 0.905], [0.8, 0.81, 0.79], True),
        ([0.9, 0.91, 0.905], [0.9, 0.92, 0.89], False),
        ([0.9, 0.9], [0.8, 0.8], True),
        ([0.9, 0.9], [0.9, 0.9], False),
        ([0.9], [0.1], False),
        ([0.9], [0.1, 0.11, 0.12], False),
        (Interval(0.9, 0.89, 0.91), Interval(0.8, 0.79, 0.81), True),
        (Interval(0.9, 0.88, 0.92), Interval(0.89, 0.87, 0.91), False),
        (Interval(0.9, math.nan, math.nan), Interval(0.1, 0.09, 0.11), False),
    ],
)
def test_differs(a, b, expected):
    assert evaluation.differs(a, b) is expected
    assert evaluation.differs(b, a) is expected


def test_an_interval_is_not_compared_with_values():
    with pytest.raises(ValueError, match="another Interval only"):
        evaluation.differs(Interval(0.9, 0.8, 1.0), [0.1, 0.2])


def test_difference_of_proportions_is_newcombes():
    # Newcombe (1998), table II, example (a), method 10: 56/70 - 48/80.
    difference = evaluation.accuracy_interval(56, 70) - evaluation.accuracy_interval(48, 80)
    assert difference.value == pytest.approx(0.2)
    assert (difference.low, difference.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


class Net(nn.Module):
    """Its logits depend on its mode, through dropout and batch normalisation."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.frozen = nn.BatchNorm2d(3).eval()
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 3))

    def forward(self, pixels):
        return self.head(self.frozen(self.norm(pixels)))


@pytest.mark.parametrize("count", [0, 1, 5, 7])
def test_predict_is_one_forward_pass_in_evaluation_mode(count):
    torch.manual_seed(0)
    model = Net()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, 4, 4), dtype=torch.uint8, generator=generator)
    modes = [module.training for module in model.modules()]
    logits = evaluation.predict(model, images, batch_size=3)
    assert [module.training for module in model.modules()] == modes
    assert model.norm.num_batches_tracked == 0
    with torch.no_grad():
        expected = model.eval()(images / 255)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-6)


def test_modes_are_restored_after_an_error():
    model = Net()
    with pytest.raises(RuntimeError):
        evaluation.predict(model, torch.zeros(2, 3, 9, 9, dtype=torch.uint8))
    assert model.training
    assert not model.frozen.training


def random_predictions(count=200, missing=None, seed=0):
    generator = np.random.default_rng(seed)
    allowed = [i for i in range(len(CLASSES)) if i != missing]
    return generator.choice(allowed, count), generator.choice(allowed, count)


@pytest.mark.parametrize("missing", [None, 0, 2])
def test_confusion_matrix_is_scikit_learns(missing):
    labels, predicted = random_predictions(missing=missing)
    table = evaluation.confusion_matrix(labels, predicted, CLASSES)
    assert list(table.columns) == ["true", "predicted", "count", "share"]
    expected = metrics.confusion_matrix(labels, predicted, labels=range(3))
    wide = table.pivot(index="true", columns="predicted", values="count").loc[CLASSES, CLASSES]
    np.testing.assert_array_equal(wide, expected)
    shares = table.groupby("true")["share"].sum(min_count=1)
    for i, name in enumerate(CLASSES):
        assert math.isnan(shares[name]) if i == missing else shares[name] == pytest.approx(1)


@pytest.mark.parametrize("missing", [None, 1])
def test_per_class_is_scikit_learns(missing):
    labels, predicted = random_predictions(missing=missing)
    table = evaluation.per_class(labels, predicted, CLASSES)
    precision, recall, _, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(3), zero_division=np.nan
    )
    np.testing.assert_allclose(table["accuracy"], recall)
    np.testing.assert_allclose(table["precision"], precision)
    np.testing.assert_array_equal(table["n"], support)
    known = table.dropna(subset="accuracy")
    assert (known["low"] < known["accuracy"]).all()
    assert (known["accuracy"] < known["high"]).all()


def test_most_confused_joins_both_directions():
    labels = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    predicted = [0, 1, 1, 0, 0, 1, 1, 2, 2, 1]
    table = evaluation.most_confused(labels, predicted, CLASSES)
    expected = pd.DataFrame(
        [("ant", "bee", 3, 2, 1, 3 / 7), ("cow", "bee", 1, 1, 0, 1 / 6)],
        columns=["first", "second", "count", "first_as_second", "second_as_first", "share"],
    )
    pd.testing.assert_frame_equal(table, expected)
    assert len(evaluation.most_confused(labels, predicted, CLASSES, top=1)) == 1
    assert evaluation.most_confused([0, 1], [0, 1], CLASSES).empty


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0]])
def test_labels_outside_the_classes_are_refused(labels):
    with pytest.raises(ValueError, match=r"outside the 3 classes|do not go with"):
        evaluation.confusion_matrix(labels, [0, 1], CLASSES)


def test_worst_mistakes_by_loss():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(50, 3)) * 3, generator.integers(0, 3, 50)
    table = evaluation.worst_mistakes(logits, labels, [f"p{i}" for i in range(50)], CLASSES, 7)
    loss = nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(labels), reduction="none"
    ).numpy()
    wrong = logits.argmax(axis=1) != labels
    np.testing.assert_allclose(table["loss"], np.sort(loss[wrong])[::-1][:7])
    np.testing.assert_allclose(loss[table["index"]], table["loss"])
    assert list(table["id"]) == [f"p{i}" for i in table["index"]]
    assert (table["true"] != table["predicted"]).all()
    assert table["confidence"].between(1 / 3, 1).all()


def test_no_mistakes_is_an_empty_table():
    table = evaluation.worst_mistakes(np.eye(3), [0, 1, 2], ["a", "b", "c"], CLASSES)
    assert table.empty
    assert list(table.columns) == ["id", "index", "true", "predicted", "confidence", "loss"]
