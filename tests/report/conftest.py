"""A sample study, the sites made from it by each engine, and a browser to look at them with."""

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from report.__main__ import build
from report.server import Server
from tests.report import samples

PROJECT = Path(__file__).parents[2]
RUNS = 1000
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


def copy_sources(root: Path) -> None:
    """The report's sources, without anything that a study has made."""
    made = shutil.ignore_patterns("days", "generated", "__pycache__")
    shutil.copytree(PROJECT / "report", root / "report", ignore=made, dirs_exist_ok=True)
    shutil.copyfile(PROJECT / "_quarto.yml", root / "_quarto.yml")


@pytest.fixture
def project(tmp_path):
    """A project whose study has executed one day; each test has its own."""
    copy_sources(tmp_path)
    samples.write_study(tmp_path, days=1)
    return tmp_path


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A project whose study has executed two days and left a gallery and a thousand runs."""
    root = tmp_path_factory.mktemp("project")
    copy_sources(root)
    samples.write_study(root, days=2, model_card=True)
    samples.write_gallery(root)
    samples.write_runs(root, RUNS)
    return root


@pytest.fixture(scope="session")
def edition(study, tmp_path_factory):
    """Builds an engine's edition once, and moves it: a site must not know where it was made."""

    @functools.cache
    def edition(engine: str) -> Path:
        if engine == "quarto" and not shutil.which("quarto"):
            pytest.skip("Quarto is not on PATH: its edition is not tested")
        build(study, engine)
        place = tmp_path_factory.mktemp(engine) / "some" / "where"
        place.parent.mkdir()
        return (study / "_site").rename(place)

    return edition


@pytest.fixture(scope="session", params=["pandoc", "quarto"])
def site(request, edition):
    """Each edition of the rendered site."""
    return edition(request.param)


@pytest.fixture(scope="session")
def fullest_site(edition):
    """The edition that a reader gets here: Quarto's where Quarto is installed."""
    return edition("quarto" if shutil.which("quarto") else "pandoc")


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window. Until it ends, Playwright's event loop runs in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium on PATH: pages are not looked at in a browser")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a site in a folder of its host."""
    with Server(site.parents[1], 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/where"
        server.shutdown()


@pytest.fixture(scope="session")
def address(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope="session")
def fullest_address(fullest_site):
    with served(fullest_site) as address:
        yield address


@pytest.fixture
def context(browser):
    """A fresh window, as wide as a laptop's."""
    context = browser.new_context(viewport={"width": 1360, "height": 850})
    yield context
    context.close()
