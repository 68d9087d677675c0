import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.pages.claims import (
    changes,
    comparison,
    comparison_finding,
    extremes,
    from_reference,
    groups_of,
    repeated,
    seeds_of,
    shares_differ,
    smallest_visible,
    stands_out,
    time_title,
)
from lib.pages.palette import label
from tests.imports import PROJECT


def runs(**values):
    rows = [(name, seed, v) for name, vs in values.items() for seed, v in enumerate(vs)]
    table = pd.DataFrame(rows, columns=["augmentation", "seed", "test_accuracy"])
    return table.assign(val_accuracy=table["test_accuracy"])


def groups(**values):
    return groups_of(runs(**values), "augmentation", "test_accuracy")


def test_groups_are_labelled_and_best_first():
    found = groups(none=[0.8, 0.82], cutmix=[0.9, 0.92], mixup=[np.nan, 0.85])
    assert list(found) == ["CutMix", "MixUp", "no augmentation"]
    assert found["MixUp"].tolist() == [0.85]


def test_seeds():
    assert seeds_of(groups(none=[0.8], mixup=[0.9])) == "1 seed"
    assert seeds_of(groups(none=[0.8, 0.7, 0.9], mixup=[0.9, 0.8])) == "2 to 3 seeds"
    assert seeds_of({}) == "0 seeds"
    assert repeated(groups(none=[0.8], mixup=[0.9, 0.8]))
    assert not repeated(groups(none=[0.8], mixup=[0.9]))


def test_a_significant_lead_is_stated_with_its_interval():
    table = runs(cutout=[0.80, 0.801, 0.799], cutmix=[0.90, 0.901, 0.899])
    assert comparison_finding(table, "augmentation") == (
        "Best on validation: CutMix, test accuracy 90.0\xa0%, 10.0 percentage points (9.8 to 10.2) "
        "above Cutout, the second on validation."
    )


def test_validation_decides_who_is_compared_and_test_what_comes_out():
    table = runs(cutout=[0.80, 0.801, 0.799], cutmix=[0.90, 0.901, 0.899])
    other_way = table.assign(val_accuracy=1 - table["test_accuracy"])
    assert comparison_finding(other_way, "augmentation") == (
        "Best on validation: Cutout, test accuracy 80.0\xa0%, 10.0 percentage points (9.8 to 10.2) "
        "below CutMix, the second on validation."
    )


@pytest.mark.parametrize("reference", ["none", "random_weights", "head"])
def test_all_that_differ_from_the_reference_are_named(reference):
    found = groups(
        **{reference: [0.80, 0.801, 0.799]},
        mixup=[0.899, 0.902, 0.898],
        cutmix=[0.90, 0.901, 0.899],
        cutout=[0.801, 0.8, 0.802],
    )
    name = label(reference)
    shown = comparison(found)
    start = (
        "Best on validation: CutMix, test accuracy 90.0\xa0%, not significantly different from "
        f"MixUp; significantly different from {name}: CutMix by 10.0 percentage points ("
    )
    assert shown.startswith(start)
    assert " and MixUp by 10.0 percentage points (" in shown
    assert "Cutout" not in shown


def test_a_group_that_is_worse_than_the_reference_is_found():
    # the digits' ablation: the best is not clear, and CutMix is clearly worse
    found = groups(
        none=[0.987, 0.984, 0.990],
        flip_crop=[0.988, 0.985, 0.991],
        cutmix=[0.949, 0.947, 0.952],
    )
    shown = comparison(found)
    assert "not significantly different from no augmentation" in shown
    losses = "significantly different from no augmentation: CutMix by \N{MINUS SIGN}3.8"
    assert losses in shown
    assert "flip + crop by" not in shown


def test_what_the_lead_says_of_the_reference_is_not_said_twice():
    found = groups(none=[0.80, 0.801, 0.799], cutmix=[0.90, 0.901, 0.899])
    assert "above no augmentation" in comparison(found)
    assert "different from" not in comparison(found)
    assert "different from" not in comparison(dict(reversed(found.items())))


def test_each_difference_from_the_reference_is_judged_by_its_own_spread():
    """A test that takes all spreads as one would find Cutout and lose MixUp."""
    found = groups(
        cutout=[0.93, 0.95, 0.97], mixup=[0.9149, 0.915, 0.9151], none=[0.9099, 0.91, 0.9101]
    )
    pooled = stats.dunnett(found["Cutout"], found["MixUp"], control=found["no augmentation"], rng=0)
    assert pooled.pvalue[0] < 0.05 < pooled.pvalue[1]
    assert list(from_reference(found, "no augmentation")) == ["MixUp"]


