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
    colour_by,
    domain_of,
    emphasis,
    finished,
    hover,
    layered,
    line_labels,
    share_y,
    time_axis,
    toggle,
    with_display_names,
)
from lib.pages.claims import Groups, groups_of, repeated, seeds_of
from lib.pages.palette import BLUE, GREY
from lib.pages.wording import axis_title, count, display_name, per_cent

EPOCH = alt.X(
    "epoch:Q",
    title="Epoch",
    scale=alt.Scale(zero=False, nice=False),
    axis=alt.Axis(tickMinStep=1, grid=False, format="d"),
)


NARROW = 420  # pixels between the axes, under which there are short names


def learning_curves(history: pd.DataFrame, by: str = "model") -> Chart:
    """Accuracy above loss, by epoch: validation solid, training dashed, every run behind the mean.

    Columns: run_id, `by`, epoch, train_loss, train_accuracy, val_loss, val_accuracy; one row
    per validation of a run.
    """
    names = list(history[by].unique())
    figures = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    table = with_display_names(history[["run_id", by, "epoch", *figures]], by)
    means = table.groupby([by, "epoch"], sort=False)[figures].mean().reset_index()
    groups = _last_epochs(table, by)
    selected = toggle(by) if len(names) > LABELLED else None
    colour = colour_by(by, names, legend=selected is not None)
    accuracy = _curve_panel(table, means, "accuracy", colour, selected, (0.45, 0.0))
    loss = _curve_panel(table, means, "loss", colour, selected, (1.0, 0.53))
    panels = layered(accuracy, loss).resolve_scale(y="independent")
    chart = panels if selected is None else panels.add_params(selected)
    title = "Accuracy and loss by epoch"
    if len(groups) == 1:
        (name, values), *_ = groups.items()
        behind = f" (mean of {count(len(values), 'seed')})" if len(values) > 1 else ""
        accuracy_then = f"{name}, {per_cent(values.mean())}{behind}"
        title = f"Validation accuracy after the last epoch: {accuracy_then}"
    subtitle = f"Solid: validation, dashed: training, {seeds_of(groups)}{_behind(groups)}"
    return finished(chart, 430, title, subtitle)


def _last_epochs(table: pd.DataFrame, by: str) -> Groups:
    """Each run's validation accuracy after its last epoch.

    The highest over its epochs would be higher the more epochs there are, without being better.
    """
    last = table.sort_values("epoch", kind="stable").groupby([by, "run_id"], sort=False).tail(1)
    return groups_of(last, by, "val_accuracy")


def _behind(groups: Groups) -> str:
    return "; thin lines: single seeds, thick lines: mean" if repeated(groups) else ""


def _curve_panel(
    table: pd.DataFrame,
    means: pd.DataFrame,
    measure: str,
    colour: alt.Color,
    selected: alt.Parameter | None,
    place: tuple[float, float],
) -> alt.LayerChart:
    """One measure, between two shares of the chart's height (the lower edge first)."""
    by, train, val = means.columns[0], f"train_{measure}", f"val_{measure}"
    axis_form, form = (PERCENT, EXACT) if measure == "accuracy" else ("~g", ".4f")
    shares = domain_of(table[train], table[val]) if measure == "accuracy" else alt.Undefined
    edges = [alt.ExprRef(f"height * {edge}") for edge in place]
    scale = alt.Scale(zero=False, domain=shares, range=edges)
    axis = alt.Axis(orient="left", format=axis_form, tickCount=5)
    base = alt.Chart(means).encode(x=EPOCH, color=colour, opacity=emphasis(selected))
    runs = alt.Chart(table).encode(x=EPOCH, color=colour, opacity=emphasis(selected, 0.3))

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
    if selected is None and means[by].nunique() > 1:
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
    title = "Learning rate by epoch"
    if len(mean) > 1:
        rise = "warm-up to" if mean["lr"].idxmax() > 0 else "from"
        title = f"Learning rate: {rise} {mean['lr'].max():.2g}, then cosine decay to 0"
    return finished(chart, 220, title, "Learning rate at the last step before each validation")


