"""What did the study find? Its tables as charts: how training went, and comparisons.

Every function takes a tidy table and returns an Altair chart whose title says what the numbers say,
and says nothing where a difference is within noise. Charts are as wide as the page lets them be.
Two panels in one chart are two vertical scales, each over its share of the height: unlike
concatenated charts these fit any width and share one legend.
"""

from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from lib.chart_labels import GAP, places
from lib.chart_parts import (
    EXACT,
    LABELLED,
    PERCENT,
    Chart,
    around,
    emphasis,
    finished,
    hover,
    layered,
    line_labels,
    linked,
    named_colour,
    share_x,
    share_y,
    time_axis,
    time_domain,
    toggle,
    with_words,
)
from lib.chart_titles import Groups, groups_of, led, seeds_of, time_title
from lib.intervals import mean_interval
from lib.pages.palette import BLUE
from lib.pages.wording import axis_title, per_cent, span

EPOCH = alt.X(
    "epoch:Q",
    title="Epoch",
    scale=alt.Scale(zero=False, nice=False),
    axis=alt.Axis(tickMinStep=1, grid=False, format="d"),
)


# Training


def learning_curves(history: pd.DataFrame, by: str = "model") -> Chart:
    """Accuracy above loss, by epoch: validation solid, training dashed, every run behind the mean.

    Columns: run_id, `by`, epoch, train_loss, train_accuracy, val_loss, val_accuracy; a row an epoch
    of a run.
    """
    names = list(history[by].unique())
    figures = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    table = with_words(history[["run_id", by, "epoch", *figures]], by)
    means = table.groupby([by, "epoch"], sort=False)[figures].mean().reset_index()
    groups = _best_epochs(table, by)
    picked = toggle(by) if len(names) > LABELLED else None
    colour = named_colour(by, names, legend=picked is not None)
    accuracy = _curve_panel(table, means, "accuracy", colour, picked, (0.45, 0.0))
    loss = _curve_panel(table, means, "loss", colour, picked, (1.0, 0.53))
    panels = layered(accuracy, loss).resolve_scale(y="independent")
    chart = panels if picked is None else panels.add_params(picked)
    if len(groups) == 1:
        (name, values), *_ = groups.items()
        title = f"{name} reaches {per_cent(values.mean())} on validation"
    else:
        title = led(groups, by, "Accuracy and loss by epoch")
    subtitle = f"Solid: validation, dashed: training, {seeds_of(groups)}{_behind(groups)}"
    return finished(chart, 430, title, subtitle)


def _best_epochs(table: pd.DataFrame, by: str) -> Groups:
    """Every run's best validation accuracy: that of the weights it keeps."""
    best = table.groupby([by, "run_id"], sort=False)["val_accuracy"].max().reset_index()
    return groups_of(best, by, "val_accuracy")


def _repeated(groups: Groups) -> bool:
    return any(len(values) > 1 for values in groups.values())


def _behind(groups: Groups) -> str:
    return "; thin lines: single seeds, strong lines: their mean" if _repeated(groups) else ""


def _curve_panel(
    table: pd.DataFrame,
    means: pd.DataFrame,
    measure: str,
    colour: alt.Color,
    picked: alt.Parameter | None,
    place: tuple[float, float],
) -> alt.LayerChart:
    """One measure, between two shares of the chart's height (the lower edge first)."""
    by, train, val = means.columns[0], f"train_{measure}", f"val_{measure}"
    axis_form, form = (PERCENT, EXACT) if measure == "accuracy" else ("~g", ".4f")
    scale = alt.Scale(zero=False, range=[alt.ExprRef(f"height * {edge}") for edge in place])
    axis = alt.Axis(orient="left", format=axis_form, tickCount=5)
    base = alt.Chart(means).encode(x=EPOCH, color=colour, opacity=emphasis(picked))
    runs = alt.Chart(table).encode(x=EPOCH, color=colour, opacity=emphasis(picked, 0.3))

    def y(column: str) -> alt.Y:
        return alt.Y(f"{column}:Q", title=axis_title(measure), scale=scale, axis=axis)

    layers: list[Chart] = []
    for column, dash in ((train, [4, 3]), (val, [1, 0])):
        if len(table) > len(means):
            seeds = runs.mark_line(strokeWidth=1, strokeDash=dash).encode(y=y(column))
            layers.append(seeds.encode(detail="run_id:N"))
        layers.append(base.mark_line(strokeWidth=2, strokeDash=dash).encode(y=y(column)))
    # Wide, so that a pointer near the line finds them; seen only where there is no line to see.
    alone = means["epoch"].nunique() == 1
    points = alt.Chart(means).mark_circle(size=150, opacity=1 if alone else 0)
    exact = hover({by: "", "epoch": "d", val: form, train: form})
    layers.append(points.encode(x=EPOCH, y=y(val), color=colour, tooltip=exact))
    if picked is None and means[by].nunique() > 1:
        drawn = table[[train, val]].stack()
        unit = 1.2 * (drawn.max() - drawn.min()) / 160  # an axis may go a little beyond its values
        layers.append(line_labels(means, by, "epoch", val, colour, unit))
    return layered(*layers)


