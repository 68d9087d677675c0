"""Names that are written as script or markup stay text, on every page and whatever a reader does.

The study is that of `tests.report.hostile`. What the strings would do is set `window.hacked`.
"""

import dataclasses
import re
import shutil
import threading

import pytest

from lib.study.study import STUDIES, Study
from report.__main__ import build
from report.server import Server
from tests.report import hostile
from tests.report.test_pages import MODULES_FROM_FILES, Visit
from tests.sources import copy_sources

PAGES = (
    "index.html",
    "report/studies/demo/day1_augmentations.html",
    "report/studies/demo/day4_diagnostics.html",
    "report/studies/demo/model_card.html",
    "report/runs.html",
    "report/studies/demo/gallery.html",
    "report/reproduce.html",
    "report/glossary.html",
    "report/labeler.html",
)
# Elements and addresses that only the strings could have made. Quarto's own switches have onclick.
INTRUDERS = """() => {
    const found = [...document.querySelectorAll(
        "[onerror], [onload], [src=x], main b, [onclick*=hacked], video:not([poster])"
    )];
    const attributes = ["href", "src", "action", "formaction", "data", "xlink:href"];
    for (const element of document.querySelectorAll("*"))
        if (attributes.some((name) => /^\\s*javascript:/i.test(element.getAttribute(name) ?? "")))
            found.push(element);
    for (const script of document.scripts)
        if (script.type !== "application/json" && script.textContent.includes("hacked"))
            found.push(script);
    return found.map((element) => element.outerHTML.slice(0, 200));
}"""
# The words of a page, those that a chart, a list or a screen reader shows among them.
WORDS = """() => {
    const copy = document.body.cloneNode(true);
    for (const element of copy.querySelectorAll("script, style, pre, code")) element.remove();
    return copy.textContent;
}"""


