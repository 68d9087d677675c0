"""A small bundle, and the real service over it in a process of its own."""

import sys

import pytest
from PIL import Image

from lib.data.dataset import load
from lib.inference import Predictor
from lib.inference.export import export
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from tests.api.service import TOKEN, encoded, serving


@pytest.fixture(scope="session")
def digits():
    return load("digits", 16)


@pytest.fixture(scope="session")
def bundle(digits, tmp_path_factory):
    """A small network that has seen the digits twice."""
    recipe = Recipe(width=8, epochs=2, batch_size=64, lr=0.2)
    run = fit(recipe, digits, RunStore(tmp_path_factory.mktemp("runs")), "cpu")
    return export(run, digits, tmp_path_factory.mktemp("models") / "best", name="digits").path


@pytest.fixture(scope="session")
def predictor(bundle):
    return Predictor.load(bundle, "cpu")


@pytest.fixture(scope="session")
def pngs(digits):
    """Test pictures of digits as PNG files."""
    pictures = digits.test.images[:32].permute(0, 2, 3, 1).numpy()
    return [encoded(Image.fromarray(pixels)) for pixels in pictures]


@pytest.fixture(scope="session")
def server(bundle, tmp_path_factory):
    """The service as it comes."""
    with serving(bundle, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def guarded(bundle, tmp_path_factory):
    """The service with a token, one foreign origin, and little room."""
    flags = ["--token-env", "DAYBOOK_TOKEN", "--cors", "https://a.example"]
    flags += ["--max-queue", "4", "--max-files", "3", "--max-file-mb", "0.02"]
    with serving(bundle, tmp_path_factory.mktemp("guarded"), *flags) as server:
        server.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield server


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """Streamlit leaves its script as `__main__`, which new processes would run once more."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
