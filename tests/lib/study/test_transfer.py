import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from lib.diagnosis.calibration import calibrate
from lib.errors import UserError
from lib.pages.wording import per_cent
from lib.study import diagnostics, home, selection, transfer
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import Predictions, Run, RunStore, best_of


@pytest.fixture(scope="module")
def several(tiny, tmp_path_factory):
    """Finished runs of two augmentations, two seeds each, and of a ResNet-18's head."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    small = Recipe(width=4, epochs=2, batch_size=32, lr=0.1)
    head = Recipe(model="resnet18", strategy="head", epochs=2, batch_size=32, lr=0.1)
    recipes = [small.replace(augmentation=a, seed=s) for a in ("none", "cutout") for s in (0, 1)]
    return store, [fit(recipe, tiny, store, "cpu") for recipe in (*recipes, head)]


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


def test_the_overview_has_a_row_for_each_way_of_training(several):
    store, runs = several
    assert {run.run_id for run in selection.runs_on(store, "some/folder/tiny")} == {
        run.run_id for run in runs
    }
    table = home.settings(runs).set_index("label")
    assert set(table.index) == {
        "small CNN, no augmentation",
        "small CNN, Cutout",
        "ResNet-18, head only, random weights",
    }
    accuracy = [run.summary["test_accuracy"] for run in runs[:2]]
    assert table.loc["small CNN, no augmentation", "accuracy"] == pytest.approx(sum(accuracy) / 2)
    assert table.loc["ResNet-18, head only, random weights", "seeds"] == 1
    with pytest.raises(UserError, match="no finished run on 'elsewhere'"):
        selection.runs_on(store, "elsewhere")


def test_the_headline_states_the_runs_own_figures(several):
    _, runs = several
    best = best_of(runs)
    fragment = home.headline(best)
    assert (
        f"Test accuracy of the best run: {per_cent(best.summary['test_accuracy'])}" in fragment.text
    )
    assert fragment.html.count(f"runs.html#run={best.run_id}") == 4


def test_diagnosis_picks_the_best_of_each_model_on_the_same_pictures(several, tiny):
    _, runs = several
    small, resnet = diagnostics.subjects(selection.tested_on(runs, tiny), tiny)
    assert (small.kind, resnet.kind) == ("small_cnn", "resnet18")
    assert small.run == best_of(runs[:4])
    assert small.name == selection.setting_of(small.run)
    other = dataclasses.replace(tiny, test=tiny.val)
    with pytest.raises(UserError, match="no finished run on these 24 test pictures of 8 px"):
        selection.tested_on(runs, other)


def test_every_way_of_training_has_its_best_run(several):
    _, runs = several
    ways = selection.best_by(runs, selection.setting_of)
    assert set(ways) == {
        "small CNN, no augmentation",
        "small CNN, Cutout",
        "ResNet-18, head only, random weights",
    }
    assert ways["small CNN, no augmentation"] == best_of(runs[:2])


def test_examples_show_correct_predictions_then_errors(several, tiny):
    run = several[1][0]
    test = run.predictions("test")
    examples = diagnostics.grad_cam_examples(
        run.load_model(), tiny.test, test, tiny.classes, right=4, wrong=3
    )
    errors = int((test.logits.argmax(1) != test.labels).sum())
    misclassified = examples.true != examples.predicted
    assert misclassified.sum() == min(3, errors)
    assert not misclassified[:4].any()
    assert examples.heat_predicted.shape == (len(examples.images), 8, 8)
    mistakes = examples.mistakes()
    assert len(mistakes.images) == len(mistakes.captions) == misclassified.sum()
    assert all(not caption.right for caption in mistakes.captions)


def test_attacks_begin_at_the_clean_accuracy(several, tiny):
    run = several[1][0]
    generator = torch.Generator().manual_seed(0)
    table = diagnostics.attacks(diagnostics.Subject(run, tiny), tiny.test, generator)
    clean = table[table["epsilon"] == 0]["accuracy"]
    assert set(clean.round(6)) == {round(run.summary["test_accuracy"], 6)}
    assert set(table["attack"]) == {"fgsm", "pgd"}


def test_corruptions_are_compared_across_augmentations(several, tiny):
    generator = torch.Generator().manual_seed(0)
    table = diagnostics.corruption_by_augmentation(
        several[1], tiny.test, generator, severities=(3,)
    )
    assert set(table["augmentation"]) == {"none", "cutout"}
    assert len(table) == 2 * 10


def test_the_ablation_leaves_out_runs_that_differ_in_more(several, tiny, tmp_path):
    store, runs = several
    longer = fit(runs[0].recipe.replace(epochs=3), tiny, store, "cpu")
    assert selection.ablation([longer, *runs]) == runs[:4]
    assert selection.ablation([]) == []


def test_the_worst_mistakes_are_shown_with_what_they_were_taken_for(several, tiny):
    run = several[1][0]
    said = run.predictions("test")
    wrong = said.logits.argmax(1) != said.labels
    worst = diagnostics.worst_of(run, tiny.test, top=50)
    assert len(worst.images) == wrong.sum()
    shown = {tuple(image.flatten().tolist()) for image in worst.images}
    assert shown == {tuple(i.flatten().tolist()) for i in tiny.test.images[torch.from_numpy(wrong)]}


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


def test_a_pair_of_classes_is_stated_only_if_it_stands_out(several, monkeypatch):
    run = several[1][0]
    labels = np.array([0] * 20 + [1] * 20 + [2] * 20)
    logits = np.eye(3)[labels]
    logits[:2] = [0, 1, 0], [0, 0, 1]  # one error each with two classes
    predictions = Predictions(labels.astype(str), labels, logits)
    monkeypatch.setattr(Run, "predictions", lambda self, split: predictions)
    assert diagnostics.confusion_sentence(run) == (
        "2 of 60 test pictures are misclassified; no pair of classes stands out."
    )
    logits[20:32] = [1, 0, 0]  # green predicted as red
    assert diagnostics.confusion_sentence(run) == (
        "14 of 60 test pictures are misclassified. The most confused classes are green and red: "
        "13 errors, 32.5\xa0% of their pictures."
    )


def test_calibration_is_told_with_its_direction():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    logits = np.eye(3)[labels] * 0.5 + rng.normal(0, 0.1, (600, 3))  # right, with little confidence
    sentence = diagnostics.calibration_sentence(calibrate(logits, labels, logits, labels), "net")
    assert sentence.startswith("Before scaling, the net is under-confident (mean confidence ")
    assert ", below 1, raises the confidence. Expected calibration error: " in sentence
