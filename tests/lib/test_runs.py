import dataclasses

import pytest

from lib import runs
from lib.errors import UserError
from lib.runs import RunStore, histories, results, run_id, source_digest


def test_recipe_dataset_and_code_each_decide_the_run_id(tiny, quick, monkeypatch):
    first = run_id(quick, tiny)
    assert run_id(quick.but(seed=1), tiny) != first
    assert run_id(quick, dataclasses.replace(tiny, fingerprint="other")) != first
    monkeypatch.setattr(runs, "source_digest", lambda: "other")
    assert run_id(quick, tiny) != first


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ('"""Doc."""\nx = 1\n', False),
        ("# why\nx  =  1\n", False),
        ("x = 2\n", True),
        ('x = 1\ndef f():\n    "doc"\n', True),
    ],
)
def test_only_code_counts_in_the_source_digest(tmp_path, monkeypatch, source, changes):
    def digest(text):
        (tmp_path / "training.py").write_text(text)
        source_digest.cache_clear()
        return source_digest()

    monkeypatch.setattr(runs, "__file__", str(tmp_path / "runs.py"))
    monkeypatch.setattr(runs, "MODULES_THAT_TRAIN", ("training",))
    try:
        assert (digest("x = 1\n") != digest(source)) is changes
    finally:
        source_digest.cache_clear()


def test_a_store_finds_finished_runs_and_names_the_missing(run):
    store = RunStore(run.path.parent)
    assert [found.run_id for found in store.finished()] == [run.run_id]
    assert store.get(run.run_id).recipe == run.recipe
    with pytest.raises(UserError, match="no finished run 'nothing'"):
        store.get("nothing")


def test_tables_join_recipe_and_figures(run):
    table = results([run])
    assert table.loc[0, "augmentation"] == run.recipe.augmentation
    assert table.loc[0, "test_accuracy"] == run.summary["test_accuracy"]
    history = histories([run, run], ["augmentation"])
    assert len(history) == 2 * len(run.history)
    assert {"run_id", "seed", "augmentation", "val_loss"} <= set(history)
