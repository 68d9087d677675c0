"""`python -m report`: what it makes, and what stays when something fails."""

import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from lib.errors import UserError
from report import pandoc_edition, processes, quarto_edition
from report.__main__ import build, main
from report.server import Server
from tests.report import samples
from tests.report.conftest import PROJECT, copy_sources


@pytest.fixture
def project(tmp_path):
    copy_sources(tmp_path)
    samples.write_study(tmp_path, days=1)
    return tmp_path


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
    assert done.stdout == "7 pages by Pandoc in _site/; open _site/index.html\n"
    assert "where Quarto is installed" in (project / "_site" / "index.html").read_text("utf-8")
    assert not list(project.glob(".site-*"))


@pytest.mark.parametrize(
    ("page", "content"),
    [
        ("report/labeler.qmd", b"---\ntitle: [\n---\n"),
        ("report/labeler.qmd", b"not UTF-8: \x80"),
        ("report/days/day1_augmentations.ipynb", b"{"),
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


def test_pandoc_failing_leaves_the_old_site(project, monkeypatch):
    (project / "_site").mkdir()
    monkeypatch.setattr(pandoc_edition, "TEMPLATE", project / "missing.html")
    with pytest.raises(UserError, match=r"Pandoc on \S+ failed: .*; the site is as it was$"):
        build(project, "pandoc")
    assert list((project / "_site").iterdir()) == []


@pytest.mark.skipif(not shutil.which("quarto"), reason="Quarto is not on PATH")
def test_a_page_that_fails_in_quarto_leaves_the_old_site(project):
    (project / "_site").mkdir()
    (project / "_site" / "index.html").write_text("old", encoding="utf-8")
    (project / "report" / "labeler.qmd").write_text("---\ntitle: [\n---\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"Quarto failed: .*; the site is as it was"):
        build(project, "quarto")
    assert (project / "_site" / "index.html").read_text(encoding="utf-8") == "old"
    assert not list(project.glob(".site-*"))


def test_the_study_is_not_run_for_the_report(project, monkeypatch):
    monkeypatch.chdir(project)
    (project / "index.ipynb").unlink()
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


def test_nothing_runs_the_study_in_quartos_copy(project, tmp_path_factory, monkeypatch):
    scratch, seen = tmp_path_factory.mktemp("scratch"), {}

    def run(words, folder, seconds, what):
        seen["config"] = (folder / "_quarto.yml").read_text(encoding="utf-8")
        (folder / "_site").mkdir()

    monkeypatch.setattr(quarto_edition, "run", run)
    quarto_edition.render(project, scratch / "fresh", scratch)
    assert "python" not in seen["config"]
    assert "pre-render" in (project / "_quarto.yml").read_text(encoding="utf-8")


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    words = ["sh", "-c", "touch began; (sleep 1; touch went-on) & wait"]
    with pytest.raises(UserError, match=r"It did not end within 0\.3 s"):
        processes.run(words, tmp_path, 0.3, "It")
    time.sleep(1.5)
    assert [path.name for path in tmp_path.iterdir()] == ["began"]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "no word why"),
        ("one\ntwo.\n\n", "two"),
        ("start\nERROR: it broke\nstack\n", "ERROR: it broke"),
    ],
)
def test_the_line_that_says_most(output, expected):
    assert processes.reason(output) == expected


def test_a_site_is_served_and_a_taken_port_is_named(tmp_path):
    (tmp_path / "index.html").write_text("home", encoding="utf-8")
    with Server(tmp_path, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == b"home"
        with pytest.raises(UserError, match=r"port \d+: .*name another with --port"):
            Server(tmp_path, server.server_port)
        server.shutdown()


def test_an_impossible_port_is_named(tmp_path):
    with pytest.raises(UserError, match="port 99999"):
        Server(tmp_path, 99999)
