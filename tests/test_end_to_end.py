"""From a fresh checkout to a website: every notebook with tiny parameters, through every engine.

First the digits alone, then beside them a folder of pictures, and CIFAR-10 in small from reference
runs: three studies on one site.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests import recount
from tests.browser import served
from tests.report.test_pages import Visit

TINY = """
dataset: digits
image_size: 8
seeds: 1
batch_size: 128
width: 4
epochs: 1
ablation_epochs: 1
ablation_pictures: 100
pretraining_pictures: 60
pretraining_epochs: 1
transfer_pictures: 60
transfer_epochs: 1
transfer_seeds: 1
label_draws: 1
head_seeds: 1
other_backbones: efficientnet_lite0
diagnosed_pictures: 40
gallery_pictures: 50
"""
SMALL = """
dataset: cifar10
image_size: 16
seeds: 2
batch_size: 16
width: 4
epochs: 2
diagnosed_pictures: 20
gallery_pictures: 0
"""
CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
pytestmark = pytest.mark.timeout(900)  # the first test waits for the study
PAGES = [
    "day1_augmentations",
    "day2_from_scratch",
    "day3_transfer",
    "day4_diagnostics",
    "day5_artifacts",
]


def run(root, *arguments):
    command = [sys.executable, "-m", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(project_copy):
    """A copy of the sources whose study has run with the tiny profile."""
    root = project_copy("analysis", "lib", "report", "_quarto.yml")
    (root / "tiny.yaml").write_text(TINY)
    run(root, "analysis", "--profile", "tiny.yaml")
    return root


def test_a_second_study_executes_nothing(checkout):
    lines = run(checkout, "analysis").splitlines()
    assert len(lines) == len(PAGES) + 1
    assert all("unchanged" in line for line in lines)


def test_the_study_leaves_a_bundle_that_predicts(checkout):
    picture = checkout / "picture.png"
    Image.new("RGB", (20, 20), "white").save(picture)
    answers = json.loads(run(checkout, "lib.inference", picture, "--json", "--top", "10"))
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)
    assert set(answers[0]["probabilities"]) == set("0123456789")
    assert (checkout / "models" / "tiny" / "README.md").is_file()


# A digit of a figure of each kind: the page, and what stands around the digit.
DIGITS = [
    ("home", r"best run</span><strong>(\d)"),
    ("home", r"interval \d*(\d)\.\d"),
    ("home", r"(\d)\.\d\s% before temperature"),
    ("home", r"(\d)\.\d\s% without an attack"),
    ("home", r'"seconds":\d*?(\d)[.,}]'),
    ("day1_augmentations", r'"mean":0\.(\d)'),
    ("day1_augmentations", r'daybook-number">(\d)\d*\.\d\s%'),
    ("day2_from_scratch", r"Test accuracy: (\d)"),
    ("day2_from_scratch", r"\((\d)\d*\.\d–"),
    ("day2_from_scratch", r"finding\">(\d)\d* of \d+ test pictures"),
    ("day2_from_scratch", r'"count":(\d)'),
    ("day2_from_scratch", r'"class":"3","accuracy":[\d.]+,"low":0\.(\d)'),
    ("day3_transfer", r"all layers</th>.*?<td>(\d)\d*\.\d\s% \("),
    ("day3_transfer", r'"test_accuracy":0\.(\d)'),
    ("day3_transfer", r'"setting":"head only","labels":10,"accuracy":0\.(\d)'),
    ("day3_transfer", r"from scratch reaches (\d)"),
    (
        "day4_diagnostics",
        r'"attack":"PGD","epsilon":[\d.]+,"epsilon_255":[\d.]+,"accuracy":0\.(\d)',
    ),
    ("day4_diagnostics", r'"corruption":"fog","severity":3,"accuracy":[\d.]+,"low":0\.\d(\d)'),
    ("day4_diagnostics", r"temperature of \d+\.(\d)"),
    ("day4_diagnostics", r'"metric":"ECE, class-wise","scaling":"after",.*?"value":0\.\d*?([1-9])'),
    ("day4_diagnostics", r'"metric":"MCE","scaling":"before",.*?"value":0\.(\d)'),
    (
        "day4_diagnostics",
        r'Brier score</th><td>after</td>.*?number">[\d.]+</td>.*?number">\d\.(\d)',
    ),
    ("day4_diagnostics", r'"coverage":[\d.]+,"threshold":[\d.]+,"accuracy":0\.(\d)'),
    ("day4_diagnostics", r"\(AURC\): (\d)"),
    ("day5_artifacts", r"Its test accuracy is (\d)"),
    ("day5_artifacts", r"[+−(](\d)\d*\.\d to "),
    ("day5_artifacts", r"Candidate</th>.*?number\">(\d)\d*\.\d\s%"),
    ("model_card", r"test accuracy is \*\*(\d)"),
    ("model_card", r"\| 7 \| .*?\| (\d)\d*\.\d"),
    ("model_card", r"\| 8/255 \| (\d)"),
    ("model_card", r"equally full bins.*?\| \d+\.(\d)"),
    ("model_card", r"misclassifies (\d)"),
    ("model_card", r"\| test \| (\d)"),
]


@pytest.mark.parametrize(("page", "around"), DIGITS)
def test_a_changed_digit_is_told_with_its_page(checkout, tmp_path, capsys, page, around):
    study = shutil.copytree(checkout / "report" / "studies" / "tiny", tmp_path / "tiny")
    change_digit(next(study.glob(f"{page}.*")), around)
    status = recount.main([str(study), "--runs", str(checkout / "runs"), "--only", page])
    assert status == 1
    assert f"DISAGREES: {page}, " in capsys.readouterr().out


def change_digit(file, around):
    """Another digit for the first one that the pattern's group finds on a page."""

    def change(text):
        found = re.search(around, text)
        if not found:
            return text
        at = found.start(1)
        return text[:at] + str((int(text[at]) + 5) % 10) + text[at + 1 :]

    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        changed = change(text)
    else:
        notebook = json.loads(text)
        outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", ()))
        for data in (output.get("data", {}) for output in outputs):
            before = "".join(data.get("text/markdown", ""))
            if (after := change(before)) != before:
                data["text/markdown"] = after
                break
        changed = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    assert changed != text, f"{file.name} has no {around}"
    file.write_text(changed, encoding="utf-8")


