import numpy as np
import pandas as pd
import pytest

from lib.charts.titles import (
    comparison,
    comparison_finding,
    extremes,
    groups_of,
    repeated,
    seeds_of,
    time_title,
)


def runs(**values):
    rows = [(name, seed, v) for name, vs in values.items() for seed, v in enumerate(vs)]
    return pd.DataFrame(rows, columns=["augmentation", "seed", "test_accuracy"])


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


def test_a_significant_lead_is_stated():
    found = groups(none=[0.80, 0.801, 0.799], cutmix=[0.90, 0.901, 0.899])
    title = "Highest test accuracy: CutMix, 90.0\xa0%, 10.0 percentage points above no augmentation"
    assert comparison(found, "test_accuracy") == title
    assert comparison_finding(found, "augmentation", "test_accuracy") == f"{title}."


@pytest.mark.parametrize("reference", ["none", "random_weights"])
def test_a_best_that_equals_the_second_is_compared_with_the_reference(reference):
    found = groups(
        **{reference: [0.80, 0.801, 0.799]},
        mixup=[0.899, 0.902, 0.898],
        cutmix=[0.90, 0.901, 0.899],
    )
    name = {"none": "no augmentation", "random_weights": "random weights"}[reference]
    assert comparison(found, "test_accuracy") == (
        f"Highest test accuracy: CutMix, 90.0\xa0%, 10.0 percentage points above {name}; "
        "not significantly different from MixUp"
    )


@pytest.mark.parametrize(
    ("by", "words"), [("augmentation", "augmentations"), ("strategy", "fine-tuning strategies")]
)
def test_no_significant_difference_is_a_finding_and_no_title(by, words):
    found = groups(none=[0.80, 0.90, 0.85], cutmix=[0.81, 0.92, 0.86])
    assert comparison(found, "test_accuracy") is None
    assert comparison_finding(found, by, "test_accuracy") == (
        f"No significant difference between {words} (highest mean: CutMix, 86.3\xa0%)."
    )


@pytest.mark.parametrize(
    "values", [{"none": [0.8], "cutmix": [0.9]}, {"none": [0.8, 0.7], "cutmix": [0.9]}]
)
def test_one_seed_claims_nothing(values):
    found = groups(**values)
    assert comparison(found, "test_accuracy") is None
    finding = comparison_finding(found, "augmentation", "test_accuracy")
    assert finding == "Trained with one seed only: differences may be due to chance."


def test_nothing_to_compare_claims_nothing():
    assert comparison({}, "test_accuracy") is None
    assert comparison(groups(none=[0.8, 0.9]), "test_accuracy") is None


def test_random_groups_are_seldom_told_apart():
    """Eight equal groups: the best of them is called best in at most the level's share of cases."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(200):
        drawn = {f"g{i}": generator.normal(0.9, 0.01, 4) for i in range(8)}
        ordered = dict(sorted(drawn.items(), key=lambda item: -item[1].mean()))
        claims += comparison(ordered, "test_accuracy") is not None
    assert claims <= 10


def per_class(*accuracies, n=1000):
    names = [f"class {i}" for i in range(len(accuracies))]
    return pd.DataFrame({"class": names, "accuracy": accuracies, "n": n})


def test_extremes_that_differ():
    found = extremes(per_class(0.9, 0.7, 0.95))
    assert found is not None
    assert [row["class"] for row in found] == ["class 1", "class 2"]


@pytest.mark.parametrize(
    "table",
    [per_class(0.9, 0.89, 0.91), per_class(0.5, 1.0, n=2), per_class(0.9), per_class(0.9, np.nan)],
)
def test_extremes_that_do_not_differ_significantly(table):
    assert extremes(table) is None


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