def schedule(history: pd.DataFrame) -> Chart:
    """Learning rate by epoch, the mean where runs differ. Columns: epoch, lr."""
    mean = history.groupby("epoch", sort=True)["lr"].mean().reset_index()
    chart = alt.Chart(mean).mark_line(point=alt.OverlayMarkDef(size=25, color=BLUE), color=BLUE)
    chart = chart.encode(
        x=EPOCH,
        y=alt.Y("lr:Q", title="Learning rate", axis=alt.Axis(tickCount=5)),
        tooltip=hover({"epoch": "d", "lr": ".4g"}),
    )
    title = "The learning rate by epoch"
    if len(mean):
        peak, last = mean["lr"].max(), mean["lr"].iloc[-1]
        title = f"The learning rate peaks at {peak:.3g} and ends at {last:.3g}"
    return finished(chart, 220, title, "The last step's learning rate of every epoch")


def accuracy_over(history: pd.DataFrame, by: str = "strategy", x: str = "seconds") -> Chart:
    """Validation accuracy against wall-clock or epochs.

    Columns: run_id, `by`, epoch, seconds (where that is `x`), val_accuracy. The strong line is the
    mean over seeds, epoch by epoch: of the accuracy and of the seconds.
    """
    if x not in ("seconds", "epoch"):
        raise ValueError(f"x is 'seconds' or 'epoch', not {x!r}")
    names = list(history[by].unique())
    figures = ["val_accuracy", *(["seconds"] if x == "seconds" else [])]
    table = with_words(history[["run_id", by, "epoch", *figures]], by)
    means = table.groupby([by, "epoch"], sort=False)[figures].mean().reset_index()
    groups = _best_epochs(table, by)
    picked = toggle(by) if len(names) > LABELLED else None
    colour = named_colour(by, names, legend=picked is not None)
    across = EPOCH if x == "epoch" else time_axis(table["seconds"])
    low, high = around(table["val_accuracy"])
    y = share_y("val_accuracy", "Validation accuracy", [low, high])
    base = alt.Chart(means).encode(x=across, y=y, color=colour, opacity=emphasis(picked))
    seconds = {"seconds": ",.1f"} if x == "seconds" else {}
    points = base.mark_circle(size=28).encode(
        tooltip=hover({by: "", "epoch": "d", **seconds, "val_accuracy": EXACT})
    )
    layers: list[Chart] = [base.mark_line(strokeWidth=2), points]
    if _repeated(groups):
        seeds = alt.Chart(table).mark_line(strokeWidth=1).encode(x=across, y=y, color=colour)
        layers.insert(0, seeds.encode(detail="run_id:N", opacity=emphasis(picked, 0.3)))
    if picked is None and len(names) > 1:
        layers.append(line_labels(means, by, x, "val_accuracy", colour, (high - low) / 220))
    chart = layered(*layers) if picked is None else layered(*layers).add_params(picked)
    title = led(groups, by, f"Validation accuracy by {'epoch' if x == 'epoch' else 'time'}")
    subtitle = f"Validation accuracy after every epoch, {seeds_of(groups)}{_behind(groups)}"
    return finished(chart, 300, title, subtitle)


# Comparisons


