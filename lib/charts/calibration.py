"""Reliability diagrams, measures of calibration, and selective prediction."""

import altair as alt
import pandas as pd

from lib.charts.parts import (
    EXACT,
    PERCENT,
    WHOLE,
    Chart,
    beside,
    colour_by,
    domain_of,
    finished,
    hover,
    layered,
    panel_axis,
    share_y,
)
from lib.diagnosis.calibration import calibration_error
from lib.pages.claims import changes, shares_differ
from lib.pages.palette import BLUE, GREY, VERMILLION, label
from lib.pages.wording import count, per_cent

METRICS = {
    "nll": "NLL",
    "brier": "Brier score",
    "ece": "ECE",
    "equal_mass_ece": "ECE, equal mass",
    "classwise_ece": "ECE, class-wise",
    "mce": "MCE",
}


def reliability(table: pd.DataFrame) -> Chart:
    """Accuracy against confidence in bins, and how many predictions each bin holds beneath.

    Columns: low, high (a bin's edges), count, share, confidence, accuracy, scaling ("before",
    "after"; without the column there is one panel). Empty bins stay empty. Each panel says its
    expected calibration error (ECE).
    """
    data = table if "scaling" in table else table.assign(scaling="before")
    names = list(data["scaling"].unique())
    error = {name: calibration_error(part) for name, part in data.groupby("scaling", sort=False)}
    most = int(data["count"].max()) if len(data) else 1
    panels = []
    for i, name in enumerate(names):
        text = f"{label(name)}: " * (len(names) > 1) + f"ECE {per_cent(error[name])}"
        filled = data[(data["scaling"] == name) & (data["count"] > 0)]
        panels.append(_reliability_panel(filled, beside(i, len(names)), text, i == 0, most))
    chart = layered(*panels).resolve_scale(x="independent", y="independent")
    total = int(data["count"].sum() / max(1, len(names)))
    subtitle = (
        f"{count(total, 'prediction')} in bins of confidence; blue: accuracy, red: its gap to the "
        "mean confidence; dashed: no gap; below: number of predictions per bin"
    )
    both = ", before and after temperature scaling" if len(names) > 1 else ""
    return finished(chart, 440, f"Accuracy by confidence{both}", subtitle)


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


def calibration_dots(metrics: pd.DataFrame, paired: pd.DataFrame) -> Chart:
    """The measures of calibration before and after scaling, each with its interval.

    Columns: metric, scaling ("before", "after"), value, low, high, n. The title is about `paired`,
    the changes on the same pictures: metric, value (after less before), low, high.
    """
    changed = changes(paired[paired["metric"].isin(metrics["metric"])])
    names = [METRICS.get(metric, metric) for metric in changed]
    bounds = metrics[["value", "low", "high"]]
    least = max(1e-3, float(bounds.min(axis=None)) * 0.9) if len(metrics) else 1e-3
    data = metrics.assign(
        metric=metrics["metric"].map(lambda metric: METRICS.get(metric, metric)),
        drawn=metrics["value"].clip(lower=least),  # a logarithmic axis has no 0
        floor=metrics["low"].clip(lower=least),
        ceiling=metrics["high"].clip(lower=least),
    )
    base = alt.Chart(data).encode(
        y=alt.Y("metric:N", sort=names, title=None),
        yOffset=alt.YOffset("scaling:N", sort=["before", "after"]),
        color=colour_by("scaling", ["before", "after"], legend=True),
        tooltip=hover(
            {"metric": "", "scaling": "", "value": ".4f", "low": ".4f", "high": ".4f", "n": ","}
        ),
    )
    most = float(bounds.max(axis=None)) * 1.1 if len(metrics) else 1.0
    scale = alt.Scale(type="log", nice=False, domain=[least, most])
    axis = alt.Axis(format="~g", values=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3])

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title="Value (lower is better)", scale=scale, axis=axis)

    chart = layered(
        base.mark_rule(strokeWidth=2).encode(x=x("floor"), x2="ceiling:Q"),
        base.mark_circle(size=70, opacity=1).encode(x=x("drawn")),
    )
    lowered = [METRICS.get(m, m) for m, change in changed.items() if change < 0]
    raised = [METRICS.get(m, m) for m, change in changed.items() if change > 0]
    measures = count(len(changed), "calibration measure")
    title = f"Temperature scaling significantly lowers {len(lowered)} of {measures}"
    if raised:
        title += f" and raises {', '.join(raised)}"
    elif not lowered:
        title = "Temperature scaling changes no calibration measure significantly"
    subtitle = (
        "Before and after temperature scaling, with 95 % intervals (bootstrap), on a "
        "logarithmic scale; changes are tested on the same pictures (paired bootstrap)"
    )
    return finished(chart, 90 + 32 * max(1, len(names)), title, subtitle)


def selective(table: pd.DataFrame, aurc: float | None = None) -> Chart:
    """Accuracy when only the most confident predictions are kept. Columns: coverage, accuracy, n.

    `aurc` is `lib.diagnosis.selective.aurc` of the same predictions.
    """
    table = table.sort_values("coverage", kind="stable")
    axis = alt.Axis(format=PERCENT, tickCount=5, grid=False)
    chart = alt.Chart(table).mark_line(point=alt.OverlayMarkDef(size=12, color=BLUE), color=BLUE)
    chart = chart.encode(
        x=alt.X(
            "coverage:Q",
            title="Coverage (share of predictions kept)",
            scale=alt.Scale(domain=WHOLE),
            axis=axis,
        ),
        y=share_y("accuracy", "Accuracy", domain_of(table["accuracy"])),
        tooltip=hover({"coverage": EXACT, "accuracy": EXACT, "n": ","}),
    )
    subtitle = "Accuracy of the most confident predictions by coverage, the share of them kept"
    if aurc is not None:
        subtitle += f"; area under the risk-coverage curve (AURC): {per_cent(aurc, 2)}"
    return finished(chart, 280, _selective_title(table), subtitle)


def _selective_title(table: pd.DataFrame) -> str:
    neutral = "Accuracy against coverage"
    if table.empty:
        return neutral
    whole = table.iloc[-1]
    part = table.iloc[(table["coverage"] - 0.8).abs().argmin()]
    kept, total = int(part["n"]), int(whole["n"])
    right, right_of_all = round(part["accuracy"] * kept), round(whole["accuracy"] * total)
    rest, right_of_rest = total - kept, right_of_all - right
    if not shares_differ((right, kept), (right_of_rest, rest)):
        return neutral
    return (
        f"Accuracy of the {per_cent(part['coverage'], 0)} most confident predictions: "
        f"{per_cent(part['accuracy'])}, of the rest: {per_cent(right_of_rest / rest)}"
    )
