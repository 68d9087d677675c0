import os
import shutil
from contextlib import suppress

import pytest

from labeler.errors import LabelerError, NotSaved, ReadOnly
from labeler.folder import walk
from labeler.record.classes import Merging
from labeler.record.session import Session
from labeler.record.table import read_table, write_table
from lib.data.folders import scan
from lib.data.tables import Table


def crash(session):
    """What is left when a process is killed: nothing is written any more."""
    session._release()


def test_labels_survive_a_crash_at_once(open_session, tmp_path):
    session = open_session()
    session.label("1.png", "0")
    session.label("2.png", "1")
    session.skip("3.png")
    session.label("2.png", "0")
    crash(session)
    again = open_session()
    assert again.labels == {"1.png": "0", "2.png": "0"}
    assert list(again.skipped) == ["3.png"]
    assert again.unsaved
    again.save()
    assert read_table(tmp_path / "labels.csv").values == again.labels


def test_closing_leaves_only_labels_csv_a_short_journal_and_the_lock(open_session, tmp_path):
    session = open_session(["cat", "dog"])
    session.label("1.png", "dog")
    session.skip("2.png")
    session.close()
    assert sorted(os.listdir(tmp_path)) == [".labels.journal", ".labels.lock", "labels.csv"]
    assert (tmp_path / "labels.csv").read_text() == "filename,label\n1.png,dog\n"
    again = open_session()
    assert again.classes == ("cat", "dog")
    assert list(again.skipped) == ["2.png"]
    assert not again.unsaved


def test_opening_writes_nothing(open_session, tmp_path):
    open_session().close()
    assert os.listdir(tmp_path) == [".labels.lock"]


def test_undo_goes_back_step_by_step(open_session):
    session = open_session()
    session.label("1.png", "0")
    session.label("1.png", "1")
    session.skip("2.png")
    session.clear("1.png")
    seen = []
    while name := session.undo():
        seen.append((name, dict(session.labels), list(session.skipped)))
    assert seen == [
        ("1.png", {"1.png": "1"}, ["2.png"]),
        ("2.png", {"1.png": "1"}, []),
        ("1.png", {"1.png": "0"}, []),
        ("1.png", {}, []),
    ]
    crash(session)
    assert open_session().labels == {}


def test_skipping_keeps_a_label(open_session):
    session = open_session()
    session.label("1.png", "0")
    session.skip("1.png")
    assert session.labels == {"1.png": "0"}
    assert not session.skipped


def test_counts_follow_every_change(open_session):
    session = open_session()
    session.label("elsewhere/x.png", "0")  # not in the folder: kept, but not counted
    for name in ("1.png", "2.png"):
        session.label(name, "0")
    session.label("2.png", "1")
    session.skip("3.png")
    assert dict(session.counts) == {"0": 1, "1": 1}
    assert (session.labelled_count, session.skipped_count, session.unlabelled_count) == (2, 1, 3)
    session.undo()
    session.undo()
    assert (session.counts["0"], session.counts["1"], session.unlabelled_count) == (2, 0, 4)


def test_unknown_rows_are_kept_in_their_places(open_session, tmp_path, read_csv):
    rows = {"gone/1.png": "cat", "1.png": "dog", "gone/2.png": "dog"}
    write_table(tmp_path / "labels.csv", Table(rows))
    session = open_session()
    session.label("1.png", "cat")
    session.label("0.png", "cat")
    session.close()
    assert read_csv(tmp_path / "labels.csv")[1:] == [
        ["gone/1.png", "cat"],
        ["1.png", "cat"],
        ["gone/2.png", "dog"],
        ["0.png", "cat"],
    ]


# Classes


def test_classes_come_from_the_caller_the_journal_or_the_labels(open_session, tmp_path):
    assert open_session().classes == ("0", "1")
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    write_table(tmp_path / "labels.csv", Table({"1.png": "dog10", "2.png": "dog9"}))
    assert open_session().classes == ("dog9", "dog10")
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    write_table(tmp_path / "labels.csv", Table({"1.png": "1"}))
    assert open_session().classes == ("0", "1")
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    write_table(tmp_path / "labels.csv", Table({"1.png": "bird"}))
    session = open_session(["cat", "dog"])
    assert session.classes == ("cat", "dog", "bird")
    crash(session)
    assert open_session().classes == ("cat", "dog", "bird")


def test_renaming_a_class_renames_its_labels(open_session, tmp_path):
    session = open_session(["cat", "dog"])
    session.label("1.png", "cat")
    session.label("2.png", "dog")
    session.set_classes(["tabby", "dog", "bird"])
    assert session.labels == {"1.png": "tabby", "2.png": "dog"}
    assert session.counts["tabby"] == 1
    session.label("1.png", "bird")
    session.undo()
    crash(session)
    again = open_session()
    assert again.classes == ("tabby", "dog", "bird")
    assert again.labels == {"1.png": "tabby", "2.png": "dog"}


