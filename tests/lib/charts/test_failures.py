import numpy as np

from lib.charts import failures
from tests.lib.charts.samples import attacks, corruptions, helped, title


def test_attack_titles():
    for table in (attacks(), attacks().query("epsilon_255 > 0")):
        assert title(failures.attack_curve(table)) == "Accuracy against the size of the attack"


def test_corruption_titles():
    found = title(failures.corruption_heatmap(corruptions()))
    assert found == (
        "Lowest accuracy: JPEG, 89.0\xa0%; highest: Gaussian noise, 95.0\xa0% "
        "(mean over severities)"
    )
    few = corruptions().assign(n=20)
    assert title(failures.corruption_heatmap(few)).startswith("Accuracy by corruption")
    helps = title(failures.corruption_by_augmentation(helped()))
    assert helps.startswith(
        "Largest gain: CutMix, 10.0 percentage points above no augmentation on average"
    )
    generator = np.random.default_rng(0)
    noise = helped().assign(accuracy=generator.normal(0.6, 0.05, len(helped())))
    assert title(failures.corruption_by_augmentation(noise)).startswith("No augmentation")
