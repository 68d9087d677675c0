"""Settings compared: one dot per run, and accuracy against training time."""

from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from lib.charts.label_placement import GAP, places
from lib.charts.parts import (
    EXACT,
    Chart,
    colour_by,
    domain_of,
    finished,
    hover,
    layered,
    linked,
    share_x,
    share_y,
    time_axis,
    time_domain,
    with_display_names,
)
from lib.intervals import mean_accuracy
from lib.pages.claims import Groups, groups_of, repeated, seeds_of, spread_of, time_title
from lib.pages.wording import axis_title, span


def accuracy_against_time(table: pd.DataFrame) -> Chart:
    """Accuracy against the time that training took, each point named.

    Columns: model (gives the colour), label (as `lib.study.selection.naming` gives it), seconds,
    accuracy, low, high (NaN where there is no interval), `seeds` where an accuracy is a mean (of
    two, low and high are their range), and `href` where a point leads to its run. Of a label like
    "small CNN, MixUp" the part after the model stands at the point.
    """
    names = list(table["model"].unique())
    data = with_display_names(with_display_names(table, "model"), "label")
    data = data.assign(low=data["low"].clip(0, 1), high=data["high"].clip(0, 1))
    domain = _domain(data)
    seconds = data["seconds"]
    log = len(data) > 1 and bool(seconds.max() > 20 * seconds.min() > 0)
    data = _with_names(data, domain, time_domain(seconds, log), log)
    base = alt.Chart(data).encode(
        x=time_axis(seconds, log),
        color=colour_by("model", names, legend=bool((data["name"] != data["label"]).any())),
        tooltip=hover(
            {"label": "", "seconds": ",.0f", "accuracy": EXACT, "low": EXACT, "high": EXACT}
        ),
    )
    base = linked(base, data)

    def y(column: str) -> alt.Y:
        return share_y(column, "Test accuracy", domain)

    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.4, clip=True).encode(y=y("low"), y2="high:Q"),
        base.mark_circle(size=90, opacity=1).encode(y=y("accuracy")),
    ]
    fits = f"width < {WIDTHS['wide']} ? datum.{{0}}_narrow : datum.{{0}}_wide"
    labelled = base.transform_calculate(at=fits.format("at"), side=fits.format("side"))
    for side, (align, away) in ASIDE.items():
        here = labelled.transform_filter(f"datum.side == '{side}'")
        lead = here.mark_rule(strokeWidth=1, opacity=0.5, x2Offset=(GAP - 1) * away)
        text = here.mark_text(align=align, dx=GAP * away)
        layers.append(lead.encode(y=y("accuracy"), y2="at:Q", x2="seconds:Q"))
        layers.append(text.encode(y=y("at"), text="name:N"))
    seeds = list(data["seeds"]) if "seeds" in data else []
    subtitle = f"Test accuracy with {spread_of(seeds, '95 % interval')} against training time"
    if seeds:
        subtitle += f", {span(seeds, 'seed')} per setting"
    subtitle += ", on a logarithmic scale" if log else ""
    if any(" × " in str(name) for name in data["label"]):
        subtitle += "; in brackets: training pictures × epochs"
    return finished(layered(*layers), 340, time_title(data), subtitle)


ASIDE: dict[str, tuple[Literal["left", "right", "center"], int]] = {
    "right": ("left", 1),
    "left": ("right", -1),
    "middle": ("center", 0),
}  # where a name stands: how its text is aligned, and to which side of its point it goes


WIDTHS = {"narrow": 260, "wide": 560}  # pixels between the axes, at least, on a phone and elsewhere


HEIGHT = 250  # pixels between the axes, at least


