"""What charts share: one width, one legend, one way to label lines and to fade them."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lib.charts.label_placement import CHARACTER
from lib.pages.palette import colours
from lib.pages.wording import axis_title, display_name

PERCENT = "~%"  # d3's format for an axis: 5 %, 12.5 %
EXACT = ".2%"  # for a tooltip
LEAST_RANGE = 0.02  # an axis of proportions spans at least so much
WHOLE = [0.0, 1.0]  # the domain of a proportion
LEGEND_SYMBOL = 32  # pixels of a legend's entry beside its name
LABELLED = 4  # so many lines are named at their end; more get a legend

Chart = alt.Chart | alt.LayerChart


def finished(chart: Chart, height: int, title: str, subtitle: str) -> Chart:
    """The chart at a fixed height, axes included, and at whatever width its container has."""
    return chart.properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        title=alt.TitleParams(title, subtitle=subtitle, anchor="start"),
    )


def layered(*charts: Chart) -> alt.LayerChart:
    """The charts on top of one another, the first at the bottom."""
    return alt.LayerChart(layer=list(charts))


def share_x(field: str, title: str, domain: Sequence[float]) -> alt.X:
    """A horizontal axis of proportions in per cent."""
    axis = alt.Axis(format=PERCENT, tickCount=5, labelOverlap=True, labelSeparation=6)
    return alt.X(f"{field}:Q", title=title, scale=alt.Scale(domain=list(domain)), axis=axis)


def share_y(field: str, title: str, domain: Sequence[float]) -> alt.Y:
    """A vertical axis of proportions in per cent."""
    axis = alt.Axis(format=PERCENT, tickCount=5)
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(domain=list(domain)), axis=axis)


def beside(index: int, panels: int) -> alt.Scale:
    """The horizontal scale from 0 to 1 of one of several panels side by side."""
    gap = 0.08
    size = (1 - gap * (panels - 1)) / panels
    left = index * (size + gap)
    edges = [alt.ExprRef(f"width * {edge:.4f}") for edge in (left, left + size)]
    return alt.Scale(domain=WHOLE, range=edges)


def panel_axis(leftmost: bool, form: str, ticks: int = 5) -> alt.Axis:
    """The vertical axis of a panel; one that isn't leftmost has its grid alone."""
    if leftmost:
        return alt.Axis(orient="left", format=form, tickCount=ticks)
    return alt.Axis(
        orient="left",
        tickCount=ticks,
        grid=True,
        labels=False,
        ticks=False,
        domain=False,
        title=None,
    )


def hover(columns: Mapping[str, str]) -> list[alt.Tooltip]:
    """A tooltip of columns: `{"accuracy": EXACT}` gives each its number format, "" for a name."""
    return [
        alt.Tooltip(f"{column}:Q", title=axis_title(column), format=form)
        if form
        else alt.Tooltip(f"{column}:N", title=axis_title(column))
        for column, form in columns.items()
    ]


def linked(chart: alt.Chart, table: pd.DataFrame) -> alt.Chart:
    """The chart with its marks as links, where the table has a column `href`."""
    return chart.encode(href="href:N") if "href" in table else chart


