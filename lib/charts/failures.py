"""Accuracy under attack and corruption."""

import math
from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
from lib.intervals import Interval, difference_interval
from lib.multiplicity import clear_differences, visible_difference
from lib.pages.claims import Ends
from lib.pages.palette import BLUE, GREY, VERMILLION, label
from lib.pages.wording import corruption as corruption_name
from lib.pages.wording import count, listed, per_cent, signed, span, unseen

NAMED_CELLS = 3  # so many differences are named in a title


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
    pictures = f", on {count(int(table['n'].iloc[0]), 'test picture')}" if _counted(table) else ""
    subtitle = (
        "Accuracy, at most, after an attack that changes no pixel value by more than ε (L∞)"
        f"{pictures}; band: 95 % interval"
    )
    title = "Accuracy against the size of the attack"
    return finished(layered(*layers), 300, title, subtitle)


def _counted(table: pd.DataFrame) -> bool:
    """Whether the table says how many pictures it is about."""
    return "n" in table and len(table) > 0


def corruption_heatmap(
    table: pd.DataFrame, distinct: tuple[str | None, str | None] = (None, None)
) -> Chart:
    """Accuracy by corruption, hardest on top, and severity.

    Parameters
    ----------
    table : corruption, severity, accuracy and, if known, n
    distinct : the corruptions of lowest and highest mean accuracy that the title may name, of
        `lib.diagnosis.corruption_accuracy.UnderCorruption.distinct_ends`
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
    rows = means.set_index("corruption", drop=False)
    lowest, highest = (None if end is None else rows.loc[corruption_name(end)] for end in distinct)
    ends = Ends(lowest, highest).title("corruption")
    title = f"{ends} (mean over severities)" if ends else "Accuracy by corruption and severity"
    pictures = count(int(table["n"].iloc[0]), "test picture") if _counted(table) else "pictures"
    subtitle = f"Accuracy on {pictures}, corrupted; severity from 1 (mild) to 5 (strong)"
    chart = chart.properties(usermeta={"maxWidth": 620})
    return finished(chart, 60 + 30 * max(1, len(order)), title, subtitle)


Cell = tuple[str, str]  # an augmentation and a corruption, by their names in the tables


def corruption_by_augmentation(table: pd.DataFrame) -> Chart:
    """By how much each training augmentation changes the accuracy under each corruption.

    A cell is significant if its difference is by Welch's t over seeds, with Holm's correction for
    the number of cells. Compared with "none", or where it is missing with the first augmentation.

    Columns: augmentation, seed, corruption, accuracy; a seed's rows (severities) are averaged.
    """
    names = list(table["augmentation"].unique())
    reference = "none" if "none" in names or not names else names[0]
    by_seed = table.groupby(["augmentation", "corruption", "seed"], sort=False)["accuracy"].mean()
    values = {
        key: part.to_numpy(dtype=float)
        for key, part in by_seed.groupby(["augmentation", "corruption"], sort=False)
    }
    compared = {
        (name, kind): (of_cell, values[reference, kind])
        for (name, kind), of_cell in values.items()
        if name != reference
    }
    clear = clear_differences(compared)
    rows = [
        _cell(key, of_cell, values[reference, key[1]], key[0] == reference, key in clear)
        for key, of_cell in values.items()
    ]
    columns = ["augmentation", "corruption", "accuracy", "gain", "low", "high", "clear", "text"]
    data = pd.DataFrame(rows, columns=columns)
    strongest = max(0.01, *(abs(gain.value) for gain in clear.values()), 0.01)
    data["strength"] = data["gain"].abs().where(data["clear"], 0.0) / strongest
    order = [label(name) for name in sorted(names, key=lambda name: name != reference)]
    hard = data[data["augmentation"] == label(reference)].sort_values("accuracy", kind="stable")
    base = alt.Chart(data).encode(
        x=alt.X(
            "augmentation:N", sort=order, title=None, axis=alt.Axis(labelAngle=-45, ticks=False)
        ),
        y=alt.Y(
            "corruption:N", sort=list(hard["corruption"]), title=None, axis=alt.Axis(ticks=False)
        ),
        tooltip=hover(
            {"augmentation": "", "corruption": "", "accuracy": EXACT}
            | dict.fromkeys(("gain", "low", "high"), "+.2%")
        ),
    )
    sign = alt.when(alt.datum["gain"] >= 0).then(alt.value(BLUE)).otherwise(alt.value(VERMILLION))
    depth = alt.Opacity("strength:Q", scale=alt.Scale(domain=WHOLE, range=[0, 0.75]), legend=None)
    stated = (alt.datum["clear"]) | (alt.datum["augmentation"] == label(reference))
    text = alt.Text("text:N")
    chart = layered(
        base.mark_rect(cornerRadius=2).encode(color=sign, opacity=depth),
        base.mark_text(fontSize=11).encode(text=text).transform_filter(stated),
        base.mark_text(fontSize=11, color=GREY).encode(text=text).transform_filter(~stated),
    )
    seeds = span(by_seed.groupby(["augmentation", "corruption"]).size().unique().tolist(), "seed")
    subtitle = (
        f"First column: mean accuracy with {label(reference)}; others: difference from it in "
        f"percentage points. Coloured: significant (Welch's t over seeds, Holm over "
        f"{count(len(compared), 'cell')}); grey: not. Interval on hover: 95 % for one cell alone"
    )
    title = _augmentation_title(clear, compared, seeds)
    return finished(chart, 110 + 28 * max(1, len(hard)), title, subtitle)


def _cell(
    key: Cell,
    values: NDArray[np.float64],
    reference: NDArray[np.float64],
    is_reference: bool,
    clear: bool,
) -> tuple[object, ...]:
    mean = float(values.mean())
    gain = difference_interval(values, reference)
    if is_reference:
        gain = Interval(0.0, math.nan, math.nan)
    text = per_cent(mean, 0) if is_reference else signed(gain.value)
    names = label(key[0]), corruption_name(key[1])
    return *names, mean, gain.value, gain.low, gain.high, clear, text


def _augmentation_title(
    clear: Mapping[Cell, Interval],
    compared: Mapping[Cell, tuple[NDArray[np.float64], NDArray[np.float64]]],
    seeds: str,
) -> str:
    """Names the significant cells of the largest differences; without any, what could be seen."""
    if not compared:
        return "Accuracy by augmentation and corruption"
    if not clear:
        text = "No augmentation changes the accuracy under a corruption significantly"
        visible = visible_difference(compared)
        if math.isnan(visible):
            return f"{text} ({seeds})"
        return f"{text}; {unseen(visible, 'change')} ({seeds})"
    largest = sorted(clear, key=lambda key: -abs(clear[key].value))[:NAMED_CELLS]
    groups: dict[tuple[str, bool], list[str]] = {}
    for name, kind in largest:
        gain = clear[name, kind].value
        unit = "" if groups else " percentage points"  # once is enough
        words = f"{corruption_name(kind)} ({signed(gain)}{unit})"
        groups.setdefault((name, gain > 0), []).append(words)
    parts = [
        f"{label(name)} {'improves' if up else 'lowers'} accuracy under {listed(cells)}"
        for (name, up), cells in groups.items()
    ]
    others = count(len(clear) - len(largest), "more cell")
    more = f"; {others} significant" if len(clear) > len(largest) else ""
    title = "; ".join(parts)
    return f"{title[:1].upper()}{title[1:]}{more} ({seeds})"
