"""Can the confidence be believed? Reliability diagrams and measures of calibration, drawn."""

import altair as alt
import numpy as np
import pandas as pd

from lib.charts.parts import (
    EXACT,
    PERCENT,
    WHOLE,
    Chart,
    around,
    beside,
    finished,
    hover,
    layered,
    named_colour,
    panel_axis,
    share_y,
)
from lib.intervals import Interval, accuracy_interval, differs
from lib.pages.palette import BLUE, GREY, VERMILLION, label
from lib.pages.wording import count, per_cent

METRICS = {
    "ece": "ECE",
    "equal_mass_ece": "ECE, equal mass",
    "classwise_ece": "ECE, class-wise",
    "mce": "MCE",
    "nll": "NLL",
    "brier": "Brier score",
}


def reliability(table: pd.DataFrame, metrics: pd.DataFrame | None = None) -> Chart:
    """Accuracy against confidence in bins, and how many predictions each bin holds beneath.

    Columns: low, high (a bin's edges), count, share, confidence, accuracy, scaling ("before",
    "after"; without the column there is one panel). Empty bins stay empty. `metrics` is
    `lib.diagnosis.calibration.calibration_table`, by which the title says whether the ECE changed.
    """
    shown = table if "scaling" in table else table.assign(scaling="before")
    names = list(shown["scaling"].unique())
    gap = (shown["confidence"] - shown["accuracy"]).abs()
    error = (shown["share"] * gap).groupby(shown["scaling"], sort=False).sum().to_dict()
    most = int(shown["count"].max()) if len(shown) else 1
    panels = []
    for i, name in enumerate(names):
        text = f"{label(name)}: ECE {per_cent(error[name])}" if len(names) > 1 else ""
        filled = shown[(shown["scaling"] == name) & (shown["count"] > 0)]
        panels.append(_reliability_panel(filled, beside(i, len(names)), text, i == 0, most))
    chart = layered(*panels).resolve_scale(x="independent", y="independent")
    total = int(shown["count"].sum() / max(1, len(names)))
    subtitle = (
        f"{count(total, 'prediction')} in bins of confidence; blue: accuracy, red: its gap to the "
        "mean confidence, dashed: no gap; beneath: how many predictions a bin holds"
    )
    return finished(chart, 440, _reliability_title(error, metrics), subtitle)


def _reliability_panel(
    table: pd.DataFrame, scale: alt.Scale, text: str, leftmost: bool, most: int
) -> alt.LayerChart:
    """Accuracy by confidence above counts; only the leftmost panel names its vertical axes."""
    axis = alt.Axis(orient="bottom", format=PERCENT, values=[0, 0.5, 1], grid=False)
    x = alt.X("low:Q", title="Confidence", scale=scale, axis=axis)
    exact = {"low": EXACT, "high": EXACT, "confidence": EXACT, "accuracy": EXACT, "count": ","}
    base = alt.Chart(table).encode(x=x, x2="high:Q", tooltip=hover(exact))
    upper = alt.Scale(domain=WHOLE, range=[alt.ExprRef(f"height * {edge}") for edge in (0.72, 0)])
    y = alt.Y("accuracy:Q", title="Accuracy", scale=upper, axis=panel_axis(leftmost, PERCENT))
    ends = alt.Chart(pd.DataFrame({"low": WHOLE, "accuracy": WHOLE})).encode(x=x, y=y)
    corner = alt.Chart(pd.DataFrame({"low": [0.0]})).mark_text(
        align="left", dy=-12, fontWeight=600, text=text
    )
    accuracy = layered(
        base.mark_bar(color=BLUE, opacity=0.3).encode(y=y, y2=alt.datum(0)),
        base.mark_bar(color=VERMILLION, opacity=0.6).encode(y=y, y2="confidence:Q"),
        base.mark_rule(color=BLUE, strokeWidth=3).encode(y=y),
        ends.mark_line(color=GREY, strokeDash=[4, 3], strokeWidth=1.5),
        corner.encode(x=x, y=alt.value(0)),
    )
    # The root keeps bins in sight that hold a hundred times fewer than the fullest.
    place = [alt.ExprRef(f"height * {edge}") for edge in (1, 0.8)]
    lower = alt.Scale(domain=[0, most], range=place, type="sqrt", nice=False)
    axis = panel_axis(leftmost, "~s", ticks=2)
    counts = base.mark_bar(color=GREY).encode(
        y=alt.Y("count:Q", title="Count", scale=lower, axis=axis), y2=alt.datum(0)
    )
    return layered(accuracy, counts).resolve_scale(y="independent")


