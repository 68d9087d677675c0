import math

import numpy as np
import pytest

from lib import multiplicity
from lib.intervals import difference_interval


def test_holm_is_the_step_down_procedure():
    found = multiplicity.holm([0.04, 0.01, 0.03, 0.5])
    assert found.tolist() == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert multiplicity.holm([]).tolist() == []
    assert multiplicity.holm([0.9, 0.8]).tolist() == [1, 1]


def study(generator, seeds, kinds=15, effects=None):
    """Accuracies over seeds of five augmentations and their reference, by kind of corruption."""
    spread = generator.uniform(0.01, 0.15, (6, kinds, 1))  # some corruptions vary more than others
    values = 0.5 + spread * generator.normal(size=(6, kinds, seeds))
    for (augmentation, kind), effect in (effects or {}).items():
        values[augmentation, kind] += effect
    return {(i, j): (values[i, j], values[0, j]) for i in range(1, 6) for j in range(kinds)}


@pytest.mark.parametrize("seeds", [3, 5])
def test_where_nothing_differs_a_cell_is_named_in_one_study_of_twenty_at_most(seeds):
    generator = np.random.default_rng(seeds)
    named = sum(bool(multiplicity.clear_differences(study(generator, seeds))) for _ in range(300))
    assert named <= 300 * 0.05 + 2 * math.sqrt(300 * 0.05 * 0.95)


def test_a_large_difference_is_named_with_its_interval():
    generator = np.random.default_rng(1)
    cells = study(generator, 5, effects={(2, 7): 0.3})
    cells[2, 7] = (0.8 + 0.03 * generator.normal(size=5), 0.5 + 0.03 * generator.normal(size=5))
    found = multiplicity.clear_differences(cells)
    assert [*found] == [(2, 7)]
    assert found[2, 7] == difference_interval(*cells[2, 7])
    assert found[2, 7].low > 0


def test_cells_that_tell_no_noise_are_never_named_but_count():
    alike = ([0.9, 0.9], [0.5, 0.5])
    assert multiplicity.clear_differences({"equal seeds": alike, "one seed": ([0.9], [0.1])}) == {}
    assert math.isnan(multiplicity.visible_difference({"equal seeds": alike}))
    assert math.isnan(multiplicity.visible_difference({}))
    generator = np.random.default_rng(0)
    cell = (0.56 + 0.02 * generator.normal(size=5), 0.5 + 0.02 * generator.normal(size=5))
    assert [*multiplicity.clear_differences({"cell": cell})] == ["cell"]
    among = {"cell": cell} | {str(i): alike for i in range(200)}
    assert multiplicity.clear_differences(among) == {}
    assert multiplicity.visible_difference(among) > multiplicity.visible_difference({"cell": cell})