@pytest.mark.parametrize("engine", ["pandoc", "quarto"])
def test_the_site_has_home_and_every_day_with_charts(checkout, engine):
    render(checkout, engine)
    site = checkout / "_site"
    home = (site / "index.html").read_text(encoding="utf-8")
    assert "Test accuracy" in home
    assert "All studies" not in home  # there is nothing to choose from
    days = site / "report" / "studies" / "tiny"
    for page in PAGES:
        text = (days / f"{page}.html").read_text(encoding="utf-8")
        assert "daybook-spec" in text
        assert "Traceback" not in text
        assert "daybook-study" not in text
    assert len(list((days / "gallery").glob("*-image.png"))) == 50
    matrices = (days / "day4_diagnostics_charts").glob("confusion-*.js")
    assert any("gallery.html#true=" in path.read_text(encoding="utf-8") for path in matrices)


def render(root, engine):
    if engine == "quarto" and not shutil.which("quarto"):
        pytest.skip("quarto is not on PATH")
    assert f"with {engine.capitalize()}" in run(root, "report", "--engine", engine)


# Three studies


def write_pictures(folder, classes, count, size):
    """Noisy squares of `size` pixels, each class of one colour."""
    draw = random.Random(0)
    for number, label in enumerate(classes):
        (folder / label).mkdir(parents=True)
        colour = [(40 * number + 80 * channel) % 200 + 20 for channel in range(3)]
        for picture in range(count):
            pixels = (value + draw.randint(-20, 35) for _ in range(size * size) for value in colour)
            image = Image.frombytes("RGB", (size, size), bytes(pixels))
            image.save(folder / label / f"{picture:02d}.png")


