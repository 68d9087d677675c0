import json

import numpy as np
import pandas as pd
import pytest

from lib.charts.parts import domain_of, spaced, time_axis


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [0.9, 0.1, 0.12, 0.11]])
def test_spaced_values_keeps_the_order_and_the_gap(values):
    placed = spaced(values, 0.05)
    assert len(placed) == len(values)
    assert np.diff(np.sort(placed)).min(initial=1) >= 0.05 - 1e-6
    assert list(np.argsort(placed, kind="stable")) == list(np.argsort(values, kind="stable"))


def test_spaced_values_leaves_what_is_apart():
    assert spaced([0.1, 0.9], 0.05) == [0.1, 0.9]


def test_a_domain_stays_within_proportions():
    low, high = domain_of(pd.Series([0.99, 1.0]), pd.Series([np.nan]))
    assert 0.97 < low < 0.99
    assert high == 1
    low, high = domain_of(pd.Series([0.5, 0.5]))
    assert high - low == pytest.approx(0.02)
    assert domain_of(pd.Series(dtype=float)) == [0.0, 1.0]


@pytest.mark.parametrize("seconds", [[0.4, 2.7], [3, 40], [10, 3000], [5, 90_000], [7]])
@pytest.mark.parametrize("log", [False, True])
def test_time_axes_have_a_few_round_ticks(seconds, log):
    axis = json.loads(time_axis(pd.Series(seconds, dtype=float), log).to_json())
    ticks = axis["axis"]["values"]
    low, high = axis["scale"]["domain"]
    assert 1 <= len(ticks) <= 6
    assert all(low <= tick <= high for tick in ticks)
