import dataclasses

import pandas as pd
import pytest

from lib.study import transfer
from lib.training.runs import Run


def test_convergence_is_the_first_epoch_at_the_share():
    history = pd.DataFrame(
        {"epoch": [1, 2, 3], "seconds": [5.0, 9.0, 14.0], "val_accuracy": [0.5, 0.77, 0.8]}
    )
    assert transfer.convergence(history) == (2, 9.0)
    assert transfer.convergence(history, share=1.0) == (3, 14.0)


def test_a_strategys_row_sums_its_seeds_up(several):
    _, runs = several
    table = transfer.strategy_table(runs)
    assert list(table["strategy"]) == ["all", "head"]
    row = table.set_index("strategy").loc["all"]
    seconds = [run.summary["seconds"] for run in runs[:4]]
    assert row["seeds"] == 4
    assert row["seconds"] == pytest.approx(sum(seconds) / 4)
    assert table.set_index("strategy").loc["head", "trainable"] == 512 * 3 + 3


def test_tables_name_where_weights_came_from_and_how_a_run_was_regularised(several):
    runs = [Run(run.path) for run in several[1]]
    pretrained = dataclasses.replace(runs[-1].recipe, weights="imagenet")
    runs[-1].__dict__["recipe"] = pretrained  # as if it had been
    sources = transfer.by_source(runs, "imagenet")["source"]
    assert sources.tolist() == [*["random_weights"] * (len(runs) - 1), "imagenet"]
    plain = dataclasses.replace(runs[0].recipe, label_smoothing=0.0, weight_decay=0.0)
    runs[0].__dict__["recipe"] = plain
    assert set(transfer.by_regularisation(runs)["regularisation"]) == {
        "smoothing 0, decay 0",
        "smoothing 0.1, decay 0.0005",
    }


def test_each_strategy_trains_its_stages():
    table = transfer.trained_stages(classes=10).set_index(["strategy", "stage"])["trained"]
    assert table.loc["head"].tolist() == [0, 0, 0, 0, 0, 5130]
    assert table.loc["all"].min() > 0
    assert 0 < table.loc[("last_block", "stage 4")] < table.loc[("layer4", "stage 4")]
    assert table.loc["layer4"].iloc[:4].sum() == 0
