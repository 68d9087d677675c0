"""The data that the pages read, and what is left alone."""

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from lib.training.runs import RunStore
from report import prepare
from report.studies import shown
from tests.report import samples
from tests.sources import copy_sources

DAY = "day2_from_scratch"


def script(path):
    """The name that a data script sets, and the value."""
    declared, _, body = path.read_text(encoding="utf-8").partition("\n")
    assert declared.startswith("window.daybook = window.daybook || {};")
    name, _, value = body.partition(" = ")
    return name, json.loads(value.rstrip(";\n"))


def test_runs_are_written_in_full(tmp_path):
    runs = list(samples.runs(7))
    prepare.write_runs(runs, tmp_path)
    name, rows = script(tmp_path / "runs-data.js")
    assert name == "daybook.runs"
    for run, row in zip(runs, rows, strict=True):
        assert row["id"] == run.run_id
        assert row["recipe"] == run.recipe.to_dict()
        assert row["environment"] == run.environment
        assert row["summary"]["test_accuracy"] == run.summary["test_accuracy"]
        assert row["summary"]["last_val_loss"] == run.history["val_loss"].iloc[-1]
        name, history = script(tmp_path / "history" / f"{run.run_id}.js")
        assert name == f'daybook.histories["{run.run_id}"]'
        for column, values in history.items():
            assert values == pytest.approx(list(run.history[column]), rel=1e-4)
    table = pd.read_csv(tmp_path / "runs.csv", dtype={"run_id": str})
    assert list(table["run_id"]) == [run.run_id for run in runs]
    assert set(table["precision"]) == {"auto"}
    assert set(table["precision_used"]) == {"fp32"}
    assert len(pd.read_csv(tmp_path / "histories.csv")) == sum(len(run.history) for run in runs)
    assert len(json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))) == 7


class PartialRecipe(dict):
    """A recipe with the fields of its own network alone."""

    to_dict = dict.copy


def test_fields_that_a_recipe_lacks_are_empty_cells(tmp_path):
    recipes = [
        PartialRecipe(model="small_cnn", width=32, precision="auto", seed=0),
        PartialRecipe(model="resnet18", strategy="head", precision="auto", seed=0),
    ]
    runs = [
        dataclasses.replace(run, recipe=recipe)
        for run, recipe in zip(samples.runs(2), recipes, strict=True)
    ]
    prepare.write_runs(runs, tmp_path)
    table = pd.read_csv(tmp_path / "runs.csv", dtype=str, keep_default_na=False)
    assert list(table["width"]) == ["32", ""]
    assert list(table["strategy"]) == ["", "head"]
    assert list(table["precision_used"]) == ["fp32", "fp32"]


def test_many_runs_take_no_more_than_a_reading_of_their_files(tmp_path, monkeypatch):
    samples.write_runs(tmp_path, 40)
    opened, waits = [], []
    open_path = Path.open

    def noted(path, *arguments, **options):
        opened.append(path)
        return open_path(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", noted)
    monkeypatch.setattr(os, "fsync", waits.append)
    prepare.write_runs(RunStore(tmp_path / "runs").finished(), tmp_path / "out")
    of_runs = Counter(path.name for path in opened if tmp_path / "runs" in path.parents)
    names = ("recipe.json", "dataset.json", "environment.json", "summary.json", "history.csv")
    assert of_runs == dict.fromkeys(names, 40)
    assert waits == []  # for the disk: what is lost when the machine stops is written again
    assert len(list((tmp_path / "out" / "history").iterdir())) == 40


def test_epochs_without_a_value_are_empty_cells(tmp_path):
    first, second = samples.runs(2)
    first.history.loc[0, "val_loss"] = float("nan")
    del second.history["lr"]
    prepare.write_runs([first, second], tmp_path)
    table = pd.read_csv(tmp_path / "histories.csv", dtype=str, keep_default_na=False)
    assert table["val_loss"][0] == ""
    assert set(table["lr"][len(first.history) :]) == {""}
    assert table["epoch"].tolist() == [
        str(e) for run in (first, second) for e in run.history["epoch"]
    ]
    _, history = script(tmp_path / "history" / f"{first.run_id}.js")
    assert history["val_loss"][0] is None


def test_runs_that_are_gone_leave_no_history(tmp_path):
    prepare.write_runs(samples.runs(3), tmp_path)
    prepare.write_runs(samples.runs(2), tmp_path)
    assert len(list((tmp_path / "history").glob("*.js"))) == 2


def test_no_runs_at_all(tmp_path):
    prepare.write_runs([], tmp_path)
    assert script(tmp_path / "runs-data.js") == ("daybook.runs", [])
    assert (tmp_path / "runs.csv").exists()


def test_numbers_that_json_cannot_hold_become_null(tmp_path):
    prepare.write_script(tmp_path / "x.js", "x", {"a": [float("nan"), 1.5], "b": float("inf")})
    assert script(tmp_path / "x.js") == ("daybook.x", {"a": [None, 1.5], "b": None})
    assert prepare.rounded([float("nan"), 0.123456789]) == [None, 0.12346]


def test_pages_say_how_they_were_made(tmp_path):
    study = samples.write_study(tmp_path, days=2)
    prepare.write_pages(shown(tmp_path), tmp_path / "out")
    _, pages = script(tmp_path / "out" / "pages.js")
    days = [f"report/studies/demo/{name}.html" for name in ("day1_augmentations", DAY)]
    assert list(pages) == [*days, "index.html"]
    second = pages[days[1]]
    assert (second["study"], second["title"]) == ("demo", "Day 2: From scratch")
    assert second["command"].endswith("--only day2 --force")
    assert second["notebook"] == f"generated/notebooks/demo/{DAY}.ipynb"
    copy = tmp_path / "out" / "notebooks" / "demo" / f"{DAY}.ipynb"
    original = study.path / f"{DAY}.ipynb"
    assert copy.read_text(encoding="utf-8") == original.read_text(encoding="utf-8")


def test_vega_is_wrapped_and_what_is_unchanged_is_left_alone(tmp_path):
    prepare.write_vega(tmp_path)
    vega = tmp_path / "vega.js"
    text = vega.read_text(encoding="utf-8")
    assert text.splitlines()[1] == "(function () {"
    assert "window.vegaEmbed=" in text
    copy_sources(tmp_path, "report")
    samples.write_study(tmp_path, days=2)
    samples.write_runs(tmp_path, 5)
    prepare.prepare(tmp_path)
    folder = tmp_path / prepare.GENERATED
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert len(before) > 10
    prepare.prepare(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
