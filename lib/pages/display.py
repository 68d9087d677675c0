"""Charts, tables and findings as blocks of HTML, in the same bytes every time.

`show(...)` displays a chart, a table, a finding or pictures as a Pandoc raw block of HTML, which
Quarto and Pandoc pass on untouched. A chart travels as its Vega-Lite specification; the page's
script draws it in the page's theme. Jupyter gets the same under Vega-Lite's MIME type.
"""

import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import altair as alt
import pandas as pd
from IPython.display import display

from lib.pages import links
from lib.pages.markdown import raw_block
from lib.pages.notebook import FINDING
from lib.pages.palette import label
from lib.pages.wording import axis_title

VEGA_LITE = f"application/vnd.vegalite.{alt.SCHEMA_VERSION.split('.')[0]}+json"
DIGITS = 6  # significant digits of a chart's data: more than any figure here is known to
NAMED = {
    "augmentation",
    "model",
    "strategy",
    "attack",
    "ordering",
    "rival",
}  # columns of known names
CONTROL_HEIGHT = 36  # pixels of the row of checkboxes under a chart that has some


@dataclass(frozen=True)
class Fragment:
    """A piece of a page. A notebook shows it as a cell's last value, or anywhere by `show`."""

    html: str
    text: str  # what a terminal shows instead
    more: Mapping[str, Any] = field(default_factory=dict)  # further MIME types

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # text/html would be the obvious type, but Quarto adds scripts from a CDN to it.
        return {"text/markdown": raw_block(self.html), "text/plain": self.text, **self.more}


def show(thing: alt.TopLevelMixin | Fragment, name: str | None = None) -> None:
    """Display a fragment, or a chart under a name that is unique on its page, such as `curves`."""
    if isinstance(thing, Fragment):
        display(thing)
    elif name is None:
        raise ValueError("a chart needs a name: show(chart, 'curves')")
    else:
        display(figure(thing, name))


def tabs(name: str, panels: Mapping[str, Sequence[Fragment]]) -> Fragment:
    """Several panels of which the reader sees one at a time; a single one has no tabs.

    Parameters
    ----------
    name : str       unique on its page
    panels : dict    the fragments of each panel by its title
    """
    bodies = [_joined_fragments(panel) for panel in panels.values()]
    if len(bodies) == 1:
        return bodies[0]
    html = "".join(
        f'<input type="radio" name="tabs-{name}" id="tab-{name}-{i}"{" checked" * (i == 0)}>'
        f'<label for="tab-{name}-{i}">{escape(title)}</label>'
        f'<div class="daybook-panel">{body.html}</div>'
        for i, (title, body) in enumerate(zip(panels, bodies, strict=True))
    )
    return Fragment(f'<div class="daybook-tabs">{html}</div>', _text(bodies))


def folded(summary: str, *fragments: Fragment) -> Fragment:
    """Fragments that a click on `summary` opens, such as a table of what a chart shows."""
    body = _joined_fragments(fragments)
    html = (
        f'<details class="daybook-folded"><summary>{escape(summary)}</summary>{body.html}</details>'
    )
    return Fragment(html, f"{summary}\n{body.text}")


def _joined_fragments(fragments: Sequence[Fragment]) -> Fragment:
    """One fragment that shows several below each other."""
    return Fragment("".join(fragment.html for fragment in fragments), _text(fragments))


def _text(fragments: Sequence[Fragment]) -> str:
    return "\n".join(fragment.text for fragment in fragments)


def chooser(name: str, what: str, panels: Mapping[str, Sequence[Fragment]]) -> Fragment:
    """Many panels, one of which is open; `report/assets/choosers.js` puts a select box above them.

    Where no script runs each panel's title opens it. A single panel stands alone.

    Parameters
    ----------
    name : str       unique on its page
    what : str       what is chosen, such as `Model`: the label of the select box
    panels : dict    the fragments of each panel by its title
    """
    bodies = [_joined_fragments(panel) for panel in panels.values()]
    if len(bodies) == 1:
        return bodies[0]
    html = "".join(
        f'<details class="daybook-choice"{" open" * (i == 0)}><summary>{escape(title)}</summary>'
        f"{body.html}</details>"
        for i, (title, body) in enumerate(zip(panels, bodies, strict=True))
    )
    return Fragment(
        f'<div class="daybook-chooser" id="choose-{name}" data-what="{escape(what)}">{html}</div>',
        _text(bodies),
    )


