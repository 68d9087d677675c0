import math

import numpy as np
import pandas as pd
import pytest

from lib.diagnosis.selective import aurc, selective


def test_selective_by_hand():
    table = selective([0.9, 0.6, 0.8, 0.7], [True, False, True, False], points=4)
    expected = pd.DataFrame(
        {
            "coverage": [0.25, 0.5, 0.75, 1.0],
            "threshold": [0.9, 0.8, 0.7, 0.6],
            "accuracy": [1, 1, 2 / 3, 0.5],
            "n": [1, 2, 3, 4],
        }
    )
    pd.testing.assert_frame_equal(table, expected)
    area = aurc([0.9, 0.6, 0.8, 0.7], [True, False, True, False])
    assert area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


@pytest.mark.parametrize("count", [1, 7, 100, 1234])
def test_selective_ends_with_everything(count):
    generator = np.random.default_rng(count)
    confidence, correct = generator.random(count).round(1), generator.random(count) < 0.8
    table = selective(confidence, correct)
    assert len(table) <= 100
    assert table["coverage"].iloc[-1] == 1
    assert table["accuracy"].iloc[-1] == pytest.approx(correct.mean())
    assert table["coverage"].is_monotonic_increasing
    assert table["threshold"].is_monotonic_decreasing


def test_selective_does_not_depend_on_the_order_of_ties():
    generator = np.random.default_rng(0)
    confidence, correct = generator.random(500).round(1), generator.random(500) < 0.8
    order = generator.permutation(500)
    one = selective(confidence, correct)
    pd.testing.assert_frame_equal(one, selective(confidence[order], correct[order]))


@pytest.mark.parametrize(("right", "expected"), [(True, 0.0), (False, 1.0)])
def test_aurc_at_its_ends(right, expected):
    area = aurc(np.random.default_rng(0).random(50), np.full(50, right))
    assert math.isclose(area, expected, abs_tol=1e-12)
