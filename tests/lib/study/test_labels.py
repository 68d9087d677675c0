import numpy as np
import pandas as pd
import pytest

from lib.study import labels
from lib.study.labels import for_labels, means, numbers, sentence
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

HEAD = Recipe(model="resnet18", strategy="head", augmentation="none", head_fit="lbfgs", epochs=1)
SCRATCH = Recipe(width=4, epochs=2, batch_size=64, lr=0.1)


def test_numbers_go_from_one_a_class_to_all(tiny):
    assert numbers(tiny) == [10, 30, 96]


def test_few_labels_have_smaller_batches_more_epochs_and_lower_rates():
    few, many = for_labels(SCRATCH, 30), for_labels(SCRATCH, 100_000)
    assert many == SCRATCH
    assert few.batch_size == 10
    assert few.epochs * 3 >= labels.STEPS > (few.epochs - 1) * 3
    assert few.lr == pytest.approx(0.1 * (10 / 64) ** 0.5)


def test_every_setting_is_trained_on_the_same_draws(tiny, tmp_path):
    store = RunStore(tmp_path / "runs")
    by_draw = [HEAD.replace(seed=draw) for draw in range(2)]
    table = labels.train([("head", by_draw)], SCRATCH, tiny, store, draws=2)
    assert len(table) == 3 * 2 * 2
    assert table["run_id"].is_unique
    for (number, draw), group in table.groupby(["labels", "draw"]):
        runs = [store.get(run_id) for run_id in group["run_id"]]
        assert {run.dataset["fingerprint"] for run in runs} == {
            tiny.drawn(number, draw).fingerprint
        }
        assert {run.dataset["pictures"]["train"] for run in runs} == {number}
        assert {run.recipe.seed for run in runs} == {draw}
        assert not any(tiny.is_that_of(run.dataset) for run in runs)  # other pages pass them over
    summary = means(table)
    row = summary.set_index(["setting", "labels"]).loc[("head", 96)]
    own = table.query("setting == 'head' and labels == 96")["test_accuracy"]
    assert row["accuracy"] == pytest.approx(own.mean())
    assert row["draws"] == 2


def made_up(head, scratch, counts=(10, 100, 1000, 4000)):
    rows = [
        {"setting": name, "labels": n, "accuracy": a, "low": a - 0.02, "high": a + 0.01, "draws": 3}
        for name, accuracies in (("head", head), ("small_cnn", scratch))
        for n, a in zip(counts, accuracies, strict=True)
    ]
    return pd.DataFrame(rows)


def test_the_sentence_says_how_many_labels_the_small_cnn_needs_for_as_much():
    table = made_up((0.5, 0.8, 0.85, 0.9), (0.2, 0.4, 0.81, 0.9))
    head = HEAD.replace(model="efficientnet_lite0", weights="imagenet")
    assert sentence(table, head) == (
        "With 100 labels, the head of EfficientNet-Lite0 (ImageNet) reaches 80.0\xa0% (78.0–81.0); "
        "the small CNN from scratch needs 1,000 labels for as much (81.0\xa0%, 79.0–82.0)."
    )


def test_the_sentence_says_what_the_small_cnn_reaches_where_it_does_not():
    table = made_up((0.5, 0.8, 0.85, 0.9), (0.2, 0.3, 0.5, 0.7))
    assert sentence(table, HEAD).endswith(
        "the small CNN from scratch reaches 70.0\xa0% (68.0–71.0) with all 4,000."
    )
    single = table.assign(low=np.nan, high=np.nan)
    assert "(random weights) reaches 80.0\xa0%; the small CNN" in sentence(single, HEAD)


def test_the_number_nearest_to_a_hundred_is_told():
    few = made_up((0.5, 0.6), (0.2, 0.3), (10, 40))
    assert sentence(few, HEAD).startswith("With 40 labels, ")
