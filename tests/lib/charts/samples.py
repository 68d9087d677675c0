"""Tables to draw charts from, and what a drawn chart holds."""

import numpy as np
import pandas as pd
from scipy import stats

from lib.charts import attribution, calibration, classes, comparisons, failures, training
from lib.charts import labels as by_labels
from lib.diagnosis.calibration import calibrate
from lib.diagnosis.mistakes import confusion_matrix, per_class
from lib.diagnosis.selective import selective
from lib.pages.display import specification

AUGMENTATIONS = ["none", "flip_crop", "randaugment", "cutout", "mixup", "cutmix"]


CLASSES = ["cat", "dog", "ship", "</script><b>", "frog"]


STRATEGIES = ["head", "last_block", "last_stage", "all"]


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


def calibrated():
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
    return table.assign(low=table["accuracy"] * 0.98, high=table["accuracy"] * 1.02, n=359)


def corruptions():
    rows = [
        (name, severity, 0.95 - 0.05 * i * severity / 5)
        for i, name in enumerate(("gaussian_noise", "fog", "jpeg"))
        for severity in range(1, 6)
    ]
    return pd.DataFrame(rows, columns=["corruption", "severity", "accuracy"]).assign(n=1000)


def helped(seeds=5, noise=0.01, step=0.05):
    generator = np.random.default_rng(4)
    rows = [
        (name, seed, corruption, 0.4 + step * i * (j + 1) + noise * generator.normal())
        for i, name in enumerate(AUGMENTATIONS)
        for j, corruption in enumerate(("gaussian_noise", "fog", "jpeg"))
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["augmentation", "seed", "corruption", "accuracy"])


def faithfulness():
    rows = [
        (kind, ordering, fraction, abs(float(kind == "deletion") - fraction))
        for kind in ("deletion", "insertion")
        for ordering in ("heat", "random", "centre", "brightness")
        for fraction in (0.0, 0.5, 1.0)
    ]
    curves = pd.DataFrame(rows, columns=["kind", "ordering", "fraction", "probability"])
    return curves, areas(random=(0.2, 0.1), centre=(-0.1, -0.2), brightness=(0.01, 0.02))


def areas(pictures=200, error=0.02, **gains):
    """What deletion and insertion gain over each rival, with one standard error throughout."""
    rows = [
        (kind, rival, gain, gain - 2 * error, gain + 2 * error, pictures)
        for i, kind in enumerate(("deletion", "insertion"))
        for rival, gain in ((rival, both[i]) for rival, both in gains.items())
    ]
    table = pd.DataFrame(rows, columns=["kind", "rival", "gain", "low", "high", "n"])
    return table.assign(p=2 * stats.t.sf(table["gain"].abs() / error, pictures - 1))


def layers():
    rows = [
        ("none (trained)", "", 1.0, 1.0, 1.0, 50, 0),
        ("head", "head", 0.4, 0.3, 0.5, 48, 12),
        ("stage 2, block 1, first convolution", "body.layer2.0.conv1", -0.02, -0.1, 0.06, 50, 3),
    ]
    columns = ["layer", "module", "correlation", "low", "high", "n", "flat"]
    return pd.DataFrame(rows, columns=columns).assign(pairs=250, redraws=5)


CALIBRATION = calibrated()


LABELS, PREDICTED = predictions()


CONFUSION = confusion_matrix(LABELS, PREDICTED, CLASSES)


CURVES, AREAS = faithfulness()


# Each chart with a full table, and the function to call with less of it.
CHARTS = {
    "learning_curves": (training.learning_curves, history(seeds=3)),
    "learning_curves by augmentation": (
        lambda table: training.learning_curves(table, "augmentation"),
        history("augmentation", AUGMENTATIONS, seeds=2),
    ),
    "learning_curves by model": (
        training.learning_curves,
        history("model", ["small_cnn", "resnet18"], seeds=2),
    ),
    "schedule": (training.schedule, history()),
    "accuracy_over seconds": (training.accuracy_over, history("strategy", STRATEGIES, seeds=2)),
    "accuracy_by_labels": (
        by_labels.accuracy_by_labels,
        pd.DataFrame(
            [
                (setting, labels, accuracy, accuracy - 0.02, accuracy + 0.02, 3)
                for setting, start in (("head", 0.5), ("small_cnn", 0.2))
                for labels, accuracy in zip((10, 100, 1000), (start, start + 0.2, 0.8), strict=True)
            ],
            columns=["setting", "labels", "accuracy", "low", "high", "draws"],
        ),
    ),
    "accuracy_over epochs": (
        lambda table: training.accuracy_over(table, "augmentation", "epoch"),
        history("augmentation", AUGMENTATIONS),
    ),
    "accuracy_against_time": (comparisons.accuracy_against_time, times()),
    "ablation": (comparisons.ablation, runs()),
    "class_balance": (
        classes.class_balance,
        pd.DataFrame([(s, c, 9) for s in ("train", "test") for c in CLASSES]).set_axis(
            ["split", "class", "count"], axis=1
        ),
    ),
    "confusion": (classes.confusion, CONFUSION.assign(href="gallery.html")),
    "per_class": (classes.per_class, per_class(LABELS, PREDICTED, CLASSES)),
    "reliability": (calibration.reliability, CALIBRATION.reliability),
    "reliability alone": (
        calibration.reliability,
        CALIBRATION.reliability.query("scaling == 'before'").drop(columns="scaling"),
    ),
    "calibration_dots": (
        lambda table: calibration.calibration_dots(table, CALIBRATION.changes),
        CALIBRATION.metrics,
    ),
    "selective": (
        calibration.selective,
        selective(np.linspace(0.2, 1, 400), np.arange(400) > 60),
    ),
    "attack_curve": (failures.attack_curve, attacks()),
    "corruption_heatmap": (failures.corruption_heatmap, corruptions()),
    "corruption_by_augmentation": (failures.corruption_by_augmentation, helped()),
    "deletion_insertion": (attribution.deletion_insertion, CURVES),
    "sanity": (attribution.sanity, layers()),
}


def spec_of(name):
    function, table = CHARTS[name]
    return specification(function(table))


def title(chart):
    return specification(chart)["title"]["text"]


def subtitle(chart):
    return specification(chart)["title"]["subtitle"]
