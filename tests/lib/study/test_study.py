"""A study on disk, with executed notebooks of a few lines."""

import json
import os

import pytest

from lib.data.sources import content_key
from lib.errors import UserError
from lib.study.study import STUDIES, Facts, Study, found, latest
from tests.imports import reached_from


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of two classes, listed but never opened."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True)
        (tmp_path / "pictures" / name).touch()
    return "pictures"


def write(dataset="digits", name="demo", **pages):
    """A study whose notebooks trained the runs that `pages` names, on the present pictures."""
    study, facts = Study(STUDIES / name), Facts(name, "profile", "demo", "demo", {})
    study.save(facts)
    for page, trained in pages.items():
        record = {"dataset": dataset, "content": content_key(dataset), "trained": trained}
        facts = facts.after(record)
        cells = [{"cell_type": "markdown", "source": [f"# Page {page}\n"]}]
        text = json.dumps({"cells": cells, "metadata": {"daybook": record}})
        (study.path / f"{page}.ipynb").write_text(text)
    study.save(facts)
    return Study(study.path)


def test_it_reads_back_what_was_saved_and_its_pages_in_their_order(pictures):
    study = write(home=["c"], day2_second=["b"], day1_first=["a", "b"])
    assert list(study.pages) == ["day1_first", "day2_second", "home"]
    assert study.pages["day2_second"].title == "Page day2_second"
    assert study.trained == {"a", "b", "c"}
    assert study.facts.content == content_key("digits")
    assert (study.name, study.address) == ("demo", "demo")


def test_pages_and_runs_are_of_earlier_pictures_when_the_files_have_changed(pictures):
    study = write(pictures, day1_first=["old", "both"], day2_second=["old"])
    assert not study.outdated("day1_first")
    assert (study.used(), study.used(earlier=True)) == ({"old", "both"}, set())

    os.utime("pictures/a/1.png", (1, 1))
    assert Study(study.path).outdated("day1_first")
    assert Study(study.path).used() == set()  # until a day was executed again
    assert Study(study.path).used(earlier=True) == {"old", "both"}
    record = {"dataset": pictures, "content": content_key(pictures), "trained": ["new", "both"]}
    study.save(study.facts.after(record))
    assert Study(study.path).used() == {"new", "both"}
    assert Study(study.path).used(earlier=True) == {"old"}


def test_pictures_that_are_gone_are_not_changed_ones(pictures):
    study = write(pictures, day1_first=["a"])
    os.rename("pictures", "elsewhere")
    assert not Study(study.path).outdated("day1_first")
    assert Study(study.path).used() == {"a"}


def test_a_notebook_that_was_put_there_by_hand_is_a_page_of_no_runs(pictures):
    study = write(day1_first=["a"])
    (study.path / "day2_second.ipynb").write_text('{"cells": [], "metadata": {}}')
    page = Study(study.path).pages["day2_second"]
    assert (page.title, page.trained, page.compared) == ("day2_second", set(), set())
    assert not Study(study.path).outdated("day2_second")


def test_studies_are_found_by_name_and_the_last_to_be_saved_is_the_latest(pictures):
    first, second = write(name="Zebra"), write(name="ant")
    (STUDIES / "unfinished").mkdir()
    assert [study.name for study in found()] == ["ant", "Zebra"]
    assert latest(found()).name == "ant"
    first.save(first.facts)
    assert latest(found()).name == "Zebra"
    assert found(second.path) == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"name": 3}', "\udce9"])
def test_a_damaged_study_is_one_line(pictures, text):
    study = write(day1_first=["a"])
    (study.path / "study.json").write_text(text, errors="surrogateescape")
    with pytest.raises(UserError, match=r"study\.json: cannot be read \(.*\); remove ") as raised:
        _ = Study(study.path).facts
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": [], "metadata": []}'])
def test_a_damaged_page_is_one_line(pictures, text):
    study = write(day1_first=["a"])
    (study.path / "day1_first.ipynb").write_text(text)
    with pytest.raises(UserError, match=r"day1_first\.ipynb: not a notebook; delete it"):
        _ = Study(study.path).pages


def test_it_imports_no_torch():
    assert "lib.training.runs" not in reached_from("lib.study.study")
