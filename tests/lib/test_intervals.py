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
        ([0.9, 0.9], [0.8, 0.8], False),  # two seeds may agree by chance
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


# Seeds and pictures


def studies(draws, seeds, pictures, mean, spread, between, generator):
    """Made-up studies bool (draws, seeds, pictures), and the accuracy that they are drawn from.

    Pictures differ in difficulty (`mean` and `spread` of the log-odds), seeds in skill (`between`).
    """

    def right(difficulty, skill):
        return 1 / (1 + np.exp(-difficulty - skill))

    difficulty = generator.normal(mean, spread, (draws, 1, pictures))
    skill = generator.normal(0, between, (draws, seeds, 1))
    many = generator.normal(size=(2, 400_000))
    truth = right(mean + spread * many[0], between * many[1]).mean()
    return generator.random((draws, seeds, pictures)) < right(difficulty, skill), truth


def share_that_holds(tables, truth, interval):
    """In how many of the studies the interval holds the truth."""
    held = [found.low <= truth <= found.high for found in map(interval, tables)]
    return sum(held) / len(held)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("mean", "spread", "between"), [(6, 3, 0.3), (3, 3, 0.3), (1, 2, 0.1)])
def test_the_accuracy_of_a_recipe_is_covered_and_by_the_seeds_alone_it_is_not(
    seeds, mean, spread, between
):
    generator = np.random.default_rng(0)
    tables, truth = studies(2000, seeds, 359, mean, spread, between, generator)
    assert 0.94 < share_that_holds(tables, truth, intervals.recipe_accuracy) < 0.99
    by_seeds = share_that_holds(
        tables, truth, lambda table: intervals.mean_interval(table.mean(axis=1))
    )
    assert by_seeds < 0.93


def test_more_seeds_do_not_take_away_what_the_pictures_leave_open():
    generator = np.random.default_rng(1)
    (table,), _ = studies(1, 100, 200, 2, 3, 0.01, generator)
    few, many = intervals.recipe_accuracy(table[:3]), intervals.recipe_accuracy(table)
    pictures = intervals.accuracy_interval(round(table.mean() * 200), 200)
    assert many.high - many.low > 0.7 * (pictures.high - pictures.low)
    assert few.high - few.low > many.high - many.low


def test_one_seed_has_the_interval_of_one_network():
    correct = np.arange(50) % 10 > 0
    assert intervals.recipe_accuracy([correct]) == intervals.accuracy_interval(45, 50)
    faultless = intervals.recipe_accuracy(np.ones((3, 50)))
    assert faultless.high == 1
    assert faultless.low == pytest.approx(intervals.accuracy_interval(50, 50).low)
    for shape in ((50,), (0, 50), (3, 0)):
        with pytest.raises(ValueError, match="expected \\(seeds, pictures\\)"):
            intervals.recipe_accuracy(np.ones(shape))


def test_the_mean_over_pictures_and_repetitions_holds_the_truth():
    """A figure with a part of the picture's, a part of the repetition's, and a part of both."""
    generator, hits, studies = np.random.default_rng(0), 0, 400
    for _ in range(studies):
        pictures, repetitions = generator.normal(0, 0.3, 40), generator.normal(0, 0.1, (5, 1))
        values = 0.2 + pictures + repetitions + generator.normal(0, 0.2, (5, 40))
        values[generator.random(values.shape) < 0.1] = np.nan
        interval = intervals.crossed_mean(values)
        hits += interval.low <= 0.2 <= interval.high
    assert 0.92 < hits / studies < 0.99


def test_the_crossed_mean_leaves_out_what_is_missing():
    interval = intervals.crossed_mean([[1.0, 3.0, np.nan], [2.0, np.nan, np.nan]])
    assert interval.value == 2
    assert interval.low < 2 < interval.high
    for table in ([[1.0, 2.0]], [[1.0], [2.0]], [[1.0, np.nan], [2.0, np.nan]]):
        single = intervals.crossed_mean(table)  # one repetition, or one picture
        assert single.value == 1.5
        assert math.isnan(single.low)
    assert math.isnan(intervals.crossed_mean([[np.nan, np.nan]]).value)
    with pytest.raises(ValueError, match="shape"):
        intervals.crossed_mean([1.0, 2.0])


@pytest.mark.parametrize("lead", [0.0, 0.5])
def test_the_difference_of_recipes_is_covered(lead):
    generator = np.random.default_rng(2)

    def draws(count, shape):
        difficulty = generator.normal(2, 2, (count, 1, shape[1]))
        skills = [generator.normal(0, 0.2, (count, shape[0], 1)) for _ in range(2)]
        chances = [
            1 / (1 + np.exp(-difficulty - skill - more))
            for skill, more in zip(skills, (lead, 0.0), strict=True)
        ]
        return [generator.random(chance.shape) < chance for chance in chances], chances

    (first, second), _ = draws(2000, (3, 359))
    _, many = draws(1, (4000, 4000))
    truth = float(many[0].mean() - many[1].mean())
    found = [intervals.recipe_difference(a, b) for a, b in zip(first, second, strict=True)]
    held = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.94 < held < 0.99


