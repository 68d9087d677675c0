import numpy as np
import pandas as pd
import pytest

from lib.charts.titles import extremes, groups_of, leader, led, seeds_of, time_title


def runs(**values):
    rows = [(name, seed, v) for name, vs in values.items() for seed, v in enumerate(vs)]
    return pd.DataFrame(rows, columns=["augmentation", "seed", "test_accuracy"])


def groups(**values):
    return groups_of(runs(**values), "augmentation", "test_accuracy")


def test_groups_are_labelled_and_best_first():
    found = groups(none=[0.8, 0.82], cutmix=[0.9, 0.92], mixup=[np.nan, 0.85])
    assert list(found) == ["CutMix", "MixUp", "none"]
    assert found["MixUp"].tolist() == [0.85]


def test_seeds():
    assert seeds_of(groups(none=[0.8], mixup=[0.9])) == "1 seed"
    assert seeds_of(groups(none=[0.8, 0.7, 0.9], mixup=[0.9, 0.8])) == "2 to 3 seeds"
    assert seeds_of({}) == "0 seeds"


def test_a_clear_leader_is_named():
    found = groups(none=[0.80, 0.801, 0.799], cutmix=[0.90, 0.901, 0.899])
    assert leader(found) == "Best: CutMix at 90.0\xa0%, 10.0 points above none"


def test_a_leader_level_with_the_second_is_compared_with_none():
    found = groups(
        none=[0.80, 0.801, 0.799], mixup=[0.899, 0.902, 0.898], cutmix=[0.90, 0.901, 0.899]
    )
    assert (
        leader(found) == "Best: CutMix at 90.0\xa0%, 10.0 points above none, within noise of MixUp"
    )


def test_noise_is_called_noise():
    found = groups(none=[0.80, 0.90, 0.85], cutmix=[0.81, 0.92, 0.86])
    assert leader(found) is None
    title = led(found, "augmentation", "Test accuracy")
    assert title == "The best augmentation is not clear: its lead is within noise"


@pytest.mark.parametrize(
    "values", [{"none": [0.8], "cutmix": [0.9]}, {"none": [0.8, 0.7], "cutmix": [0.9]}, {}]
)
def test_one_seed_claims_nothing(values):
    assert led(groups(**values), "augmentation", "Test accuracy") == "Test accuracy"


def test_random_groups_are_seldom_told_apart():
    """Eight equal groups: the best of them is called best in at most the level's share of cases."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(200):
        drawn = {f"g{i}": generator.normal(0.9, 0.01, 4) for i in range(8)}
        claims += leader(dict(sorted(drawn.items(), key=lambda item: -item[1].mean()))) is not None
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
def test_extremes_within_noise(table):
    assert extremes(table) is None


def timed(*rows):
    return pd.DataFrame(rows, columns=["label", "seconds", "accuracy", "low", "high"])


def test_time_title():
    best = timed(("a", 60, 0.8, 0.79, 0.81), ("b", 600, 0.9, 0.89, 0.91))
    assert time_title(best) == "Best: b, 90.0\xa0% after 10 min"
    level = timed(("a", 60, 0.90, 0.89, 0.91), ("b", 600, 0.905, 0.895, 0.915))
    assert time_title(level) == "10.0 times faster and within noise of the best: a"
    vague = timed(("a", 60, 0.8, 0.5, 1.0), ("b", 600, 0.9, 0.89, 0.91))
    assert time_title(vague) == "Best: b, 90.0\xa0% after 10 min"


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
