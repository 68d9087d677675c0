"""Corrections of rendered pages, on small pieces of HTML."""

import json

import pytest

from report.finish import MAX_INLINE_CHART, extract_charts, finish, resolved

PAGES = {"index.html", "report/runs.html", "report/days/day1.html", "a/twice.html", "b/twice.html"}


@pytest.mark.parametrize(
    ("href", "page", "expected"),
    [
        ("runs.html#run=1", "index.html", "report/runs.html#run=1"),
        ("runs.html", "report/days/day1.html", "../runs.html"),
        ("day1.html", "index.html", "report/days/day1.html"),
        ("index.html", "report/runs.html", "../index.html"),
        ("runs.html", "report/gallery.html", "runs.html"),  # right already
        ("report/runs.html", "index.html", "report/runs.html"),  # a path says what it means
        ("https://example.org/runs.html", "index.html", "https://example.org/runs.html"),
        ("#curves", "index.html", "#curves"),
        ("other.html", "index.html", "other.html"),  # unknown
        ("twice.html", "index.html", "twice.html"),  # not to be decided
        ("data.csv", "index.html", "data.csv"),
    ],
)
def test_a_page_is_found_by_its_name(href, page, expected):
    assert resolved(href, page, PAGES) == expected


def figure(name, spec):
    # Quarto adds a class of its own.
    return (
        f'<figure class="daybook-chart figure" id="chart-{name}" data-name="{name}"><div></div>'
        f'<script type="application/json" class="daybook-spec">{spec}</script></figure>'
    )


def test_heavy_charts_move_beside_the_page(tmp_path):
    light, heavy = '{"a": 1}', json.dumps({"values": ["<\\/script>"] * MAX_INLINE_CHART})
    page = tmp_path / "day1.html"
    text = extract_charts(figure("light", light) + figure("heavy", heavy), page)
    assert figure("light", light) in text
    assert 'class="daybook-spec" data-src="day1_charts/heavy.js"></script>' in text
    script = (tmp_path / "day1_charts" / "heavy.js").read_text(encoding="utf-8")
    assert script == f'daybook.specs["heavy"] = {heavy};\n'
    assert extract_charts(text, page) == text


def test_a_link_in_a_files_place_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("old")
    site = tmp_path / "site"
    (site / "day1_charts").mkdir(parents=True)
    (site / "day1_charts" / "heavy.js").symlink_to(tmp_path / "precious")
    heavy = json.dumps({"values": ["x"] * MAX_INLINE_CHART})
    (site / "day1.html").write_text(figure("heavy", heavy))
    finish(site)
    assert (tmp_path / "precious").read_text() == "old"
    assert heavy in (site / "day1_charts" / "heavy.js").read_text()


FOREIGN = (
    '<script src="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js" '
    'integrity="sha512-x" crossorigin="anonymous"></script>\n'
    '<script src="//cdnjs.cloudflare.com/ajax/libs/jquery/3.5.1/jquery.min.js"></script>\n'
    '<script type="application/javascript">'
    "define('jquery', [],function() {return window.jQuery;})</script>\n"
)


def test_a_site_is_finished_once_and_for_all(tmp_path):
    own = '<script src="report/assets/daybook.js"></script>'
    video = '<figure class="daybook-when figure" data-file="{}"><video></video></figure>'
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "runs.html").write_text("<p>runs</p>", encoding="utf-8")
    (tmp_path / "film.webm").touch()
    page = tmp_path / "index.html"
    given = f'{FOREIGN}{own}<a href="runs.html#run=1">run</a>'
    page.write_text(given + video.format("film.webm") + video.format("no.webm"), encoding="utf-8")
    finish(tmp_path)
    expected = f'{own}<a href="report/runs.html#run=1">run</a>{video.format("film.webm")}'
    assert page.read_text(encoding="utf-8") == expected
    finish(tmp_path)
    assert page.read_text(encoding="utf-8") == expected
