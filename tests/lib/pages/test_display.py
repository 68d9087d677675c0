import json
from html.parser import HTMLParser

import altair as alt
import numpy as np
import pandas as pd
import pytest

from lib.charts.classes import confusion
from lib.charts.parts import finished
from lib.pages.display import (
    CONTROL_HEIGHT,
    VEGA_LITE,
    chooser,
    figure,
    finding,
    folded,
    show,
    specification,
    table,
    tabs,
)

HOSTILE = "</script><!--<script>alert('x')</script>"


def chart(name="cat", title="Cats & <dogs>", subtitle='Counts of "both"'):
    data = pd.DataFrame({"class": [name, "dog"], "count": [1, 2]})
    bars = alt.Chart(data).mark_bar().encode(x="count:Q", y="class:N")
    return finished(bars, 120, title, subtitle)


class Reader(HTMLParser):
    """The elements of a page in order: tag, attributes, text that follows directly."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_data(self, data):
        self.elements[-1][2] += data

    def of(self, tag):
        return [(attributes, text) for name, attributes, text in self.elements if name == tag]


# Charts


def test_a_figure_is_what_the_pages_script_expects():
    page = Reader(figure(chart(), "cat-counts").html)
    ((attributes, _),) = page.of("figure")
    assert attributes == {
        "class": "daybook-chart",
        "id": "chart-cat-counts",
        "data-name": "cat-counts",
    }
    ((view, _),) = page.of("div")
    assert view["class"] == "daybook-view"
    assert view["style"] == "min-height:120px"
    assert view["role"] == "img"
    assert view["aria-label"] == 'Cats & <dogs>. Counts of "both"'
    assert [text.strip() for _, text in page.of("span")] == ["Cats & <dogs>", 'Counts of "both"']
    ((script, text),) = page.of("script")
    assert script == {"type": "application/json", "class": "daybook-spec"}
    spec = json.loads(text)
    assert spec["width"] == "container"
    assert "title" not in spec
    assert "config" not in spec


def test_room_is_kept_for_controls_and_the_width_is_limited():
    cells = pd.DataFrame({"true": ["a"], "predicted": ["a"], "count": [1], "share": [1.0]})
    drawn = confusion(cells)
    page = Reader(figure(drawn, "confusion").html)
    ((attributes, _),) = page.of("figure")
    assert attributes["style"] == "max-width:620px"
    ((view, _),) = page.of("div")
    assert view["style"] == f"min-height:{specification(drawn)['height'] + CONTROL_HEIGHT}px"


def test_text_from_a_dataset_cannot_leave_its_script():
    page = Reader(figure(chart(name=HOSTILE, title=HOSTILE), "hostile").html)
    assert len(page.of("script")) == 1
    rows = next(iter(json.loads(page.of("script")[0][1])["datasets"].values()))
    assert rows[0]["class"] == HOSTILE
    assert page.of("span")[0][1].strip() == HOSTILE


@pytest.mark.parametrize("name", ["", "Loss curves", "-x", 'x" onload="', "é"])
def test_a_name_that_would_break_the_markup_is_refused(name):
    with pytest.raises(ValueError, match="chart's name"):
        figure(chart(), name)


def test_a_chart_is_handed_to_jupyter_too():
    bundle = figure(chart(), "cats")._repr_mimebundle_()
    assert bundle["text/markdown"].startswith("```{=html}\n<figure")
    assert bundle[VEGA_LITE]["title"]["text"] == ["Cats & <dogs>"]
    assert bundle["text/plain"] == 'Cats & <dogs>\nCounts of "both"'
    assert "text/html" not in bundle


def test_names_of_views_do_not_depend_on_what_was_drawn_before():
    def drawn():
        base = alt.Chart(pd.DataFrame({"x": [1]})).mark_point().encode(x="x:Q")
        picked = base.add_params(alt.selection_point(name="picked"))
        return specification(alt.layer(picked, base.mark_line()).properties(height=100))

    first = drawn()
    assert first["params"][0]["views"]
    drawn()
    assert drawn() == first


def test_figures_are_rounded_and_nothing_else_changes():
    data = pd.DataFrame({"x": [1 / 3, 123456789.0, np.nan], "y": ["1.23456789", "view_1", None]})
    drawn = alt.Chart(data).mark_point().encode(x="x:Q", y="y:N").properties(height=10)
    rows = next(iter(specification(drawn)["datasets"].values()))
    assert [row["x"] for row in rows] == [0.333333, 123457000.0, None]
    assert [row["y"] for row in rows] == ["1.23456789", "view_1", None]


def test_more_rows_than_altair_allows():
    data = pd.DataFrame({"x": range(6000)})
    drawn = alt.Chart(data).mark_point().encode(x="x:Q").properties(height=10)
    assert len(next(iter(specification(drawn)["datasets"].values()))) == 6000


def test_show(capsys):
    show(finding("A is best"))
    show(chart(), "cats")
    printed = capsys.readouterr().out
    assert "A is best" in printed
    assert "Cats & <dogs>" in printed
    with pytest.raises(ValueError, match="needs a name"):
        show(chart())


# Text and tables


def test_finding_is_escaped():
    assert finding("a < b").html == '<p class="daybook-finding">a &lt; b</p>'


def test_a_number_keeps_its_per_cent_sign_on_its_line():
    assert ">95\N{NO-BREAK SPACE}% of them<" in finding("95 % of them").html


def cells(frame, **options):
    page = Reader(table(frame, **options).html)
    return [text for _, text in page.of("td")]


def test_a_table_has_headers_for_columns_and_rows():
    frame = pd.DataFrame({"model": ["small_cnn"], "test_accuracy": [0.9312], "parameters": [12345]})
    page = Reader(table(frame, caption="Models & sizes").html)
    assert [(a["scope"], text) for a, text in page.of("th")] == [
        ("col", "Model"),
        ("col", "Test accuracy"),
        ("col", "Parameters"),
        ("row", "small CNN"),
    ]
    assert page.of("td") == [
        ({"class": "daybook-number"}, "93.1\xa0%"),
        ({"class": "daybook-number"}, "12,345"),
    ]
    assert page.of("caption") == [({}, "Models & sizes")]
    assert page.of("table") == [({"class": "daybook-table"}, "")]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("loss", 0.123456, "0.123"),
        ("loss", np.nan, "–"),
        ("share", 0.5, "50.0\xa0%"),
        ("share", 12.0, "12"),
        ("accuracy", None, "–"),
        ("n", np.int64(60_000), "60,000"),
        ("frozen", True, "yes"),
        ("augmentation", "mixup", "MixUp"),
        ("class", "mixup", "mixup"),
        ("name", "<i>", "<i>"),
        ("shape", [3, 32], "[3, 32]"),
    ],
)
def test_a_cell_without_a_format(column, value, shown):
    assert cells(pd.DataFrame({"row": ["a"], column: [value]})) == [shown]


@pytest.mark.parametrize(
    ("value", "chosen", "shown"),
    [(0.12345, ".2%", "12.35\xa0%"), (1.5, ".3f", "1.500"), (90, lambda s: f"{s} s", "90 s")],
)
def test_a_cell_with_a_format(value, chosen, shown):
    frame = pd.DataFrame({"row": ["a"], "value": [value]})
    assert cells(frame, formats={"value": chosen}) == [shown]


def test_rows_link_to_their_runs():
    frame = pd.DataFrame({"run_id": ["a", "b"], "n": [1, 2]})
    page = Reader(table(frame, run="run_id").html)
    assert page.of("a") == [({"href": f"runs.html#run={id}"}, id) for id in "ab"]
    assert len(page.of("td")) == 2
    page = Reader(table(frame[["n", "run_id"]], run="run_id").html)  # ids that only link
    assert [text for _, text in page.of("a")] == ["1", "2"]
    assert not page.of("td")


def test_tabs_show_one_panel_at_a_time():
    panels = {"first": [finding("A"), finding("B")], "<second>": [finding("C")]}
    fragment = tabs("kinds", panels)
    page = Reader(fragment.html)
    buttons = [attributes for attributes, _ in page.of("input")]
    assert [("checked" in button, button["name"]) for button in buttons] == [
        (True, "tabs-kinds"),
        (False, "tabs-kinds"),
    ]
    assert [text for _, text in page.of("label")] == ["first", "<second>"]
    assert [text for _, text in page.of("p")] == ["A", "B", "C"]
    assert fragment.text == "A\nB\nC"
    assert "<input" not in tabs("kinds", {"only": [finding("A")]}).html


def test_a_chooser_opens_its_first_panel_and_needs_no_script():
    panels = {"first": [finding("A"), finding("B")], "<second>": [finding("C")]}
    fragment = chooser("models", "Model", panels)
    page = Reader(fragment.html)
    assert ["open" in attributes for attributes, _ in page.of("details")] == [True, False]
    assert [text for _, text in page.of("summary")] == ["first", "<second>"]
    assert [text for _, text in page.of("p")] == ["A", "B", "C"]
    assert "<script" not in fragment.html
    assert fragment.text == "A\nB\nC"
    assert "<details" not in chooser("models", "Model", {"only": [finding("A")]}).html


def test_what_is_folded_is_on_the_page():
    fragment = folded("In <numbers>", finding("A"), finding("B"))
    page = Reader(fragment.html)
    assert [text for _, text in page.of("summary")] == ["In <numbers>"]
    assert [text for _, text in page.of("p")] == ["A", "B"]
    assert "open" not in page.of("details")[0][0]


def test_a_column_is_shown_while_a_pointer_rests_on_the_rows_head():
    frame = pd.DataFrame({"layer": ["head", "block 1"], "n": [1, 2], "module": ["head.0", '"b"']})
    page = Reader(table(frame, hover="module").html)
    heads = [(a.get("title"), text) for a, text in page.of("th") if a["scope"] == "row"]
    assert heads == [("head.0", "head"), ('"b"', "block 1")]
    assert [text for _, text in page.of("td")] == ["1", "2"]
    assert "Module" not in [text for _, text in page.of("th")]


def test_an_empty_table_has_its_header():
    page = Reader(table(pd.DataFrame({"run": [], "n": []})).html)
    assert [text for _, text in page.of("th")] == ["Run", "Pictures"]


def test_a_format_for_a_column_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="accuracy"):
        table(pd.DataFrame({"run": ["a"]}), formats={"accuracy": ".1%"})
