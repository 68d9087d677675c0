import json

import numpy as np
import pandas as pd

from lib.charts import calibration
from lib.diagnosis.selective import selective
from tests.lib.charts.samples import CALIBRATION, CHARTS, spec_of, title

COLUMNS = ("value", "low", "high")


def measured(before, after, width):
    rows = [("ece", "before", before), ("ece", "after", after)]
    table = pd.DataFrame(rows, columns=["metric", "scaling", "value"])
    return table.assign(low=table["value"] - width, high=table["value"] + width, n=100)


def changed(low, high):
    return pd.DataFrame([("ece", (low + high) / 2, low, high)], columns=["metric", *COLUMNS])


def test_calibration_titles_are_about_the_changes_on_the_same_pictures():
    dots, wide = calibration.calibration_dots, measured(0.1, 0.09, 0.05)  # intervals that overlap
    assert title(dots(wide, changed(-0.02, -0.001))) == (
        "Temperature scaling significantly lowers 1 of 1 calibration measure"
    )
    narrow = measured(0.1, 0.02, 0.01)
    assert title(dots(narrow, changed(-0.1, 0.01))).startswith(
        "Temperature scaling changes no calibration"
    )
    assert title(dots(wide, changed(0.01, 0.02))).endswith("and raises ECE")


def test_each_reliability_panel_says_its_error():
    table = CALIBRATION.reliability
    gap = (table["share"] * (table["confidence"] - table["accuracy"]).abs()).groupby(
        table["scaling"]
    )
    shown = [f"ECE {gap.sum()[name]:.1%}".replace("%", "\xa0%") for name in ("before", "after")]
    text = json.dumps(spec_of("reliability"), ensure_ascii=False)
    assert f'"before: {shown[0]}"' in text
    assert f'"after: {shown[1]}"' in text
    assert f'"{shown[0]}"' in json.dumps(spec_of("reliability alone"), ensure_ascii=False)
    both = title(calibration.reliability(table))
    assert both == "Accuracy by confidence, before and after temperature scaling"


def test_empty_bins_stay_empty():
    spec = spec_of("reliability")
    bins = [row for rows in spec["datasets"].values() for row in rows if "confidence" in row]
    assert bins
    assert all(row["count"] > 0 for row in bins)


def test_selective_titles():
    draw = calibration.selective
    assert title(CHARTS["selective"][0](CHARTS["selective"][1])) == (
        "Accuracy of the 80\xa0% most confident predictions: 100.0\xa0%, of the rest: 23.8\xa0%"
    )
    flat = selective(np.linspace(0.2, 1, 400), np.arange(400) % 10 > 0)
    assert title(draw(flat)) == "Accuracy against coverage"


def test_what_is_answered_is_compared_with_what_is_declined():
    correct = np.ones(359, dtype=bool)
    correct[[3, 20, 41, 60]] = False  # four errors, all among the 72 least confident predictions
    shown = title(calibration.selective(selective(np.linspace(0.2, 1, 359), correct)))
    assert shown.endswith("predictions: 100.0\xa0%, of the rest: 94.4\xa0%")
    few = np.ones(359, dtype=bool)
    few[3] = False
    assert title(calibration.selective(selective(np.linspace(0.2, 1, 359), few))) == (
        "Accuracy against coverage"
    )
