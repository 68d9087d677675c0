"""Where the pages of one study and of several are, and the start page of several."""

import json

import pytest

from lib.errors import UserError
from lib.training.runs import RunStore, validation_rank
from report.prepare import prepare
from report.studies import lay_out, shown, start_page
from tests.report import samples
from tests.sources import copy_sources


@pytest.fixture
def root(tmp_path):
    copy_sources(tmp_path, "report")
    samples.write_runs(tmp_path, 3)
    return tmp_path


def heading(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).splitlines()[0]


def test_the_home_page_of_one_study_is_the_sites_own(root):
    study = samples.write_study(root)
    on = shown(root)
    assert not on.several
    assert on.page(study, "home") == "index.html"
    assert on.page(study, "gallery") == "report/studies/demo/gallery.html"
    lay_out(on, RunStore(root / "runs"))
    assert heading(root / "index.ipynb") == "# Vision Daybook"
    assert not (study.path / "index.ipynb").exists()


def test_of_several_each_has_its_home_page_under_its_name(root):
    study, other = samples.write_study(root), samples.write_study(root, name="other")
    on = shown(root)
    assert on.page(study, "home") == "report/studies/demo/index.html"
    lay_out(on, RunStore(root / "runs"))
    assert heading(other.path / "index.ipynb") == "# Vision Daybook"  # until it is rendered
    text = (root / "index.ipynb").read_text(encoding="utf-8")
    assert "2 studies of image classification" in text
    lay_out(shown(root, ["demo"]), RunStore(root / "runs"))  # and back again
    assert heading(root / "index.ipynb") == "# Vision Daybook"
    assert not (study.path / "index.ipynb").exists()


def test_only_a_study_with_a_gallery_has_a_page_of_it(root):
    study = samples.write_study(root)
    lay_out(shown(root), RunStore(root / "runs"))
    assert not (study.path / "gallery.qmd").exists()
    samples.write_gallery(study)
    lay_out(shown(root), RunStore(root / "runs"))
    assert (study.path / "gallery.qmd").exists()


def test_a_card_has_question_pictures_best_figure_and_date(root):
    samples.write_study(root)
    other = samples.write_study(root, name="other")
    pictures = {"train": 1000, "val": 200, "test": 300}
    for folder in (root / "runs").iterdir():
        dataset = json.loads((folder / "dataset.json").read_text())
        (folder / "dataset.json").write_text(json.dumps(dataset | {"pictures": pictures}))
        environment = {"started": "2026-03-05T10:00:00+00:00", "device": "cpu"}
        (folder / "environment.json").write_text(json.dumps(environment))
    [cell] = start_page(shown(root), RunStore(root / "runs"))["cells"]
    text = "".join(cell["source"])
    best = max(samples.runs(3), key=lambda run: validation_rank(run.summary)).summary
    figure = f"{best['test_accuracy']:.1%}".replace("%", "\xa0%")
    assert f"Test accuracy of the best run: {figure} (95\xa0% interval" in text
    assert "Which of 5 classes does a picture show: aeroplane, car, bird, cat and deer?" in text
    assert "1,500 pictures (digits), 3 runs, 5 March 2026" in text
    assert 'href="report/studies/other/index.html"' in text
    assert "earlier pictures" not in text
    other.save(other.facts)
    for run in (root / "runs").iterdir():
        (run / "summary.json").unlink()
    assert "not stored here any more" in json.dumps(
        start_page(shown(root), RunStore(root / "runs"))
    )


def test_a_study_whose_first_execution_was_interrupted_is_not_shown(root):
    samples.write_study(root)
    other = samples.write_study(root, name="other")
    (other.path / "home.ipynb").unlink()
    assert [study.name for study in shown(root).studies] == ["demo"]
    assert shown(root).left_out() == {other.path}


def test_studies_are_chosen_by_name(root):
    for name in ("demo", "other", "third"):
        samples.write_study(root, name=name)
    on = prepare(root, ["third", "demo"])
    assert [study.name for study in on.studies] == ["demo", "third"]
    listed = json.loads((root / "report/assets/generated/studies.json").read_text("utf-8"))
    assert [study["name"] for study in listed["studies"]] == ["demo", "third"]
    assert listed["latest"] == "third"
    with pytest.raises(UserError, match=r"^--study: no study 'thrid' with pages; did you mean"):
        shown(root, ["thrid"])


def test_runs_name_the_studies_that_use_them(root):
    samples.write_runs(root, 4)
    samples.write_study(root)
    other = samples.write_study(root, name="other")
    ids = [run.run_id for run in samples.runs(4)]
    facts = other.facts
    other.save(facts.after({"dataset": "digits", "content": facts.content, "trained": ids[:1]}))
    earlier = {"dataset": "digits", "content": "earlier", "trained": ids[1:2]}
    demo = shown(root).studies[0]
    demo.save(demo.facts.after(earlier).after(earlier | {"content": facts.content, "trained": []}))
    prepare(root)
    rows = json.loads((root / "report/assets/generated/runs.json").read_text("utf-8"))
    assert [row["studies"] for row in rows] == [["other"], [], [], []]
    assert [row["earlier"] for row in rows] == [[], ["demo"], [], []]
