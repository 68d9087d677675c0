"""The Pandoc edition: its navigation, and what stays when a page fails."""

import pytest
import yaml

from lib.errors import UserError
from report import notebook_markdown, pandoc_edition
from report.__main__ import build
from tests.report.conftest import PROJECT


def test_pandoc_failing_leaves_the_old_site(project, monkeypatch):
    (project / "_site").mkdir()
    monkeypatch.setattr(pandoc_edition, "TEMPLATE", project / "missing.html")
    with pytest.raises(UserError, match=r"Pandoc on \S+ failed: .*; the site is unchanged$"):
        build(project, "pandoc")
    assert list((project / "_site").iterdir()) == []


@pytest.fixture(scope="module")
def website():
    return yaml.safe_load((PROJECT / "_quarto.yml").read_text(encoding="utf-8"))["website"]


def page(place):
    return notebook_markdown.Page(place, PROJECT / "x", "Title", "")


def test_the_bar_marks_the_page_that_it_is_on(website):
    bar = pandoc_edition.variables(website, page("report/runs.html"))["navigation"]
    assert [item["href"] for item in bar if item.get("current")] == ["runs.html"]
    assert {"text": "Home", "href": "../index.html"} in bar


def test_the_days_stand_beside_a_day_alone(website):
    day = pandoc_edition.variables(website, page("report/days/day3_transfer.html"))
    assert [item["href"] for item in day["days"] if item.get("current")] == ["day3_transfer.html"]
    assert len(day["days"]) == 5
    assert day["root"] == "../.."
    assert pandoc_edition.variables(website, page("index.html"))["days"] == []


def test_a_page_that_takes_too_long_is_ended(project, monkeypatch):
    monkeypatch.setattr(pandoc_edition, "PAGE_SECONDS", 0.001)
    with pytest.raises(UserError, match=r"Pandoc on \S+ did not end within 0\.001 s"):
        build(project, "pandoc")
