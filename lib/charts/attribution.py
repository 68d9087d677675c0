"""Whether heatmaps are faithful to the model: deletion and insertion, and weight randomisation."""

import math
import re

import altair as alt
import numpy as np
import pandas as pd
from scipy import stats

from lib.charts.parts import (
    EXACT,
    PERCENT,
    WHOLE,
    Chart,
    beside,
    colour_by,
    finished,
    hover,
    layered,
    panel_axis,
    share_y,
    with_display_names,
)
from lib.intervals import Interval
from lib.multiplicity import holm
from lib.pages.claims import LEVEL
from lib.pages.palette import BLUE
from lib.pages.wording import count, listed

RIVALS = {"random": "random", "centre": "central", "brightness": "bright"}  # pixels' adjectives
NARROW = 0.1  # half an interval of a correlation near 0: Cohen's small effect (1988)


def deletion_insertion(curves: pd.DataFrame, areas: pd.DataFrame | None = None) -> Chart:
    """The class's probability while pixels are deleted or inserted, by the order of each map.

    Columns: kind ("deletion", "insertion"), ordering ("heat" and its rivals), fraction,
    probability. `areas` (kind, rival, gain, low, high, p, n) lets the title say which rivals the
    heatmap is better than.
    """
    kinds, orderings = list(curves["kind"].unique()), list(curves["ordering"].unique())
    data = with_display_names(curves, "ordering")
    colour = colour_by("ordering", orderings, legend=True)
    panels = []
    for i, kind in enumerate(kinds):
        axis = alt.Axis(orient="bottom", format=PERCENT, values=[0, 0.5, 1], grid=False)
        done = {"deletion": "deleted", "insertion": "inserted"}.get(kind, kind)
        x = alt.X("fraction:Q", title=f"Pixels {done}", scale=beside(i, len(kinds)), axis=axis)
        y = share_y("probability", "Probability", WHOLE).axis(panel_axis(i == 0, PERCENT))
        base = alt.Chart(data[data["kind"] == kind]).encode(x=x, y=y, color=colour)
        exact = hover({"ordering": "", "fraction": EXACT, "probability": EXACT})
        dots = base.mark_circle(size=28, opacity=1).encode(tooltip=exact)
        panels.append(layered(base.mark_line(strokeWidth=2), dots))
    chart = layered(*panels).resolve_scale(x="independent", y="independent")
    subtitle = "Mean probability of the predicted class, as pixels are blurred or restored"
    if areas is None or areas.empty:
        return finished(chart, 280, "Probability under deletion and insertion", subtitle)
    pictures = count(int(areas["n"].iloc[0]), "random test picture")
    subtitle = f"{subtitle}; {pictures}. {_gains(areas)}"
    return finished(chart, 280, _faithfulness_title(areas), subtitle)


def _gains(areas: pd.DataFrame) -> str:
    """Every gain with its interval."""
    kinds = listed(list(areas["kind"].unique()))
    gains = [
        f"over {RIVALS.get(rival, rival)} pixels "
        + ", ".join(f"{Interval.of(row, 'gain'):.2f}" for _, row in rows.iterrows())
        for rival, rows in areas.groupby("rival", sort=False)
    ]
    return _minus(f"Area gain (95 % interval) by {kinds}: {'; '.join(gains)}")


def _faithfulness_title(areas: pd.DataFrame) -> str:
    """Which rivals' pixels matter less to the model than Grad-CAM's, or more (Holm, 5 %)."""
    rows = areas.assign(clear=holm(areas["p"].fillna(1.0)) < LEVEL)
    more: list[str] = []
    less: list[str] = []
    unclear: list[str] = []
    for rival, pairs in rows.groupby("rival", sort=False):
        name = RIVALS.get(rival, rival)
        better, worse = (pairs[pairs["clear"] & (sign * pairs["gain"] > 0)] for sign in (1, -1))
        for side, found in ((more, better), (less, worse)):
            if len(found):
                only = "" if len(found) == len(pairs) else f" by {found['kind'].iloc[0]} only"
                side.append(f"{name} ones{only} ({', '.join(f'{g:.2f}' for g in found['gain'])})")
        if better.empty and worse.empty:
            unclear.append(f"{name} ones")
    subject = "Grad-CAM's highest-ranked pixels matter"
    if not more and not less:
        names = " or ".join(unclear)
        return (
            f"{subject} neither significantly more nor less than {names}; an area gain of less "
            f"than {_visible(areas):.2f} could not be seen"
        )
    parts = [
        *([f"more than {listed(more)}"] if more else []),
        *([f"less than {listed(less)}"] if less else []),
        *([f"not significantly more or less than {listed(unclear)}"] if unclear else []),
    ]
    first = parts[0].replace(" (", " (area gain ", 1)
    rest = "".join(
        f", {word} {part}" for word, part in zip(("but", "and"), parts[1:], strict=False)
    )
    return _minus(f"{subject} {first}{rest}")


