"""Which study a command is about, on folders whose pictures are listed but never opened."""

import json
import os
import shutil

import pytest

from analysis import __main__ as command
from analysis import notebooks
from lib.errors import UserError
from lib.study.study import STUDIES, Study, found


@pytest.fixture
def executed(small_study, monkeypatch):
    """Runs the command; a notebook "executes" by leaving a copy with its record."""

    def execute(notebook, parameters, record):
        record |= {"seconds": 1.0, "trained": [], "compared": []}
        copy = notebooks.read_notebook(notebook.source)
        copy["metadata"]["daybook"] = record
        notebook.executed.parent.mkdir(parents=True, exist_ok=True)
        notebook.executed.write_text(json.dumps(copy))

    monkeypatch.setattr(notebooks, "execute", execute)

    def executed(*words):
        command.main(list(words))
        return due(*words)

    return executed


def due(*words):
    """The study that a command is about, and how many notebooks it would execute."""
    planned = command.plan(command.parse(words))
    return planned.study.address, len(planned.due)


def write_pictures(folder, *names):
    for name in names or ("a/1.png", "b/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{folder.parent.name} {name}")
    return folder


def names():
    return [study.name for study in found()]


def test_each_profile_and_each_folder_has_a_study_and_without_options_the_latest_goes_on(executed):
    assert executed() == ("demo", 0)
    assert executed("--profile", "other") == ("other", 0)
    write_pictures(notebooks.ROOT / "Meine Bilder 2")
    assert executed("-p", "dataset", "Meine Bilder 2") == ("meine-bilder-2", 0)
    assert names() == ["demo", "Meine Bilder 2", "other"]
    assert executed() == ("meine-bilder-2", 0)
    assert executed("--profile", "demo") == ("demo", 0)  # nothing was due, yet it is the latest
    assert executed() == ("demo", 0)
    assert len(list(notebooks.ROOT.glob("report/studies/*/home.ipynb"))) == 3


@pytest.mark.parametrize(
    ("folder", "name", "address"),
    [
        ("été 日本", "été 日本", "ete"),
        ("日本", "日本", "study"),
        ("demo", None, None),
        ("a\nb", "a b", "a-b"),
        ("<b>&", "<b>&", "b"),
    ],
)
def test_a_folder_names_its_study(executed, folder, name, address):
    executed()
    write_pictures(notebooks.ROOT / "photos" / folder)
    found_as, _ = executed("-p", "dataset", f"photos/{folder}")
    assert found_as == (address or "photos-demo")  # there is a study demo already
    assert Study(STUDIES / found_as).name == (name or "photos-demo")


def test_two_folders_with_the_same_last_name_have_two_studies(executed):
    for parent in ("easy", "hard", "x/easy"):
        write_pictures(notebooks.ROOT / parent / "pictures")
        assert executed("-p", "dataset", f"{parent}/pictures")[1] == 0
    assert names() == ["easy-pictures", "hard-pictures", "pictures"]
    assert due("-p", "dataset", "hard/pictures") == ("hard-pictures", 0)


def test_every_spelling_of_a_folder_is_the_same_study(executed):
    folder = write_pictures(notebooks.ROOT / "x" / "pictures")
    (notebooks.ROOT / "link").symlink_to(folder)
    assert executed("-p", "dataset", "x/pictures") == ("pictures", 0)
    for spelling in ("link", "./x/pictures", "x/../x/pictures/", "x/pictures/.", str(folder)):
        assert due("-p", "dataset", spelling) == ("pictures", 0), spelling


def test_a_folder_that_has_been_moved_keeps_its_study(executed):
    write_pictures(notebooks.ROOT / "old")
    executed("-p", "dataset", "old", "-p", "factor", "5")
    shutil.move("old", "new")
    with pytest.raises(UserError, match="unknown dataset 'old'"):
        executed()
    assert executed("--only", "day1", "-p", "dataset", "new") == ("old", 0)
    assert due() == ("old", 0)
    record = Study(STUDIES / "old").pages["day1_first"].record
    assert record["overrides"] == {"dataset": "new", "factor": 5}
    assert names() == ["old"]


def test_another_folder_in_a_moved_ones_place_is_the_study_of_that_path(executed):
    write_pictures(notebooks.ROOT / "one")
    executed("-p", "dataset", "one")
    write_pictures(notebooks.ROOT / "one", "c/1.png")
    assert due() == ("one", 2)
    assert due("-p", "dataset", "one") == ("one", 2)


