"""The Quarto edition: its copy of the sources, and what stays when a page fails."""

import html
import shutil
import subprocess

import pytest

from lib.errors import UserError
from report import quarto_edition
from report.__main__ import build
from report.prepare import prepare
from tests.report import samples


def test_nothing_runs_the_study_in_quartos_copy(project, tmp_path_factory, monkeypatch):
    scratch, seen = tmp_path_factory.mktemp("scratch"), {}

    def run(words, folder, seconds, what):
        seen["config"] = (folder / "_quarto.yml").read_text(encoding="utf-8")
        (folder / "_site").mkdir()

    monkeypatch.setattr(quarto_edition, "run", run)
    quarto_edition.render(project, scratch / "fresh", scratch)
    assert "python" not in seen["config"]
    assert "pre-render" in (project / "_quarto.yml").read_text(encoding="utf-8")


@pytest.mark.skipif(not shutil.which("quarto"), reason="Quarto is not on PATH")
def test_a_page_that_fails_in_quarto_leaves_the_old_site(project):
    (project / "_site").mkdir()
    (project / "_site" / "index.html").write_text("old", encoding="utf-8")
    (project / "report" / "labeler.qmd").write_text("---\ntitle: [\n---\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"Quarto failed: .*; the site is unchanged"):
        build(project, "quarto")
    assert (project / "_site" / "index.html").read_text(encoding="utf-8") == "old"
    assert not list(project.glob(".site-*"))


@pytest.mark.skipif(not shutil.which("quarto"), reason="Quarto is not on PATH")
def test_quarto_renders_every_page_without_a_warning(project, monkeypatch):
    samples.write_study(project, days=5, model_card=True)
    printed = []

    def run(words, folder, seconds, what):
        done = subprocess.run(
            words, cwd=folder, timeout=seconds, check=True, capture_output=True, encoding="utf-8"
        )
        printed.append(done.stdout + done.stderr)

    monkeypatch.setattr(quarto_edition, "run", run)
    build(project, "quarto")
    assert "report/runs.qmd" in printed[0]
    assert [line for line in printed[0].splitlines() if "WARN" in line] == []
    page = next((project / "_site").rglob("demo/day2_*.html")).read_text(encoding="utf-8")
    assert "cat, predicted deer, 80\N{NO-BREAK SPACE}%, misclassified" in html.unescape(page)
    assert 'property="og:title"' in page
    assert 'property="og:image' not in page


def test_the_copy_holds_the_sources_and_no_python(project, tmp_path_factory, monkeypatch):
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(quarto_edition, "run", lambda *_: (scratch / "_site").mkdir())
    prepare(project)
    other = samples.write_study(project, days=1, name="other")
    quarto_edition.render(project, scratch / "fresh", scratch, {other.path})
    assert not list(scratch.rglob("*.py"))
    copied = {path.relative_to(scratch).as_posix() for path in scratch.rglob("*")}
    assert {"index.ipynb", "report/runs.qmd", "report/assets/runs/model.js"} <= copied
    assert "report/studies/demo/day1_augmentations.ipynb" in copied
    assert "report/studies/other" not in copied