@pytest.fixture(scope="module")
def three(checkout):
    """The checkout with a study of a folder, and one of reference runs; not before the others."""
    write_pictures(checkout / "Schöne <Bilder>", ("moss", "sea", "sand"), 30, 12)
    for day in ("day2", "day4"):
        about = ("--profile", "tiny.yaml", "-p", "dataset", "Schöne <Bilder>")
        run(checkout, "analysis", *about, "--only", day)

    for split, count in (("train", 8), ("test", 4)):
        write_pictures(checkout / "data" / "cifar10" / split, CIFAR10, count, 32)
    (checkout / "small.yaml").write_text(SMALL)
    before = set((checkout / "runs").iterdir())
    run(checkout, "analysis", "--study", "first", "--profile", "small.yaml", "--only", "day2")
    trained = set((checkout / "runs").iterdir()) - before
    assert len(trained) == 2
    for folder in trained:  # as if they had been carried out elsewhere, and none of it here
        shutil.move(folder, checkout / "results" / "small" / folder.name)
    shutil.rmtree(checkout / "report" / "studies" / "first")
    for day in ("day2", "day4"):
        run(checkout, "analysis", "--profile", "small.yaml", "--only", day)
    assert not any((folder / "summary.json").exists() for folder in trained)  # nothing was trained
    return checkout


@pytest.fixture(scope="module", params=["pandoc", "quarto"])
def three_studies(request, three, tmp_path_factory):
    """The address of each edition of the site of three studies."""
    render(three, request.param)
    place = tmp_path_factory.mktemp(request.param) / "some" / "where"
    place.parent.mkdir()
    shutil.copytree(three / "_site", place)
    with served(place) as address:
        yield address


TWO = ("day2_from_scratch", "day4_diagnostics")
STUDIES = {"tiny": (*PAGES, "model_card"), "schone-bilder": TWO, "small": TWO}  # by address
SHARED = ("index", "report/runs", "report/labeler", "report/reproduce", "report/glossary")


@pytest.mark.parametrize("study", STUDIES)
def test_every_figure_is_that_of_the_records(three, study):
    check = recount.recount(three / "report" / "studies" / study, three / "runs")
    assert check.wrong == []
    assert {page for page, _ in check.count} >= set(STUDIES[study])
    assert sum(check.count.values()) > 300


def links(page, within):
    """Where the links of a part of the page lead to, from the site's root."""
    found = page.locator(f"{within} a").evaluate_all("links => links.map((link) => link.href)")
    return [href.partition("/some/where/")[2] for href in found if "/some/where/" in href]


def test_every_page_of_every_study_is_whole_and_fits_a_phone(three_studies, context):
    own = [
        f"report/studies/{study}/{page}"
        for study, pages in STUDIES.items()
        for page in ("index", "gallery", *pages)
    ]
    for path in (*SHARED, *own):
        visit = Visit(context, f"{three_studies}/{path}.html")
        visit.draw_all()
        assert visit.complaints == [], path
        assert visit.foreign == [], path
        visit.page.set_viewport_size({"width": 360, "height": 740})
        visit.page.wait_for_timeout(200)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360, path
        for target in set(links(visit.page, "body")):
            page = target.partition("#")[0].partition("?")[0]
            assert visit.page.request.get(f"{three_studies}/{page}").ok, f"{path}: {target}"
        visit.page.close()


