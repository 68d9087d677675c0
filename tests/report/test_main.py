"""`python -m report`: the site it builds, and what stays when something fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.errors import UserError
from report.__main__ import build, main
from tests.imports import PROJECT


def test_the_command_makes_a_site_without_quarto(project):
    done = subprocess.run(
        [sys.executable, "-m", "report"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "6 pages rendered with Pandoc in _site/; open _site/index.html\n"
    assert "Rendered with Pandoc" in (project / "_site" / "index.html").read_text("utf-8")
    assert not list(project.glob(".site-*"))


@pytest.mark.parametrize(
    ("page", "content"),
    [
        ("report/labeler.qmd", b"---\ntitle: [\n---\n"),
        ("report/labeler.qmd", b"not UTF-8: \x80"),
        ("report/studies/demo/day1_augmentations.ipynb", b"{"),
    ],
)
def test_a_page_that_fails_leaves_the_old_site(project, page, content):
    (project / "_site").mkdir()
    (project / "_site" / "index.html").write_text("old", encoding="utf-8")
    (project / page).write_bytes(content)
    with pytest.raises(UserError, match=rf"{Path(page).name}: (cannot be read|not a)"):
        build(project, "pandoc")
    assert (project / "_site" / "index.html").read_text(encoding="utf-8") == "old"
    assert not list(project.glob(".site-*"))


def test_the_study_is_not_run_for_the_report(project, monkeypatch):
    monkeypatch.chdir(project)
    (project / "report" / "studies" / "demo" / "home.ipynb").unlink()
    with pytest.raises(UserError, match="run `make site` or `python -m analysis`"):
        main([])
    assert not (project / "_site").exists()


def test_quarto_asked_for_and_missing(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match="quarto is not on PATH"):
        main(["--engine", "quarto"])


def test_outside_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="in the project's root"):
        main([])
