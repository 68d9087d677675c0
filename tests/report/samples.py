"""A small study to build sites from: executed notebooks, runs and a gallery, all synthetic.

The notebooks carry the markup that `lib.pages` writes into a notebook's output; the numbers come
from a seeded generator, so every build is the same.
"""

import html
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from lib.charts import classes, comparisons, training
from lib.data.sources import content_key
from lib.pages import picture_sheets
from lib.pages.display import chooser, figure, finding
from lib.study.study import STUDIES, Facts, Study
from lib.training.recipe import Recipe

CLASSES = ("aeroplane", "car", "bird", "cat", "deer")
AUGMENTATIONS = ("none", "flip_crop", "randaugment", "cutout", "mixup", "cutmix")
COMMAND = "python -m analysis --profile 'two  blanks\n<b>' --only {} --force"  # of a day


@dataclass(frozen=True)
class SampleRun:
    """What the report reads of a `lib.training.runs.Run`."""

    run_id: str
    recipe: Recipe
    dataset: dict[str, Any]
    environment: dict[str, Any]
    history: pd.DataFrame
    summary: dict[str, Any]

    @property
    def curves(self) -> dict[str, list[float]]:
        return self.history.to_dict("list")


def runs(count: int, epochs: int = 12) -> Iterator[SampleRun]:
    """`count` finished runs: recipes of several models and augmentations, five seeds each."""
    random = np.random.default_rng(0)
    for number in range(count):
        group, seed = divmod(number, 5)
        recipe = Recipe(
            model="small_cnn" if group % 3 else "resnet18",
            augmentation=AUGMENTATIONS[group % len(AUGMENTATIONS)],
            lr=round(0.05 * (1 + group % 8), 3),
            label_smoothing=0.1 * (group % 2),
            epochs=epochs,
            seed=seed,
        )
        history = _history(recipe, 0.78 + 0.02 * (group % 7), random)
        best = int(history["val_accuracy"].idxmax())
        test = float(history["val_accuracy"][best] - 0.01 * random.random())
        yield SampleRun(
            run_id=f"{number:012x}",
            recipe=recipe,
            dataset={
                "name": "digits",
                "classes": list(CLASSES),
                "pictures": {"train": 800, "val": 100, "test": 100},
                "fingerprint": "0123456789abcdef",
            },
            environment={
                "python": "3.12.1",
                "torch": "2.14.1",
                "device": "cpu",
                "cpu": "two cores",
            },
            history=history,
            summary={
                "best_epoch": best + 1,
                "val_accuracy": float(history["val_accuracy"][best]),
                "val_loss": float(history["val_loss"][best]),
                "test_accuracy": test,
                "test_low": test - 0.03,
                "test_high": test + 0.025,
                "seconds": float(history["seconds"].iloc[-1]),
                "precision": "fp32",
                "parameters": 11_173_962 if recipe.model == "resnet18" else 1_247_210,
            },
        )


def write_runs(root: Path, count: int, epochs: int = 12) -> None:
    """Lay finished runs under `root`, as `lib.training.loop.fit` leaves them, without weights."""
    for run in runs(count, epochs):
        folder = root / "runs" / run.run_id
        folder.mkdir(parents=True, exist_ok=True)
        run.history.to_csv(folder / "history.csv", index=False)
        facts = {"dataset": run.dataset, "environment": run.environment, "summary": run.summary}
        for name, value in {"recipe": run.recipe.to_dict(), **facts}.items():
            (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


def _history(recipe: Recipe, ceiling: float, random: np.random.Generator) -> pd.DataFrame:
    epoch = np.arange(1, recipe.epochs + 1)
    learnt = ceiling * (1 - np.exp(-epoch / 3))
    noise = random.normal(0, 0.008, (4, len(epoch)))
    return pd.DataFrame(
        {
            "epoch": epoch,
            "lr": recipe.lr * 0.5 * (1 + np.cos(math.pi * epoch / recipe.epochs)),
            "train_loss": 2.3 * (1 - learnt) + 0.1 + noise[0],
            "train_accuracy": np.clip(learnt + 0.03 + noise[1], 0, 1),
            "val_loss": 2.3 * (1 - learnt) + 0.2 + noise[2],
            "val_accuracy": np.clip(learnt + noise[3], 0, 1),
            "images_per_second": 4000 + 100 * random.random(len(epoch)),
            "seconds": np.cumsum(2 + random.random(len(epoch))),
        }
    )


# Notebooks


def markdown(text: str) -> dict[str, Any]:
    """A markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def code(source: str, *outputs: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    """An executed code cell whose outputs are Markdown, as the study's notebooks show things."""
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {"tags": list(tags)},
        "source": source.splitlines(keepends=True),
        "outputs": [
            {
                "output_type": "display_data",
                "metadata": {},
                "data": {"text/markdown": text.splitlines(keepends=True), "text/plain": ["shown"]},
            }
            for text in outputs
        ],
    }


