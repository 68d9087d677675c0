"""Both editions in a real browser: every page, from a server and from files."""

import gzip
import re
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest

from report.navigation import REDIRECTION
from tests.report import samples

PAGES = (
    "index.html",
    "report/studies/demo/day1_augmentations.html",
    "report/studies/demo/day2_from_scratch.html",
    "report/studies/demo/model_card.html",
    "report/runs.html",
    "report/studies/demo/gallery.html",
    "report/labeler.html",
    "report/reproduce.html",
    "report/glossary.html",
)
CHARTS = {
    "index.html": ["story"],
    "report/studies/demo/day1_augmentations.html": ["curves", "ablation"],
    "report/studies/demo/day2_from_scratch.html": ["curves", "confusion"],
}
# A browser reads no ES modules from files; Quarto has two.
MODULES_FROM_FILES = re.compile(r"site_libs/quarto-html|net::ERR_FAILED")


class Visit:
    """A page in the browser, with everything that went wrong on it and everything it asked for."""

    def __init__(self, context, address, forgive=None):
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.complaints, self.foreign, self.bodies = [], [], {}
        origin = "/".join(address.split("/")[:3])

        def route(route):
            url = route.request.url
            if url.startswith((origin, "data:", "blob:")):
                route.continue_()
            else:
                self.foreign.append(url)
                route.abort()

        def complain(text):
            if not (forgive and forgive.search(text)):
                self.complaints.append(text)

        self.page.route("**/*", route)
        self.page.on("pageerror", lambda error: complain(str(error)))
        self.page.on(
            "console",
            lambda message: message.type in ("error", "warning") and complain(message.text),
        )
        self.page.goto(address)

    def draw_all(self):
        """Scroll through the page, so that every chart is drawn that is not folded away."""
        for chart in self.page.locator(".daybook-chart").all():
            if chart.locator(".daybook-view").is_visible():
                chart.scroll_into_view_if_needed()
                chart.locator("[data-drawn]").wait_for()
        self.page.evaluate("scrollTo(0, 0)")

    def toggle_theme(self):
        self.page.locator(".quarto-color-scheme-toggle, .theme-toggle").first.click()


MARKS = """(name) => document.querySelectorAll(
    `#chart-${name} .daybook-view svg :is(.mark-line, .mark-rule, .mark-symbol, .mark-rect) path`
).length"""


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_every_page_is_whole_keeps_to_its_own_host_and_fits_a_phone(site, address, context, scheme):
    start = address if scheme == "http" else site.as_uri()
    forgive = MODULES_FROM_FILES if scheme == "file" else None
    for page in PAGES:
        visit = Visit(context, f"{start}/{page}", forgive)
        visit.draw_all()
        for name in CHARTS.get(page, []):
            assert visit.page.evaluate(MARKS, name) >= 5, f"{page}: {name} has too few marks"
        assert visit.complaints == [], page
        assert visit.foreign == [], page
        visit.page.set_viewport_size({"width": 360, "height": 740})
        visit.page.wait_for_timeout(200)  # charts are drawn again at the new width
        wide = visit.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{page} is {wide} pixels wide on a phone"
        visit.page.close()


def test_charts_follow_the_theme(address, context):
    visit = Visit(context, f"{address}/report/studies/demo/day1_augmentations.html")
    visit.draw_all()
    label = "document.querySelector('#chart-curves .role-axis-label text').getAttribute('fill')"
    light = visit.page.evaluate(label)
    visit.toggle_theme()
    visit.page.wait_for_selector("#chart-curves .daybook-view[data-drawn=dark]")
    assert visit.page.evaluate(label) != light
    assert visit.complaints == []


def test_a_chart_writes_percentages_as_the_text_does(address, context):
    visit = Visit(context, f"{address}/report/studies/demo/day1_augmentations.html")
    visit.draw_all()
    labels = visit.page.locator("#chart-curves .role-axis-label text").all_text_contents()
    percentages = [label for label in labels if "%" in label]
    assert percentages
    assert all(label.endswith("\xa0%") for label in percentages)


def test_a_chart_gives_its_data_and_its_command(address, context):
    visit = Visit(context, f"{address}/report/studies/demo/day2_from_scratch.html")
    visit.draw_all()
    with visit.page.expect_download() as download:
        visit.page.click("#chart-confusion .daybook-made a")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert download.value.suggested_filename == "confusion.csv"
    assert lines[0] == "true,predicted,count,href"
    assert len(lines) == 26
    visit.page.click("#chart-confusion summary")
    command = visit.page.inner_text("#chart-confusion pre")
    assert command == samples.COMMAND.format("day2")


