import numpy as np
import pandas as pd
import pytest

from lib.study import labels, transfer
from lib.study.labels import difference_sentence, for_labels, means, needed_sentence, numbers
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

HEAD = Recipe(model="resnet18", strategy="head", augmentation="none", head_fit="lbfgs", epochs=1)
SCRATCH = Recipe(width=4, epochs=2, batch_size=64, lr=0.1)


def test_settings_are_the_strategies_that_are_named_and_the_small_cnn():
    scratch = Recipe(width=4)
    recipes = transfer.recipes(Recipe(model="resnet18"))
    assert labels.settings("head", recipes, scratch) == {
        "head": recipes["head"],
        "small_cnn": scratch,
    }
    assert list(labels.settings("head and all", recipes, scratch)) == ["head", "all", "small_cnn"]


def test_numbers_go_from_one_a_class_to_all(tiny):
    assert numbers(tiny) == [10, 30, 96]


def test_few_labels_have_smaller_batches_more_epochs_and_lower_rates():
    few, many = for_labels(SCRATCH, 30, 24), for_labels(SCRATCH, 100_000, 5000)
    assert many == SCRATCH
    assert few.batch_size == 10
    assert few.epochs * 3 >= labels.STEPS > (few.epochs - 1) * 3
    assert few.lr == pytest.approx(0.1 * (10 / 64) ** 0.5)
    assert for_labels(HEAD, 30, 24) == HEAD


def test_every_setting_is_trained_on_the_same_draws(tiny, tmp_path):
    store = RunStore(tmp_path / "runs")
    settings = {"head": HEAD, "small_cnn": SCRATCH}
    table = labels.train(settings, ["none"], tiny, store, draws=2)
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
    assert needed_sentence(table, head) == (
        "With 100 labels, the head of EfficientNet-Lite0 (ImageNet) reaches 80.0\xa0% (78.0–81.0); "
        "the small CNN from scratch needs 1,000 labels for as much (81.0\xa0%, 79.0–82.0)."
    )


def test_the_sentence_says_what_the_small_cnn_reaches_where_it_does_not():
    table = made_up((0.5, 0.8, 0.85, 0.9), (0.2, 0.3, 0.5, 0.7))
    assert needed_sentence(table, HEAD).endswith(
        "the small CNN from scratch reaches 70.0\xa0% (68.0–71.0) with all 4,000."
    )
    single = table.assign(low=np.nan, high=np.nan)
    assert "(random weights) reaches 80.0\xa0%; the small CNN" in needed_sentence(single, HEAD)
    alike = table.assign(low=table["accuracy"] - 1e-6, high=table["accuracy"] + 1e-6)
    assert "(random weights) reaches 80.0\xa0%; the small CNN" in needed_sentence(alike, HEAD)


def test_the_number_nearest_to_a_hundred_is_told():
    few = made_up((0.5, 0.6), (0.2, 0.3), (10, 40))
    assert needed_sentence(few, HEAD).startswith("With 40 labels, ")


def test_settings_take_the_pretrained_networks_in_turns(tiny, tmp_path):
    store = RunStore(tmp_path / "runs")
    names = []
    for seed in range(2):
        pretrained = Recipe(model="resnet18", epochs=1, batch_size=48, lr=0.01, seed=seed)
        names.append(f"run:{fit(pretrained, tiny, store).run_id}")
    everything = Recipe(model="resnet18", epochs=1, batch_size=48, lr=0.01)
    table = labels.train({"head": HEAD, "all": everything}, names, tiny, store, draws=2)
    for (_, draw), group in table.groupby(["setting", "draw"]):
        recipes = [store.get(run_id).recipe for run_id in group["run_id"]]
        assert {recipe.weights for recipe in recipes} == {names[draw]}


def drawn(head, scratch):
    """Test accuracies of three draws, by number of labels."""
    rows = [
        {"setting": name, "labels": number, "draw": draw, "test_accuracy": accuracy}
        for name, by_number in (("head", head), ("small_cnn", scratch))
        for number, accuracies in by_number.items()
        for draw, accuracy in enumerate(accuracies)
    ]
    return pd.DataFrame(rows)


SAME = (0.80, 0.81, 0.82)


def test_numbers_of_labels_at_which_the_head_differs_are_named_after_correction_for_all():
    head = {10: (0.50, 0.51, 0.52), 100: (0.70, 0.71, 0.73), 1000: SAME, 3000: SAME}
    scratch = {10: (0.20, 0.21, 0.19), 100: (0.50, 0.52, 0.51), 1000: SAME, 3000: (0.9, 0.91, 0.89)}
    assert difference_sentence(drawn(head, scratch)) == (
        "Compared with the small CNN from scratch, the head is significantly above it with 10 and "
        "100 labels (by 20.3 percentage points, 17.2 to 23.5, with 100), significantly below it "
        "with 3,000 labels (by 9.0 percentage points, 6.7 to 11.3) and not significantly different "
        "with 1,000 (a difference of less than 3.5 percentage points could not be seen)."
    )


def test_a_difference_that_one_of_many_numbers_may_have_by_chance_is_not_named():
    pair = drawn({10: (0.80, 0.81, 0.82)}, {10: (0.775, 0.785, 0.795)})
    assert "significantly above it with 10 labels" in difference_sentence(pair)
    others = dict.fromkeys((30, 100, 300), SAME)
    many = pd.concat([pair, drawn(others, others)])
    assert "significantly above" not in difference_sentence(many)


def test_draws_of_equal_settings_are_seldom_called_different():
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(300):
        by_setting = [
            {number: generator.normal(0.8, 0.02, 3) for number in (10, 30, 100, 300)}
            for _ in range(2)
        ]
        claims += "significantly above" in (text := difference_sentence(drawn(*by_setting)))
        claims += "significantly below" in text
    assert claims / 300 <= 0.05 + 0.025


def test_one_draw_claims_nothing():
    once = drawn({10: (0.8,), 30: (0.9,)}, {10: (0.1,), 30: (0.2,)})
    assert difference_sentence(once) == (
        "Each number of labels was drawn once: differences may be due to chance."
    )