def test_recipes_are_paired_by_picture():
    generator = np.random.default_rng(3)
    difficulty = generator.random(400) < 0.5  # on which both are always right, or both a coin
    first = difficulty | (generator.random((3, 400)) < 0.5)
    second = difficulty | (generator.random((3, 400)) < 0.5)
    paired = intervals.recipe_difference(first, second)
    apart = intervals.recipe_accuracy(first) - intervals.recipe_accuracy(second)
    assert paired.value == pytest.approx(apart.value)
    assert paired.high - paired.low < 0.8 * (apart.high - apart.low)
    assert math.isnan(intervals.recipe_difference(first[:1], second).low)
    with pytest.raises(ValueError, match="400 and 399 pictures cannot be paired"):
        intervals.recipe_difference(first, second[:, 1:])


# The same pictures


def paired(only_first, only_second, both, neither):
    """Correctness of two networks with these numbers of pictures."""
    counts = (only_first, only_second, both, neither)
    return np.repeat([True, False, True, False], counts), np.repeat(
        [False, True, True, False], counts
    )


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Tango (1998) by Fagerland, Lydersen & Laake (2014), table III: 1 and 7 of 21 discordant
        ((1, 7, 12, 1), -0.517, -0.026),
    ],
)
def test_the_score_interval_is_that_of_the_literature(counts, low, high):
    found = intervals.paired_accuracies(*paired(*counts)).difference
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-4)


def test_mcnemars_test_is_the_exact_one():
    found = intervals.paired_accuracies(*paired(3, 1, 350, 5))
    assert (found.only_first, found.only_second) == (3, 1)
    assert found.p == pytest.approx(0.625)
    assert not found.clear
    assert intervals.paired_accuracies(*paired(0, 0, 9, 1)).p == 1
    assert intervals.paired_accuracies(*paired(6, 0, 300, 10)).p == pytest.approx(2 * 0.5**6)


@pytest.mark.parametrize(
    "counts", [(0, 0, 5, 5), (5, 0, 0, 0), (0, 5, 0, 0), (0, 0, 5, 0), (4, 1, 0, 0)]
)
def test_the_ends_of_a_paired_difference_are_within_reach(counts):
    found = intervals.paired_accuracies(*paired(*counts)).difference
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.05
    mirrored = intervals.paired_accuracies(*reversed(paired(*counts))).difference
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@pytest.mark.parametrize("chances", [(0.06, 0.06), (0.10, 0.03), (0.02, 0.01)])
def test_the_paired_difference_is_covered(chances):
    generator = np.random.default_rng(4)
    both = generator.multinomial(359, [*chances, 1 - sum(chances)], 3000)
    truth = chances[0] - chances[1]
    found = {}
    for b, c, rest in np.unique(both, axis=0):
        found[b, c] = intervals.paired_accuracies(*paired(b, c, rest, 0)).difference
    held = [found[b, c].low <= truth <= found[b, c].high for b, c, _ in both]
    assert 0.93 < np.mean(held) < 0.975


def test_other_figures_are_paired_by_the_bootstrap():
    generator = np.random.default_rng(5)
    base = generator.normal(size=300)
    better = base - 0.1 + generator.normal(0, 0.05, 300)

    def mean(values):
        return float(values.mean())

    together = intervals.paired_interval(mean, [better], [base])
    assert together.high < 0
    apart = intervals.bootstrap_interval(mean, better) - intervals.bootstrap_interval(mean, base)
    assert apart.high > 0


# Calibration


def binned_error(confidence, correct):
    """An expected calibration error over ten bins."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = np.bincount(bins, correct - confidence, 10)
    return float(np.abs(gaps).sum() / len(confidence))


def test_a_calibrated_network_is_seldom_told_apart_from_one():
    generator = np.random.default_rng(6)
    told_apart = []
    for _ in range(400):
        confidence = generator.beta(8, 1, 200)
        correct = generator.random(200) < confidence
        told_apart.append(
            intervals.calibrated_reference(binned_error, confidence, correct, 200).told_apart
        )
    assert np.mean(told_apart) < 0.08


def test_an_over_confident_network_is_told_apart():
    generator = np.random.default_rng(7)
    confidence = generator.beta(8, 1, 500)
    found = intervals.calibrated_reference(
        binned_error, confidence, generator.random(500) < confidence - 0.1
    )
    assert found.told_apart
    assert found.high < 0.1 < found.high + found.mean + 0.1
    assert 0 < found.mean < found.high


def test_mcnemar_is_exact():
    assert intervals.mcnemar(0, 0) == 1
    assert intervals.mcnemar(3, 3) == 1
    assert intervals.mcnemar(8, 0) == intervals.mcnemar(0, 8) == 2 * 0.5**8