def test_two_classes_can_swap_their_names(open_session):
    session = open_session(["cat", "dog"])
    session.label("1.png", "cat")
    session.label("2.png", "dog")
    session.set_classes(["dog", "cat"])
    assert session.labels == {"1.png": "dog", "2.png": "cat"}
    assert session.undo() == ""
    assert session.labels == {"1.png": "cat", "2.png": "dog"}
    assert (session.classes, session.undo()) == (("cat", "dog"), "2.png")


def test_classes_merge_only_when_that_is_confirmed(open_session):
    session = open_session(["cat", "kitten", "dog"])
    for name, label in (("1.png", "cat"), ("2.png", "kitten"), ("x/gone.png", "kitten")):
        session.label(name, label)
    before = dict(session.labels)
    with pytest.raises(Merging, match="exists: 2 labels of kitten will become cat"):
        session.set_classes(["cat", "cat", "dog"])
    assert (session.classes, session.labels) == (("cat", "kitten", "dog"), before)
    session.set_classes(["cat", "cat", "dog"], merge=True)
    assert session.classes == ("cat", "dog")
    assert session.labels == dict.fromkeys(before, "cat")
    assert session.counts == {"cat": 2, "kitten": 0}
    crash(session)
    again = open_session()
    assert again.classes == ("cat", "dog")
    assert again.labels == dict.fromkeys(before, "cat")


def test_a_merger_is_one_step_for_undo(open_session):
    session = open_session(["cat", "kitten", "dog"])
    session.label("1.png", "cat")
    session.label("2.png", "kitten")
    session.set_classes(["cat", "cat", "dog"], merge=True)
    session.set_classes(["kitten", "dog"])
    session.label("2.png", "dog")
    states = []
    while session.undo() is not None:
        states.append((session.classes, dict(session.labels)))
    three = ("cat", "kitten", "dog")
    assert states == [
        (("kitten", "dog"), {"1.png": "kitten", "2.png": "kitten"}),
        (("cat", "dog"), {"1.png": "cat", "2.png": "cat"}),
        (three, {"1.png": "cat", "2.png": "kitten"}),
        (three, {"1.png": "cat"}),
        (three, {}),
    ]
    crash(session)
    assert open_session().classes == three


def test_any_number_of_classes_stays(open_session, tmp_path):
    rows = [(f"{n}.png", f"class {n % 30}") for n in range(60)]
    write_table(tmp_path / "labels.csv", Table(dict(rows)))
    session = open_session()
    assert session.classes == tuple(f"class {n}" for n in range(30))
    session.label("1.png", "class 29")
    assert session.counts["class 29"] == 1
    session.close()
    assert len(open_session().classes) == 30
    assert read_table(tmp_path / "labels.csv").values["1.png"] == "class 29"


def test_a_class_that_another_program_adds_is_one_of_the_classes(open_session, tmp_path):
    session = open_session(["cat", "dog"])
    session.label("1.png", "cat")
    session.save()
    write_table(tmp_path / "labels.csv", Table({"1.png": "bird"}))
    session.save()
    assert session.classes == ("cat", "dog", "bird")
    with pytest.raises(Merging, match="Class bird exists: 0 labels of cat"):
        session.set_classes(["bird", "dog"])


def test_a_class_with_labels_cannot_be_removed(open_session):
    session = open_session(["cat", "dog", "bird"])
    session.label("1.png", "bird")
    with pytest.raises(LabelerError, match="Class bird has labels"):
        session.set_classes(["cat", "dog"])
    session.undo()
    session.set_classes(["cat", "dog"])
    assert session.classes == ("cat", "dog")


# Others at the same folder


def test_the_second_session_is_read_only(open_session):
    first = open_session()
    first.label("1.png", "0")
    second = open_session()
    assert "another window" in second.read_only
    assert second.labels == {"1.png": "0"}
    with pytest.raises(ReadOnly):
        second.label("2.png", "0")
    assert second.labels == {"1.png": "0"}
    second.close()
    first.label("2.png", "1")
    first.close()
    assert open_session().labels == {"1.png": "0", "2.png": "1"}


def test_edits_of_another_program_are_one_step(open_session, tmp_path):
    session = open_session()
    for name in ("1.png", "2.png", "3.png"):
        session.label(name, "0")
    session.save()
    session.label("3.png", "1")  # not yet in labels.csv: this one holds
    write_table(tmp_path / "labels.csv", Table({"1.png": "1", "3.png": "0", "x/y.png": "0"}))
    session.save()
    edited = {"1.png": "1", "3.png": "1", "x/y.png": "0"}
    assert session.labels == edited == read_table(tmp_path / "labels.csv").values
    assert "Changes read: 3" in session.messages[0]
    session.undo()
    assert session.labels == {"1.png": "0", "2.png": "0", "3.png": "1"}