def _domain(table: pd.DataFrame) -> list[float]:
    """A domain around the accuracies and what of their intervals isn't far from all of them.

    The interval of three seeds may go from 0 to 1; it runs to the edges then, and squeezes nothing.
    """
    accuracy, low, high = table["accuracy"], table["low"], table["high"]
    air = max((accuracy.max() - accuracy.min()) / 2, (high - low).median())
    return domain_of(
        accuracy, low.clip(lower=accuracy.min() - air), high.clip(upper=accuracy.max() + air)
    )


def _with_names(
    table: pd.DataFrame, domain: list[float], times: list[float], log: bool
) -> pd.DataFrame:
    """The table with each point's name, and for either width the name's side and height.

    A name has no side where it would cover another.
    """
    pairs = zip(table["label"], table["model"], strict=True)
    names = [text.removeprefix(f"{model}, ") for text, model in pairs]
    low, high = domain
    y = HEIGHT * (high - table["accuracy"]) / (high - low)
    bounds, seconds = (np.log(v) if log else np.asarray(v) for v in (times, table["seconds"]))
    x = (seconds - bounds[0]) / (bounds[1] - bounds[0])
    data = table.assign(name=names)
    for kind, width in WIDTHS.items():
        placed = places(x * width, y, names, (width, HEIGHT))
        data[f"side_{kind}"] = [place.side if place else "" for place in placed]
        data[f"at_{kind}"] = [
            high - place.y / HEIGHT * (high - low) if place else high for place in placed
        ]
    return data


def ablation(table: pd.DataFrame, by: str = "augmentation", value: str = "test_accuracy") -> Chart:
    """One dot a run, with each group's mean and `mean_accuracy`'s interval, best group on top.

    Columns: run_id, `by`, seed, `value` (a proportion of which more is better); one row per run. Or
    one row per backbone, with the columns backbone and heads: of how many runs its `value` is the
    mean. `lib.pages.claims.comparison_finding`, said above the chart, is what it comes to.
    """
    groups = groups_of(table, by, value)
    means = _means(groups, by)
    runs = with_display_names(table.dropna(subset=[value]), by)
    domain = domain_of(runs[value], means["low"], means["high"])
    what = axis_title(value)
    y = alt.Y(f"{by}:N", sort=list(groups), title=None)
    colour = colour_by(by, list(table[by].unique()), legend=False)
    base = alt.Chart(means).encode(y=y, color=colour)
    exact = hover({by: "", "mean": EXACT, "low": EXACT, "high": EXACT, "runs": "d"})
    dots = alt.Chart(runs).mark_circle(size=45, opacity=0.6, yOffset=11).encode(y=y, color=colour)
    known = (by, "seed", "run_id", "backbone", "heads")
    run = {column: "" for column in known if column in runs}
    chart = layered(
        base.mark_rule(strokeWidth=2).encode(x=share_x("low", what, domain), x2="high:Q"),
        base.mark_tick(thickness=3, size=14, opacity=1).encode(
            x=share_x("mean", what, domain), tooltip=exact
        ),
        dots.encode(x=share_x(value, what, domain), tooltip=hover({**run, value: EXACT})),
    )
    spread = spread_of(map(len, groups.values()), "95 % interval over seeds")
    band = f"; bar: mean, line: {spread}" if repeated(groups) else ""
    of, dot = seeds_of(groups), "one run"
    if "heads" in runs:
        of, band = (text.replace("seed", "backbone") for text in (of, band))
        dot = "one backbone, the mean of its heads"
    subtitle = f"{what}, {of}; dot: {dot}{band}"
    title = f"{what} by {axis_title(by).lower()}"
    return finished(chart, 60 + 36 * max(1, len(groups)), title, subtitle)


def _means(groups: Groups, by: str) -> pd.DataFrame:
    """A row a group: `by`, mean, low, high (of two runs their range), runs."""
    rows = []
    for name, values in groups.items():
        mean = mean_accuracy(values)
        rows.append((name, mean.value, mean.low, mean.high, len(values)))
    return pd.DataFrame(rows, columns=[by, "mean", "low", "high", "runs"])
