from lib.study import selection
from lib.study.selection import histories, results
from lib.training.loop import fit
from lib.training.runs import best_of


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
