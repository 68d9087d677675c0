import numpy as np

from lib.charts import failures
from tests.lib.charts.samples import AREAS, CURVES, attacks, corruptions, helped, title


def test_attack_titles():
    assert title(failures.attack_curve(attacks())) == (
        "PGD at 8/255 leaves 0.7\xa0% right, of 90.0\xa0% without an attack"
    )
    weak = attacks().assign(accuracy=0.9, low=0.88, high=0.92)
    neutral = "Accuracy against the size of the attack"
    assert title(failures.attack_curve(weak)) == neutral
    unknown = attacks().query("epsilon_255 > 0")
    assert title(failures.attack_curve(unknown)) == neutral


def test_corruption_titles():
    found = title(failures.corruption_heatmap(corruptions()))
    assert found == "Hardest: JPEG, 89.0\xa0% right on average; easiest: Gaussian noise, 95.0\xa0%"
    few = corruptions().assign(n=20)
    assert title(failures.corruption_heatmap(few)).startswith("Accuracy by corruption")
    helps = title(failures.corruption_by_augmentation(helped()))
    assert helps.startswith("CutMix helps most: 10.0 points above none on average")
    generator = np.random.default_rng(0)
    noise = helped().assign(accuracy=generator.normal(0.6, 0.05, len(helped())))
    assert title(failures.corruption_by_augmentation(noise)).startswith("No augmentation")


def test_faithfulness_titles():
    draw = failures.deletion_insertion
    assert title(draw(CURVES, AREAS)).startswith("Hot pixels matter more than random ones: areas")
    mixed = AREAS.assign(low=[0.1, -0.1])
    assert title(draw(CURVES, mixed)).endswith("by deletion only")
    assert title(draw(CURVES, AREAS.assign(low=-0.1))).endswith("within noise")
    assert title(draw(CURVES)) == "Probability under deletion and insertion"
