import csv
import os
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeler.errors import LabelerError, NotSaved
from labeler.record.table import read_table, stamp, write_table
from lib.data.names import normal
from lib.data.tables import Table

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAMES = TEXTS.map(normal).filter(str.strip)
LABELS = TEXTS.map(lambda text: normal(text.strip())).filter(bool)


@given(st.dictionaries(NAMES, LABELS))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    write_table(path, Table(rows))
    assert read_table(path) == Table(rows)
    with path.open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines))[1:] == [list(row) for row in rows.items()]


def test_no_file_and_an_empty_file_hold_no_rows(tmp_path):
    assert read_table(tmp_path / "labels.csv") == Table()
    (tmp_path / "labels.csv").touch()
    assert read_table(tmp_path / "labels.csv") == Table()


@pytest.mark.parametrize("content", [b"file;label\na.png;cat\n", b"filename,label\n\xff.png,cat\n"])
def test_a_damaged_file_is_named_with_its_line_and_the_remedy(tmp_path, content):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    message = r"labels\.csv.* line [12] .*: correct it, or move the file away"
    with pytest.raises(LabelerError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    write_table(path, Table({"a.png": "cat"}))

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotSaved, match="the disk is full"):
        write_table(path, Table({"a.png": "dog"}))
    assert read_table(path).values == {"a.png": "cat"}
    assert os.listdir(tmp_path) == ["labels.csv"]


def test_a_linked_file_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "labels.csv"
    link.symlink_to(tmp_path / "elsewhere" / "mine.csv")
    write_table(link, Table({"a.png": "cat"}))
    assert link.is_symlink()
    assert read_table(tmp_path / "elsewhere" / "mine.csv").values == {"a.png": "cat"}


def test_the_stamp_changes_with_the_file(tmp_path):
    path = tmp_path / "labels.csv"
    assert stamp(path) is None
    write_table(path, Table())
    before = stamp(path)
    write_table(path, Table())
    assert None is not before != stamp(path)


def test_another_program_always_reads_a_whole_table(tmp_path):
    path = tmp_path / "labels.csv"
    tables = [Table({f"{n}.png": label for n in range(3000)}) for label in ("cat", "dog")]
    write_table(path, tables[0])
    writer = Thread(target=lambda: [write_table(path, tables[n % 2]) for n in range(30)])
    writer.start()
    seen = set()
    while writer.is_alive():
        rows = read_table(path).values
        assert len(rows) == 3000
        seen.add(tuple(set(rows.values())))
    assert seen <= {("cat",), ("dog",)}