def raw(text: str) -> str:
    """HTML that Markdown passes through untouched."""
    return f"```{{=html}}\n{text}\n```\n"


def chart(name: str, spec: dict[str, Any], alt: str) -> str:
    """A figure as `lib.charts` writes it."""
    height = spec.get("height", 300)
    body = json.dumps(spec).replace("</", "<\\/")
    return raw(
        f'<figure class="daybook-chart" id="chart-{name}" data-name="{name}">'
        f'<div class="daybook-view" style="min-height:{height}px" role="img" '
        f'aria-label="{html.escape(alt)}"></div>'
        f'<script type="application/json" class="daybook-spec">{body}</script></figure>'
    )


def notebook(*cells: dict[str, Any], name: str) -> dict[str, Any]:
    """An executed notebook, as `python -m analysis` leaves it."""
    cells = tuple({**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": list(cells),
        "metadata": {
            "kernelspec": kernel,
            "language_info": {"name": "python"},
            "daybook": {
                "profile": "demo",
                "command": COMMAND.format(name),
                "seconds": 12.5,
                "dataset": "digits",
                "content": content_key("digits"),
                "trained": [run.run_id for run in runs(3)],
                "compared": [run.run_id for run in runs(3)],
            },
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def parameters(**values: Any) -> list[dict[str, Any]]:
    """The cell of defaults and the cell that papermill puts under it."""
    lines = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    return [
        code('profile = "demo"\nseeds = 3', tags=("parameters",)),
        code(f"# Parameters\n{lines}", tags=("injected-parameters",)),
    ]


def curves() -> dict[str, Any]:
    """A line chart: validation accuracy by epoch, one line an augmentation."""
    values = [
        {"epoch": int(epoch), "accuracy": float(accuracy), "augmentation": run.recipe.augmentation}
        for run in list(runs(30))[::5]
        for epoch, accuracy in zip(run.history["epoch"], run.history["val_accuracy"], strict=True)
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {
            "text": "RandAugment leads from the third epoch on",
            "subtitle": "validation accuracy by epoch, one seed each, n = 500 pictures",
        },
        "data": {"values": values},
        "mark": {"type": "line", "tooltip": True},
        "params": [
            {
                "name": "pick",
                "select": {"type": "point", "fields": ["augmentation"]},
                "bind": "legend",
            }
        ],
        "encoding": {
            "x": {"field": "epoch", "type": "quantitative", "title": "epoch"},
            "y": {
                "field": "accuracy",
                "type": "quantitative",
                "title": "validation accuracy",
                "axis": {"format": "%"},
                "scale": {"zero": False},
            },
            "color": {"field": "augmentation", "type": "nominal", "title": None},
            "opacity": {"condition": {"param": "pick", "value": 1}, "value": 0.15},
        },
        "width": "container",
        "height": 320,
    }


def ablation() -> dict[str, Any]:
    """A dot plot with intervals: test accuracy of each augmentation, single seeds behind."""
    random = np.random.default_rng(1)
    values = [
        {"augmentation": name, "mean": mean, "low": mean - 0.012, "high": mean + 0.012}
        for name, mean in zip(AUGMENTATIONS, random.uniform(0.8, 0.92, 6).round(4), strict=True)
    ]
    y = {"field": "augmentation", "type": "nominal", "title": None}
    scale = {"zero": False}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {
            "text": "No augmentation stands out beyond noise",
            "subtitle": "test accuracy, mean of 3 seeds and its 95 % interval",
        },
        "datasets": {"summary": values},
        "data": {"name": "summary"},
        "layer": [
            {
                "mark": {"type": "rule"},
                "encoding": {
                    "x": {
                        "field": "low",
                        "type": "quantitative",
                        "title": "test accuracy",
                        "scale": scale,
                        "axis": {"format": "%"},
                    },
                    "x2": {"field": "high"},
                    "y": y,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "tooltip": True},
                "encoding": {"x": {"field": "mean", "type": "quantitative"}, "y": y},
            },
        ],
        "width": "container",
        "height": 220,
    }


def confusion() -> dict[str, Any]:
    """A confusion matrix whose cells lead to the pictures in them."""
    random = np.random.default_rng(2)
    values = []
    for true in CLASSES:
        for predicted in CLASSES:
            count = 90 if true == predicted else int(random.integers(0, 8))
            link = f"gallery.html#true={true}&predicted={predicted}"
            values.append({"true": true, "predicted": predicted, "count": count, "href": link})
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {
            "text": "Cats and birds are confused most",
            "subtitle": "counts, n = 500 pictures",
        },
        "data": {"values": values},
        "params": [
            {
                "name": "hide",
                "value": False,
                "bind": {"input": "checkbox", "name": "hide the diagonal"},
            }
        ],
        "transform": [{"filter": "!hide || datum.true !== datum.predicted"}],
        "mark": {"type": "rect", "tooltip": True, "cursor": "pointer"},
        "encoding": {
            "x": {"field": "predicted", "type": "nominal"},
            "y": {"field": "true", "type": "nominal"},
            "color": {"field": "count", "type": "quantitative"},
            "href": {"field": "href"},
        },
        "width": "container",
        "height": 320,
    }


def story() -> str:
    """The home page's chart: accuracy against training time, each point a link to a run."""
    rows = [
        ("small_cnn", f"small CNN, {name}", seconds, accuracy, accuracy - 0.02, accuracy + 0.02)
        for name, seconds, accuracy in [
            ("none", 20, 0.88),
            ("MixUp", 21, 0.882),
            ("CutMix", 22, 0.9),
        ]
    ]
    rows.append(("resnet18", "ResNet-18, all layers", 90, 0.93, 0.91, 0.95))
    columns = ["model", "label", "seconds", "accuracy", "low", "high"]
    ids = [f"runs.html#run={number:012x}" for number in range(len(rows))]
    points = pd.DataFrame(rows, columns=columns).assign(href=ids)
    return raw(figure(comparisons.accuracy_against_time(points), "story").html)


def table() -> str:
    """A table as `lib.charts` writes it, with links to runs."""
    rows = "".join(
        f'<tr><td><a href="runs.html#run={run.run_id}">{run.run_id}</a></td>'
        f"<td>{run.recipe.augmentation}</td><td>{run.summary['test_accuracy']:.1%}</td></tr>"
        for run in runs(5)
    )
    return raw(
        '<table class="daybook-table"><thead><tr><th>run</th><th>augmentation</th>'
        f"<th>test accuracy</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def strategies() -> str:
    """Four lines with their names at their ends, against time, as day 3 shows them."""
    names = ("head", "last_block", "last_stage", "all")
    rows = [
        (name, f"{name}-{seed}", epoch, epoch * (2.0 + number + seed), 0.9 - 0.6 / (epoch + number))
        for number, name in enumerate(names)
        for seed in (0, 2)  # lines of means end before those of the slower seed
        for epoch in range(1, 7)
    ]
    columns = ["strategy", "run_id", "epoch", "seconds", "val_accuracy"]
    chart = training.accuracy_over(pd.DataFrame(rows, columns=columns))
    return raw(figure(chart, "strategies").html)


def choice() -> str:
    """The confusion matrices of two models, one at a time."""
    cells = [(true, predicted) for true in CLASSES for predicted in CLASSES]
    matrix = pd.DataFrame(cells, columns=["true", "predicted"]).assign(count=3, share=0.2)
    panels = {
        f"<model> {number}": [
            finding(f"Sentence {number}."),
            figure(classes.confusion(matrix), f"matrix-{number}"),
        ]
        for number in (1, 2)
    }
    return raw(chooser("matrices", "Model", panels).html)


FINDING = raw(
    '<p class="daybook-finding">Flip and crop: 86.4 % on test '
    "(95 % interval 84.1 to 88.3, 3 seeds).</p>"
)


HEAT = raw(
    picture_sheets.heatmaps(
        np.zeros((1, 3, 8, 8), np.uint8),
        np.ones((1, 8, 8)),
        [picture_sheets.Caption("cat", "deer", 0.8)],
    ).html
)

HOME = [
    markdown(
        "# Vision Daybook\n\nFive days of experiments on pictures of handwritten digits. "
        "The [first day](day1_augmentations.html) asks what augmentation buys; "
        "all runs are in [one table](runs.html)."
    ),
    code("finding(best)", FINDING),
    code("show(charts.story(runs), 'story')", story()),
    code("table(best)", table()),
]

CALLOUT = "::: {.callout-note}\n## How to read this\n\nA line is one seed.\n:::"
TABSET = "::: {.panel-tabset}\n### Chart\n\nBelow.\n\n### Words\n\nNothing stands out.\n:::"

DAYS = {
    "day1_augmentations": [
        markdown(
            "# Day 1: Data and augmentations\n\n"
            "What does [label smoothing](glossary.html#label-smoothing) buy?"
        ),
        *parameters(profile="demo", seeds=3),
        markdown(f"## Curves\n\n{CALLOUT}"),
        code("charts.curves(runs)", FINDING, chart("curves", curves(), "accuracy by epoch")),
        markdown(f"## Ablation\n\n{TABSET}"),
        code("charts.ablation(runs)", chart("ablation", ablation(), "accuracy"), table()),
    ],
    "day2_from_scratch": [
        markdown("# Day 2: From scratch\n\nSee [day 1](day1_augmentations.ipynb) first."),
        *parameters(profile="demo", epochs=2),
        markdown("## Curves"),
        code("charts.curves([run])", chart("curves", curves(), "accuracy by epoch")),
        markdown("## Mistakes\n\nOf $n$ pictures:"),
        code("charts.confusion(run)", chart("confusion", confusion(), "confusion matrix")),
        code("gallery.heatmaps(wrong)", HEAT),
        code("show(training.accuracy_over(history), 'strategies')", strategies()),
        code("chooser('matrices', 'Model', matrices)", choice()),
        code("secret = 1", tags=("remove-cell",)),
    ],
    "day3_transfer": [markdown("# Day 3: Transfer\n\nFrom other weights.")],
    "day4_diagnostics": [markdown("# Day 4: Diagnostics\n\nWhere it goes wrong.")],
    "day5_artifacts": [markdown("# Day 5: Artifacts\n\nWhat is left.")],
}


def write_study(root: Path, days: int = 2, model_card: bool = False, name: str = "demo") -> Study:
    """Lay a study under `root` as `python -m analysis` does."""
    study = Study(root / STUDIES / name)
    facts = Facts(name, "profile", "demo", "demo", {}, "digits", content_key("digits"))
    study.save(facts)
    folder = study.path
    home = json.dumps(notebook(*HOME, name="home"))
    (folder / "home.ipynb").write_text(home, encoding="utf-8")
    for name, cells in list(DAYS.items())[:days]:
        day = json.dumps(notebook(*cells, name=name.partition("_")[0]))
        (folder / f"{name}.ipynb").write_text(day, encoding="utf-8")
    if model_card:
        card = "---\ntitle: Model card\nsidebar: false\n---\n\n## Use\n\nFor digits.\n"
        (folder / "model_card.md").write_text(card, encoding="utf-8")
    return study


def write_gallery(study: Study, count: int = 12) -> None:
    """A gallery of coloured squares, with heatmaps and twins, as day 4 writes it."""
    folder = study.path / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)

    def picture(name: str, mode: str = "RGB") -> str:
        channels = len(mode)
        pixels = random.integers(0, 256, (8, 8, channels), dtype=np.uint8)
        image = Image.fromarray(pixels, mode).resize((32, 32), Image.Resampling.BICUBIC)
        image.save(folder / f"{name}.png")
        return f"{name}.png"

    items = []
    for number in range(count):
        true = CLASSES[number % 5]
        predicted = true if number % 2 else CLASSES[(number + 1) % 5]
        confidence = float(random.uniform(0.4, 1))
        rest = [name for name in CLASSES if name != predicted]
        top = [[predicted, confidence], *([name, (1 - confidence) / 4] for name in rest)]
        items.append(
            {
                "id": f"test-{number}",
                "image": picture(f"{number}"),
                "true": true,
                "predicted": predicted,
                "confidence": confidence,
                "loss": float(random.uniform(0, 4)),
                "heat_predicted": picture(f"{number}-predicted", "RGBA"),
                **({} if number % 2 else {"heat_true": picture(f"{number}-true", "RGBA")}),
                "adversarial": picture(f"{number}-fgsm"),
                "adversarial_predicted": CLASSES[(number + 2) % 5],
                "top5_before": top,
                "top5_after": [[name, round(p * 0.8 + 0.04, 4)] for name, p in top],
            }
        )
    data = json.dumps(
        {
            "run": {"id": "0" * 12, "name": "small CNN", "href": f"runs.html#run={'0' * 12}"},
            "classes": CLASSES,
            "size": 32,
            "tested": 100,
            "mistakes": 8,
            "epsilon": 4,
            "items": items,
        }
    )
    script = f"window.daybook = window.daybook || {{}};\nwindow.daybook.gallery = {data};\n"
    (folder / "gallery.js").write_text(script, encoding="utf-8")