def test_a_command_is_shown_with_every_blank_and_line_break_in_it(address, context):
    visit = Visit(context, f"{address}/report/reproduce.html")
    shown = visit.page.locator("#made-by code").all_inner_texts()
    assert samples.COMMAND.format("day1") in shown


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_cell_of_the_confusion_matrix_leads_to_its_pictures(site, address, context, scheme):
    start = address if scheme == "http" else site.as_uri()
    visit = Visit(context, f"{start}/report/studies/demo/day2_from_scratch.html")
    visit.draw_all()
    visit.page.locator("#chart-confusion .daybook-links a").nth(1).click()
    visit.page.wait_for_url("**/report/studies/demo/gallery.html#true=aeroplane&predicted=car")
    visit.page.wait_for_selector(".gallery-grid")


PLACES = """([name, kind]) => [...document.querySelectorAll(`#chart-${name} ${kind} path`)]
    .map((path) => path.getBoundingClientRect()).map(({ x, y, width, height }) =>
        [x, y, width, height].map(Math.round))"""


def test_links_lie_on_the_marks_at_any_width(fullest_address, context):
    visit = Visit(context, f"{fullest_address}/report/studies/demo/day2_from_scratch.html")
    visit.draw_all()
    for width in (1360, 500):
        visit.page.set_viewport_size({"width": width, "height": 850})
        visit.page.wait_for_timeout(500)  # charts are drawn again at the new width
        marks = visit.page.evaluate(PLACES, ["confusion", ".mark-rect.role-mark"])
        links = visit.page.evaluate(PLACES, ["confusion", ".daybook-links a"])
        assert len(links) == 25
        assert links == marks


OVERLAPS = """() => {
    const texts = [...document.querySelectorAll("#chart-story .mark-text.role-mark text")];
    const boxes = texts.map((text) => text.getBoundingClientRect());
    return [texts.map((text) => text.textContent), boxes.filter((one, i) => boxes.some((other, j) =>
        j < i && one.left < other.right && other.left < one.right &&
        one.top < other.bottom - 2 && other.top < one.bottom - 2)).length];
}"""


@pytest.mark.parametrize("width", [1360, 390])
def test_names_of_points_do_not_cover_each_other(fullest_address, context, width):
    visit = Visit(context, f"{fullest_address}/index.html")
    visit.page.set_viewport_size({"width": width, "height": 850})
    visit.draw_all()
    names, overlapping = visit.page.evaluate(OVERLAPS)
    assert sorted(names) == ["CutMix", "MixUp", "all layers", "none"]
    assert overlapping == 0


def test_links_of_a_chart_work_by_keyboard_and_keep_its_tooltip(fullest_address, context):
    visit = Visit(context, f"{fullest_address}/report/studies/demo/day2_from_scratch.html")
    visit.draw_all()
    page, links = visit.page, visit.page.locator("#chart-confusion .daybook-links a")
    assert links.nth(1).get_attribute("aria-label").startswith("predicted: car, true: aeroplane")
    links.nth(1).hover()
    assert "aeroplane" in page.locator("#vg-tooltip-element.visible").inner_text()

    focused = "document.activeElement.getAttribute('href')?.split('#')[1]"
    page.locator("#chart-confusion input").focus()  # under the matrix
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(focused) == "true=aeroplane&predicted=aeroplane"
    for key, cell in [
        ("ArrowDown", "true=bird&predicted=aeroplane"),
        ("ArrowRight", "true=bird&predicted=bird"),
        ("ArrowUp", "true=aeroplane&predicted=bird"),
        ("ArrowUp", "true=aeroplane&predicted=bird"),  # the edge
    ]:
        page.keyboard.press(key)
        assert page.evaluate(focused) == cell
    page.keyboard.press("Enter")
    page.wait_for_url("**/report/studies/demo/gallery.html#true=aeroplane&predicted=bird")
    assert visit.complaints == []


