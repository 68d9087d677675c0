"""Menus between the pages of a study and between studies, on small pieces of HTML."""

import json

import pytest

from report.finish import finish
from report.navigation import Navigation, Study

DEMO, PETS = Study("demo", "demo"), Study("Pets & <b>", "pets-b")
ONE, TWO = Navigation((DEMO,), "demo"), Navigation((DEMO, PETS), "pets-b")
PAGES = {
    "index.html",
    "report/runs.html",
    "report/studies/demo/index.html",
    "report/studies/demo/day1.html",
    "report/studies/demo/day2.html",
    "report/studies/pets-b/index.html",
    "report/studies/pets-b/day1.html",
}


@pytest.mark.parametrize(
    "entry",
    [
        '<li><a href="{}">Day</a></li>',
        '<li class="nav-item">\n<a class="nav-link" href="{}" target="_self">'
        "<span>Day</span></a>\n</li>",
        '<li class="sidebar-item"><div><a class="link" href="{}"><b>Day</b></a></div></li>',
    ],
)
def test_entries_for_missing_pages_go(entry):
    kept = "".join(entry.format(href) for href in ("b.html", "b.html#a", "https://a.org/", "#"))
    menu = f"<nav><ul>{kept}{entry.format('missing.html')}</ul></nav>"
    assert ONE.menus(menu, "a.html", {"a.html", "b.html"}) == f"<nav><ul>{kept}</ul></nav>"


def test_a_menu_keeps_its_own_entry_while_one_inside_stays():
    inner = '<li><a href="one.html">1</a></li>'
    menu = '<nav><ul><li><a href="#" role="button">Days</a><ul>{}</ul></li></ul></nav>'
    given = menu.format(inner + '<li><a href="two.html">2</a></li>')
    assert ONE.menus(given, "index.html", {"one.html"}) == menu.format(inner)
    assert ONE.menus(given, "index.html", set()) == "<nav><ul></ul></nav>"


@pytest.mark.parametrize(
    ("navigation", "page", "href", "expected"),
    [
        (ONE, "index.html", "report/studies/day1.html#a", "report/studies/demo/day1.html#a"),
        (ONE, "report/runs.html", "studies/day1.html", "studies/demo/day1.html"),
        (ONE, "report/runs.html", "studies/index.html", "../index.html"),
        (ONE, "report/studies/demo/day2.html", "../day1.html", "day1.html"),
        (ONE, "report/studies/demo/day2.html", "../index.html", "../../../index.html"),
        (TWO, "report/studies/demo/day2.html", "../day1.html", "day1.html"),
        (TWO, "report/studies/demo/day2.html", "../index.html", "index.html"),
        (TWO, "report/runs.html", "studies/day1.html", "studies/pets-b/day1.html"),  # the latest
        (TWO, "report/runs.html", "studies/index.html", "../index.html"),
        (TWO, "report/runs.html", "studies/demo/day1.html", "studies/demo/day1.html"),
        (TWO, "report/runs.html", "https://a.org/studies/day1.html", None),
        (TWO, "report/runs.html", "#studies", None),
        (Navigation(), "report/runs.html", "studies/day1.html", None),
    ],
)
def test_a_page_of_any_study_is_that_of_the_pages_own(navigation, page, href, expected):
    assert navigation.completed(href, page) == (expected or href)


BAR = """<nav><ul>
<li><a href="{0}report/studies/index.html">Home</a></li>
<li><a href="#">Studies</a><ul><li><a href="{0}index.html">All studies</a></li></ul></li>
<li><a href="#">Days</a><ul><li><a href="{0}report/studies/day2.html">2</a></li></ul></li>
<li><a href="{0}report/runs.html">Runs</a></li>
</ul></nav>"""


def lines(text):
    return [line for line in text.splitlines() if line]


def test_with_one_study_there_is_no_menu_of_studies():
    shown = ONE.menus(BAR.format("../../../"), "report/studies/demo/day2.html", PAGES)
    assert lines(shown) == [
        "<nav><ul>",
        '<li><a href="../../../index.html">Home</a></li>',
        '<li><a href="#">Days</a><ul><li><a href="day2.html" aria-current="page">2</a></li></ul>'
        "</li>",
        '<li><a href="../../../report/runs.html">Runs</a></li>',
        "</ul></nav>",
    ]


def test_with_several_each_page_leads_to_the_same_page_of_the_others():
    shown = TWO.menus(BAR.format("../../../"), "report/studies/demo/day1.html", PAGES)
    assert '<a href="index.html">Home</a>' in shown
    assert '<a href="../../../index.html">All studies</a>' in shown
    assert '<a href="day1.html" aria-current="page">demo</a>' in shown
    assert '<a href="../pets-b/day1.html">Pets &amp; &lt;b&gt;</a>' in shown
    assert '<a href="day2.html">2</a>' in shown
    shown = TWO.menus(BAR.format("../../../"), "report/studies/demo/day2.html", PAGES)
    assert '<a href="../pets-b/index.html">Pets' in shown  # which has no second day