def _reliability_title(error: dict[str, float], metrics: pd.DataFrame | None) -> str:
    if len(error) < 2:
        return " ".join(["Expected calibration error", *map(per_cent, error.values())])
    before, after = per_cent(error["before"]), per_cent(error["after"])
    if metrics is None:
        return f"Expected calibration error: {before} before, {after} after scaling"
    changed = _changes(metrics).get("ece", 0)
    if changed == 0:
        return f"Scaling changes the calibration error within noise: {before} before, {after} after"
    verb = "lowers" if changed < 0 else "raises"
    return f"Scaling {verb} the calibration error from {before} to {after}"


def _changes(metrics: pd.DataFrame) -> dict[str, int]:
    """By metric: -1 if scaling lowers it by more than noise, 1 if it raises it so, otherwise 0."""
    at = {
        (row.metric, row.scaling): Interval(row.value, row.low, row.high)
        for row in metrics.itertuples()
    }
    changes = {}
    for metric in metrics["metric"].unique():
        before, after = at[metric, "before"], at[metric, "after"]
        clear = differs(before, after)
        changes[metric] = int(np.sign(after.value - before.value)) if clear else 0
    return changes


def calibration_dots(metrics: pd.DataFrame) -> Chart:
    """The measures of calibration before and after scaling, each with its interval.

    Columns: metric, scaling ("before", "after"), value, low, high, n.
    """
    changes = _changes(metrics)
    names = [METRICS.get(metric, metric) for metric in changes]
    bounds = metrics[["value", "low", "high"]]
    least = max(1e-3, float(bounds.min(axis=None)) * 0.9) if len(metrics) else 1e-3
    shown = metrics.assign(
        metric=metrics["metric"].map(lambda metric: METRICS.get(metric, metric)),
        drawn=metrics["value"].clip(lower=least),  # a logarithmic axis has no 0
        floor=metrics["low"].clip(lower=least),
        ceiling=metrics["high"].clip(lower=least),
    )
    base = alt.Chart(shown).encode(
        y=alt.Y("metric:N", sort=names, title=None),
        yOffset=alt.YOffset("scaling:N", sort=["before", "after"]),
        color=named_colour("scaling", ["before", "after"], legend=True),
        tooltip=hover(
            {"metric": "", "scaling": "", "value": ".4f", "low": ".4f", "high": ".4f", "n": ","}
        ),
    )
    most = float(bounds.max(axis=None)) * 1.1 if len(metrics) else 1.0
    scale = alt.Scale(type="log", nice=False, domain=[least, most])
    axis = alt.Axis(format="~g", values=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3])

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title="Value (less is better)", scale=scale, axis=axis)

    chart = layered(
        base.mark_rule(strokeWidth=2).encode(x=x("floor"), x2="ceiling:Q"),
        base.mark_circle(size=70, opacity=1).encode(x=x("drawn")),
    )
    lowered = [METRICS.get(m, m) for m, change in changes.items() if change < 0]
    raised = [METRICS.get(m, m) for m, change in changes.items() if change > 0]
    title = f"Scaling lowers {len(lowered)} of {count(len(changes), 'measure')} beyond noise"
    if raised:
        title += f" and raises {', '.join(raised)}"
    elif not lowered:
        title = "Scaling changes no measure of calibration beyond noise"
    subtitle = (
        "Before and after temperature scaling, with 95 % intervals (bootstrap), on a "
        "logarithmic scale"
    )
    return finished(chart, 90 + 40 * max(1, len(names)), title, subtitle)


def selective(table: pd.DataFrame) -> Chart:
    """Accuracy when only the surest predictions count. Columns: coverage, accuracy, n."""
    table = table.sort_values("coverage", kind="stable")
    axis = alt.Axis(format=PERCENT, tickCount=5, grid=False)
    chart = alt.Chart(table).mark_line(point=alt.OverlayMarkDef(size=12, color=BLUE), color=BLUE)
    chart = chart.encode(
        x=alt.X("coverage:Q", title="Share answered", scale=alt.Scale(domain=WHOLE), axis=axis),
        y=share_y("accuracy", "Accuracy", around(table["accuracy"])),
        tooltip=hover({"coverage": EXACT, "accuracy": EXACT, "n": ","}),
    )
    subtitle = "Accuracy of the most confident predictions, by the share that is answered"
    return finished(chart, 280, _selective_title(table), subtitle)


def _selective_title(table: pd.DataFrame) -> str:
    neutral = "Accuracy against the share of predictions answered"
    if table.empty:
        return neutral
    whole = table.iloc[-1]
    part = table.iloc[(table["coverage"] - 0.8).abs().argmin()]
    surest, everything = (
        accuracy_interval(round(row["accuracy"] * row["n"]), int(row["n"])) for row in (part, whole)
    )
    if not differs(surest, everything):
        return neutral
    return (
        f"Answering only the surest {per_cent(part['coverage'], 0)} changes accuracy from "
        f"{per_cent(whole['accuracy'])} to {per_cent(part['accuracy'])}"
    )
