import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics
from torch import nn

from lib.diagnosis import mistakes

CLASSES = ["ant", "bee", "cow"]


def random_predictions(count=200, missing=None, seed=0):
    generator = np.random.default_rng(seed)
    allowed = [i for i in range(len(CLASSES)) if i != missing]
    return generator.choice(allowed, count), generator.choice(allowed, count)


@pytest.mark.parametrize("missing", [None, 0, 2])
def test_confusion_matrix_is_scikit_learns(missing):
    labels, predicted = random_predictions(missing=missing)
    table = mistakes.confusion_matrix(labels, predicted, CLASSES)
    assert list(table.columns) == ["true", "predicted", "count", "share"]
    expected = metrics.confusion_matrix(labels, predicted, labels=range(3))
    wide = table.pivot(index="true", columns="predicted", values="count").loc[CLASSES, CLASSES]
    np.testing.assert_array_equal(wide, expected)
    shares = table.groupby("true")["share"].sum(min_count=1)
    for i, name in enumerate(CLASSES):
        assert math.isnan(shares[name]) if i == missing else shares[name] == pytest.approx(1)


@pytest.mark.parametrize("missing", [None, 1])
def test_per_class_is_scikit_learns(missing):
    labels, predicted = random_predictions(missing=missing)
    table = mistakes.per_class(labels, predicted, CLASSES)
    precision, recall, _, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(3), zero_division=np.nan
    )
    np.testing.assert_allclose(table["accuracy"], recall)
    np.testing.assert_allclose(table["precision"], precision)
    np.testing.assert_array_equal(table["n"], support)
    known = table.dropna(subset="accuracy")
    assert (known["low"] < known["accuracy"]).all()
    assert (known["accuracy"] < known["high"]).all()


def test_most_confused_joins_both_directions():
    labels = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    predicted = [0, 1, 1, 0, 0, 1, 1, 2, 2, 1]
    table = mistakes.most_confused(labels, predicted, CLASSES)
    expected = pd.DataFrame(
        [("ant", "bee", 3, 2, 1, 3 / 7), ("cow", "bee", 1, 1, 0, 1 / 6)],
        columns=["class_a", "class_b", "errors", "a_as_b", "b_as_a", "share_of_both"],
    )
    pd.testing.assert_frame_equal(table, expected)
    assert len(mistakes.most_confused(labels, predicted, CLASSES, top=1)) == 1
    assert mistakes.most_confused([0, 1], [0, 1], CLASSES).empty


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0]])
def test_labels_outside_the_classes_are_refused(labels):
    with pytest.raises(ValueError, match=r"outside the 3 classes|do not go with"):
        mistakes.confusion_matrix(labels, [0, 1], CLASSES)


def test_worst_mistakes_by_loss():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(50, 3)) * 3, generator.integers(0, 3, 50)
    table = mistakes.worst_mistakes(logits, labels, [f"p{i}" for i in range(50)], CLASSES, 7)
    loss = nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(labels), reduction="none"
    ).numpy()
    wrong = logits.argmax(axis=1) != labels
    np.testing.assert_allclose(table["loss"], np.sort(loss[wrong])[::-1][:7])
    np.testing.assert_allclose(loss[table["index"]], table["loss"])
    assert list(table["id"]) == [f"p{i}" for i in table["index"]]
    assert (table["true"] != table["predicted"]).all()
    assert table["confidence"].between(1 / 3, 1).all()


def test_no_mistakes_is_an_empty_table():
    table = mistakes.worst_mistakes(np.eye(3), [0, 1, 2], ["a", "b", "c"], CLASSES)
    assert table.empty
    assert list(table.columns) == ["id", "index", "true", "predicted", "confidence", "loss"]
