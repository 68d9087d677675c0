"""Runs under `results/` are found as if they had been trained here, and are only read."""

import pickle
import shutil

import numpy as np
import pandas as pd
import pytest

from lib.errors import UserError
from lib.files import read_json, write_json
from lib.training import loop
from lib.training.loop import fit
from lib.training.runs import RECORD, Run, RunStore

WEIGHTS = "model.safetensors"


@pytest.fixture
def record(run, tmp_path):
    """A reference record of `run` with weights, two folders deep in `results/`."""
    return shutil.copytree(
        run.path, tmp_path / "results" / "group" / run.run_id, ignore=lambda *_: [".lock"]
    )


@pytest.fixture
def store(record, tmp_path):
    return RunStore(tmp_path / "runs")


def contents(folder):
    """Every path below the folder, and the content of every file."""
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture
def training(monkeypatch):
    """The recipes that were trained after all, which the test may expect."""
    recipes, train = [], loop.train

    def noted(run, recipe, *rest):
        recipes.append(recipe)
        train(run, recipe, *rest)

    monkeypatch.setattr(loop, "train", noted)
    return recipes


def test_a_reference_run_is_found_without_training(
    run, tiny, quick, store, record, training, tmp_path
):
    before = contents(tmp_path)
    found = fit(quick, tiny, store, "cpu")
    assert found.path == record
    assert found.is_reference
    assert store.get(run.run_id) == store.finished()[0] == found
    assert found.summary == run.summary
    assert found.has_weights
    np.testing.assert_array_equal(found.predictions("val").logits, run.predictions("val").logits)
    found.load_model()
    assert training == []
    assert contents(tmp_path) == before


def test_what_is_trained_here_comes_first(run, tiny, quick, store, training):
    own = Run(shutil.copytree(run.path, store.root / run.run_id))
    assert fit(quick, tiny, store, "cpu") == own
    assert store.get(run.run_id) == own
    assert store.finished() == [own]
    assert not store.finished()[0].is_reference
    assert training == []


def test_a_run_that_was_begun_here_is_not_continued(run, tiny, quick, store, record, training):
    begun = RunStore(store.root, store.root / "none").run(quick, tiny)
    assert not begun.finished
    assert fit(quick, tiny, store, "cpu").path == record
    assert training == []


def test_what_is_measured_later_is_stored_with_the_runs(run, store, record, tmp_path):
    before = contents(record)
    found, table = store.get(run.run_id), pd.DataFrame({"attack": ["fgsm"], "accuracy": [0.5]})
    assert found.attacks is None
    found.save_attacks(table)
    pd.testing.assert_frame_equal(store.get(run.run_id).attacks, table)
    assert contents(record) == before
    assert store.get(run.run_id).path == record  # the attacks alone are no run
    (found.writable / "corruptions.npz").write_bytes(b"bits")
    assert found.measured("corruptions.npz") == store.root / run.run_id / "corruptions.npz"
    assert found.measured("else.csv") is None


def test_recorded_attacks_are_found_until_they_are_measured_here(run, store, record):
    recorded = pd.DataFrame({"attack": ["pgd"], "accuracy": [0.25]})
    recorded.to_csv(record / "attacks.csv", index=False)
    found = store.get(run.run_id)
    pd.testing.assert_frame_equal(found.attacks, recorded)
    found.save_attacks(recorded * 2)
    pd.testing.assert_frame_equal(found.attacks, recorded * 2)


def test_training_here_forgets_what_was_measured_of_the_reference_run(
    run, tiny, quick, store, record, training
):
    store.get(run.run_id).save_attacks(pd.DataFrame({"accuracy": [0.5]}))
    (store.root / run.run_id / "corruptions.npz").write_bytes(b"bits")
    shutil.rmtree(record)
    again = fit(quick, tiny, store, "cpu")
    assert training == [quick]
    assert not again.is_reference
    assert again.attacks is None
    assert again.measured("corruptions.npz") is None


@pytest.mark.parametrize("missing", RECORD)
def test_a_partial_record_is_passed_over(run, tiny, quick, store, record, missing, training):
    (record / missing).unlink()
    assert store.finished() == []
    with pytest.raises(UserError, match="no finished run"):
        store.get(run.run_id)
    assert fit(quick, tiny, store, "cpu").path == store.root / run.run_id
    assert training == [quick]