def test_parameters_stay_until_they_are_changed_and_a_profile_takes_their_place(executed):
    write_pictures(notebooks.ROOT / "pictures")
    about = ("-p", "dataset", "pictures")
    executed(*about, "-p", "factor", "5")

    def parameters():
        planned = command.plan(command.parse(["--force"]))
        return {job.notebook.day: job.parameters for job in planned.jobs}

    executed("--only", "day1", "-p", "message", "other", "-p", "factor", "6")
    assert parameters()["day1"] == {"dataset": "pictures", "factor": 6, "message": "other"}
    executed("--profile", "other", *about)
    assert parameters()["day1"] == {"dataset": "pictures", "factor": 4}
    executed("--study", "pictures", "--profile", "demo")  # its pictures stay those of the study
    assert parameters()["home"] == {"dataset": "pictures", "factor": 3}


def test_a_day_that_was_not_made_yet_is_about_the_studys_pictures(executed):
    write_pictures(notebooks.ROOT / "pictures")
    executed("--only", "home", "-p", "dataset", "pictures", "-p", "factor", "5")
    executed("--only", "day1")
    record = Study(STUDIES / "pictures").pages["day1_first"].record
    assert record["overrides"] == {"dataset": "pictures", "factor": 5}


def test_a_folder_has_a_profile_of_its_own_and_a_known_dataset_the_demos(executed):
    """Whose shares and numbers of pictures are chosen for its digits."""
    write_pictures(notebooks.ROOT / "photos")
    for dataset, study, profile in (("photos", "photos", "pictures"), ("digits", "digits", "demo")):
        assert executed("-p", "dataset", dataset) == (study, 0)
        assert Study(STUDIES / study).facts.profile == profile
    executed("--profile", "other", "-p", "dataset", "photos")
    assert Study(STUDIES / "photos").facts.profile == "other"


def test_a_study_may_have_a_name_and_its_commands_say_so(executed):
    write_pictures(notebooks.ROOT / "pictures")
    about = ("-p", "dataset", "pictures")
    executed(*about)
    assert executed("--study", "short & sweet", *about, "-p", "factor", "1") == ("short-sweet", 0)
    assert names() == ["pictures", "short & sweet"]
    page = Study(STUDIES / "short-sweet").pages["day1_first"]
    assert page.record["command"] == (
        "python -m analysis --study 'short & sweet' --profile pictures --only day1 "
        "-p dataset pictures -p factor 1 --force"
    )
    assert due(*about) == ("pictures", 0)  # which the folder names, not the other one
    assert "--study" not in Study(STUDIES / "pictures").pages["day1_first"].record["command"]
    assert due("--study", "short & sweet") == ("short-sweet", 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--study", "dmeo"], "--study: no study 'dmeo'; did you mean 'demo'"),
        (["--study", " "], "--study: ' ' should be a name"),
        (["--study", "a\nb", "--profile", "demo"], "should be a name of at most 60 printable"),
        (["--study", "x" * 61, "--profile", "demo"], "should be a name"),
        (["--study", "new", "--profile", "dmeo"], "no profile 'dmeo'"),
        (["--study", "new", "-p", "dataset", "nowhere"], "unknown dataset 'nowhere'"),
        (["-p", "study", "demo"], "-p: unknown parameter 'study'"),
    ],
)
def test_a_mistake_in_the_name_of_a_study_is_one_line(executed, words, message):
    executed()
    with pytest.raises(UserError) as raised:
        executed(*words)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert names() == ["demo"]


def test_the_first_study_cannot_be_named_without_saying_what_it_is_about(executed):
    with pytest.raises(UserError, match=r"there are none yet; for a new one add --profile"):
        executed("--study", "new")


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "demo"}', '{"x": 1}'])
def test_a_damaged_study_is_one_line_with_the_remedy(executed, text):
    executed()
    (STUDIES / "demo" / "study.json").write_text(text)
    with pytest.raises(UserError, match=r"study\.json: cannot be read .*; remove ") as raised:
        executed()
    assert "\n" not in str(raised.value)


def test_a_study_that_failed_at_once_is_not_there(small_study):
    with pytest.raises(UserError, match="the moon is full"):
        command.main(["-p", "message", "the moon is full"])
    assert not os.path.exists(STUDIES)