def test_an_edit_right_after_our_own_writing_is_recognised(open_session, tmp_path, monkeypatch):
    session = open_session()
    session.label("1.png", "0")

    def write_and_be_edited(path, rows):
        written = write_table(path, rows)
        write_table(path, Table({"1.png": "1"}))
        return written

    with monkeypatch.context() as patch:
        patch.setattr("labeler.record.session.write_table", write_and_be_edited)
        session.save()
    session.save()
    assert session.labels == {"1.png": "1"}


def test_other_columns_and_rows_without_a_label_are_kept(open_session, tmp_path, read_csv):
    text = "id, filename,label,by\n7,0.png,cat,me\n8,1.png,,you\n9,2.png,,\n"
    (tmp_path / "labels.csv").write_text(text)
    session = open_session()
    assert session.labels == {"0.png": "cat"}
    session.label("1.png", "dog")
    session.label("3.png", "cat")
    session.close()
    assert read_csv(tmp_path / "labels.csv") == [
        ["filename", "label", "id", "by"],
        ["0.png", "cat", "7", "me"],
        ["1.png", "dog", "8", "you"],
        ["3.png", "cat", "", ""],
        ["2.png", "", "9", ""],
    ]


def test_names_and_classes_have_one_unicode_form(open_session, tmp_path):
    (tmp_path / "labels.csv").write_text("filename,label\ne\u0301.png,the\u0301\n")
    session = open_session(classes=["thé", "the\u0301 2"])
    assert session.labels == {"é.png": "thé"}
    assert session.classes == ("thé", "thé 2")
    (tmp_path / "e\u0301.png").touch()
    assert session.path("é.png").exists()


def test_edits_made_after_a_crash_are_not_undone(open_session, tmp_path):
    session = open_session()
    session.label("1.png", "0")
    session.save()
    session.label("2.png", "0")
    crash(session)
    write_table(tmp_path / "labels.csv", Table({"1.png": "1"}))
    assert open_session().labels == {"1.png": "1", "2.png": "0"}


def test_a_labels_csv_that_was_deleted_is_written_again(open_session, tmp_path):
    session = open_session()
    session.label("1.png", "0")
    session.save()
    (tmp_path / "labels.csv").unlink()
    session.close()
    assert read_table(tmp_path / "labels.csv").values == {"1.png": "0"}


def test_a_labels_csv_damaged_while_open_is_set_aside(open_session, tmp_path):
    session = open_session()
    session.label("1.png", "0")
    session.save()
    (tmp_path / "labels.csv").write_text("nonsense\n")
    session.close()
    assert read_table(tmp_path / "labels.csv").values == {"1.png": "0"}
    assert (tmp_path / "labels.damaged.csv").read_text() == "nonsense\n"
    assert "labels.damaged.csv" in session.messages[0]


def test_a_labels_csv_damaged_before_is_an_error(tmp_path):
    (tmp_path / "labels.csv").write_text("nonsense\n")
    with pytest.raises(LabelerError, match="line 1"):
        Session(tmp_path)
    (tmp_path / "labels.csv").unlink()
    assert not Session(tmp_path).read_only  # the lock was given back