def test_the_site_starts_with_a_card_for_each_study(three_studies, context):
    page = Visit(context, f"{three_studies}/").page
    cards = page.locator(".daybook-card")
    assert cards.locator("strong").all_text_contents() == ["Schöne <Bilder>", "small", "tiny"]
    first = cards.nth(0).inner_text()
    assert "Which of 3 classes does a picture show: moss, sand and sea?" in first
    assert "90 pictures (Schöne <Bilder>)" in first
    assert re.search(r"Test accuracy of the best run: [\d.]+\s%\s\(95\s% interval", first)
    assert re.search(r"\d{1,2} [A-Z][a-z]+ 20\d\d", first)
    cards.nth(1).click()
    page.wait_for_url(re.compile(r"/report/studies/small/(index\.html)?$"))
    assert page.locator("h1:visible").inner_text() == "small"


def test_the_menu_switches_to_the_same_page_of_another_study(three_studies, context):
    page = Visit(context, f"{three_studies}/report/studies/tiny/day4_diagnostics.html").page
    assert page.locator(".daybook-study").inner_text() == "tiny"
    for name, end in [
        ("Schöne <Bilder>", "schone-bilder/day4_diagnostics.html"),
        ("small", "small/day4_diagnostics.html"),
    ]:
        page.locator("header nav").get_by_text("Studies", exact=True).click()
        page.locator("header nav").get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(f"**/report/studies/{end}")
        assert page.locator(".daybook-study").inner_text() == name
    shown = [link.partition("#")[0] for link in links(page, "header nav")]
    own = [link for link in shown if "/small/day" in link]
    assert set(own) == {f"report/studies/small/{day}.html" for day in TWO}
    assert not any(link.endswith("model_card.html") for link in shown)


def test_the_runs_page_filters_by_study_and_its_address_keeps_that(three_studies, context):
    page = Visit(context, f"{three_studies}/report/runs.html#study=small").page
    page.wait_for_selector(".tabulator-row")
    assert page.locator(".tabulator-row").count() == 2
    studies = "daybook.runsPage.table.getData().flatMap((row) => row.study)"
    assert {"tiny", "small", "Schöne <Bilder>"} <= set(page.evaluate(studies))
    page.goto(f"{three_studies}/report/runs.html")
    page.reload()
    page.wait_for_selector(".tabulator-row")
    assert page.locator(".tabulator-row").count() > 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "report/days/day4_diagnostics.html#calibration",
            "small/day4_diagnostics.html#calibration",
        ),
        ("report/gallery.html#outcome=correct", "small/gallery.html#outcome=correct"),
    ],
)
def test_old_addresses_lead_to_the_latest_study(three_studies, context, old, new):
    page = context.new_page()
    page.goto(f"{three_studies}/{old}")
    page.wait_for_url(f"**/report/studies/{new}")


def test_the_search_finds_all_studies(three_studies, context):
    page = Visit(context, f"{three_studies}/").page
    if not page.locator("#quarto-search").count():
        pytest.skip("the edition without Quarto has no search")
    page.locator("#quarto-search button").first.click()
    page.keyboard.type("diagnostics and robustness")
    page.wait_for_selector(".search-result-title")
    titles = " ".join(page.locator(".search-result-title").all_text_contents())
    for name in ("tiny", "small", "Schöne <Bilder>"):
        assert f"· {name}" in titles


def test_a_site_of_one_study_among_several_looks_as_if_there_were_no_others(three):
    run(three, "report", "--engine", "pandoc", "--study", "tiny")
    site = three / "_site"
    assert not (site / "report" / "studies" / "small").exists()
    home = (site / "index.html").read_text(encoding="utf-8")
    assert "Schöne" not in home
    assert "All studies" not in home


def test_a_study_that_was_removed_leaves_no_page(three):
    shutil.rmtree(three / "report" / "studies" / "schone-bilder")
    run(three, "report", "--engine", "pandoc")
    site = three / "_site"
    pages = {path.parent.name for path in site.glob("report/studies/*/day2_from_scratch.html")}
    assert pages == {"tiny", "small"}
    assert not any("Schöne" in path.read_text("utf-8") for path in site.glob("*.html"))
