import dataclasses
import math
import shutil
import subprocess
import sys
from collections import Counter

import pandas as pd
import pytest
import safetensors.torch
import torch

from lib.errors import UserError
from lib.training import runs
from lib.training.runs import RECORD, RunStore, run_id, validation_rank
from tests.imports import PROJECT


def test_recipe_dataset_and_version_each_decide_the_run_id(tiny, quick, monkeypatch):
    first = run_id(quick, tiny)
    assert run_id(quick.replace(seed=1), tiny) != first
    assert run_id(quick, dataclasses.replace(tiny, fingerprint="other")) != first
    monkeypatch.setattr(runs, "VERSION", runs.VERSION + 1)
    assert run_id(quick, tiny) != first


IDENTITY = """
from lib.data.dataset import load
from lib.training.recipe import Recipe
from lib.training.runs import run_id
print(run_id(Recipe(), load("digits")))
"""


def test_a_renamed_local_variable_changes_no_id(tmp_path):
    shutil.copytree(PROJECT / "lib", tmp_path / "lib")

    def identity():
        command = [sys.executable, "-c", IDENTITY]
        return subprocess.run(command, check=True, cwd=tmp_path, stdout=subprocess.PIPE).stdout

    before = identity()
    loop = tmp_path / "lib" / "training" / "loop.py"
    renamed = loop.read_text().replace("rates_now", "rates_of_this_epoch")
    assert renamed != loop.read_text()
    loop.write_text(renamed)
    assert identity() == before


def test_a_store_finds_finished_runs_and_names_the_missing(run):
    store = RunStore(run.path.parent)
    assert [found.run_id for found in store.finished()] == [run.run_id]
    assert store.get(run.run_id).recipe == run.recipe
    with pytest.raises(UserError, match="no finished run 'nothing'"):
        store.get("nothing")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a file of weights"),
        (b"text", "not a file of weights"),
        (safetensors.torch.save({"a": torch.zeros(1)}), "not the weights of the run's recipe"),
        (None, "no such weights"),
    ],
)
def test_damaged_weights_are_one_line(run, tmp_path, content, words):
    copy = runs.Run(shutil.copytree(run.path, tmp_path / run.run_id))
    file = copy.path / "model.safetensors"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(UserError, match=rf"model\.safetensors: {words}") as raised:
        copy.load_model()
    assert "\n" not in str(raised.value)


def test_the_better_loss_decides_between_equal_accuracies():
    figures = [(0.8, 0.5), (0.9, 0.7), (0.9, 0.6), (0.7, 0.1)]
    ranked = [{"val_accuracy": accuracy, "val_loss": loss} for accuracy, loss in figures]
    assert max(ranked, key=validation_rank) == ranked[2]


def test_attacks_are_stored_with_the_run(run, tmp_path):
    copy = runs.Run(shutil.copytree(run.path, tmp_path / run.run_id))
    assert copy.attacks is None
    table = pd.DataFrame({"attack": ["fgsm"], "epsilon": [0.1], "accuracy": [0.5]})
    copy.save_attacks(table)
    pd.testing.assert_frame_equal(copy.attacks, table)


@pytest.fixture
def many(run, tiny, quick, tmp_path):
    """A folder of thirty finished runs, which differ in their seeds."""
    for seed in range(30):
        recipe = quick.replace(seed=seed)
        folder = tmp_path / "many" / run_id(recipe, tiny)
        folder.mkdir(parents=True)
        for name in RECORD:
            shutil.copyfile(run.path / name, folder / name)
        runs.write_json(folder / "recipe.json", recipe.to_dict())
    return tmp_path / "many"


@pytest.fixture
def reads(monkeypatch):
    """How often each JSON file of a run was read, by its name."""
    counted, read = Counter(), runs.read_json

    def counting(path):
        counted[path.name] += 1
        return read(path)

    monkeypatch.setattr(runs, "read_json", counting)
    return counted


def test_finding_runs_reads_nothing_and_each_file_is_read_once(many, reads):
    found = RunStore(many, many / "none").finished()
    assert len(found) == 30
    assert reads == {}
    for _ in range(2):
        assert len({run.recipe.seed for run in found}) == 30
        assert len({run.dataset["fingerprint"] for run in found}) == 1
        assert all(run.summary["test_accuracy"] >= 0 for run in found)
    assert reads == {"recipe.json": 30, "dataset.json": 30, "summary.json": 30}


def test_reference_runs_are_told_by_two_files_that_are_read_once(many, reads):
    found = RunStore(many / "none", many).finished()
    assert len({run.recipe.seed for run in found}) == 30
    assert len({run.dataset["fingerprint"] for run in found}) == 1
    assert reads == {"recipe.json": 30, "dataset.json": 30}


def test_curves_are_the_columns_of_the_history(run):
    assert list(run.curves) == list(run.history)
    for name, values in run.curves.items():
        assert values == pytest.approx(run.history[name].tolist(), rel=1e-15, nan_ok=True)


def test_a_gap_in_a_history_is_no_number_and_a_damaged_one_gets_one_line(run, tmp_path):
    copy = runs.Run(shutil.copytree(run.path, tmp_path / run.run_id))
    file = copy.path / "history.csv"
    file.write_text("epoch,val_loss\n1,\n2,0.1\n")
    assert copy.curves["epoch"] == [1, 2]
    assert math.isnan(copy.curves["val_loss"][0])
    assert copy.curves["val_loss"][1] == 0.1
    for damaged in ("", "epoch,val_loss\n1\n", "epoch,val_loss\n1,much\n", "epoch\n"):
        file.write_text(damaged)
        with pytest.raises(
            UserError, match=r"history\.csv: cannot be read \(.*train the run again"
        ):
            _ = copy.curves