def accuracy_over(
    history: pd.DataFrame, by: str = "strategy", x: str = "seconds", target: float | None = None
) -> Chart:
    """Validation accuracy against wall-clock or epochs.

    Columns: run_id, `by`, epoch, seconds (where that is `x`), val_accuracy. The thick line is the
    mean over seeds, epoch by epoch: of the accuracy and of the seconds. A dashed line marks the
    `target`, an accuracy that is to be reached.
    """
    if x not in ("seconds", "epoch"):
        raise ValueError(f"x is 'seconds' or 'epoch', not {x!r}")
    names = list(history[by].unique())
    figures = ["val_accuracy", *(["seconds"] if x == "seconds" else [])]
    table = with_display_names(history[["run_id", by, "epoch", *figures]], by)
    means = table.groupby([by, "epoch"], sort=False)[figures].mean().reset_index()
    groups = _last_epochs(table, by)
    selected = toggle(by) if len(names) > LABELLED else None
    colour = colour_by(by, names, legend=selected is not None)
    across = EPOCH if x == "epoch" else time_axis(table["seconds"])
    marked = pd.Series([] if target is None else [target], dtype=float)
    low, high = domain_of(table["val_accuracy"], marked)
    y = share_y("val_accuracy", "Validation accuracy", [low, high])
    base = alt.Chart(means).encode(x=across, y=y, color=colour, opacity=emphasis(selected))
    seconds = {"seconds": ",.1f"} if x == "seconds" else {}
    points = base.mark_circle(size=28).encode(
        tooltip=hover({by: "", "epoch": "d", **seconds, "val_accuracy": EXACT})
    )
    layers: list[Chart] = [base.mark_line(strokeWidth=2), points]
    if repeated(groups):
        seeds = alt.Chart(table).mark_line(strokeWidth=1).encode(x=across, y=y, color=colour)
        layers.insert(0, seeds.encode(detail="run_id:N", opacity=emphasis(selected, 0.3)))
    if target is not None:
        rule = alt.Chart(marked.to_frame("target")).mark_rule(color=GREY, strokeDash=[6, 4])
        layers.insert(0, rule.encode(y=share_y("target", "Validation accuracy", [low, high])))
    if selected is None and len(names) > 1:
        layers.append(line_labels(means, by, x, "val_accuracy", colour, (high - low) / 220))
    chart = layered(*layers) if selected is None else layered(*layers).add_params(selected)
    title = f"Validation accuracy by {'epoch' if x == 'epoch' else 'training time'}"
    subtitle = f"Measured at each validation, {seeds_of(groups)}{_behind(groups)}"
    subtitle += "" if target is None else f"; dashed: the target, {per_cent(target, 0)}"
    return finished(chart, 300, title, subtitle)


def trained_stages(table: pd.DataFrame) -> Chart:
    """Which stages of a network each strategy trains, and how many parameters these have.

    Columns: strategy, stage (from the input to the output), trained, total.
    """
    names, stages = list(table["strategy"].unique()), list(table["stage"].unique())
    data = with_display_names(table, "strategy").assign(share=table["trained"] / table["total"])
    totals = data.groupby("strategy", sort=False)["trained"].sum().reset_index()
    order = [display_name("strategy", name) for name in names]
    y = alt.Y("strategy:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    column = "parameters"
    narrow = f"width < {NARROW}"
    short = f"datum.label == '{column}' ? '' : replace(datum.label, 'stage ', '')"
    axis = alt.Axis(
        labelAngle=0,
        labelExpr=f"{narrow} ? ({short}) : datum.label",
        labelOverlap="greedy",  # of many stages on a phone
        orient="top",
        ticks=False,
        domain=False,
    )
    x = alt.X("stage:N", sort=[*stages, column], title=None, axis=axis)
    base = alt.Chart(data).encode(
        x=x, y=y, tooltip=hover({"strategy": "", "stage": "", "trained": ",", "total": ","})
    )
    opacity = alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None)
    counts = (
        alt.Chart(totals.assign(stage=column))
        .transform_calculate(
            text=f"format(datum.trained, {narrow} && datum.trained > 9999 ? '.3s' : ',')"
        )
        .mark_text(dx=4)
        .encode(x=x, y=y, text="text:N")
    )
    chart = layered(
        base.mark_rect(color=GREY, opacity=0.15, cornerRadius=3),
        base.mark_rect(cornerRadius=3).encode(
            color=colour_by("strategy", names, legend=False), opacity=opacity
        ),
        counts,
    )
    title = "What each strategy trains"
    subtitle = (
        "From the input (left) to the output; coloured: trained, grey: frozen; trained parameters"
    )
    return finished(chart, 60 + 34 * max(1, len(names)), title, subtitle)