@pytest.fixture(scope="session")
def hostile_project(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    copy_sources(root, "report", "_quarto.yml")
    hostile.write_study(root, hostile.dataset())
    return root


@pytest.fixture(scope="session", params=["pandoc", "quarto"])
def hostile_site(request, hostile_project, tmp_path_factory):
    """Each edition."""
    if request.param == "quarto" and not shutil.which("quarto"):
        pytest.skip("Quarto is not on PATH: its edition is not tested")
    build(hostile_project, request.param)
    place = tmp_path_factory.mktemp(request.param) / "site"
    return (hostile_project / "_site").rename(place)


# What both editions do by the same scripts is tried in one of them.
one_edition = pytest.mark.parametrize("hostile_site", ["pandoc"], indirect=True)


@pytest.fixture
def visit(hostile_site, browser):
    """Opens a page without its policy, which would hide what the page itself lets through.

    When the test is over, nothing on any page may have become script or markup.
    """
    visits = []
    context = browser.new_context(viewport={"width": 1360, "height": 850}, bypass_csp=True)

    def visit(page, state=""):
        opened = Visit(context, f"{hostile_site.as_uri()}/{page}{state}", MODULES_FROM_FILES)
        for chart in opened.page.locator(".daybook-chart").all():
            chart.scroll_into_view_if_needed()
            chart.locator("[data-drawn]").wait_for()
        visits.append(opened)
        return opened

    yield visit
    for opened in visits:
        assert_harmless(opened)
    context.close()


def assert_harmless(opened):
    """Nothing on the page has become script or markup."""
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.evaluate(INTRUDERS) == []
    assert opened.complaints == []
    assert opened.foreign == []


def squeezed(text):
    return re.sub(r"[\s\u2060]+", " ", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def absent(page, where=WORDS):
    """Which of the strings a page does not show as they are."""
    words = squeezed(page.evaluate(where))
    return [text for text in hostile.STRINGS if text not in words]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_on_a_page_becomes_script_or_markup_and_names_are_shown(visit, path):
    page = visit(path).page
    if path == PAGES[0]:
        assert hostile.NAME in squeezed(page.inner_text("main"))
    elif path in PAGES[1:4]:
        assert absent(page) == []
    for summary in page.locator("main summary:visible").all():
        summary.click()
        page.keyboard.press("Escape")  # closes a panel, which would cover what follows
    for tab in page.locator("main .daybook-tabs > label").all():
        tab.click()
    for mark in page.locator(".daybook-links a, .daybook-view .mark-symbol path").all()[:8]:
        mark.hover(force=True)


@pytest.mark.parametrize("engine", ["pandoc", "quarto"])
def test_the_names_of_several_studies_are_text(hostile_project, tmp_path, browser, engine):
    if engine == "quarto" and not shutil.which("quarto"):
        pytest.skip("Quarto is not on PATH: its edition is not tested")
    root = shutil.copytree(hostile_project, tmp_path / "several", symlinks=True)
    first = Study(root / STUDIES / "demo")
    second = Study(shutil.copytree(first.path, root / STUDIES / "other"))
    second.save(dataclasses.replace(first.facts, name=f"other {hostile.NAME}"))
    build(root, engine)
    context = browser.new_context(bypass_csp=True)
    other = "report/studies/other"
    for page in ("index", f"{other}/index", f"{other}/day1_augmentations", "report/runs"):
        opened = Visit(context, f"{(root / '_site').as_uri()}/{page}.html", MODULES_FROM_FILES)
        opened.page.get_by_text("Studies", exact=True).first.click()
        assert f"other {hostile.NAME}" in squeezed(opened.page.inner_text("header nav"))
        if page != "report/runs":
            assert f"other {hostile.NAME}" in squeezed(opened.page.inner_text("main"))
        assert_harmless(opened)
    context.close()


def test_code_and_output_show_names_as_they_are(visit):
    page = visit(PAGES[1]).page
    code = squeezed(
        page.evaluate("[...document.querySelectorAll('pre')].map(e => e.textContent).join(' ')")
    )
    for text in hostile.STRINGS:
        assert code.count(text) >= 4, text  # twice in the output of each cell


@one_edition
def test_runs_are_shown_compared_and_opened(visit, hostile_site):
    page = visit("report/runs.html").page
    page.wait_for_selector(".tabulator-row")
    page.click("summary:text-is('Columns')")
    for box in page.locator(".panel:visible input").all():
        box.check()
    page.keyboard.press("Escape")
    everything = "daybook.runsPage.table.getColumns().map(c => c.getField()).join('\\n')"
    assert hostile.STRINGS[0] in page.evaluate(everything)
    cells = (
        "() => [...document.querySelectorAll('.tabulator-cell')].map(e => e.innerText).join('\\n')"
    )
    headings = "() => document.querySelector('.tabulator-headers').innerText"
    assert hostile.NAME in squeezed(page.evaluate(cells))
    assert absent(page, cells) == []
    assert hostile.STRINGS[0] in squeezed(page.evaluate(headings))
    page.click(".tabulator-col[tabulator-field=dataset]")
    page.click(".tabulator-col[tabulator-field='note_0']")
    page.click("summary:text-is('Filters')")
    page.keyboard.press("Escape")
    assert hostile.NAME in squeezed(page.locator(".runs-same summary").inner_text())
    for number in range(4):
        page.locator(".tabulator-row input").nth(number).check()
    page.wait_for_selector(".runs-compare [data-drawn]")
    page.get_by_label("Group by setting").check()
    page.get_by_label("Group by setting").uncheck()
    for mark in page.locator(".runs-compare .mark-symbol path").all()[:6]:
        mark.hover(force=True)
    page.click(".runs-compare thead a >> nth=0")
    page.wait_for_selector("dialog[open] [data-drawn]")
    assert absent(page, "() => document.querySelector('dialog[open]').innerText") == []


@one_edition
def test_the_gallery_is_filtered_and_opened(visit):
    page = visit("report/studies/demo/gallery.html").page
    page.wait_for_selector(".gallery-grid")
    assert absent(page, "() => document.querySelector('.gallery-grid').textContent") == []
    for text in hostile.STRINGS:
        page.get_by_label("True class").select_option(text)
        page.locator(".gallery-grid button").first.click()
        assert text in squeezed(page.inner_text("dialog[open]"))
        page.keyboard.press("Escape")


@one_edition
def test_a_link_to_a_class_of_any_name_opens_its_pictures(visit):
    opened = visit("report/studies/demo/day4_diagnostics.html")
    links = opened.page.locator("#chart-confusion .daybook-links a")
    link = links.first.get_attribute("href")
    assert "/report/studies/demo/gallery.html#" in link
    page = visit("report/studies/demo/gallery.html", link[link.index("#") :]).page
    page.wait_for_selector(".gallery-grid button")


def test_search_finds_names_and_shows_them_as_they_are(hostile_site, browser):
    if not (hostile_site / "search.json").exists():
        pytest.skip("the Pandoc edition has no search")
    context = browser.new_context(bypass_csp=True)
    with Server(hostile_site, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened = Visit(context, f"http://127.0.0.1:{server.server_port}/index.html")
        page = opened.page
        page.locator("#quarto-search button").first.click()
        page.keyboard.type("onerror")
        page.wait_for_selector(".search-result-text")
        assert "<img src=x onerror=" in page.inner_text(".aa-Panel")
        assert page.evaluate("window.hacked") is None
        assert page.evaluate(INTRUDERS) == []
        server.shutdown()
    context.close()


STRANGE = {
    "direction": "\N{RIGHT-TO-LEFT OVERRIDE}gpj.tac",
    "breaks": "a\nb\tc\rd",
    "quotes": "'a' \"b\" `c`",
    "long": "y" * 300,
    "words": "a name of many words " * 15,
}
CROSSED = """() => [...document.querySelectorAll("main figure, main table, main caption")]
    .filter((e) => e.checkVisibility() && !e.closest(".daybook-scroll, .tabulator, table table"))
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
    .map((e) => e.outerHTML.slice(0, 150))"""


@pytest.fixture(scope="session")
def strange_site(tmp_path_factory):
    """The Pandoc edition of a study with names that are hard to lay out."""
    root = tmp_path_factory.mktemp("strange")
    copy_sources(root, "report", "_quarto.yml")
    names = tuple(STRANGE.values())
    hostile.write_study(root, hostile.dataset(names, STRANGE["long"]))
    build(root, "pandoc")
    return root / "_site"


@pytest.mark.parametrize("path", PAGES[:7])
def test_strange_names_fit_a_phone(strange_site, context, path):
    opened = Visit(context, f"{strange_site.as_uri()}/{path}")
    page = opened.page
    page.set_viewport_size({"width": 360, "height": 740})
    for chart in page.locator(".daybook-chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator("[data-drawn]").wait_for()
    if path.endswith("gallery.html"):
        page.wait_for_selector(".gallery-grid")
        for number in range(len(STRANGE)):
            page.get_by_label("True class").select_option(index=number + 1)
            page.locator(".gallery-grid button").first.click()
            over = "document.querySelector('dialog').scrollWidth > innerWidth"
            assert not page.evaluate(over)
            page.keyboard.press("Escape")
    if path.endswith("runs.html"):
        page.wait_for_selector(".tabulator-row")
        page.locator(".tabulator-row a").first.click()
        page.wait_for_selector("dialog[open] [data-drawn]")
        assert not page.evaluate("document.querySelector('dialog').scrollWidth > innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(CROSSED) == []
    assert opened.complaints == []


INJECT = """async () => {
    const box = document.querySelector("main").appendChild(document.createElement("div"));
    box.innerHTML = '<img src="data:," onerror="window.hacked = 1">'
        + '<a id="intruder" href="javascript:window.hacked = 1">x</a>';
    const script = document.createElement("script");
    script.textContent = "window.hacked = 1";
    box.append(script);
    document.getElementById("intruder").click();
    await new Promise((done) => setTimeout(done, 200));
    return window.hacked;
}"""


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_policy_stops_a_script_that_a_page_let_through(site, address, context, scheme):
    start = address if scheme == "http" else site.as_uri()
    page = Visit(context, f"{start}/report/glossary.html").page
    assert page.evaluate(INJECT) is None