def test_a_folder_that_cannot_be_opened_is_released(tmp_path, monkeypatch, descriptors):
    before = descriptors()
    (tmp_path / ".labels.journal").mkdir()
    with pytest.raises(LabelerError, match="cannot be read"):
        Session(tmp_path, ["cat", "dog"])
    (tmp_path / ".labels.journal").rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: os.close(-1))  # the classes cannot be written down
        with pytest.raises(NotSaved):
            Session(tmp_path, ["cat", "dog"])
    with monkeypatch.context() as patch:
        patch.setattr("labeler.record.session.read_table", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Session(tmp_path)
    assert descriptors() == before
    assert not Session(tmp_path).read_only


def test_damaged_lines_of_the_journal_are_counted_in_a_message(open_session, tmp_path):
    good = b'{"file":"1.png","label":"cat"}\n'
    bad = b'{"classes":5}\n{"file":7}\n' + b"[" * 100_000 + b"\n\xff\n"
    (tmp_path / ".labels.journal").write_bytes(bad + good)
    session = open_session()
    assert session.labels == {"1.png": "cat"}
    assert list(session.messages) == ["Damaged lines of the journal, ignored: 4."]


def test_the_age_of_labels_csv_is_that_of_the_oldest_change_it_lacks(
    open_session, tmp_path, monkeypatch
):
    now = [100.0]
    monkeypatch.setattr("labeler.record.session.time.monotonic", lambda: now[0])
    session = open_session()
    assert session.seconds_behind == 0
    for name in ("1.png", "2.png"):
        session.label(name, "0")
        now[0] += 10
    assert session.seconds_behind == 20

    def write_slowly(path, rows):
        now[0] += 5
        session.label("3.png", "0")
        now[0] += 2
        return write_table(path, rows)

    with monkeypatch.context() as patch:
        patch.setattr("labeler.record.session.write_table", write_slowly)
        session.save()
    assert session.unsaved
    assert session.seconds_behind == 7
    session.save()
    assert (session.unsaved, session.seconds_behind) == (False, 0)


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(LabelerError, match="is not a folder"):
        Session(tmp_path / "nowhere")


# A disk that fails


def test_a_full_disk_loses_nothing(small_disk, open_session):
    session = open_session(folder=small_disk.path)
    session.label("0.png", "0")
    session.save()
    small_disk.fill()
    expected = dict(session.labels)
    with suppress(NotSaved):  # there may still be room in the last block
        for number in range(10_000):
            session.label(f"{number}.png", "1")
            expected[f"{number}.png"] = "1"
    with pytest.raises(NotSaved, match=r"the disk is full\. Nothing was changed"):
        session.label("1.png", "0")
    assert session.labels == expected
    with pytest.raises(NotSaved, match=r"labels\.csv could not be written: the disk is full"):
        session.save()
    assert read_table(small_disk.path / "labels.csv").values == {"0.png": "0"}
    crash(session)
    again = open_session(folder=small_disk.path)
    assert again.labels == expected
    small_disk.free()
    again.label("5.png", "0")
    again.close()
    assert read_table(small_disk.path / "labels.csv").values == {**expected, "5.png": "0"}


def test_a_folder_that_cannot_be_written_is_read_only(small_disk, open_session):
    session = open_session(folder=small_disk.path)
    session.label("0.png", "0")
    session.close()
    small_disk.freeze()
    again = open_session(folder=small_disk.path)
    assert "cannot be written" in again.read_only
    assert again.labels == {"0.png": "0"}
    with pytest.raises(ReadOnly):
        again.label("1.png", "0")
    again.close()


def test_a_folder_removed_while_open_leaves_the_labels_in_memory(open_session, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    session = open_session(folder=folder)
    session.label("1.png", "0")
    shutil.rmtree(folder)
    with pytest.raises(NotSaved, match="no longer there"):
        session.label("2.png", "1")
    assert session.labels == {"1.png": "0"}
    session.save_copy(tmp_path / "copy.csv")
    assert read_table(tmp_path / "copy.csv").values == {"1.png": "0"}
    with pytest.raises(NotSaved):
        session.close()


@pytest.mark.parametrize(
    "name",
    [" lead.png", "a, b.png", 'quo"te.png', "two\nlines.png", "cafe\u0301.png", " in /1.png"],
)
def test_the_study_reads_what_the_labeler_writes(open_session, tmp_path, name):
    for file in (name, "other.png"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    names = [name for names in walk(tmp_path) for name in names]
    session = open_session(classes=["cat", "dog"])
    session.add_pictures(names)
    for number, listed in enumerate(names):
        assert session.path(listed).exists()
        session.label(listed, ("cat", "dog")[number])
    session.close()
    assert scan(tmp_path).ids == sorted(names)
    assert scan(tmp_path).classes == ["cat", "dog"]


@pytest.mark.parametrize("name", [".labels.lock", ".labels.journal"])
@pytest.mark.parametrize("target", ["diary", "nothing"])
def test_a_link_in_place_of_an_own_file_is_not_followed(tmp_path, open_session, name, target):
    (outside := tmp_path / "outside").mkdir()
    (outside / "diary").write_text("Dear diary,\n")
    (tmp_path / name).symlink_to(outside / target)
    with pytest.raises(LabelerError, match=f"{name} is a link; remove it"):
        open_session().label("1.png", "0")
    assert [path.name for path in outside.iterdir()] == ["diary"]
    assert (outside / "diary").read_text() == "Dear diary,\n"


@pytest.mark.parametrize("name", [".labels.csv.new", ".labels.journal.new"])
def test_a_link_with_a_name_of_old_is_left_alone(tmp_path, open_session, name):
    (tmp_path / "diary").write_text("Dear diary,\n")
    (tmp_path / name).symlink_to(tmp_path / "diary")
    session = open_session()
    session.label("1.png", "0")
    session.close()
    assert (tmp_path / "diary").read_text() == "Dear diary,\n"
    assert read_table(tmp_path / "labels.csv").values == {"1.png": "0"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes in folders")
@pytest.mark.parametrize("name", [".labels.lock", ".labels.journal"])
def test_a_pipe_in_place_of_an_own_file_does_not_hang(tmp_path, open_session, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(LabelerError, match=f"{name} is no regular file; remove it"):
        open_session().label("1.png", "0")
