"""A sample study, the sites made from it by each engine, and a browser to look at them with."""

import functools
import shutil
from pathlib import Path

import pytest

from report.__main__ import build
from tests.browser import served
from tests.report import samples
from tests.sources import copy_sources

RUNS = 1000


@pytest.fixture
def project(tmp_path):
    """A project whose study has executed one day; each test has its own."""
    copy_sources(tmp_path, "report", "_quarto.yml")
    samples.write_study(tmp_path, days=1)
    return tmp_path


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A project whose study has executed two days and left a gallery and a thousand runs."""
    root = tmp_path_factory.mktemp("project")
    copy_sources(root, "report", "_quarto.yml")
    written = samples.write_study(root, days=2, model_card=True)
    samples.write_gallery(written)
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


@pytest.fixture(scope="session")
def address(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope="session")
def fullest_address(fullest_site):
    with served(fullest_site) as address:
        yield address
