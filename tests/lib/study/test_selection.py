from lib.study.selection import histories, results


def test_tables_join_recipe_and_figures(run):
    table = results([run])
    assert table.loc[0, "augmentation"] == run.recipe.augmentation
    assert table.loc[0, "test_accuracy"] == run.summary["test_accuracy"]
    history = histories([run, run], ["augmentation"])
    assert len(history) == 2 * len(run.history)
    assert {"run_id", "seed", "augmentation", "val_loss"} <= set(history)
