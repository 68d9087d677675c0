import pytest

from analysis import notebooks, settings
from tests.analysis.samples import write_notebook
from tests.imports import PROJECT


@pytest.fixture
def small_study(tmp_path, monkeypatch):
    """A study of one quick day and a home page, in a folder of its own."""
    folder = tmp_path / "analysis"
    (folder / "profiles").mkdir(parents=True)
    write_notebook(folder / "day1_first.ipynb", "First day")
    write_notebook(folder / "home.ipynb", "Home")
    (folder / "profiles" / "demo.yaml").write_text("factor: 3\n")
    (folder / "profiles" / "pictures.yaml").write_text("factor: 3\nmessage: own\n")
    (folder / "profiles" / "other.yaml").write_text("factor: 4\n")
    (tmp_path / "lib").symlink_to(PROJECT / "lib")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(settings, "PROFILES", folder / "profiles")
    monkeypatch.setattr(notebooks, "__file__", str(folder / "notebooks.py"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
