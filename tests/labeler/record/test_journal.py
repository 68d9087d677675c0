import json
import os

import pytest

from labeler.errors import NotSaved
from labeler.record.journal import Journal, read_journal, replay

LINES = [
    {"classes": ["cat", "dog"]},
    {"file": "a.png", "label": "cat"},
    {"file": "b.png", "skip": True},
    {"saved": 2},
    {"file": "c.png", "label": "dog"},
    {"file": "b.png", "label": None},
    {"file": "d.png", "skip": True},
]


def encode(entries):
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def test_replay_gives_what_labels_csv_does_not_contain():
    result = replay(encode(LINES))
    assert result.classes == ("cat", "dog")
    assert result.changes == {"b.png": None, "c.png": "dog", "d.png": None}
    assert list(result.skipped) == ["d.png"]
    assert (result.lines, result.damaged) == (len(LINES), 0)


def test_a_journal_cut_anywhere_has_its_complete_lines():
    data = encode(LINES)
    for end in range(len(data) + 1):
        whole = data[:end].count(b"\n")
        assert replay(data[:end]) == replay(encode(LINES[:whole]))


@pytest.mark.parametrize(
    "damage",
    [
        b"\0\0\0\0",
        b'{"file": "x.p',
        b"\xff",
        b'{"file": "\xe9.png", "label": "cat"}',
        b"[1]",
        b"7",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"file":' * 100_000,
        b'{"file": 7}',
        b'{"file": ["a"], "label": "cat"}',
        b'{"file": "", "label": "cat"}',
        b'{"file": "\\ud800.png", "label": "cat"}',
        b'{"file": "a.png", "label": 3}',
        b'{"file": "a.png", "label": ""}',
        b'{"file": "a.png", "label": {"cat": 1}}',
        b'{"file": "a.png", "skip": "yes"}',
        b'{"classes": 5}',
        b'{"classes": "cat"}',
        b'{"classes": {"cat": 1}}',
        b'{"classes": ["cat", 5]}',
        b'{"classes": ["cat", ""]}',
        b'{"classes": ["cat", "cat"]}',
        b'{"saved": "x"}',
        b'{"saved": null}',
        b'{"saved": true}',
        b'{"saved": 1.5}',
        b'{"saved": -1}',
        b'{"saved": 1000}',
        b'{"saved": %s}' % (b"9" * 5000),
    ],
    ids=lambda damage: damage[:40].decode(errors="replace"),
)
def test_a_damaged_line_is_counted_and_loses_no_other(damage):
    good = encode(LINES)
    first = good.index(b"\n") + 1
    result = replay(good[:first] + damage + b"\n" + good[first:])
    assert result.damaged == 1
    assert result.classes == ("cat", "dog")
    assert {"b.png": None, "c.png": "dog", "d.png": None}.items() <= result.changes.items()
    assert list(result.skipped) == ["d.png"]


def test_entries_are_on_the_disk_when_append_returns(tmp_path, monkeypatch):
    flushed = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda f: (flushed.append(os.fstat(f).st_size), fsync(f)))
    journal = Journal(tmp_path, 0)
    journal.append([LINES[0]])
    assert flushed[-1] == journal.path.stat().st_size > 0
    journal.append(LINES[1:3])
    assert flushed[-1] == journal.path.stat().st_size
    assert read_journal(tmp_path).lines == journal.lines == 3


def test_a_journal_that_cannot_be_begun_is_closed_again(tmp_path, monkeypatch, descriptors):
    journal = Journal(tmp_path)
    before = descriptors()
    monkeypatch.setattr(os, "fsync", lambda _: 1 / 0)  # any error, even one that nobody expects
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            journal.append(LINES[:1])
    assert descriptors() == before


def test_a_torn_line_is_cut_off_before_the_next_one(tmp_path):
    path = tmp_path / ".labels.journal"
    path.write_bytes(encode(LINES[:2]) + b'{"file": "z.pn')
    journal = Journal(tmp_path, read_journal(tmp_path).lines)
    journal.append([LINES[4]])
    assert path.read_bytes().splitlines()[2:] == [b'{"file":"c.png","label":"dog"}']
    assert read_journal(tmp_path).lines == journal.lines == 3


def test_entries_that_cannot_be_flushed_are_removed(tmp_path, monkeypatch):
    journal = Journal(tmp_path, 0)
    journal.append(LINES[:2])
    before = journal.path.read_bytes()

    def fail(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(NotSaved, match="input/output error"):
            journal.append([LINES[4]])
    assert journal.path.read_bytes() == before
    journal.append([LINES[4]])
    assert read_journal(tmp_path).lines == 3


def test_a_deleted_journal_refuses_entries(tmp_path):
    journal = Journal(tmp_path, 0)
    journal.append(LINES[:1])
    journal.path.unlink()
    with pytest.raises(NotSaved, match="no longer there"):
        journal.append(LINES[1:2])


def test_rewriting_leaves_only_the_given_entries(tmp_path):
    journal = Journal(tmp_path, 0)
    journal.append(LINES)
    journal.rewrite([LINES[0], LINES[6]])
    assert read_journal(tmp_path).skipped == {"d.png": None}
    assert os.listdir(tmp_path) == [".labels.journal"]