@pytest.mark.parametrize(
    ("by", "words"), [("augmentation", "augmentations"), ("strategy", "fine-tuning strategies")]
)
def test_no_significant_difference_is_a_finding_and_no_title(by, words):
    table = runs(none=[0.80, 0.90, 0.85], cutmix=[0.81, 0.92, 0.86])
    assert comparison(groups_of(table, "augmentation", "test_accuracy")) is None
    assert comparison_finding(table.rename(columns={"augmentation": by}), by) == (
        f"No significant difference between {words} in test accuracy (best on validation: CutMix, "
        "86.3\xa0% on test); a lead of less than 12.0 percentage points could not be seen."
    )


@pytest.mark.parametrize(
    "values", [{"none": [0.8], "cutmix": [0.9]}, {"none": [0.8, 0.7], "cutmix": [0.9]}]
)
def test_one_seed_claims_nothing(values):
    assert comparison(groups(**values)) is None
    finding = comparison_finding(runs(**values), "augmentation")
    assert finding == "Trained with one seed only: differences may be due to chance."


def test_nothing_to_compare_claims_nothing():
    assert comparison({}) is None
    assert comparison(groups(none=[0.8, 0.9])) is None


@pytest.mark.parametrize(("reference", "most"), [("g7", 0.05), ("no augmentation", 0.10)])
def test_equal_groups_are_seldom_told_apart(reference, most):
    """Of 300 studies in which nothing differs, few claim a lead, or a difference from the rest."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(300):
        names = [*(f"g{i}" for i in range(7)), reference]
        drawn = {name: generator.normal(0.9, 0.01, 4) for name in names}
        val = {name: values.mean() + generator.normal(0, 0.003) for name, values in drawn.items()}
        ordered = dict(sorted(drawn.items(), key=lambda item: -val[item[0]]))
        claims += comparison(ordered) is not None
    assert claims / 300 <= most + 0.025  # two questions where there is a reference, 5 % each


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("spreads", [(0.02, 0.02, 0.02, 0.1), (0.003, 0.01, 0.02, 0.1)])
def test_equal_groups_of_unequal_spread_are_seldom_told_apart(spreads, seeds):
    """As fine-tuning strategies are, whose spreads over seeds differ tenfold and more."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(300):
        drawn = [generator.normal(0.8, spread, seeds) for spread in spreads]
        claims += bool(from_reference(dict(zip("abcd", drawn, strict=True)), "a"))
    assert claims / 300 <= 0.05 + 0.04  # 2 to 6 % of 20,000 studies, give or take 3 of 300


def test_a_planted_difference_is_seen_as_often_as_its_size_says():
    generator = np.random.default_rng(1)
    seen = 0
    for _ in range(300):
        worse, better = generator.normal(0.9, 0.01, 4), generator.normal(0.93, 0.01, 4)
        shown = comparison({"better": better, "worse": worse})
        seen += shown is not None and "above worse" in shown
    power = stats.ttest_ind  # of Welch's test of four and four, 3 standard deviations apart
    many = [
        power(generator.normal(3, 1, 4), generator.normal(0, 1, 4), equal_var=False).pvalue < 0.05
        for _ in range(2000)
    ]
    assert seen / 300 == pytest.approx(np.mean(many), abs=0.05)


def test_groups_that_never_vary_are_not_told_apart():
    found = groups(none=[0.9, 0.9, 0.9], cutmix=[0.95, 0.95, 0.95])
    assert comparison(found) is None  # three seeds may agree by chance


def per_class(*accuracies, n=1000):
    names = [f"class {i}" for i in range(len(accuracies))]
    return pd.DataFrame({"class": names, "accuracy": accuracies, "n": n})


def test_an_end_is_named_if_it_differs_from_its_neighbour():
    found = extremes(per_class(0.9, 0.7, 0.95))
    assert (found.lowest["class"], found.highest["class"]) == ("class 1", "class 2")
    ends = "Lowest accuracy: class 1, 70.0\xa0%; highest: class 2, 95.0\xa0%"
    assert found.title("class") == ends


def test_an_end_that_is_level_with_its_neighbour_is_not_named():
    # CIFAR-10: automobile 95.5 % and frog 94.8 % are level, cat is clearly below dog
    found = extremes(per_class(0.955, 0.948, 0.777, 0.82, n=1000))
    assert found.highest is None
    assert found.title("class") == "Lowest accuracy: class 2, 77.7\xa0%"


@pytest.mark.parametrize(
    "table",
    [per_class(0.9, 0.89, 0.91), per_class(0.5, 1.0, n=2), per_class(0.9), per_class(0.9, np.nan)],
)
def test_ends_that_do_not_differ_significantly(table):
    assert extremes(table).title("class") == ""


@pytest.mark.parametrize(
    ("n", "accuracy", "classes"), [(36, 0.9, 10), (135, 0.97, 10), (135, 0.9, 2)]
)
def test_an_end_of_equal_classes_is_seldom_named(n, accuracy, classes):
    """Of 300 models whose classes are equally hard, at most 5 % have a hardest, or an easiest."""
    generator = np.random.default_rng(0)
    tables = [per_class(*generator.binomial(n, accuracy, classes) / n, n=n) for _ in range(300)]
    ends = [extremes(table) for table in tables]
    assert sum(end.lowest is not None for end in ends) / 300 <= 0.05 + 0.025
    assert sum(end.highest is not None for end in ends) / 300 <= 0.05 + 0.025


