"""The edition by Quarto."""

import shutil

import pytest

from lib.errors import UserError
from report import quarto_edition
from report.__main__ import build


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
    with pytest.raises(UserError, match=r"Quarto failed: .*; the site is as it was"):
        build(project, "quarto")
    assert (project / "_site" / "index.html").read_text(encoding="utf-8") == "old"
    assert not list(project.glob(".site-*"))
