"""The Pandoc edition: its navigation, and what stays when a page fails."""

import pytest
import yaml

from lib.errors import UserError
from report import notebook_markdown, pandoc_edition
from report.__main__ import build
from tests.imports import PROJECT


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
    return notebook_markdown.Page(place, PROJECT / "x.ipynb", "Title", "")


def test_the_bar_leads_to_the_pages_of_the_site(website):
    bar = pandoc_edition.variables(website, page("report/runs.html"))["navigation"]
    assert {"text": "Runs", "href": "runs.html"} in bar
    assert {"text": "Home", "href": "studies/index.html"} in bar  # for report.navigation


def test_the_days_stand_beside_a_notebook_of_a_study_alone(website):
    day = pandoc_edition.variables(website, page("report/studies/demo/day3_transfer.html"))
    assert "../day3_transfer.html" in [item["href"] for item in day["days"]]
    assert len(day["days"]) == 5
    assert day["root"] == "../../.."
    assert pandoc_edition.variables(website, page("index.html"))["days"] == []


def test_a_page_that_takes_too_long_is_ended(project, monkeypatch):
    monkeypatch.setattr(pandoc_edition, "PAGE_SECONDS", 0.001)
    with pytest.raises(UserError, match=r"Pandoc on \S+ did not end within 0\.001 s"):
        build(project, "pandoc")