def test_the_labelers_film_waits_to_be_played(fullest_address, context):
    visit = Visit(context, f"{fullest_address}/report/labeler.html")
    film = visit.page.locator("video")
    assert film.evaluate("film => [film.controls, film.autoplay, film.loop, film.readyState]") == [
        True,
        False,
        False,
        0,
    ]
    shape = film.evaluate("film => film.clientWidth / film.clientHeight")
    assert shape == pytest.approx(1120 / 864, abs=0.02)  # its place is kept before it is read
    still = visit.page.request.get(f"{fullest_address}/report/{film.get_attribute('poster')}")
    assert still.headers["content-type"] == "image/webp"
    film.evaluate("film => film.play()")
    assert film.evaluate("film => [film.videoWidth, film.videoHeight]") == [1120, 864]
    assert visit.page.inner_text("figcaption").startswith("A minute of the labeler")
    assert visit.complaints == []


def test_heat_over_pictures_has_a_slider(address, context):
    page = Visit(context, f"{address}/report/studies/demo/day2_from_scratch.html").page
    page.get_by_label("Heatmap opacity").fill("0.2")
    heat = "getComputedStyle(document.querySelector('.daybook-heat')).opacity"
    assert page.evaluate(heat) == "0.2"


def test_prose_links_between_pages_at_any_depth(address, context):
    visit = Visit(context, f"{address}/index.html")
    for link, page in [
        ("first day", "report/studies/demo/day1_augmentations.html"),
        ("label smoothing", "report/glossary.html#label-smoothing"),
    ]:
        visit.page.click(f"main >> text={link}")
        visit.page.wait_for_url(f"**/{page}")


def test_the_bar_names_only_pages_that_exist(address, context):
    visit = Visit(context, f"{address}/report/runs.html")
    links = visit.page.eval_on_selector_all("header nav a", "all => all.map((a) => a.href)")
    days = [link for link in links if "/studies/demo/day" in link]
    assert len(days) == 2
    assert any(link.endswith("/report/studies/demo/model_card.html") for link in links)


def test_folded_code_opens_and_hidden_cells_are_absent(address, context):
    visit = Visit(context, f"{address}/report/studies/demo/day2_from_scratch.html")
    assert "secret" not in visit.page.content()
    folded = visit.page.locator("details.code-fold", has_text="charts.confusion")
    assert not folded.locator("code").is_visible()
    folded.locator("summary").click()
    assert folded.locator("code").is_visible()


def test_callouts_and_tabs(address, context):
    page = Visit(context, f"{address}/report/studies/demo/day1_augmentations.html").page
    assert page.locator(".callout", has_text="How to read this").is_visible()
    words = page.get_by_text("Nothing stands out.")
    assert not words.is_visible()
    page.get_by_role("tab", name="Words").click()
    assert words.is_visible()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_chooser_shows_the_panel_that_is_chosen(site, address, context, scheme):
    start = address if scheme == "http" else site.as_uri()
    forgive = MODULES_FROM_FILES if scheme == "file" else None
    visit = Visit(context, f"{start}/report/studies/demo/day2_from_scratch.html", forgive)
    box = visit.page.get_by_label("Model", exact=True)
    assert box.locator("option").all_inner_texts() == ["<model> 1", "<model> 2"]
    assert visit.page.get_by_text("Sentence 1.").is_visible()
    assert not visit.page.get_by_text("Sentence 2.").is_visible()
    box.select_option("<model> 2")
    assert not visit.page.get_by_text("Sentence 1.").is_visible()
    assert visit.page.get_by_text("Sentence 2.").is_visible()
    assert not visit.page.locator(".daybook-chooser summary").first.is_visible()
    visit.page.locator("#chart-matrix-2").scroll_into_view_if_needed()
    visit.page.wait_for_selector("#chart-matrix-2 .daybook-view[data-drawn]")
    assert visit.page.evaluate(MARKS, "matrix-2") >= 25
    assert visit.complaints == []


