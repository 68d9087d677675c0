import json

import numpy as np
import pandas as pd
import pytest
import vl_convert

from lib.charts import classes
from lib.diagnosis.mistakes import confusion_matrix
from lib.pages.display import specification
from tests.lib.charts.samples import CHARTS, CLASSES, CONFUSION, title


def cells(chart, mistakes):
    spec = specification(chart)
    (param,) = spec["params"]
    param["value"] = mistakes
    svg = vl_convert.vegalite_to_svg(json.dumps({**spec, "width": 360}))
    return [part.partition("<")[0] for part in svg.split('font-size="10px"') if "</text>" in part]


def confusions(**counts):
    rows = [("a", "a", 90), ("b", "b", 90), ("c", "c", 90)]
    rows += [(pair[0], pair[1], n) for pair, n in counts.items()]
    table = pd.DataFrame(rows, columns=["true", "predicted", "count"])
    return table.assign(share=table["count"] / 100)


def test_the_checkbox_hides_the_diagonal():
    chart = classes.confusion(CONFUSION)
    positive = CONFUSION[CONFUSION["count"] > 0]
    off = positive[positive["true"] != positive["predicted"]]
    everything = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    assert all(f">{n}</text>" in everything for n in positive["count"])
    assert len(cells(chart, True)) == len(cells(chart, False)) - len(positive) + len(off)


def test_a_confusion_matrix_of_many_classes_has_no_counts():
    names = [f"class {i}" for i in range(20)]
    labels = np.arange(20)
    chart = classes.confusion(confusion_matrix(labels, labels, names))
    assert "count:Q" not in json.dumps(specification(chart))
    assert len(specification(chart)["layer"]) == 1


@pytest.mark.parametrize("table", [confusions(ab=8, ba=7, bc=1), confusions(ab=1)])
def test_a_confusion_matrix_names_no_pair_of_classes(table):
    assert title(classes.confusion(table)) == "Confusion matrix"


def test_per_class_titles():
    table = pd.DataFrame({"class": ["a", "b"], "accuracy": [0.95, 0.7], "n": 1000})
    table = table.assign(low=table["accuracy"] - 0.02, high=table["accuracy"] + 0.02)
    found = title(classes.per_class(table))
    assert found == "Lowest accuracy: b, 70.0\xa0%; highest: a, 95.0\xa0%"
    level = title(classes.per_class(table.assign(accuracy=[0.9, 0.91])))
    assert level == "No class has a significantly lower or higher accuracy than the next"


def test_per_class_orders():
    table = CHARTS["per_class"][1]
    ranked = table.sort_values("accuracy", ascending=False, kind="stable")["class"].tolist()
    for order, expected in (("accuracy", ranked), ("class", CLASSES)):
        spec = specification(classes.per_class(table, order))
        assert spec["layer"][0]["encoding"]["y"]["sort"] == expected
    with pytest.raises(ValueError, match="order"):
        classes.per_class(table, "name")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5, 5], "Each class has 5 pictures"),
        ([100, 110], "The classes are balanced: 100 to 110 pictures each"),
        ([30, 10], "a has 3.0 times the pictures of b"),
    ],
)
def test_balance_titles(counts, expected):
    table = pd.DataFrame({"split": "train", "class": ["a", "b"], "count": counts})
    assert title(classes.class_balance(table)) == expected
