"""How accuracy grows with the number of labels."""

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
    line_labels,
    share_y,
    with_display_names,
)
from lib.pages.claims import spread_of
from lib.pages.wording import span

HEIGHT = 300


def accuracy_by_labels(table: pd.DataFrame) -> Chart:
    """Test accuracy against the number of training labels, on a logarithmic scale.

    Columns: setting, labels, accuracy, low, high (NaN where there is no interval), draws; of
    `lib.study.labels.means`.
    """
    names = list(table["setting"].unique())
    data = with_display_names(table, "setting")
    data = data.assign(low=data["low"].clip(0, 1), high=data["high"].clip(0, 1))
    low, high = domain_of(data["accuracy"], data["low"], data["high"])
    ticks = sorted(data["labels"].unique())
    axis = alt.Axis(values=ticks, format=",", labelOverlap=True, grid=False)
    domain = [ticks[0], ticks[-1]] if len(ticks) > 1 else [1, 10 * max(ticks, default=1)]
    scale = alt.Scale(type="log", domain=domain, nice=False)
    x = alt.X("labels:Q", title="Training labels", axis=axis, scale=scale)
    y = share_y("accuracy", "Test accuracy", [low, high])
    base = alt.Chart(data).encode(
        x=x,
        color=colour_by("setting", names, legend=False),
        tooltip=hover(
            {"setting": "", "labels": ",", "accuracy": EXACT, "low": EXACT, "high": EXACT}
        ),
    )
    layers: list[Chart] = [
        base.mark_area(opacity=0.15).encode(
            y=share_y("low", "Test accuracy", [low, high]), y2="high:Q"
        ),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_circle(size=50, opacity=1).encode(y=y),
    ]
    if len(names) > 1:
        unit = (high - low) / (HEIGHT - 80)
        colour = colour_by("setting", names, legend=False)
        layers.append(line_labels(data, "setting", "labels", "accuracy", colour, unit))
    draws = span(data["draws"], "draw")
    subtitle = (
        f"Mean over {draws} of the labels, with {spread_of(data['draws'], '95 % interval')}, on a "
        "logarithmic scale"
    )
    return finished(layered(*layers), HEIGHT, "Test accuracy by number of labels", subtitle)
