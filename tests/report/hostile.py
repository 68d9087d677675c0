"""A study all of whose names are written to become script or markup, and sites made from it.

Everything on its pages is put there by the functions that the notebooks call, from a run of a small
network on noise. The strings stand for what a study takes from elsewhere: names of folders, classes
and files, and the records of runs that somebody else has trained.
"""

import json
from pathlib import Path
from typing import Any

import torch

from analysis.notebooks import tidy
from lib.charts import classes as class_charts
from lib.charts import comparisons, training
from lib.data.dataset import Dataset, Split, class_counts
from lib.diagnosis import mistakes
from lib.files import read_json, write_json
from lib.inference.export import export
from lib.pages import picture_sheets
from lib.pages.display import Fragment, figure, finding, table, tabs
from lib.pages.wording import left_out
from lib.study import artifacts, diagnostics, gallery, home, model_card, robustness
from lib.study.card_facts import Facts as CardFacts
from lib.study.selection import histories, results
from lib.study.study import STUDIES, Facts, Study
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore
from tests.hostile_names import STRINGS
from tests.report import samples

NAME = " ".join(STRINGS)  # of the dataset
RECORD = {f"note_{number}": text for number, text in enumerate(STRINGS)}
RUN_ID = """zz '"><img src=x onerror=window.hacked=1>#?%41&+`{{< env HOME >}}"""  # a folder's name
SIDE = 8