def test_a_record_of_another_version_is_passed_over(run, store, record):
    recipe = read_json(record / "recipe.json")
    for changed in (recipe | {"width": 9}, recipe | {"a field of yore": 1}):
        write_json(record / "recipe.json", changed)
        assert store.finished() == []
    write_json(record / "recipe.json", recipe)
    write_json(record / "dataset.json", run.dataset | {"fingerprint": "of other pictures"})
    assert store.finished() == []
    assert store.find(run.run_id) is None


@pytest.mark.parametrize("name", ["recipe.json", "dataset.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_record_is_one_line(run, tiny, quick, store, record, name, content):
    (record / name).write_bytes(content)
    for find in (store.finished, lambda: store.get(run.run_id), lambda: fit(quick, tiny, store)):
        with pytest.raises(UserError, match=rf"{name}: cannot be read .*remove .*group") as raised:
            find()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs", b"PK\x03\x04 and no more"])
def test_damaged_predictions_and_history_are_one_line(run, store, record, content):
    for name in ("predictions.npz", "history.csv"):
        (record / name).write_bytes(content if name == "predictions.npz" else b"")
    found = store.get(run.run_id)
    for read in (lambda: found.predictions("test"), lambda: found.history):
        with pytest.raises(UserError, match=r"cannot be read .*remove .*group") as raised:
            read()
        assert "\n" not in str(raised.value)


def test_cut_predictions_are_one_line(run, store, record):
    file = record / "predictions.npz"
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(UserError, match=r"predictions\.npz: cannot be read"):
        store.get(run.run_id).predictions("test")
    arrays = dict(np.load(run.path / "predictions.npz"))
    np.savez(file, **arrays | {"test_ids": arrays["test_ids"][1:]})
    with pytest.raises(UserError, match="differ in number"):
        store.get(run.run_id).predictions("test")


def test_half_precision_reads_as_single(run, store, record):
    arrays = dict(np.load(run.path / "predictions.npz"))
    halved = {name: a.astype(np.float16) if "logits" in name else a for name, a in arrays.items()}
    np.savez_compressed(record / "predictions.npz", **halved)
    read, whole = (r.predictions("test") for r in (store.get(run.run_id), run))
    assert read.logits.dtype == whole.logits.dtype == np.float32
    np.testing.assert_allclose(read.logits, whole.logits, rtol=1e-3, atol=1e-3)
    assert list(read.ids) == list(whole.ids)


def test_without_weights_figures_are_found_and_the_network_is_refused_in_one_line(
    run, tiny, quick, store, record, training
):
    (record / WEIGHTS).unlink()
    found = fit(quick, tiny, store, "cpu")
    assert training == []
    assert found.summary == run.summary
    assert not found.has_weights
    with pytest.raises(UserError, match=r"reference run without weights; remove that") as raised:
        found.load_model()
    assert str(record) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_runs_come_in_the_order_of_their_names_and_each_once(
    run, tiny, quick, store, record, tmp_path
):
    own = fit(quick.replace(seed=1, epochs=1), tiny, store, "cpu")
    shutil.copytree(record, tmp_path / "results" / "other" / run.run_id)
    names = [found.run_id for found in store.finished()]
    assert names == sorted({own.run_id, run.run_id})
    assert store.get(run.run_id).path == record  # the first folder in order


def test_only_the_folder_beside_the_runs_is_looked_at(run, record, tmp_path, monkeypatch):
    assert RunStore(tmp_path / "elsewhere" / "runs").finished() == []
    assert RunStore(tmp_path / "runs", tmp_path / "none").finished() == []
    elsewhere = RunStore(tmp_path / "elsewhere" / "runs", tmp_path / "results")
    assert [found.path for found in elsewhere.finished()] == [record]
    monkeypatch.chdir(tmp_path)
    assert [found.run_id for found in RunStore().finished()] == [run.run_id]


def test_a_store_and_its_runs_travel_to_other_processes(run, store):
    found = pickle.loads(pickle.dumps(store.get(run.run_id)))
    assert found.is_reference
    assert found.store.root == store.root