def _visible(areas: pd.DataFrame) -> float:
    """The gain above which each of the comparisons would be significant beside the others."""
    error = float((areas["high"] - areas["low"]).max() / 2)  # is t at 5 % times the standard error
    freedom = int(areas["n"].iloc[0]) - 1
    together, alone = (stats.t.ppf(1 - p / 2, freedom) for p in (LEVEL / len(areas), LEVEL))
    return error * float(together / alone)


def sanity(table: pd.DataFrame) -> Chart:
    """Do the heatmaps change as the weights are randomised, layer by layer from the logits?

    Columns: layer (in the order of randomisation), module (its name, shown on hover), correlation,
    low, high, and the numbers behind them: n (pictures), redraws, pairs of maps, and of these flat.
    """
    bounds = table[["low", "correlation"]].min().min() if len(table) else math.nan
    domain = [float(np.nanmin([0.0, bounds])), 1.0]
    figures = dict.fromkeys(("correlation", "low", "high"), ".3f")
    numbers = dict.fromkeys(("n", "flat", "redraws"), "d")
    base = alt.Chart(table).encode(
        y=alt.Y("layer:N", sort=list(table["layer"]), title="Weights randomised down to layer"),
        tooltip=hover({"layer": "", "module": "", **figures, **numbers}),
    )

    def x(field: str) -> alt.X:
        scale = alt.Scale(domain=domain)
        axis = alt.Axis(tickCount=5)
        return alt.X(f"{field}:Q", title="Rank correlation", scale=scale, axis=axis)

    chart = layered(
        base.mark_rule(strokeWidth=2, color=BLUE).encode(x=x("low"), x2="high:Q"),
        base.mark_circle(size=70, color=BLUE, opacity=1).encode(x=x("correlation")),
    )
    subtitle = "Spearman's correlation with its 95 % interval"
    title = "Rank correlation with the trained model's heatmaps"
    if len(table):
        title, subtitle = _sanity_title(table.iloc[-1]), f"{subtitle} over {_behind(table)}"
    subtitle += "; near 0: the heatmaps depend on the learned weights"
    return finished(chart, 70 + 24 * max(1, len(table)), title, subtitle)


def _sanity_title(last: pd.Series) -> str:
    """What the correlation is when nothing learned is left: near 0 only if it is known well."""
    found = Interval.of(last, "correlation")
    start = "All weights randomised:"
    if math.isnan(found.value):
        return f"{start} every heatmap is flat, so that nothing can be compared"
    words = "rank correlation with the trained model's heatmaps"
    if math.isnan(found.low):
        return _minus(f"{start} {words} is {found.value:.2f}, too few to tell from 0")
    if found.low <= 0 <= found.high and (found.high - found.low) / 2 <= NARROW:
        words += " is within noise of 0:"
    else:
        words += " is"
    return _minus(f"{start} {words} {found:.2f}")


def _behind(table: pd.DataFrame) -> str:
    """`5 redraws and 50 random test pictures (12 of 1,000 pairs left out, for a map is flat)`."""
    # Every redraw of the trained model is the same, so its row says nothing of the others.
    rows = table.iloc[1:] if len(table) > 1 else table
    redraws = count(int(rows["redraws"].iloc[0]), "redraw")
    pictures = int(rows["pairs"].iloc[0]) // int(rows["redraws"].iloc[0])
    flat, pairs = int(rows["flat"].sum()), int(rows["pairs"].sum())
    left_out = f" ({flat:,} of {count(pairs, 'pair')} left out, for a map is flat)" if flat else ""
    return f"{redraws} and {count(pictures, 'random test picture')}{left_out}"


def _minus(text: str) -> str:
    """The text with minus signs in front of numbers, where Python writes hyphens; none before 0."""
    text = re.sub(r"-(?=0\.0+(?!\d))", "", text)
    return re.sub(r"(?<![\w-])-(?=\d)", "\N{MINUS SIGN}", text)
