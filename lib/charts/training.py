"""How training went: learning curves, learning rate and accuracy over time.

Two panels in one chart are two vertical scales, each over its share of the height: unlike
concatenated charts these fit any width and share one legend.
"""

import altair as alt
import pandas as pd

from lib.charts.parts import (
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
    named_colour,
    share_y,
    time_axis,
    toggle,
    with_words,
)
from lib.charts.titles import Groups, groups_of, led, repeated, seeds_of
from lib.pages.palette import BLUE
from lib.pages.wording import axis_title, per_cent

EPOCH = alt.X(
    "epoch:Q",
    title="Epoch",
    scale=alt.Scale(zero=False, nice=False),
    axis=alt.Axis(tickMinStep=1, grid=False, format="d"),
)


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


def _behind(groups: Groups) -> str:
    return "; thin lines: single seeds, strong lines: their mean" if repeated(groups) else ""


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
    if repeated(groups):
        seeds = alt.Chart(table).mark_line(strokeWidth=1).encode(x=across, y=y, color=colour)
        layers.insert(0, seeds.encode(detail="run_id:N", opacity=emphasis(picked, 0.3)))
    if picked is None and len(names) > 1:
        layers.append(line_labels(means, by, x, "val_accuracy", colour, (high - low) / 220))
    chart = layered(*layers) if picked is None else layered(*layers).add_params(picked)
    title = led(groups, by, f"Validation accuracy by {'epoch' if x == 'epoch' else 'time'}")
    subtitle = f"Validation accuracy after every epoch, {seeds_of(groups)}{_behind(groups)}"
    return finished(chart, 300, title, subtitle)