def test_without_scripts_a_choosers_titles_open_its_panels(address, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/report/studies/demo/day2_from_scratch.html")
    assert page.get_by_text("Sentence 1.").is_visible()
    assert not page.get_by_text("Sentence 2.").is_visible()
    page.locator(".daybook-chooser summary", has_text="<model> 2").click()
    assert page.get_by_text("Sentence 2.").is_visible()
    context.close()


CUT_OFF = """(charts) => [...document.querySelectorAll(charts)].flatMap((figure) => {
    const svg = figure.querySelector(".daybook-view svg");
    if (!svg?.checkVisibility()) return [];
    const room = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter((text) => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < room.left - 1 || box.right > room.right + 1);
    }).map((text) => `${figure.id}: ${text.textContent}`);
})"""


@pytest.mark.parametrize("width", [390, 1280])
def test_no_text_of_a_chart_is_cut_off(fullest_address, browser, width):
    context = browser.new_context(viewport={"width": width, "height": 900})
    for page, charts in (
        ("index", "#chart-story"),
        ("report/studies/demo/day2_from_scratch", "#chart-strategies, #chart-matrix-1"),
    ):
        visit = Visit(context, f"{fullest_address}/{page}.html")
        visit.draw_all()
        assert visit.page.locator(charts).locator("svg").count() == charts.count("#")
        assert visit.page.evaluate(CUT_OFF, charts) == [], page
    context.close()


def test_what_is_wider_than_the_page_shows_that_it_goes_on(fullest_address, browser):
    context = browser.new_context(viewport={"width": 390, "height": 900})
    page = context.new_page()
    page.goto(f"{fullest_address}/report/studies/demo/day2_from_scratch.html")
    page.evaluate(
        """() => document.querySelector("main").insertAdjacentHTML("beforeend",
        `<div class="daybook-scroll" id="wide"><table class="daybook-table">
        <caption>${"words ".repeat(30)}</caption><tbody><tr><th scope="row">A name of a few words
        </th><td>${"9".repeat(90)}</td></tr></tbody></table></div>`)"""
    )
    wide = page.locator("#wide")
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth")
    assert "gradient" in wide.evaluate("box => getComputedStyle(box).backgroundImage")
    room = wide.bounding_box()["width"]
    assert wide.locator("caption").bounding_box()["width"] <= room + 1
    assert wide.locator("th").bounding_box()["width"] < room / 2
    context.close()


class Links(HTMLParser):
    """The addresses that a page refers to, and the places on it that can be referred to."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.places = set(), {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.places.update(filter(None, [named.get("id"), named.get("name")]))
        for attribute in ("href", "src"):
            if named.get(attribute):
                self.targets.add(named[attribute])


def test_no_internal_link_is_broken(site):
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    redirections = {path for path in pages if REDIRECTION in path.read_text(encoding="utf-8")}
    assert len(pages.keys() - redirections) == len(PAGES)
    assert len(redirections) == 5  # two days, card and gallery of old addresses; the study's home
    for page, links in pages.items():
        for target in links.targets:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                assert parts.scheme != "file", f"{page}: {target}"
                continue
            path = urllib.parse.unquote(parts.path)
            there = (page.parent / path).resolve() if path else page
            if there.is_dir():
                there = there / "index.html"
            assert there.exists(), f"{page.relative_to(site)}: {target}"
            # The runs page and the gallery read what follows "#" as a state, not as a place.
            if (
                parts.fragment
                and there in pages
                and there.name not in ("runs.html", "gallery.html")
            ):
                assert parts.fragment in pages[there].places, f"{page.relative_to(site)}: {target}"


@pytest.mark.parametrize(
    ("page", "most"),
    [("index.html", 300_000), ("report/studies/demo/day1_augmentations.html", 500_000)],
)
def test_pages_are_light(address, context, page, most):
    """Everything that a page asks for, compressed, but for pictures and the shared Vega."""
    weights = {}

    def weigh(response):
        kind = response.headers.get("content-type", "")
        if response.ok and "image" not in kind and not response.url.endswith("vega.js"):
            weights[response.url] = len(gzip.compress(response.body()))

    browser_page = context.new_page()
    browser_page.on("requestfinished", lambda request: weigh(request.response()))
    browser_page.goto(f"{address}/{page}", wait_until="networkidle")
    total = sum(weights.values())
    print(f"{page}: {total / 1000:.0f} KB compressed")
    assert total <= most, weights


def test_axe_finds_no_serious_violation_in_either_theme(address, browser):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is missing"
    ).Axe()
    # Colours are measured once they have settled.
    context = browser.new_context(reduced_motion="reduce")
    found = []
    for page in PAGES:
        visit = Visit(context, f"{address}/{page}")
        visit.draw_all()
        for theme, rules in (("first", None), ("other", ["color-contrast"])):
            options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
            for violation in axe.run(visit.page, options=options).response["violations"]:
                if violation["impact"] in ("serious", "critical"):
                    nodes = [node["html"][:120] for node in violation["nodes"][:3]]
                    found.append(f"{page}, {theme} theme: {violation['id']}: {nodes}")
            visit.toggle_theme()
        visit.page.close()
    context.close()
    assert found == []
