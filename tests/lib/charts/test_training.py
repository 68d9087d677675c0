import json
import re

import pandas as pd
import pytest
import vl_convert

from lib.charts import training
from lib.pages.display import specification
from tests.lib.charts.samples import AUGMENTATIONS, STRATEGIES, THEME, history, subtitle, title


def compiled(chart):
    return vl_convert.vegalite_to_vega(json.dumps(specification(chart)), config=THEME)


@pytest.mark.parametrize("function", [training.learning_curves, training.accuracy_over])
def test_a_long_legend_toggles(function):
    vega = compiled(function(history("augmentation", AUGMENTATIONS, seeds=2), "augmentation"))
    (legend,) = vega["legends"]
    assert legend["encode"]["labels"]["interactive"]
    assert legend["encode"]["symbols"]["interactive"]


@pytest.mark.parametrize("function", [training.learning_curves, training.accuracy_over])
def test_few_lines_are_named_at_their_ends(function):
    chart = function(history("strategy", STRATEGIES), "strategy")
    assert "legends" not in compiled(chart)
    svg = vl_convert.vegalite_to_svg(json.dumps({**specification(chart), "width": 360}))
    assert svg.count(">last stage + head</text>") == (
        2 if function is training.learning_curves else 1
    )


@pytest.mark.parametrize("function", [training.learning_curves, training.accuracy_over])
def test_an_axis_of_accuracy_ends_at_100_per_cent(function):
    """Also where names at the ends of lines that all reach it stand above one another."""
    reached = history("strategy", STRATEGIES).assign(val_accuracy=1.0, train_accuracy=0.9)
    svg = vl_convert.vegalite_to_svg(json.dumps(specification(function(reached, "strategy"))))
    assert ">100%<" in svg
    assert not re.search(r">10[1-9][.\d]*%<|>1[1-9]\d%<", svg)


def test_curve_titles():
    one = title(training.learning_curves(history()))
    falling = history().assign(val_accuracy=lambda table: 0.9 - 0.01 * table["epoch"])
    last = f"{falling['val_accuracy'].min():.1%}".replace("%", "\xa0%")
    assert title(training.learning_curves(falling)) == (
        f"Validation accuracy after the last epoch: small CNN, {last}"
    )
    assert one.startswith("Validation accuracy after the last epoch: small CNN, ")
    several = history("model", ["small_cnn", "resnet18"])
    assert title(training.learning_curves(several)) == "Accuracy and loss by epoch"
    apart = history("strategy", STRATEGIES, seeds=3)
    apart["val_accuracy"] = 0.5 + 0.1 * (apart["strategy"] == "all")  # a clear lead
    assert title(training.learning_curves(apart, "strategy")) == "Accuracy and loss by epoch"
    for x, name in (("epoch", "epoch"), ("seconds", "training time")):
        assert title(training.accuracy_over(apart, x=x)) == f"Validation accuracy by {name}"
    assert title(training.schedule(history())) == "Learning rate: from 0.4, then cosine decay to 0"


def test_a_target_is_marked_and_lies_in_the_chart():
    chart = training.accuracy_over(history("strategy", STRATEGIES), target=0.01)
    assert subtitle(chart).endswith("; dashed: the target, 1\xa0%")
    spec = specification(chart)
    assert [row for rows in spec["datasets"].values() for row in rows if "target" in row] == [
        {"target": 0.01}
    ]
    low = json.dumps(spec).split('"domain": [')[1].split(",")[0]
    assert float(low) <= 0.01


def test_an_unknown_horizontal_axis_is_refused():
    with pytest.raises(ValueError, match="'steps'"):
        training.accuracy_over(history("strategy", STRATEGIES), x="steps")


def test_a_stage_is_coloured_by_the_share_that_trains():
    table = pd.DataFrame(
        [("head", "stem", 0, 10), ("head", "head", 5, 5), ("all", "stem", 10, 10)],
        columns=["strategy", "stage", "trained", "total"],
    )
    spec = training.trained_stages(table).to_dict()
    rows = [row for rows in spec["datasets"].values() for row in rows]
    assert [row["share"] for row in rows if "share" in row] == [0, 1, 1]
    assert {row["strategy"]: row["trained"] for row in rows if "share" not in row} == {
        "head only": 5,
        "all layers": 10,
    }
