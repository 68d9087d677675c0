import re

import numpy as np
import pandas as pd

from lib.charts import failures
from lib.pages.display import specification
from lib.pages.palette import GREY
from tests.lib.charts.samples import (
    AUGMENTATIONS,
    attacks,
    corruptions,
    subtitle,
    title,
)


def test_attack_titles():
    for table in (attacks(), attacks().query("epsilon_255 > 0")):
        assert title(failures.attack_curve(table)) == "Accuracy against the size of the attack"


def test_corruption_titles():
    found = title(failures.corruption_heatmap(corruptions(), ("jpeg", "gaussian_noise")))
    assert found == (
        "Lowest accuracy: JPEG, 89.0\xa0%; highest: Gaussian noise, 95.0\xa0% "
        "(mean over severities)"
    )
    one = title(failures.corruption_heatmap(corruptions(), (None, "gaussian_noise")))
    assert one == "Highest accuracy: Gaussian noise, 95.0\xa0% (mean over severities)"
    assert title(failures.corruption_heatmap(corruptions())).startswith("Accuracy by corruption")


def test_the_number_of_pictures_stands_with_the_figures():
    for chart, pictures in (
        (failures.attack_curve(attacks()), "359"),
        (failures.corruption_heatmap(corruptions()), "1,000"),
    ):
        assert f"on {pictures} test pictures" in subtitle(chart)


def under_augmentations(effects, seeds=5, noise=0.02, seed=0):
    """Accuracies of seeds, with effects by augmentation and corruption; without one only noise."""
    generator = np.random.default_rng(seed)
    rows = [
        (name, number, kind, 0.4 + effects.get((name, kind), 0.0) + noise * generator.normal())
        for name in AUGMENTATIONS
        for kind in CORRUPTIONS
        for number in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["augmentation", "seed", "corruption", "accuracy"])


CORRUPTIONS = [*("gaussian_noise", "motion_blur", "contrast", "frost"), *map(str, range(11))]


def test_a_title_names_the_significant_cells_of_the_largest_differences():
    effects = {
        ("randaugment", "motion_blur"): 0.5,
        ("randaugment", "contrast"): 0.4,
        ("cutmix", "frost"): -0.3,
    }
    found = title(failures.corruption_by_augmentation(under_augmentations(effects, noise=1e-5)))
    assert found == (
        "RandAugment improves accuracy under motion blur (+50.0 percentage points) and contrast "
        "(+40.0); CutMix lowers accuracy under frost (−30.0) (5 seeds)"
    )
    more = effects | {("mixup", "frost"): 0.2}
    found = title(failures.corruption_by_augmentation(under_augmentations(more)))
    assert found.endswith("; 1 more cell significant (5 seeds)")


def test_without_a_significant_cell_the_title_says_what_could_have_been_seen():
    found = title(failures.corruption_by_augmentation(under_augmentations({})))
    start = "No augmentation changes the accuracy under a corruption significantly"
    [visible] = re.findall(rf"{start}; a change of less than (.*) percentage points", found)
    planted = float(visible) / 100
    assert 0.04 < planted < 0.2
    seen = [
        title(
            failures.corruption_by_augmentation(
                under_augmentations({("mixup", "frost"): factor * planted}, seed=seed)
            )
        ).startswith("MixUp")
        for factor in (0.4, 2)
        for seed in range(4)
    ]
    assert sum(seen[:4]) <= 1
    assert sum(seen[4:]) >= 3
    alone = title(failures.corruption_by_augmentation(under_augmentations({}, seeds=1)))
    assert alone == f"{start} (1 seed)"


def test_severities_of_a_seed_are_averaged_not_counted_as_seeds():
    table = under_augmentations({("mixup", "frost"): 0.3}, seeds=1)
    spread = pd.concat(table.assign(accuracy=table["accuracy"] + x) for x in (-0.01, 0, 0.01))
    assert title(failures.corruption_by_augmentation(spread)).endswith("(1 seed)")


def test_a_cell_is_grey_unless_it_is_significant():
    table = under_augmentations({("randaugment", "motion_blur"): 0.5})
    spec = specification(failures.corruption_by_augmentation(table))
    [rows] = spec["datasets"].values()
    clear = [row for row in rows if row["clear"]]
    assert [(row["augmentation"], row["corruption"]) for row in clear] == [
        ("RandAugment", "motion blur")
    ]
    for row in rows:
        assert (row["strength"] > 0) is row["clear"]
    full, grey = spec["layer"][1:]
    assert "color" not in full["mark"]
    assert grey["mark"]["color"] == GREY
    assert full["transform"][0]["filter"] in grey["transform"][0]["filter"]
    low, high = clear[0]["low"], clear[0]["high"]
    assert 0 < low < clear[0]["gain"] < high