def accuracy_against_time(table: pd.DataFrame) -> Chart:
    """Accuracy against the time that training took, each point named.

    Columns: model (gives the colour), label, seconds, accuracy, low, high (NaN where there is no
    interval), `seeds` where an accuracy is a mean, and `href` where a point leads to its run. Of a
    label like "small CNN, MixUp" the part after the model stands at the point.
    """
    names = list(table["model"].unique())
    shown = with_words(with_words(table, "model"), "label")
    shown = shown.assign(low=shown["low"].clip(0, 1), high=shown["high"].clip(0, 1))
    domain = _domain(shown)
    seconds = shown["seconds"]
    log = len(shown) > 1 and bool(seconds.max() > 20 * seconds.min() > 0)
    shown = _with_names(shown, domain, time_domain(seconds, log), log)
    base = alt.Chart(shown).encode(
        x=time_axis(seconds, log),
        color=named_colour("model", names, legend=bool((shown["name"] != shown["label"]).any())),
        tooltip=hover(
            {"label": "", "seconds": ",.0f", "accuracy": EXACT, "low": EXACT, "high": EXACT}
        ),
    )
    base = linked(base, shown)

    def y(column: str) -> alt.Y:
        return share_y(column, "Test accuracy", domain)

    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.4, clip=True).encode(y=y("low"), y2="high:Q"),
        base.mark_circle(size=90, opacity=1).encode(y=y("accuracy")),
    ]
    fits = f"width < {WIDTHS['wide']} ? datum.{{0}}_narrow : datum.{{0}}_wide"
    named = base.transform_calculate(at=fits.format("at"), side=fits.format("side"))
    for side, (align, away) in ASIDE.items():
        here = named.transform_filter(f"datum.side == '{side}'")
        lead = here.mark_rule(strokeWidth=1, opacity=0.5, x2Offset=(GAP - 1) * away)
        text = here.mark_text(align=align, dx=GAP * away)
        layers.append(lead.encode(y=y("accuracy"), y2="at:Q", x2="seconds:Q"))
        layers.append(text.encode(y=y("at"), text="name:N"))
    subtitle = "Test accuracy with its 95 % interval against training time"
    if "seeds" in shown and len(shown):
        subtitle += f", mean of {span(shown['seeds'], 'seed')}"
    subtitle += ", on a logarithmic scale" if log else ""
    return finished(layered(*layers), 340, time_title(shown), subtitle)


ASIDE: dict[str, tuple[Literal["left", "right", "center"], int]] = {
    "right": ("left", 1),
    "left": ("right", -1),
    "middle": ("center", 0),
}  # where a name stands: how its text is aligned, and to which side of its point it goes
WIDTHS = {"narrow": 260, "wide": 560}  # pixels between the axes, at least, on a phone and elsewhere
HEIGHT = 250  # pixels between the axes, at least


def _domain(table: pd.DataFrame) -> list[float]:
    """A domain around the accuracies and what of their intervals isn't far from all of them.

    The interval of two seeds may go from 0 to 1; it runs to the edges then, and squeezes nothing.
    """
    accuracy, low, high = table["accuracy"], table["low"], table["high"]
    air = max((accuracy.max() - accuracy.min()) / 2, (high - low).median())
    return around(
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
    shown = table.assign(name=names)
    for kind, width in WIDTHS.items():
        found = places(x * width, y, names, (width, HEIGHT))
        shown[f"side_{kind}"] = [place.side if place else "" for place in found]
        shown[f"at_{kind}"] = [
            high - place.y / HEIGHT * (high - low) if place else high for place in found
        ]
    return shown


def ablation(table: pd.DataFrame, by: str = "augmentation", value: str = "test_accuracy") -> Chart:
    """One dot a run, with the mean of each group and its Student t interval, best group on top.

    Columns: run_id, `by`, seed, `value` (a proportion of which more is better); a row a run.
    """
    groups = groups_of(table, by, value)
    means = _means(groups, by)
    runs = with_words(table.dropna(subset=[value]), by)
    domain = around(runs[value], means["low"], means["high"])
    what = axis_title(value)
    y = alt.Y(f"{by}:N", sort=list(groups), title=None)
    colour = named_colour(by, list(table[by].unique()), legend=False)
    base = alt.Chart(means).encode(y=y, color=colour)
    exact = hover({by: "", "mean": EXACT, "low": EXACT, "high": EXACT, "runs": "d"})
    dots = alt.Chart(runs).mark_circle(size=45, opacity=0.6, yOffset=11).encode(y=y, color=colour)
    run = {column: "" for column in (by, "seed", "run_id") if column in runs}
    chart = layered(
        base.mark_rule(strokeWidth=2).encode(x=share_x("low", what, domain), x2="high:Q"),
        base.mark_tick(thickness=3, size=14, opacity=1).encode(
            x=share_x("mean", what, domain), tooltip=exact
        ),
        dots.encode(x=share_x(value, what, domain), tooltip=hover({**run, value: EXACT})),
    )
    band = "; bar: mean, line: its 95 % interval (Student's t)" if _repeated(groups) else ""
    subtitle = f"{what}, {seeds_of(groups)}; dot: one run{band}"
    title = led(groups, by, f"{what} by {by.replace('_', ' ')}")
    return finished(chart, 60 + 36 * max(1, len(groups)), title, subtitle)


def _means(groups: Groups, by: str) -> pd.DataFrame:
    """A row a group: `by`, mean, low, high (cut at 0 and 1), runs."""
    rows = []
    for name, values in groups.items():
        interval = mean_interval(values)
        low, high = np.clip([interval.low, interval.high], 0, 1)
        rows.append((name, interval.value, low, high, len(values)))
    return pd.DataFrame(rows, columns=[by, "mean", "low", "high", "runs"])