def test_a_harder_class_is_seen_as_often_as_its_size_says():
    """Nine classes at 97 % and one at 80 %, with 135 pictures each: a difference of 4.5 errors."""
    generator = np.random.default_rng(1)
    rates = [0.97] * 9 + [0.8]
    tables = [per_class(*generator.binomial(135, rates) / 135, n=135) for _ in range(100)]
    named = [
        found.lowest is not None and found.lowest["class"] == "class 9"
        for found in map(extremes, tables)
    ]
    assert np.mean(named) > 0.8


def test_what_could_be_seen_shrinks_with_the_number_of_pictures():
    few, many = (smallest_visible(per_class(0.9, 0.92, n=n)) for n in (36, 1000))
    assert 0.1 < few < 0.2
    assert 0.02 < many < 0.03


def timed(*rows):
    return pd.DataFrame(rows, columns=["label", "seconds", "accuracy", "low", "high"])


def test_time_title():
    best = timed(("a", 60, 0.8, 0.79, 0.81), ("b", 600, 0.9, 0.89, 0.91))
    assert time_title(best) == "Best test accuracy: b, 90.0\xa0% (1 seed, 10 min of training)"
    means = best.assign(seeds=[1, 3])
    assert (
        time_title(means) == "Best mean test accuracy: b, 90.0\xa0% (3 seeds, 10 min of training)"
    )
    level = timed(("a", 60, 0.90, 0.89, 0.91), ("b", 600, 0.905, 0.895, 0.915))
    assert time_title(level) == (
        "a trains 10.0 times faster than the most accurate setting; "
        "accuracy not significantly different"
    )
    vague = timed(("a", 60, 0.8, 0.5, 1.0), ("b", 600, 0.9, 0.89, 0.91))
    assert time_title(vague).startswith("Best test accuracy: b")


@pytest.mark.parametrize(
    "table",
    [
        timed(),
        timed(("a", 60, 0.8, 0.79, 0.81)),
        timed(("a", 60, 0.8, np.nan, np.nan), ("b", 600, 0.9, np.nan, np.nan)),
        timed(("a", 100, 0.90, 0.89, 0.91), ("b", 110, 0.905, 0.895, 0.915)),
    ],
)
def test_time_title_that_claims_nothing(table):
    assert time_title(table) == "Accuracy against training time"


@pytest.mark.parametrize(
    ("errors", "expected"),
    [([], False), ([1], False), ([9], True), ([9, 8], False), ([9, 1], True)],
)
def test_a_pair_stands_out_by_a_binomial_test(errors, expected):
    assert stands_out(pd.DataFrame({"errors": errors})) is expected


@pytest.mark.parametrize("errors", [6, 30, 200])
def test_a_pair_seldom_stands_out_among_equal_ones(errors):
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(300):
        counts = -np.sort(-generator.multinomial(errors, [1 / 45] * 45))
        claims += stands_out(pd.DataFrame({"errors": counts[counts > 0]}))
    assert claims / 300 <= 0.05 + 0.025


def test_shares_of_two_parts_differ_by_fishers_test():
    assert shares_differ((288, 288), (67, 71))  # p = 0.0014
    assert not shares_differ((70, 72), (285, 287))
    assert not shares_differ((0, 0), (3, 9))
    table = [[288, 0], [67, 4]]
    assert stats.fisher_exact(table).pvalue == pytest.approx(0.0014, abs=1e-4)


def test_random_parts_of_one_models_predictions_are_seldom_told_apart():
    """Of 300 splits of the same predictions, at most 5 % are called different."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(300):
        correct = generator.permutation(np.arange(500) < 440)
        claims += shares_differ((int(correct[:400].sum()), 400), (int(correct[400:].sum()), 100))
    assert claims / 300 <= 0.05 + 0.025


def test_a_metric_has_changed_if_its_interval_leaves_out_zero():
    table = pd.DataFrame(
        {"metric": ["nll", "brier", "mce"], "low": [-2, 1, -1], "high": [-1, 2, 1]}
    )
    assert changes(table) == {"nll": -1, "brier": 1, "mce": 0}


def test_only_some_modules_test_whether_figures_differ():
    """What a page claims is decided in few places: no chart has a rule of its own."""
    tests = r"\b(fisher_exact|binomtest|ttest|dunnett|mannwhitney|wilcoxon)"
    deciding = {
        path.relative_to(PROJECT).as_posix()
        for path in PROJECT.glob("lib/**/*.py")
        if re.search(tests, path.read_text())
    }
    assert deciding == {
        "lib/intervals.py",
        "lib/multiplicity.py",
        "lib/pages/claims.py",
        "lib/study/evidence.py",
        "lib/diagnosis/attribution.py",
    }
