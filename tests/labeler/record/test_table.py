import csv
import os
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeler.errors import LabelerError, NotSaved
from labeler.record.table import read_table, stamp, write_table

NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)


@given(st.dictionaries(NAMES, NAMES))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    write_table(path, list(rows.items()))
    assert read_table(path) == rows
    with path.open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines))[1:] == [list(row) for row in rows.items()]


def test_no_file_and_an_empty_file_hold_no_rows(tmp_path):
    assert read_table(tmp_path / "labels.csv") == {}
    (tmp_path / "labels.csv").touch()
    assert read_table(tmp_path / "labels.csv") == {}


def test_spreadsheets_may_leave_a_mark_and_blank_lines(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xef\xbb\xbffilename,label\r\na.png,cat\r\n\r\nb.png,\r\na.png,dog\r\n")
    assert read_table(path) == {"a.png": "dog"}


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"file;label\na.png;cat\n", 1),
        (b"filename,label,who\n", 1),
        (b"filename,label\na.png,cat\nb.png\n", 3),
        (b"filename,label\n,cat\n", 2),
        (b'filename,label\n"a.png,cat\n', 2),
        (b"filename,label\n\xff.png,cat\n", 2),
    ],
)
def test_a_damaged_file_is_named_with_its_row(tmp_path, content, row):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(LabelerError, match=rf"labels\.csv: row {row} .*correct it") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    write_table(path, [("a.png", "cat")])

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotSaved, match="the disk is full"):
        write_table(path, [("a.png", "dog")])
    assert read_table(path) == {"a.png": "cat"}
    assert os.listdir(tmp_path) == ["labels.csv"]


def test_a_linked_file_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "labels.csv"
    link.symlink_to(tmp_path / "elsewhere" / "mine.csv")
    write_table(link, [("a.png", "cat")])
    assert link.is_symlink()
    assert read_table(tmp_path / "elsewhere" / "mine.csv") == {"a.png": "cat"}


def test_the_stamp_changes_with_the_file(tmp_path):
    path = tmp_path / "labels.csv"
    assert stamp(path) is None
    write_table(path, [])
    before = stamp(path)
    write_table(path, [])
    assert None is not before != stamp(path)


def test_another_program_always_reads_a_whole_table(tmp_path):
    path = tmp_path / "labels.csv"
    tables = [[(f"{n}.png", label) for n in range(3000)] for label in ("cat", "dog")]
    write_table(path, tables[0])
    writer = Thread(target=lambda: [write_table(path, tables[n % 2]) for n in range(30)])
    writer.start()
    seen = set()
    while writer.is_alive():
        rows = read_table(path)
        assert len(rows) == 3000
        seen.add(tuple(set(rows.values())))
    assert seen <= {("cat",), ("dog",)}