def test_pages_that_all_studies_share_have_no_entries_of_one():
    shown = TWO.menus(BAR.format("../"), "report/runs.html", PAGES)
    assert "Days" not in shown
    assert '<a href="../index.html">Home</a>' in shown
    assert '<a href="studies/demo/index.html">demo</a>' in shown
    assert '<a href="../report/runs.html" aria-current="page">Runs</a>' in shown


PAGE = '<head><title>Day – Site</title></head><main><h1 class="title">Day</h1></main>'


def test_a_page_names_its_study_where_there_are_several():
    shown = TWO.headed(PAGE, "report/studies/pets-b/day1.html")
    assert "<title>Day – Pets &amp; &lt;b&gt; – Site</title>" in shown
    named = '<p class="daybook-study"><a href="index.html">Pets &amp; &lt;b&gt;</a></p>\n<h1'
    assert named in shown
    for navigation, page in ((ONE, "report/studies/demo/day1.html"), (TWO, "report/runs.html")):
        assert navigation.headed(PAGE, page) == PAGE


def test_the_home_page_of_a_study_has_its_name_as_the_title_where_there_are_several():
    page = PAGE.replace(">Day<", ">Site<").replace("Day – Site", "Site")
    page += '<h1 class="quarto-secondary-nav-title">Site</h1><h1 class="title d-none">Site</h1>'
    shown = TWO.headed(page, "report/studies/pets-b/index.html")
    assert shown.count(">Pets &amp; &lt;b&gt;</h1>") == 3
    assert "<title>Pets &amp; &lt;b&gt; – Site</title>" in shown
    assert "daybook-study" not in shown
    assert ONE.headed(page, "index.html") == page


@pytest.mark.parametrize(
    ("page", "shown"), [("day4_diagnostics", True), ("gallery", True), ("model_card", False)]
)
def test_a_page_about_earlier_pictures_says_so(page, shown):
    study = Study("demo", "demo", {"day4_diagnostics": "About <earlier> pictures"})
    for others in ((), (PETS,)):
        text = Navigation((study, *others)).headed(PAGE, f"report/studies/demo/{page}.html")
        assert ('role="note">About &lt;earlier&gt; pictures To make' in text) is shown
        assert ("<code>python -m analysis --study=demo</code></p>" in text) is shown


def site(root, pages, studies):
    for page in pages:
        path = root / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<html><head>\n</head>{PAGE}</html>", encoding="utf-8")
    file = root / "report" / "assets" / "generated" / "studies.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    values = [{"name": name, "address": name, "earlier": {}} for name in studies]
    file.write_text(json.dumps({"latest": studies[-1], "studies": values}), encoding="utf-8")


def addresses(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*.html")}


def test_pages_that_have_moved_lead_on(tmp_path):
    own = "report/studies/demo"
    site(tmp_path, ["index.html", f"{own}/day1.html", f"{own}/gallery.html"], ["demo"])
    assert finish(tmp_path) == 3
    moved = {"report/days/day1.html", "report/gallery.html", f"{own}/index.html"}
    assert addresses(tmp_path) == moved | {"index.html", f"{own}/day1.html", f"{own}/gallery.html"}
    text = (tmp_path / "report" / "days" / "day1.html").read_text(encoding="utf-8")
    assert '<link rel="canonical" href="../studies/demo/day1.html">' in text
    assert 'src="../../report/assets/redirect.js"' in text
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.html")}
    assert finish(tmp_path) == 3
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.html")} == before


def test_with_several_studies_old_addresses_lead_to_the_latest(tmp_path):
    pages = [f"report/studies/{name}/{page}.html" for name in "ab" for page in ("index", "day1")]
    site(tmp_path, ["index.html", *pages], ["a", "b"])
    finish(tmp_path)
    assert addresses(tmp_path) == {"index.html", *pages, "report/days/day1.html"}
    assert "studies/b/day1.html" in (tmp_path / "report" / "days" / "day1.html").read_text("utf-8")


def test_a_study_that_is_gone_leaves_no_page_and_no_result_of_the_search(tmp_path):
    pages = [f"report/studies/{name}/{page}.html" for name in "abc" for page in ("index", "day1")]
    site(tmp_path, ["index.html", *pages], ["a", "b"])
    found = [{"href": f"{page}#x", "title": "Day"} for page in ["index.html", *pages]]
    (tmp_path / "search.json").write_text(json.dumps(found), encoding="utf-8")
    finish(tmp_path)
    assert not (tmp_path / "report" / "studies" / "c").exists()
    kept = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))
    assert [entry["title"] for entry in kept] == ["Day", "a", "Day · a", "b", "Day · b"]
    finish(tmp_path)
    assert json.loads((tmp_path / "search.json").read_text(encoding="utf-8")) == kept