def with_display_names(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table, its rows numbered anew, with a column's values as pages write them."""
    names = [display_name(column, value) for value in table[column]]
    return table.assign(**{column: names}).reset_index(drop=True)


def colour_by(field: str, names: Sequence[Any], legend: bool) -> alt.Color:
    """Colour by a field of names as pages show them; the legend has at most three columns."""
    shown = [display_name(field, name) for name in names]
    scale = alt.Scale(domain=shown, range=colours(names))
    entry = LEGEND_SYMBOL + CHARACTER * max(map(len, shown), default=1)
    columns = alt.ExprRef(f"clamp(floor(width / {entry:.0f}), 1, 3)")
    key = alt.Legend(orient="top", title=None, columns=columns, offset=8, symbolOpacity=1)
    return alt.Color(f"{field}:N", scale=scale, legend=key if legend else None)


def toggle(field: str) -> alt.Parameter:
    """A click on a legend's entry selects it, or clears it again."""
    return alt.selection_point(name="selected", fields=[field], bind="legend", toggle="true")


def emphasis(selected: alt.Parameter | None, strong: float = 1.0) -> Any:
    """Opacity that fades what isn't selected."""
    if selected is None:
        return alt.value(strong)
    return alt.when(selected).then(alt.value(strong)).otherwise(alt.value(strong * 0.12))


def spaced(values: Sequence[float], gap: float) -> list[float]:
    """The values, pushed apart to at least `gap` so that labels at them can all be read."""
    order = np.argsort(values, kind="stable")
    placed = np.asarray(values, dtype=float)[order]
    for _ in range(100):
        overlap = gap - np.diff(placed)
        if (overlap <= 1e-9).all():
            break
        push = np.clip(overlap, 0, None) / 2
        placed[:-1] -= push
        placed[1:] += push
    result = np.empty_like(placed)
    result[order] = placed
    return [float(value) for value in result]


def domain_of(*values: pd.Series) -> list[float]:
    """A domain in 0 to 1 around the values, with air, that doesn't blow tiny differences up."""
    present = pd.concat(values).dropna()
    if present.empty:
        return WHOLE
    low, high = float(present.min()), float(present.max())
    air = max((high - low) * 0.08, (LEAST_RANGE - (high - low)) / 2)
    return [max(0.0, low - air), min(1.0, high + air)]


def line_labels(
    means: pd.DataFrame, by: str, x: str, y: str, colour: alt.Color, unit: float
) -> alt.LayerChart:
    """Every group's name at the right, where its line ends or a dotted one leads from there.

    `means` holds the lines' points; `unit` is how much of `y` a pixel shows, at most.
    """
    ends = means.loc[means.groupby(by, sort=False)[x].idxmax(), [by, x, y]]
    gap = 14 * unit
    ends = ends.assign(edge=means[x].max(), at=spaced(ends[y].tolist(), gap))
    base = alt.Chart(ends).encode(color=colour)
    lead = base.mark_rule(strokeDash=[1, 3]).encode(x=f"{x}:Q", x2="edge:Q", y=f"{y}:Q")
    text = base.mark_text(align="left", dx=6, fontWeight=600)
    return layered(lead, text.encode(x="edge:Q", y="at:Q", text=f"{by}:N"))


STEPS = [step * unit for unit in (0.1, 1, 10, 60, 600, 3600, 36000) for step in (1, 2, 3, 5)]
DURATION = (  # a Vega expression: 30 s, 2 min, 3 h
    "datum.value % 3600 == 0 ? datum.value / 3600 + ' h' : "
    "datum.value % 60 == 0 ? datum.value / 60 + ' min' : format(datum.value, '~g') + ' s'"
)


def time_domain(seconds: pd.Series, log: bool = False) -> list[float]:
    """From where to where an axis of training time goes."""
    low, high = (float(seconds.min()), float(seconds.max())) if len(seconds) else (0.0, 1.0)
    return [low / 1.4, high * 1.4] if log else [0.0, 1.02 * high or 1.0]


def time_axis(seconds: pd.Series, log: bool = False) -> alt.X:
    """An axis of training time with at most six ticks, at round seconds, minutes and hours."""
    domain = time_domain(seconds, log)
    if log:
        rounds = [step * unit for unit in (0.01, 1, 60, 3600) for step in (1, 2, 5, 10, 20, 30)]
        ticks = [tick for tick in rounds if domain[0] <= tick <= domain[1]]
        ticks = ticks[:: -(-len(ticks) // 6) or 1]
    else:
        step = next((step for step in STEPS if domain[1] <= 6 * step), domain[1] / 5)
        ticks = [step * i for i in range(1, 7) if step * i <= domain[1]]
    return alt.X(
        "seconds:Q",
        title="Training time",
        scale=alt.Scale(domain=domain, nice=False, type="log" if log else "linear"),
        axis=alt.Axis(values=ticks, labelExpr=DURATION, grid=False),
    )