def split(name: str, count: int, seed: int, classes: tuple[str, ...]) -> Split:
    """Noise, each picture's file named by one of the classes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 255, (count, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % len(classes)
    ids = tuple(f"{classes[i % len(classes)]} {name} {i}.png" for i in range(count))
    return Split(images, labels, ids)


def dataset(classes: tuple[str, ...] = STRINGS, name: str = NAME) -> Dataset:
    """A dataset of noise whose every name is one of the strings."""
    return Dataset(
        name=name,
        classes=classes,
        train=split("train", 52, 1, classes),
        val=split("val", 26, 2, classes),
        test=split("test", 39, 3, classes),
        mean=(0.5, 0.5, 0.5),
        std=(0.3, 0.3, 0.3),
        flip=True,
        fingerprint=STRINGS[0],
        skipped=classes,
        left_out=classes,
    )


def write_study(root: Path, pictures: Dataset) -> Run:
    """Lay a study of the dataset under `root`: runs, gallery, card, home page and two days."""
    store = RunStore(root / "runs")
    recipe = Recipe(width=4, epochs=2, batch_size=16, lr=0.1, augmentation="none")
    trained = [
        fit(one, pictures, store, "cpu")
        for one in (recipe, recipe.replace(augmentation="cutout"), recipe.replace(seed=1))
    ]
    for run in trained:
        _rewrite(run)
    finished = store.finished()
    run = finished[0]
    study = Study(root / STUDIES / "demo")
    ids = [run.run_id for run in finished]
    record = {"dataset": STRINGS[0], "content": STRINGS[1], "command": STRINGS[0]}
    record |= {"trained": ids, "compared": ids}
    study.save(Facts(NAME, "name", NAME, STRINGS[0], {}).after(record))
    shown = gallery.write(run, pictures.test, 0, study.path)
    bundle = export(run, pictures, root / "models" / "best")
    facts = CardFacts(bundle, run, pictures, robustness.measure_robustness(run, pictures, 6))
    model_card.write(facts, study.path)
    earlier = record | {"content": STRINGS[0]}  # so that the page has a notice
    _write_notebook(study.path / "day1_augmentations.ipynb", _day1(finished, pictures), earlier)
    _write_notebook(study.path / "day4_diagnostics.ipynb", _day4(run, pictures, shown), record)
    _write_notebook(study.path / "home.ipynb", _home(finished, run, study), record)
    # A run of somebody else's, which has no weights here; its id is its folder's name.
    other = root / "runs" / RUN_ID
    other.mkdir()
    for name in ("dataset.json", "environment.json", "summary.json", "history.csv"):
        (other / name).write_bytes((run.path / name).read_bytes())
    borrowed = Recipe(model="resnet18", weights=f"file:{STRINGS[0]}#0123456789abcdef")
    write_json(other / "recipe.json", borrowed.to_dict())
    return run


def _rewrite(run: Run) -> None:
    """Put the strings into every record of the run that holds text."""
    dataset, summary = read_json(run.path / "dataset.json"), read_json(run.path / "summary.json")
    environment = read_json(run.path / "environment.json")
    texts = iter(STRINGS * 3)
    for record in (environment, summary):
        for name, value in record.items():
            if isinstance(value, str):
                record[name] = next(texts)
    summary["device"] = STRINGS[0]
    write_json(run.path / "dataset.json", dataset | RECORD | {STRINGS[0]: STRINGS[1]})
    write_json(run.path / "environment.json", environment | RECORD | {STRINGS[0]: STRINGS[1]})
    write_json(run.path / "summary.json", summary | RECORD | {STRINGS[0]: STRINGS[1], "a.b": "c"})


def _write_notebook(path: Path, cells: list[dict[str, Any]], record: dict[str, Any]) -> None:
    made = samples.notebook(*cells, name=NAME)
    tidy(made, made["metadata"]["daybook"] | record)
    path.write_text(json.dumps(made), encoding="utf-8")


def _cell(*fragments: Fragment) -> dict[str, Any]:
    """A cell that has shown the fragments; its code, too, holds the strings."""
    code = "\n".join(f"name = {text!r}" for text in STRINGS)
    texts = [fragment._repr_mimebundle_()["text/markdown"] for fragment in fragments]
    cell = samples.code(code, *texts)
    said = "\n".join([*STRINGS, "`" * 14, *STRINGS])
    cell["outputs"].append({"output_type": "stream", "name": "stdout", "text": [said]})
    return cell


def _day1(runs: list[Run], pictures: Dataset) -> list[dict[str, Any]]:
    captions = [pictures.classes[label] for label in pictures.test.labels]
    return [
        samples.markdown("# Data"),
        *samples.parameters(dataset=NAME),
        _cell(figure(class_charts.class_balance(class_counts(pictures)), "balance")),
        _cell(*map(finding, left_out(pictures.skipped, pictures.left_out))),
        _cell(picture_sheets.sheet(pictures.test.images, captions, title=NAME)),
        _cell(figure(training.learning_curves(histories(runs)), "curves")),
        _cell(figure(comparisons.ablation(results(runs), by="augmentation"), "ablation")),
    ]


def _day4(run: Run, pictures: Dataset, shown: gallery.Gallery) -> list[dict[str, Any]]:
    subject = diagnostics.Subject(run, pictures)
    test = run.predictions("test")
    by_class = mistakes.per_class(test.labels, test.logits.argmax(1), pictures.classes)
    panels = {
        text: [
            finding(diagnostics.confusion_sentence(run)),
            table(diagnostics.confused_by(run), NAME),
        ]
        for text in STRINGS[:2]
    }
    examples = subject.examples
    return [
        samples.markdown("# Diagnostics"),
        _cell(figure(class_charts.confusion(shown.confusion_of(run)), "confusion")),
        _cell(figure(class_charts.per_class(by_class), "per-class")),
        _cell(tabs("confused", panels)),
        _cell(
            picture_sheets.heatmaps(examples.images, examples.heat_true, examples.captions),
            robustness.adversarial_sheet(subject),
        ),
        _cell(table(artifacts.standings({text: [run] for text in STRINGS}), run="run_id")),
    ]


def _home(runs: list[Run], best: Run, study: Study) -> list[dict[str, Any]]:
    return [
        samples.markdown("# Vision Daybook"),
        _cell(home.headline([best]), home.scope(runs, [best])),
        _cell(figure(comparisons.accuracy_against_time(home.settings(runs)), "story")),
        _cell(home.day_cards(str(study.path))),
        _cell(table(home.best_settings(runs), run="run_id")),
    ]
