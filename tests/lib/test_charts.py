"""Every chart of the project: valid, compilable, the same in every process, and honest."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import vl_convert

from lib import calibration_charts, charts, class_charts, diagnostic_charts
from lib.chart_parts import around, spread, time_axis
from lib.diagnosis.calibration import calibrate, selective
from lib.diagnosis.mistakes import confusion_matrix, per_class
from lib.pages.display import figure, specification

AUGMENTATIONS = ["none", "flip_crop", "randaugment", "cutout", "mixup", "cutmix"]
CLASSES = ["cat", "dog", "ship", "</script><b>", "frog"]
STRATEGIES = ["head", "last_block", "layer4", "all"]
# What a page's theme may set on marks; a chart has to work under it.
THEME = {"line": {"strokeWidth": 2}, "text": {"color": "#e1e5e9"}, "view": {"stroke": None}}


def history(by="model", names=("small_cnn",), seeds=1, epochs=4):
    generator = np.random.default_rng(0)
    rows = [
        {by: name, "run_id": f"{name}-{seed}", "seed": seed, "epoch": epoch, "lr": 0.4 / epoch}
        for name in names
        for seed in range(seeds)
        for epoch in range(1, epochs + 1)
    ]
    table = pd.DataFrame(rows, columns=[by, "run_id", "seed", "epoch", "lr"])
    table["seconds"] = table["epoch"] * 11.0
    for column in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        table[column] = generator.uniform(0.2, 0.9, len(table))
    return table


def runs(names=AUGMENTATIONS, seeds=3, step=0.02):
    generator = np.random.default_rng(1)
    rows = [
        (name, seed, f"{name}-{seed}", 0.8 + step * i + generator.normal() * 0.001)
        for i, name in enumerate(names)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["augmentation", "seed", "run_id", "test_accuracy"])


def predictions(pictures=300):
    generator = np.random.default_rng(2)
    labels = generator.integers(0, len(CLASSES), pictures)
    wrong = generator.random(pictures) < 0.2
    return labels, np.where(wrong, generator.integers(0, len(CLASSES), pictures), labels)


def calibration():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 5, 600)
    logits = generator.normal(size=(600, 5))
    logits[np.arange(600), labels] += 2.5
    logits *= 3
    return calibrate(logits[:300], labels[:300], logits[300:], labels[300:], resamples=50)


def times():
    rows = [("small_cnn", "small_cnn", 30, 0.90), ("resnet18", "all", 900, 0.95)]
    table = pd.DataFrame(rows, columns=["model", "label", "seconds", "accuracy"])
    return table.assign(
        low=table["accuracy"] - 0.01, high=table["accuracy"] + 0.01, href="run.html"
    )


def attacks():
    rows = [
        (attack, e, 0.9 * np.exp(-rate * e))
        for attack, rate in (("fgsm", 0.3), ("pgd", 0.6))
        for e in (0, 1, 2, 4, 8)
    ]
    table = pd.DataFrame(rows, columns=["attack", "epsilon_255", "accuracy"])
    return table.assign(low=table["accuracy"] * 0.98, high=table["accuracy"] * 1.02)


def corruptions():
    rows = [
        (name, severity, 0.95 - 0.05 * i * severity / 5)
        for i, name in enumerate(("gaussian_noise", "fog", "jpeg"))
        for severity in range(1, 6)
    ]
    return pd.DataFrame(rows, columns=["corruption", "severity", "accuracy"]).assign(n=1000)


def helped():
    rows = [
        (name, corruption, 0.6 + 0.02 * i + 0.01 * j)
        for i, name in enumerate(AUGMENTATIONS)
        for j, corruption in enumerate(("gaussian_noise", "fog", "jpeg"))
    ]
    return pd.DataFrame(rows, columns=["augmentation", "corruption", "accuracy"])


def faithfulness():
    rows = [
        (kind, ordering, fraction, abs(float(kind == "deletion") - fraction))
        for kind in ("deletion", "insertion")
        for ordering in ("heat", "random")
        for fraction in (0.0, 0.5, 1.0)
    ]
    curves = pd.DataFrame(rows, columns=["kind", "ordering", "fraction", "probability"])
    areas = pd.DataFrame(
        [("deletion", 0.2, 0.1, 0.3, 20), ("insertion", 0.1, 0.05, 0.15, 20)],
        columns=["kind", "gain", "low", "high", "n"],
    )
    return curves, areas


def layers():
    rows = [("trained", 1.0, 1.0, 1.0), ("head", 0.4, 0.3, 0.5), ("stem", -0.02, -0.1, 0.06)]
    return pd.DataFrame(rows, columns=["layer", "correlation", "low", "high"])


CALIBRATION = calibration()
LABELS, PREDICTED = predictions()
CONFUSION = confusion_matrix(LABELS, PREDICTED, CLASSES)
CURVES, AREAS = faithfulness()

# Each chart with a full table, and the function to call with less of it.
CHARTS = {
    "learning_curves": (charts.learning_curves, history(seeds=3)),
    "learning_curves by augmentation": (
        lambda table: charts.learning_curves(table, "augmentation"),
        history("augmentation", AUGMENTATIONS, seeds=2),
    ),
    "learning_curves by model": (
        charts.learning_curves,
        history("model", ["small_cnn", "resnet18"], seeds=2),
    ),
    "schedule": (charts.schedule, history()),
    "accuracy_over seconds": (charts.accuracy_over, history("strategy", STRATEGIES, seeds=2)),
    "accuracy_over epochs": (
        lambda table: charts.accuracy_over(table, "augmentation", "epoch"),
        history("augmentation", AUGMENTATIONS),
    ),
    "accuracy_against_time": (charts.accuracy_against_time, times()),
    "ablation": (charts.ablation, runs()),
    "class_balance": (
        class_charts.class_balance,
        pd.DataFrame([(s, c, 9) for s in ("train", "test") for c in CLASSES]).set_axis(
            ["split", "class", "count"], axis=1
        ),
    ),
    "confusion": (class_charts.confusion, CONFUSION.assign(href="gallery.html")),
    "per_class": (class_charts.per_class, per_class(LABELS, PREDICTED, CLASSES)),
    "reliability": (calibration_charts.reliability, CALIBRATION.reliability),
    "reliability alone": (
        calibration_charts.reliability,
        CALIBRATION.reliability.query("scaling == 'before'").drop(columns="scaling"),
    ),
    "calibration_dots": (calibration_charts.calibration_dots, CALIBRATION.metrics),
    "selective": (
        calibration_charts.selective,
        selective(np.linspace(0.2, 1, 400), np.arange(400) > 60),
    ),
    "attack_curve": (diagnostic_charts.attack_curve, attacks()),
    "corruption_heatmap": (diagnostic_charts.corruption_heatmap, corruptions()),
    "corruption_by_augmentation": (diagnostic_charts.corruption_by_augmentation, helped()),
    "deletion_insertion": (diagnostic_charts.deletion_insertion, CURVES),
    "sanity": (diagnostic_charts.sanity, layers()),
}


def spec_of(name):
    function, table = CHARTS[name]
    return specification(function(table))


def title(chart):
    return specification(chart)["title"]["text"]


def subtitle(chart):
    return specification(chart)["title"]["subtitle"]


def digest():
    return hashlib.sha256(
        "".join(figure(function(table), "x").html for function, table in CHARTS.values()).encode()
    ).hexdigest()


# All charts


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_fits_its_page_and_is_drawn(name):
    spec = spec_of(name)
    assert spec["width"] == "container"
    assert isinstance(spec["height"], int)
    assert "config" not in spec
    assert spec["title"]["text"]
    assert spec["title"]["subtitle"]
    assert not {"hconcat", "vconcat", "facet"} & spec.keys()
    svg = vl_convert.vegalite_to_svg(json.dumps({**spec, "width": 360}), config=THEME)
    assert svg.count("<path") > 3
    assert "NaN" not in svg
    assert "undefined" not in svg


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("rows", [0, 1])
def test_a_chart_of_no_or_one_row(name, rows):
    function, table = CHARTS[name]
    if name == "calibration_dots":
        table, rows = table.iloc[[0, 6]], 2 * rows  # a measure is a pair of rows
    spec = specification(function(table.head(rows)))
    assert spec["title"]["text"]
    vl_convert.vegalite_to_svg(json.dumps({**spec, "width": 360}))


@pytest.mark.parametrize("name", CHARTS)
def test_what_the_rows_are_called_does_not_matter(name):
    function, table = CHARTS[name]
    alike = table.set_axis([0] * len(table), axis=0)  # as after pd.concat of several tables
    assert specification(function(alike)) == specification(function(table))


def test_the_same_table_gives_the_same_bytes_in_another_process():
    here = digest()
    assert here == digest()
    program = f"import runpy; print(runpy.run_path({__file__!r})['digest']())"
    there = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here


@pytest.mark.parametrize("name", ["ablation", "confusion", "attack_curve", "sanity"])
def test_the_chart_holds_its_tables_figures(name):
    _, table = CHARTS[name]
    figures = {
        value
        for rows in spec_of(name)["datasets"].values()
        for row in rows
        for value in row.values()
        if isinstance(value, float)
    }
    for value in table.select_dtypes("float").to_numpy().ravel():
        assert any(abs(value - kept) < 1e-6 for kept in figures)


def test_an_augmentation_has_one_colour_in_every_chart():
    found = set()
    for name in ("learning_curves by augmentation", "accuracy_over epochs", "ablation"):
        text = json.dumps(spec_of(name))
        scale = json.loads(text[text.index('{"domain": ["none"') :].partition("}")[0] + "}")
        found.add(dict(zip(scale["domain"], scale["range"], strict=True))["CutMix"])
    assert len(found) == 1


# Interaction


def compiled(chart):
    return vl_convert.vegalite_to_vega(json.dumps(specification(chart)), config=THEME)


@pytest.mark.parametrize("function", [charts.learning_curves, charts.accuracy_over])
def test_a_long_legend_toggles(function):
    vega = compiled(function(history("augmentation", AUGMENTATIONS, seeds=2), "augmentation"))
    (legend,) = vega["legends"]
    assert legend["encode"]["labels"]["interactive"]
    assert legend["encode"]["symbols"]["interactive"]


@pytest.mark.parametrize("function", [charts.learning_curves, charts.accuracy_over])
def test_few_lines_are_named_at_their_ends(function):
    chart = function(history("strategy", STRATEGIES), "strategy")
    assert "legends" not in compiled(chart)
    svg = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    assert svg.count(">layer4 + head</text>") == (2 if function is charts.learning_curves else 1)


def cells(chart, mistakes):
    spec = specification(chart)
    (param,) = spec["params"]
    param["value"] = mistakes
    svg = vl_convert.vegalite_to_svg(json.dumps({**spec, "width": 360}))
    return [part.partition("<")[0] for part in svg.split('font-size="10px"') if "</text>" in part]


def test_the_checkbox_hides_the_diagonal():
    chart = class_charts.confusion(CONFUSION)
    positive = CONFUSION[CONFUSION["count"] > 0]
    off = positive[positive["true"] != positive["predicted"]]
    everything = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    assert all(f">{n}</text>" in everything for n in positive["count"])
    assert len(cells(chart, True)) == len(cells(chart, False)) - len(positive) + len(off)


def test_a_confusion_matrix_of_many_classes_has_no_counts():
    names = [f"class {i}" for i in range(20)]
    labels = np.arange(20)
    chart = class_charts.confusion(confusion_matrix(labels, labels, names))
    assert "count:Q" not in json.dumps(specification(chart))
    assert len(specification(chart)["layer"]) == 1


# Titles


def test_ablation_titles():
    assert title(charts.ablation(runs())).startswith("Best: CutMix at 90.0\xa0%")
    assert title(charts.ablation(runs(step=0))).startswith("The best augmentation is not clear")
    assert title(charts.ablation(runs(seeds=1))) == "Test accuracy by augmentation"
    assert subtitle(charts.ablation(runs(seeds=1))) == "Test accuracy, 1 seed; dot: one run"
    assert "3 seeds" in subtitle(charts.ablation(runs()))
    assert "Student's t" in subtitle(charts.ablation(runs()))


def test_an_ablation_of_a_number_says_what_the_number_is():
    table = runs(["none", "mixup"]).rename(columns={"augmentation": "label_smoothing"})
    table["label_smoothing"] = table["label_smoothing"].map({"none": 0.0, "mixup": 0.1})
    chart = charts.ablation(table, by="label_smoothing")
    assert title(chart).startswith("Best: label smoothing 0.1 at")
    svg = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    assert ">label smoothing 0</text>" in svg


def test_time_subtitles():
    assert "seeds" not in subtitle(charts.accuracy_against_time(times()))
    repeated = subtitle(charts.accuracy_against_time(times().assign(seeds=[1, 3])))
    assert "mean of 1 to 3 seeds" in repeated
    assert "logarithmic" in repeated
    near = times().assign(seconds=[30, 40])
    assert "logarithmic" not in subtitle(charts.accuracy_against_time(near))


def test_a_model_is_named_once_and_its_variants_at_their_points():
    table = times().assign(label=["small CNN, MixUp", "ResNet-18, all layers"])
    chart = charts.accuracy_against_time(table)
    svg = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    words = [part.partition("<")[0] for part in svg.split(">") if "</text" in part]
    assert {"MixUp", "all layers", "small CNN", "ResNet-18"} <= set(words)
    assert title(chart).startswith("Best: ResNet-18, all layers")


def test_curve_titles():
    one = title(charts.learning_curves(history()))
    assert one == f"small CNN reaches {history()['val_accuracy'].max():.1%}".replace(
        "%", "\xa0% on validation"
    )
    several = history("model", ["small_cnn", "resnet18"])
    assert title(charts.learning_curves(several)) == "Accuracy and loss by epoch"
    assert title(charts.schedule(history())) == "The learning rate peaks at 0.4 and ends at 0.1"


def confusions(**counts):
    rows = [("a", "a", 90), ("b", "b", 90), ("c", "c", 90)]
    rows += [(pair[0], pair[1], n) for pair, n in counts.items()]
    table = pd.DataFrame(rows, columns=["true", "predicted", "count"])
    return table.assign(share=table["count"] / 100)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (confusions(ab=8, ba=7, bc=1), "Most confused: a and b, 15 of 16 mistakes"),
        (confusions(ab=3, bc=2), "5 mistakes, by true and predicted class"),
        (confusions(ab=0, ba=0), "No picture is mistaken"),
    ],
)
def test_confusion_titles(table, expected):
    assert title(class_charts.confusion(table)) == expected


def test_per_class_titles():
    table = pd.DataFrame({"class": ["a", "b"], "accuracy": [0.95, 0.7], "n": 1000})
    table = table.assign(low=table["accuracy"] - 0.02, high=table["accuracy"] + 0.02)
    found = title(class_charts.per_class(table))
    assert found == "Hardest: b, 70.0\xa0% right; easiest: a, 95.0\xa0%"
    level = title(class_charts.per_class(table.assign(accuracy=[0.9, 0.91])))
    assert level == "No class is clearly harder than the others"


def test_per_class_orders():
    table = CHARTS["per_class"][1]
    ranked = table.sort_values("accuracy", ascending=False, kind="stable")["class"].tolist()
    for order, expected in (("accuracy", ranked), ("class", CLASSES)):
        spec = specification(class_charts.per_class(table, order))
        assert spec["layer"][0]["encoding"]["y"]["sort"] == expected
    with pytest.raises(ValueError, match="order"):
        class_charts.per_class(table, "name")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5, 5], "Every class has 5 pictures"),
        ([100, 110], "The classes are balanced: 100 to 110 pictures each"),
        ([30, 10], "a has 3.0 times the pictures of b"),
    ],
)
def test_balance_titles(counts, expected):
    table = pd.DataFrame({"split": "train", "class": ["a", "b"], "count": counts})
    assert title(class_charts.class_balance(table)) == expected


def measured(before, after, width):
    rows = [("ece", "before", before), ("ece", "after", after)]
    table = pd.DataFrame(rows, columns=["metric", "scaling", "value"])
    return table.assign(low=table["value"] - width, high=table["value"] + width, n=100)


def test_calibration_titles():
    table = CALIBRATION.reliability
    gap = (table["share"] * (table["confidence"] - table["accuracy"]).abs()).groupby(
        table["scaling"]
    )
    shown = [f"{gap.sum()[name]:.1%}".replace("%", "\xa0%") for name in ("before", "after")]
    clear = title(calibration_charts.reliability(table, measured(0.1, 0.02, 0.01)))
    assert clear == f"Scaling lowers the calibration error from {shown[0]} to {shown[1]}"
    noise = title(calibration_charts.reliability(table, measured(0.1, 0.09, 0.05)))
    assert "within noise" in noise
    dots = calibration_charts.calibration_dots
    assert title(dots(measured(0.1, 0.02, 0.01))) == "Scaling lowers 1 of 1 measure beyond noise"
    assert title(dots(measured(0.1, 0.09, 0.05))).startswith("Scaling changes no measure")
    assert title(dots(measured(0.02, 0.1, 0.01))).endswith("and raises ECE")


def test_empty_bins_stay_empty():
    spec = spec_of("reliability")
    bins = [row for rows in spec["datasets"].values() for row in rows if "confidence" in row]
    assert bins
    assert all(row["count"] > 0 for row in bins)


def test_attack_titles():
    assert title(diagnostic_charts.attack_curve(attacks())) == (
        "PGD at 8/255 leaves 0.7\xa0% right, of 90.0\xa0% without an attack"
    )
    weak = attacks().assign(accuracy=0.9, low=0.88, high=0.92)
    neutral = "Accuracy against the size of the attack"
    assert title(diagnostic_charts.attack_curve(weak)) == neutral
    unknown = attacks().query("epsilon_255 > 0")
    assert title(diagnostic_charts.attack_curve(unknown)) == neutral


def test_corruption_titles():
    found = title(diagnostic_charts.corruption_heatmap(corruptions()))
    assert found == "Hardest: JPEG, 89.0\xa0% right on average; easiest: Gaussian noise, 95.0\xa0%"
    few = corruptions().assign(n=20)
    assert title(diagnostic_charts.corruption_heatmap(few)).startswith("Accuracy by corruption")
    helps = title(diagnostic_charts.corruption_by_augmentation(helped()))
    assert helps.startswith("CutMix helps most: 10.0 points above none on average")
    generator = np.random.default_rng(0)
    noise = helped().assign(accuracy=generator.normal(0.6, 0.05, len(helped())))
    assert title(diagnostic_charts.corruption_by_augmentation(noise)).startswith("No augmentation")


def test_faithfulness_titles():
    draw = diagnostic_charts.deletion_insertion
    assert title(draw(CURVES, AREAS)).startswith("Hot pixels matter more than random ones: areas")
    mixed = AREAS.assign(low=[0.1, -0.1])
    assert title(draw(CURVES, mixed)).endswith("by deletion only")
    assert title(draw(CURVES, AREAS.assign(low=-0.1))).endswith("within noise")
    assert title(draw(CURVES)) == "Probability under deletion and insertion"


def test_selective_titles():
    draw = calibration_charts.selective
    assert title(CHARTS["selective"][0](CHARTS["selective"][1])) == (
        "Answering only the surest 80\xa0% changes accuracy from 84.8\xa0% to 100.0\xa0%"
    )
    flat = selective(np.linspace(0.2, 1, 400), np.arange(400) % 10 > 0)
    assert title(draw(flat)) == "Accuracy against the share of predictions answered"


# Parts


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [0.9, 0.1, 0.12, 0.11]])
def test_spread_keeps_the_order_and_the_gap(values):
    placed = spread(values, 0.05)
    assert len(placed) == len(values)
    assert np.diff(np.sort(placed)).min(initial=1) >= 0.05 - 1e-6
    assert list(np.argsort(placed, kind="stable")) == list(np.argsort(values, kind="stable"))


def test_spread_leaves_what_is_apart():
    assert spread([0.1, 0.9], 0.05) == [0.1, 0.9]


def test_around_stays_within_proportions():
    low, high = around(pd.Series([0.99, 1.0]), pd.Series([np.nan]))
    assert 0.97 < low < 0.99
    assert high == 1
    low, high = around(pd.Series([0.5, 0.5]))
    assert high - low == pytest.approx(0.02)
    assert around(pd.Series(dtype=float)) == [0.0, 1.0]


@pytest.mark.parametrize("seconds", [[0.4, 2.7], [3, 40], [10, 3000], [5, 90_000], [7]])
@pytest.mark.parametrize("log", [False, True])
def test_time_axes_have_a_few_round_ticks(seconds, log):
    axis = json.loads(time_axis(pd.Series(seconds, dtype=float), log).to_json())
    ticks = axis["axis"]["values"]
    low, high = axis["scale"]["domain"]
    assert 1 <= len(ticks) <= 6
    assert all(low <= tick <= high for tick in ticks)


def test_an_unknown_horizontal_axis_is_refused():
    with pytest.raises(ValueError, match="'steps'"):
        charts.accuracy_over(history("strategy", STRATEGIES), x="steps")