def figure(chart: alt.TopLevelMixin, name: str) -> Fragment:
    """The chart as a figure whose height is reserved and whose drawing the page's script does.

    The title and subtitle become the figure's caption, where they wrap as the page's width asks.

    Raises
    ------
    ValueError   if the name isn't made of lower-case letters, digits, hyphens and underscores
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"a chart's name is like 'loss-curves', not {name!r}")
    spec = specification(chart)
    heading = spec.pop("title", None) or {}
    title, subtitle = _joined(heading.get("text", "")), _joined(heading.get("subtitle", ""))
    limit = spec.get("usermeta", {}).get("maxWidth")
    width = f' style="max-width:{limit}px"' if limit else ""
    controls = any(isinstance(param.get("bind"), dict) for param in spec.get("params", []))
    height = spec["height"] + CONTROL_HEIGHT * controls
    html = (
        f'<figure class="daybook-chart" id="chart-{name}" data-name="{name}"{width}>'
        f'<figcaption class="daybook-caption"><span class="daybook-title">{escape(title)}</span> '
        f'<span class="daybook-subtitle">{escape(subtitle)}</span></figcaption>'
        f'<div class="daybook-view" style="min-height:{height}px" role="img" '
        f'aria-label="{escape(f"{title}. {subtitle}")}"></div>'
        f'<script type="application/json" class="daybook-spec">{_script(spec)}</script></figure>'
    )
    lines = {"text": textwrap.wrap(title, 70), "subtitle": textwrap.wrap(subtitle, 90)}
    return Fragment(html, f"{title}\n{subtitle}", {VEGA_LITE: {**spec, "title": lines}})


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The chart's Vega-Lite without a theme. The same chart gives the same in every process."""
    with alt.data_transformers.enable("default", max_rows=None):
        spec = chart.to_dict()
    spec.pop("config", None)
    return _rounded(spec)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else " ".join(text)


def _script(value: Any) -> str:
    """JSON that can't end the script element it stands in, whatever its strings hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def finding(text: str) -> Fragment:
    """A sentence with a result, set apart from the prose."""
    return Fragment(f'<p class="{FINDING}">{unbroken(text)}</p>', text)


def note(text: str) -> Fragment:
    """A sentence among the prose that states no result of the page."""
    return Fragment(f"<p>{unbroken(text)}</p>", text)


def unbroken(text: str) -> str:
    """The text as HTML in which no line ends between a number and its per-cent sign."""
    return escape(text).replace(" %", "\N{NO-BREAK SPACE}%")


Format = str | Callable[[Any], str]


def table(
    frame: pd.DataFrame,
    caption: str | None = None,
    formats: Mapping[str, Format] | None = None,
    run: str | None = None,
    hover: str | None = None,
) -> Fragment:
    """A table of the frame's columns; its first column heads the rows.

    `formats` maps a column to a format specification (`".1%"`, `".3f"`) or a function. Without one,
    accuracies and shares are shown in per cent, whole and large numbers with separated thousands,
    other numbers to three significant digits, models, augmentations and the like by their names,
    and true and false as yes and no. `run` names a column of run ids: the first column's cells link
    to these runs, and a column of ids that is not the first is not shown. `hover` names a column
    that is shown on the first column's cells alone, while a pointer rests on them. A missing value
    is a dash.
    """
    chosen = formats or {}
    if unknown := set(chosen) - set(frame.columns):
        raise ValueError(f"formats for {sorted(unknown)}, which the table lacks")
    addresses = [links.run(id) for id in frame[run]] if run else [""] * len(frame)
    apart = {run, hover} - {None, frame.columns[0]}
    visible = frame.drop(columns=[name for name in frame if name in apart])
    notes = [str(note) for note in frame[hover]] if hover else [""] * len(frame)
    numeric = {c: pd.api.types.is_numeric_dtype(visible[c].infer_objects()) for c in visible}
    head = "".join(
        f'<th scope="col"{_number_class(numeric[c])}>{escape(axis_title(str(c)))}</th>'
        for c in visible
    )
    columns = [
        [
            _td(i, _cell(c, v, chosen.get(c)), numeric[c], link, note)
            for v, link, note in zip(visible[c], addresses, notes, strict=True)
        ]
        for i, c in enumerate(visible)
    ]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    described = f"<caption>{escape(caption)}</caption>" if caption else ""
    html = (
        '<div class="daybook-scroll" role="group" tabindex="0" '
        f'aria-label="{escape(caption or "Table")}">'
        f'<table class="daybook-table">{described}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return Fragment(html, visible.to_string(index=False))


def _number_class(numeric: bool) -> str:
    return ' class="daybook-number"' if numeric else ""


def _td(position: int, text: str, numeric: bool, link: str, note: str) -> str:
    if position:
        return f"<td{_number_class(numeric)}>{escape(text)}</td>"
    inner = f'<a href="{escape(link)}">{escape(text)}</a>' if link else escape(text)
    title = f' title="{escape(note)}"' if note else ""
    return f'<th scope="row"{_number_class(numeric)}{title}>{inner}</th>'


def _cell(column: Any, value: Any, chosen: Format | None) -> str:
    if callable(chosen):
        return chosen(value)
    if not pd.api.types.is_scalar(value):
        return str(value)
    if pd.isna(value):
        return "–"
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    if not pd.api.types.is_number(value):
        text = label(value) if column in NAMED else str(value)
        return format(value, chosen) if chosen else text
    if chosen is None:
        percent = re.search("accuracy|share", str(column)) and 0 <= value <= 1
        whole = pd.api.types.is_integer(value) or abs(value) >= 1000
        chosen = ".1%" if percent else ",.0f" if whole else ".3g"
    return format(value, chosen).replace("%", "\N{NO-BREAK SPACE}%")
