import json

import vl_convert

from lib.charts import comparisons
from lib.pages.display import specification
from tests.lib.charts.samples import runs, subtitle, times, title


def test_ablation_titles():
    assert title(comparisons.ablation(runs())).startswith("Highest test accuracy: CutMix, 90")
    assert title(comparisons.ablation(runs(step=0))).startswith("Test accuracy by")
    assert title(comparisons.ablation(runs(seeds=1))) == "Test accuracy by augmentation"
    assert subtitle(comparisons.ablation(runs(seeds=1))) == "Test accuracy, 1 seed; dot: one run"
    assert "3 seeds" in subtitle(comparisons.ablation(runs()))
    assert "Student's t" in subtitle(comparisons.ablation(runs()))


def test_an_ablation_of_a_number_says_what_the_number_is():
    table = runs(["none", "mixup"]).rename(columns={"augmentation": "label_smoothing"})
    table["label_smoothing"] = table["label_smoothing"].map({"none": 0.0, "mixup": 0.1})
    chart = comparisons.ablation(table, by="label_smoothing")
    assert title(chart).startswith("Highest test accuracy: label smoothing 0.1,")
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
