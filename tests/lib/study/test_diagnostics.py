import numpy as np
import pytest
import torch

from lib.charts.classes import confusion
from lib.errors import UserError
from lib.pages.display import figure
from lib.study import diagnostics, selection
from lib.study.ranking import best_of
from lib.training.loop import fit
from lib.training.predictions import Predictions
from lib.training.runs import Run
from tests.lib.study.made_up import MadeUp, right


def test_diagnosis_picks_the_best_of_each_model(several, tiny):
    store, runs = several
    tuned = fit(runs[-1].recipe.replace(strategy="last_block"), tiny, store, "cpu")
    small, resnet = diagnostics.subjects([*runs, tuned], tiny)
    assert (small.kind, resnet.kind) == ("small_cnn", "resnet18")
    assert small.run == best_of(runs[:4])
    assert small.name == f"{selection.setting_of(small.run)}, seed {small.run.recipe.seed} of 2"
    assert resnet.name == "ResNet-18, last block, random weights"
    assert diagnostics.foremost([resnet, small]).run == best_of([*runs[:4], tuned])


def test_a_backbone_that_nobody_trained_is_not_diagnosed(several, tiny):
    _, runs = several
    best = MadeUp(right(100), right(100), runs[-1].recipe)  # by validation the best of all
    assert [subject.kind for subject in diagnostics.subjects([*runs, best], tiny)] == ["small_cnn"]
    with pytest.raises(UserError, match="random weights; run day 2 or day 3"):
        diagnostics.subjects([best], tiny)


def test_one_pretrained_network_is_diagnosed_and_its_charts_have_a_name(several, tiny):
    _, runs = several
    head = runs[-1].recipe.replace(weights="imagenet")
    fair = MadeUp(right(90), right(90), head)
    best = MadeUp(right(95), right(95), head.replace(model="timm:resnet50.a1_in1k", weights="timm"))
    small, other = diagnostics.subjects([fair, best, *runs[:4]], tiny)
    assert (small.kind, other.kind) == ("small_cnn", "timm-resnet50-a1_in1k")
    assert other.run is best
    assert figure(confusion(diagnostics.confusion_of(runs[0])), f"confusion-{other.kind}")


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


def test_faithfulness_is_measured_on_random_test_pictures(several, tiny):
    subject = diagnostics.Subject(several[1][0], tiny)
    pixels, targets = subject.drawn(12)
    place = {tuple(image.flatten().tolist()): i for i, image in enumerate(tiny.test.images)}
    drawn = [place[tuple(image.flatten().tolist())] for image in (pixels * 255).round().byte()]
    assert len(set(drawn)) == 12
    assert drawn != sorted(drawn)
    logits = subject.predictions.logits
    assert targets.tolist() == logits.argmax(1)[drawn].tolist()
    other = diagnostics.Subject(several[1][1], tiny).drawn(12)[0]
    assert torch.equal(pixels, other)
    assert not torch.equal(pixels, subject.drawn(12, seed=1)[0])
    assert len(subject.drawn(200)[0]) == len(tiny.test)  # all of a split that has fewer

    tested = diagnostics.faithfulness(subject)
    assert (tested.areas["n"] == len(tiny.test)).all()
    assert tested.areas.equals(diagnostics.faithfulness(subject).areas)
    randomised = diagnostics.randomisation(subject, pictures=10)
    assert (randomised["pairs"] == 5 * 10).all()


def test_the_worst_mistakes_are_shown_with_what_they_were_taken_for(several, tiny):
    run = several[1][0]
    said = run.predictions("test")
    wrong = said.logits.argmax(1) != said.labels
    worst = diagnostics.worst_of(run, tiny.test, top=50)
    assert len(worst.images) == wrong.sum()
    shown = {tuple(image.flatten().tolist()) for image in worst.images}
    assert shown == {tuple(i.flatten().tolist()) for i in tiny.test.images[torch.from_numpy(wrong)]}


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


def test_a_table_of_confused_pairs_says_whether_one_stands_out(several, monkeypatch):
    run = several[1][0]
    labels = np.array([0] * 20 + [1] * 20 + [2] * 20)
    logits = np.eye(3)[labels]
    monkeypatch.setattr(
        Run, "predictions", lambda self, split: Predictions(labels.astype(str), labels, logits)
    )
    assert diagnostics.confused_table(run).html == ""
    logits[0] = [0, 1, 0]
    assert "Confused pairs of classes; none stands out" in diagnostics.confused_table(run).html
    logits[20:32] = [1, 0, 0]
    assert "<summary>Most confused pairs of classes</summary>" in (
        diagnostics.confused_table(run).html
    )
