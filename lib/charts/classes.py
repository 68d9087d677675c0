"""Class balance, confusion matrix and per-class accuracy."""

import altair as alt
import pandas as pd

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
)
from lib.pages.claims import extremes, smallest_visible
from lib.pages.palette import BLUE
from lib.pages.wording import count, points, span

MOST_COUNTED = 16  # with more classes the counts on a confusion matrix can't be read on a phone


def class_balance(table: pd.DataFrame) -> Chart:
    """Pictures of every class in every split. Columns: split, class, count."""
    total = table.groupby("class", sort=False)["count"].sum()
    splits = list(table["split"].unique())
    data = table.assign(position=table["split"].map(splits.index))
    bands = alt.Scale(paddingInner=0.35)
    chart = alt.Chart(data).mark_bar()
    chart = chart.encode(
        y=alt.Y("class:N", sort=list(total.index), title=None, scale=bands),
        x=alt.X("count:Q", title="Pictures", axis=alt.Axis(tickCount=5, format="~s")),
        color=colour_by("split", splits, legend=True),
        order="position:Q",
        tooltip=hover({"class": "", "split": "", "count": ","}),
    )
    subtitle = f"{count(int(total.sum()), 'picture')} of {count(len(total), 'class', 'classes')}"
    return finished(chart, 80 + 22 * max(1, len(total)), _balance_title(total), subtitle)


def _balance_title(total: pd.Series) -> str:
    if total.empty:
        return "There are no classes"
    least, most = int(total.min()), int(total.max())
    if least == most:
        return f"Each class has {count(most, 'picture')}"
    if most <= 1.2 * least:
        return f"The classes are balanced: {least:,} to {most:,} pictures each"
    return f"{total.idxmax()} has {most / max(1, least):.1f} times the pictures of {total.idxmin()}"


def confusion(table: pd.DataFrame) -> Chart:
    """A confusion matrix: counts on the cells, shares of the true class as shade and on hover.

    Columns: true, predicted, count, share (of the true class), and `href` where a cell leads to its
    pictures. A checkbox hides the diagonal and shades the errors by the most frequent one.
    """
    classes = list(table["true"].unique())
    wrong = table[table["true"] != table["predicted"]]
    most = float(wrong["share"].max()) if (wrong["count"] > 0).any() else 1.0
    diagonal = "mistakes && datum.true == datum.predicted"
    shade = f"{diagonal} ? 0 : isValid(datum.share) ? datum.share / (mistakes ? {most:.6f} : 1) : 0"
    turned = -45 if max(map(len, classes), default=0) > 3 else 0
    base = alt.Chart(table).transform_calculate(shade=shade)
    base = base.encode(
        x=alt.X("predicted:N", sort=classes, title="Predicted", axis=_class_axis(classes, turned)),
        y=alt.Y("true:N", sort=classes, title="True", axis=_class_axis(classes, 0)),
        tooltip=[
            *hover({"true": "", "predicted": "", "count": ","}),
            alt.Tooltip("share:Q", title="Share of the true class", format=EXACT),
        ],
    )
    base = linked(base, table)
    # One hue at an opacity lets zero be the page's own ground, in either theme.
    opacity = alt.Opacity("shade:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 1]), legend=None)
    layers = [base.mark_rect(color=BLUE, cornerRadius=2).encode(opacity=opacity)]
    if len(classes) <= MOST_COUNTED:
        counts = base.transform_filter(f"datum.count > 0 && !({diagonal})").mark_text(fontSize=10)
        on_dark = alt.when("datum.shade > 0.55").then(alt.value("white"))
        layers.append(counts.encode(text="count:Q", color=on_dark))
    checkbox = alt.binding_checkbox(name="Errors only ")
    chart = layered(*layers).add_params(alt.param(name="mistakes", value=False, bind=checkbox))
    chart = chart.properties(usermeta={"maxWidth": 620})
    total = count(int(table["count"].sum()), "picture")
    subtitle = f"{total}; cell: number of pictures; shade: share of the true class"
    height = 110 + min(460, max(120, 32 * len(classes)))
    return finished(chart, height, "Confusion matrix", subtitle)


def _class_axis(classes: list[str], angle: int) -> alt.Axis:
    room = 76 if len(classes) > 6 else 110
    return alt.Axis(labelLimit=room, labelAngle=angle, ticks=False, domain=False, grid=False)


def per_class(table: pd.DataFrame, order: str = "accuracy") -> Chart:
    """Accuracy of every class with its interval. Columns: class, accuracy, low, high, n.

    `order` is `accuracy` (best on top) or `class` (as the table has them).
    """
    if order not in ("accuracy", "class"):
        raise ValueError(f"order is 'accuracy' or 'class', not {order!r}")
    data = table.dropna(subset=["accuracy"])
    ranked = data.sort_values("accuracy", ascending=False, kind="stable")
    classes = list((ranked if order == "accuracy" else data)["class"])
    domain = domain_of(data["accuracy"], data["low"], data["high"])
    base = alt.Chart(data).encode(
        y=alt.Y("class:N", sort=classes, title=None),
        tooltip=hover({"class": "", "accuracy": EXACT, "low": EXACT, "high": EXACT, "n": ","}),
    )
    bar, dot = share_x("low", "Accuracy", domain), share_x("accuracy", "Accuracy", domain)
    chart = layered(
        base.mark_rule(strokeWidth=2, color=BLUE).encode(x=bar, x2="high:Q"),
        base.mark_circle(size=70, color=BLUE, opacity=1).encode(x=dot),
    )
    title = extremes(data).title("class")
    subtitle = f"Accuracy and its 95 % interval (Wilson); {span(data['n'], 'picture')} per class"
    if not title and len(data) > 1:
        title = "No class has a significantly lower or higher accuracy than the next"
        subtitle += f"; less than {points(smallest_visible(data))} could not be seen"
    return finished(chart, 60 + 24 * max(1, len(data)), title or "Accuracy", subtitle)
