"""Accuracy under attack and corruption."""

import altair as alt
import pandas as pd

from lib.charts.parts import (
    EXACT,
    WHOLE,
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
from lib.charts.titles import extremes
from lib.intervals import mean_interval
from lib.pages.palette import BLUE, VERMILLION, label
from lib.pages.wording import corruption as corruption_name
from lib.pages.wording import per_cent, points, signed


def attack_curve(table: pd.DataFrame) -> Chart:
    """Accuracy against the size of an attack. Columns: attack, epsilon_255, accuracy, low, high."""
    names = list(table["attack"].unique())
    data = with_display_names(table, "attack")
    colour = colour_by("attack", names, legend=False)
    x = alt.X("epsilon_255:Q", title="ε, in steps of 1/255", axis=alt.Axis(grid=False, tickCount=8))
    base = alt.Chart(data).encode(x=x, color=colour)
    y = share_y("accuracy", "Accuracy", WHOLE)
    exact = hover(
        {"attack": "", "epsilon_255": "~g", "accuracy": EXACT, "low": EXACT, "high": EXACT}
    )
    layers: list[Chart] = [
        base.mark_area(opacity=0.2).encode(y=share_y("low", "Accuracy", WHOLE), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_circle(size=40, opacity=1).encode(y=y, tooltip=exact),
    ]
    if len(data):
        layers.append(line_labels(data, "attack", "epsilon_255", "accuracy", colour, 1 / 230))
    subtitle = (
        "Accuracy after an attack that changes no pixel value by more than ε (L∞); band: 95 % "
        "interval"
    )
    title = "Accuracy against the size of the attack"
    return finished(layered(*layers), 300, title, subtitle)


def corruption_heatmap(table: pd.DataFrame) -> Chart:
    """Accuracy by corruption, hardest on top, and severity.

    Columns: corruption, severity, accuracy, and n, without which the title claims nothing.
    """
    data = table.assign(corruption=table["corruption"].map(corruption_name))
    means = data.groupby("corruption", sort=False).mean(numeric_only=True).reset_index()
    order = list(means.sort_values("accuracy", kind="stable")["corruption"])
    domain = domain_of(data["accuracy"])
    base = alt.Chart(data).encode(
        x=alt.X("severity:O", title="Severity", axis=alt.Axis(labelAngle=0, ticks=False)),
        y=alt.Y("corruption:N", sort=order, title=None, axis=alt.Axis(ticks=False)),
        tooltip=hover({"corruption": "", "severity": "d", "accuracy": EXACT}),
    )
    colour = alt.Color("accuracy:Q", scale=alt.Scale(scheme="viridis", domain=domain), legend=None)
    bright = alt.datum["accuracy"] > domain[0] + 0.42 * (domain[1] - domain[0])
    ink = alt.when(bright).then(alt.value("#111111")).otherwise(alt.value("#ffffff"))
    chart = layered(
        base.mark_rect(cornerRadius=2).encode(color=colour),
        base.mark_text().encode(text=alt.Text("accuracy:Q", format=".0%"), color=ink),
    )
    ends = extremes(means).title("corruption") if "n" in means else ""
    title = f"{ends} (mean over severities)" if ends else "Accuracy by corruption and severity"
    subtitle = "Accuracy on corrupted pictures; severity from 1 (mild) to 5 (strong)"
    chart = chart.properties(usermeta={"maxWidth": 620})
    return finished(chart, 60 + 30 * max(1, len(order)), title, subtitle)


def corruption_by_augmentation(table: pd.DataFrame) -> Chart:
    """By how much each training augmentation changes the accuracy under each corruption.

    Columns: augmentation, corruption, accuracy; rows of one pair (severities, seeds) are averaged.
    What is compared with is "none", or where it is missing the first augmentation.
    """
    names = list(table["augmentation"].unique())
    reference = "none" if "none" in names or not names else names[0]
    means = table.groupby(["augmentation", "corruption"], sort=False)["accuracy"].mean()
    cells = means.reset_index()
    base_accuracy = cells["corruption"].map(means.get(reference, pd.Series(dtype=float)))
    cells = cells.assign(
        gain=cells["accuracy"] - base_accuracy.astype(float),
        corruption=cells["corruption"].map(corruption_name),
    )
    others = cells[cells["augmentation"] != reference]
    title = _augmentation_title(others, label(reference))
    data = cells.assign(
        text=[
            per_cent(row.accuracy, 0) if row.augmentation == reference else signed(row.gain)
            for row in cells.itertuples()
        ],
        augmentation=cells["augmentation"].map(label),
        strength=cells["gain"].abs() / max(0.01, others["gain"].abs().max()),
    )
    order = [label(name) for name in sorted(names, key=lambda name: name != reference)]
    hard = data[data["augmentation"] == label(reference)].sort_values("accuracy", kind="stable")
    base = alt.Chart(data).encode(
        x=alt.X(
            "augmentation:N", sort=order, title=None, axis=alt.Axis(labelAngle=-45, ticks=False)
        ),
        y=alt.Y(
            "corruption:N", sort=list(hard["corruption"]), title=None, axis=alt.Axis(ticks=False)
        ),
        tooltip=hover({"augmentation": "", "corruption": "", "accuracy": EXACT, "gain": "+.2%"}),
    )
    sign = alt.when(alt.datum["gain"] >= 0).then(alt.value(BLUE)).otherwise(alt.value(VERMILLION))
    depth = alt.Opacity("strength:Q", scale=alt.Scale(domain=WHOLE, range=[0, 0.75]), legend=None)
    chart = layered(
        base.mark_rect(cornerRadius=2).encode(color=sign, opacity=depth),
        base.mark_text(fontSize=11).encode(text="text:N"),
    )
    subtitle = (
        f"First column: accuracy with {label(reference)}; others: difference in percentage points "
        "(blue: higher, red: lower)"
    )
    return finished(chart, 110 + 28 * max(1, len(hard)), title, subtitle)


def _augmentation_title(gains: pd.DataFrame, reference: str) -> str:
    """Names the augmentation with the largest gain, if its mean over corruptions is significant."""
    neutral = "Accuracy by augmentation and corruption"
    groups = {name: part["gain"].to_numpy() for name, part in gains.groupby("augmentation")}
    if not groups or min(map(len, groups.values())) < 2:
        return neutral
    best = max(groups, key=lambda name: groups[name].mean())
    gain = mean_interval(groups[best], 1 - 0.05 / len(groups))
    if not gain.low > 0:
        return "No augmentation significantly improves accuracy under corruption"
    most = gains[gains["augmentation"] == best].nlargest(1, "gain").iloc[0]
    return (
        f"Largest gain: {label(best)}, {points(gain.value)} above {reference} on average, "
        f"{points(most['gain'])} under {most['corruption']}"
    )
