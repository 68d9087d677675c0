import shutil

import pytest

from lib.errors import UserError
from lib.study import selection
from lib.study.selection import histories, results
from lib.training.loop import fit
from lib.training.runs import RunStore, best_of


def test_tables_join_recipe_and_figures(run):
    table = results([run])
    assert table.loc[0, "augmentation"] == run.recipe.augmentation
    assert table.loc[0, "test_accuracy"] == run.summary["test_accuracy"]
    history = histories([run, run], ["augmentation"])
    assert len(history) == 2 * len(run.history)
    assert {"run_id", "seed", "augmentation", "val_loss"} <= set(history)


def test_every_way_of_training_has_its_best_run(several):
    _, runs = several
    ways = selection.best_by(runs, selection.setting_of)
    assert set(ways) == {
        "small CNN, no augmentation",
        "small CNN, Cutout",
        "ResNet-18, head only, random weights",
    }
    assert ways["small CNN, no augmentation"] == best_of(runs[:2])


def test_the_ablation_leaves_out_runs_that_differ_in_more(several, tiny, tmp_path):
    store, runs = several
    longer = fit(runs[0].recipe.replace(epochs=3), tiny, store, "cpu")
    assert selection.ablation([longer, *runs]) == runs[:4]
    assert selection.ablation([]) == []


def test_runs_without_weights_are_left_out_and_named(several, tmp_path):
    for run in several[1]:
        shutil.copytree(run.path, tmp_path / "results" / "group" / run.run_id)
    references = RunStore(tmp_path / "runs")
    found = references.finished()
    assert all(run.is_reference for run in found)
    assert selection.with_weights(found) == found
    assert selection.left_out(found, found) is None

    best = best_of(found)
    (best.path / "model.safetensors").unlink()
    kept = selection.with_weights(found)
    assert kept == [run for run in found if run != best]
    note = selection.left_out(found, kept).text
    assert f"1 of {len(found)} runs" in note
    assert selection.setting_of(best) in note

    for run in kept:
        (run.path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"none of 5 runs .* remove that folder") as raised:
        selection.with_weights(found)
    assert "\n" not in str(raised.value)
