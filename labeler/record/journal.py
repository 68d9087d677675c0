"""Flush each label to a journal on the disk, so that a crash loses none.

Three files are stored beside the pictures:

`labels.csv`       for other programs (see `labeler.record.table`). Replaced in the background and
                   at closing, not at each key: writing it takes longer the larger the folder.
`.labels.journal`  each change, flushed to the disk before the next picture is shown. One JSON
                   object per line; lines are only appended while the folder is open.
`.labels.lock`     locked by the one window that may write. The system releases it when the process
                   ends.

The journal's lines, in the order in which they happened:

    {"file": "a/1.png", "label": "cat"}     labelled, or labelled again
    {"file": "a/1.png", "label": null}      label or skip removed
    {"file": "a/1.png", "skip": true}       skipped
    {"classes": ["cat", "dog"]}             the classes of the keys A and B from here on
    {"saved": 120}                          labels.csv contains the first 120 lines

Opening a folder reads `labels.csv` and then applies the journal's lines after those that its last
"saved" line counts. Applying a change twice does no harm, so neither does a crash between replacing
`labels.csv` and writing the "saved" line. An incomplete last line was never acknowledged and is cut
off. Skips and classes are not part of `labels.csv`: closing rewrites the journal with only these.
"""

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labeler.errors import LabelerError, NotSaved, reason
from labeler.record.disk import flush_folder, open_own, replacing

JOURNAL = ".labels.journal"


@dataclass
class Replay:
    """The content of a journal, read from its start."""

    classes: tuple[str, ...] = ()
    changes: dict[str, str | None] = field(default_factory=dict)  # not yet in labels.csv
    skipped: dict[str, None] = field(default_factory=dict)  # an ordered set
    lines: int = 0
    damaged: int = 0  # unreadable lines, which are skipped


def replay(data: bytes) -> Replay:
    """Read a journal; an incomplete last line does not count."""
    lines = data.split(b"\n")[:-1]
    entries = [_parse(line, number) for number, line in enumerate(lines)]
    result = Replay(lines=len(entries), damaged=entries.count({}))
    saved = max((entry["saved"] for entry in entries if "saved" in entry), default=0)
    for number, entry in enumerate(entries):
        if "classes" in entry:
            result.classes = tuple(entry["classes"])
        elif "file" in entry:
            name = entry["file"]
            if entry.get("skip"):
                result.skipped[name] = None
            else:
                result.skipped.pop(name, None)
            if number >= saved:
                result.changes[name] = entry.get("label")
    return result


def _parse(line: bytes, number: int) -> dict[str, Any]:
    """The entry of line `number`, counted from 0; empty if it is damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) and _is_entry(entry, number) else {}


def _is_entry(entry: dict[str, Any], number: int) -> bool:
    """Whether an entry is one of those in the module's docstring."""
    if "saved" in entry:
        saved = entry["saved"]
        return type(saved) is int and 0 <= saved <= number  # it counts lines before it
    if "classes" in entry:
        names = entry["classes"]
        if not isinstance(names, list) or not all(map(_is_text, names)):
            return False
        return len(set(names)) == len(names)
    label, skip = entry.get("label"), entry.get("skip", False)
    return (
        _is_text(entry.get("file"))
        and (label is None or _is_text(label))
        and isinstance(skip, bool)
    )


def _is_text(value: object) -> bool:
    """Whether it is text that labels.csv can hold: UTF-8, and not empty."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_journal(folder: Path) -> Replay:
    """The content of the folder's journal; empty if there is none."""
    path = folder / JOURNAL
    try:
        with open(open_own(path, os.O_RDONLY), "rb") as file:
            return replay(file.read())
    except FileNotFoundError:
        return Replay()
    except OSError as error:
        raise LabelerError(f"{path} cannot be read: {reason(error)}") from error


class Journal:
    """The journal of one folder, open for appending. It is created at the first change."""

    def __init__(self, folder: Path, lines: int = 0) -> None:
        self.path = folder / JOURNAL
        self.lines = lines
        self._file: int | None = None

    def append(self, entries: Iterable[dict[str, Any]], flush: bool = True) -> None:
        """Write entries to the disk, all or none.

        Raises
        ------
        NotSaved   if it is not certain that they are on the disk
        """
        lines = [_line(entry) for entry in entries]
        try:
            if self._file is None:
                self._file = self._open()
            self._check_not_replaced(self._file)
            end = os.fstat(self._file).st_size
            try:
                _write_all(self._file, b"".join(lines))
                if flush:
                    os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, end)
                raise
        except OSError as error:
            raise NotSaved(
                f"Not saved in {self.path.parent}: {reason(error)}."
                " Nothing was changed. Solve the problem and press the key again."
            ) from error
        self.lines += len(lines)

    def rewrite(self, entries: Iterable[dict[str, Any]]) -> None:
        """Close the journal and replace it by one with only these entries.

        Raises
        ------
        NotSaved   if it cannot be written; the old one stays as it is
        """
        self.close()
        try:
            with replacing(self.path) as file:
                file.writelines(_line(entry) for entry in entries)
        except OSError as error:
            raise NotSaved(f"{self.path} could not be written: {reason(error)}") from error

    def close(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None  # even a close that fails has closed it
            os.close(descriptor)

    def _open(self) -> int:
        descriptor = open_own(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):  # an incomplete line: the next one must start a new line
                os.ftruncate(descriptor, whole)
            flush_folder(self.path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _check_not_replaced(self, descriptor: int) -> None:
        """Writing into a journal that was deleted while open would succeed, and be lost."""
        if not os.path.samestat(os.lstat(self.path), os.fstat(descriptor)):
            raise FileNotFoundError(errno.ENOENT, "replaced", str(self.path))


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
