import json

import numpy as np
import pandas as pd
import vl_convert

from lib.charts import comparisons
from lib.pages.display import specification
from tests.lib.charts.samples import runs, subtitle, times, title


def test_an_ablation_says_what_it_shows_and_leaves_the_finding_to_the_page():
    for step in (0, 0.02):
        assert title(comparisons.ablation(runs(step=step))) == "Test accuracy by augmentation"
    assert subtitle(comparisons.ablation(runs(seeds=1))) == "Test accuracy, 1 seed; dot: one run"
    assert "3 seeds" in subtitle(comparisons.ablation(runs()))
    assert "line: its 95 % interval over seeds" in subtitle(comparisons.ablation(runs()))


def test_two_seeds_have_a_range_in_charts_that_is_named_so():
    two = comparisons.ablation(runs(seeds=2))
    assert subtitle(two).endswith("dot: one run; bar: mean, line: the range of the two seeds")
    ends = runs(seeds=2).groupby("augmentation", sort=False)["test_accuracy"].agg(["min", "max"])
    drawn = [row for rows in specification(two)["datasets"].values() for row in rows]
    spans = sorted((row["low"], row["high"]) for row in drawn if "low" in row)
    expected = sorted(zip(ends["min"], ends["max"], strict=True))
    assert np.allclose(spans, expected, atol=1e-5)
    mixed = pd.concat([runs(["none"], seeds=2), runs(["mixup"], seeds=3)])
    assert subtitle(comparisons.ablation(mixed)).endswith("(of two seeds their range)")
    timed = comparisons.accuracy_against_time(times().assign(seeds=2))
    assert subtitle(timed).startswith("Test accuracy with the range of the two seeds against")
    assert title(timed) == "Accuracy against training time"  # a range claims nothing


def test_an_ablation_of_a_number_says_what_the_number_is():
    table = runs(["none", "mixup"]).rename(columns={"augmentation": "label_smoothing"})
    table["label_smoothing"] = table["label_smoothing"].map({"none": 0.0, "mixup": 0.1})
    chart = comparisons.ablation(table, by="label_smoothing")
    assert title(chart) == "Test accuracy by label smoothing"
    svg = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    assert ">label smoothing 0</text>" in svg


def test_time_subtitles():
    assert "seeds" not in subtitle(comparisons.accuracy_against_time(times()))
    repeated = subtitle(comparisons.accuracy_against_time(times().assign(seeds=[1, 3])))
    assert "1 to 3 seeds per setting" in repeated
    assert "logarithmic" in repeated
    near = times().assign(seconds=[30, 40])
    assert "logarithmic" not in subtitle(comparisons.accuracy_against_time(near))


def test_a_model_is_named_once_and_its_variants_at_their_points():
    table = times().assign(label=["small CNN, MixUp", "ResNet-18, all layers"])
    chart = comparisons.accuracy_against_time(table)
    svg = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    words = [part.partition("<")[0] for part in svg.split(">") if "</text" in part]
    assert {"MixUp", "all layers", "small CNN", "ResNet-18"} <= set(words)
    assert title(chart).startswith("Best test accuracy: ResNet-18, all layers")
