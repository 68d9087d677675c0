import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib import intervals
from lib.intervals import Interval


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (10, 10), (1, 3), (913, 1000), (5, 9)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_accuracy_interval_is_scipys_wilson(correct, total, level):
    ours = intervals.accuracy_interval(correct, total, level)
    theirs = stats.binomtest(correct, total).proportion_ci(level, method="wilson")
    assert ours.value == correct / total
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=200, deadline=None)
def test_accuracy_interval_holds_its_value(case):
    interval = intervals.accuracy_interval(*case)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_accuracy_of_nothing_is_unknown():
    interval = intervals.accuracy_interval(0, 0)
    assert math.isnan(interval.value)
    assert (interval.low, interval.high) == (0, 1)
    with pytest.raises(ValueError, match="4 correct out of 3"):
        intervals.accuracy_interval(4, 3)


def test_the_interval_of_a_mean_accuracy_stays_within_0_and_1():
    interval = intervals.mean_accuracy([0.98, 1.0, 1.0])
    assert interval.low == intervals.mean_interval([0.98, 1.0, 1.0]).low
    assert interval.high == 1
    assert math.isnan(intervals.mean_accuracy([0.9]).high)


def test_two_seeds_have_a_range_and_no_interval():
    both = intervals.mean_accuracy([0.975, 0.965])
    assert (both.low, both.high) == (0.965, 0.975)
    assert str(both) == "97.0 % (96.5–97.5, range of 2 seeds)"
    apart = intervals.mean_accuracy([0.1, 0.101])
    assert not intervals.differs(both, apart)  # a range cannot tell noise
    assert not intervals.differs(apart, Interval(0.9, 0.89, 0.91))
    three = intervals.mean_accuracy([0.975, 0.965, 0.97])
    assert "range" not in str(three)
    assert three.high - three.low > 0.01


def test_mean_interval_is_scipys_t():
    values = [0.91, 0.93, 0.9, 0.925]
    ours = intervals.mean_interval(values, 0.9)
    theirs = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx(theirs)


def test_one_seed_has_no_interval_and_says_so():
    interval = intervals.mean_interval([0.913])
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert str(interval) == "91.3 % (1 seed)"
    with pytest.raises(ValueError, match="one value per seed"):
        intervals.mean_interval([])


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
    ours = intervals.bootstrap_interval(np.mean, values, resamples=4000)
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

    interval = intervals.bootstrap_interval(correlation, first, second, seed=3)
    assert interval == intervals.bootstrap_interval(correlation, first, second, seed=3)
    assert interval != intervals.bootstrap_interval(correlation, first, second, seed=4)
    assert interval.low > 0.95
    with pytest.raises(ValueError, match=r"\[100, 99\] rows"):
        intervals.bootstrap_interval(correlation, first, second[1:])


@pytest.mark.parametrize(
    ("a", "b"), [([0.9, 0.91, 0.93], [0.88, 0.9, 0.87]), ([0.5, 0.9], [0.1, 0.2, 0.3, 0.25])]
)
def test_difference_interval_is_scipys_welch(a, b):
    ours = intervals.difference_interval(a, b)
    test = stats.ttest_ind(a, b, equal_var=False)
    theirs = test.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert intervals.differs(a, b) == (test.pvalue < 0.05)


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
    assert intervals.differs(a, b) is expected
    assert intervals.differs(b, a) is expected


def test_an_interval_is_not_compared_with_values():
    with pytest.raises(ValueError, match="another Interval only"):
        intervals.differs(Interval(0.9, 0.8, 1.0), [0.1, 0.2])


def test_difference_of_proportions_is_newcombes():
    # Newcombe (1998), table II, example (a), method 10: 56/70 - 48/80.
    difference = intervals.accuracy_interval(56, 70) - intervals.accuracy_interval(48, 80)
    assert difference.value == pytest.approx(0.2)
    assert (difference.low, difference.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
