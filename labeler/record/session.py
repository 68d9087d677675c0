"""What is remembered of a folder: labels, skips, classes, and the way back.

A session knows nothing of windows. What it acknowledges is on the disk (see
`labeler.record.journal`): `label` returns only when the journal has the label, or raises `NotSaved`
and has changed nothing.
"""

import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from labeler.errors import LabelerError, NotSaved, ReadOnly, reason
from labeler.folder import natural
from labeler.record.journal import FolderLock, Journal, read_journal
from labeler.record.table import LABELS, read_table, stamp, write_table

MOST_CLASSES = 26  # one letter key each
DEFAULT_CLASSES = ("0", "1")


class Mark(NamedTuple):
    """What is said about one picture; at first it is neither labelled nor skipped."""

    name: str
    label: str | None = None
    skipped: bool = False

    def entry(self) -> dict[str, object]:
        """The mark as a line of the journal."""
        if self.skipped:
            return {"file": self.name, "skip": True}
        return {"file": self.name, "label": self.label}


class Session:
    """The labels of one folder, from opening to closing.

    Parameters
    ----------
    folder : Path      `labels.csv` and journal are read, and written unless another session has it
    classes : names    what the keys A, B, ... mean; by default what the folder's journal says, else
                       the labels found in `labels.csv`, else `fallback`
    fallback : names   classes for a folder that says nothing about them

    Attributes
    ----------
    labels : dict            {filename: label}, also of files that are not in the folder
    skipped : dict           filenames, as keys
    pictures : dict          {filename: place} of the pictures found so far; `names` in that order
    counts : Counter         labels given to pictures in the folder, per class
    read_only : str          why nothing may be written, or empty
    messages : deque         lines for the person, from what happens in the background
    revision : int           grows with every change

    Raises
    ------
    LabelerError   if there is no such folder, or `labels.csv` or the classes make no sense
    """

    def __init__(
        self,
        folder: Path | str,
        classes: Sequence[str] = (),
        fallback: Sequence[str] = DEFAULT_CLASSES,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise LabelerError(f"{folder} is not a folder: name one that holds pictures")
        classes = check_classes(classes) if classes else ()
        self.table_path = self.folder / LABELS
        self.messages: deque[str] = deque()
        self.read_only = ""
        self.revision = 0
        self.last_change = time.monotonic()
        self.pictures: dict[str, int] = {}
        self.names: list[str] = []
        self.counts: Counter[str] = Counter()
        self.skipped_count = 0
        self._history: list[list[Mark]] = []
        self._lock = threading.RLock()  # guards labels, skips and the journal
        self._saving = threading.Lock()  # one writer of labels.csv at a time
        self._folder_lock = self._take_lock()
        try:
            self._read(classes, fallback)
        except LabelerError:
            self._release()
            raise

    def _take_lock(self) -> FolderLock | None:
        try:
            return FolderLock(self.folder)
        except BlockingIOError:
            self.read_only = "Open in another window: here you can look, not label."
        except OSError as error:
            why = f"Nothing can be written in {self.folder}: {reason(error)}."
            self.read_only = f"{why} You can look, not label."
        return None

    def _read(self, classes: Sequence[str], fallback: Sequence[str]) -> None:
        journal = read_journal(self.folder)  # before the table, which may be replaced meanwhile
        if journal.damaged:
            self.messages.append(f"{journal.damaged} damaged lines of the journal were left out.")
        self._journal = Journal(self.folder, journal.lines)
        self._stamp = stamp(self.table_path)
        self._table = read_table(self.table_path)  # labels.csv as we last knew it
        self.labels = dict(self._table)
        self.skipped = {name: None for name in journal.skipped if name not in self._table}
        for name, label in journal.changes.items():
            self._apply(Mark(name, label, name in journal.skipped))
        self._saved_revision = 0 if self.labels == self._table else -1
        found = sorted(set(self.labels.values()), key=natural)
        known = tuple(classes) or journal.classes
        if not known and set(found) <= set(fallback):
            known = tuple(fallback)
        self.classes = (*known, *(cls for cls in found if cls not in known))[:MOST_CLASSES]
        if classes and self.classes != journal.classes and not self.read_only:
            self._journal.append([{"classes": self.classes}])

    # What is known

    def add_pictures(self, names: Iterable[str]) -> None:
        """Take note of pictures found in the folder, in the order in which they will be seen."""
        with self._lock:
            for name in names:
                self.pictures[name] = len(self.names)
                self.names.append(name)
                self._count(name, +1)

    def is_unlabelled(self, name: str) -> bool:
        """Whether the picture still waits for a decision: neither labelled nor skipped."""
        return name not in self.labels and name not in self.skipped

    @property
    def labelled_count(self) -> int:
        return self.counts.total()

    @property
    def unlabelled_count(self) -> int:
        return len(self.names) - self.labelled_count - self.skipped_count

    # What a person does

    def label(self, name: str, label: str) -> None:
        """Say what a picture shows. On the disk when this returns.

        Raises
        ------
        NotSaved   if it is not on the disk; nothing changed
        ReadOnly   if the folder belongs to another window, or cannot be written
        """
        self._change([Mark(name, label)])

    def skip(self, name: str) -> None:
        """Pass over a picture that nobody can tell; a label already given stays."""
        if name not in self.labels:
            self._change([Mark(name, skipped=True)])

    def clear(self, name: str) -> None:
        """Take back a label or a skip."""
        if not self.is_unlabelled(name):
            self._change([Mark(name)])

    def undo(self) -> str | None:
        """Take back the last change; the name of its picture, None if there is none."""
        if not self._history:
            return None
        before = self._history[-1]
        self._change(before, remember=False)
        self._history.pop()
        return before[0].name

    def set_classes(self, classes: Sequence[str]) -> None:
        """Rename classes, and their labels with them, or add some.

        Raises
        ------
        LabelerError   if a class with labels would vanish, or the names make no sense
        """
        classes = check_classes(classes)
        with self._lock:
            lost = set(self.classes[len(classes) :]) - set(classes)
            for label in lost & set(self.labels.values()):
                raise LabelerError(f"Class {label} has labels: it can be renamed, not removed.")
            renamed = dict(zip(self.classes, classes, strict=False))
            marks = [
                Mark(name, renamed[label])
                for name, label in self.labels.items()
                if renamed.get(label, label) != label
            ]
            self._write([{"classes": classes}, *(mark.entry() for mark in marks)])
            self.classes = classes
            self._take(marks)
            self._history = [
                [mark._replace(label=renamed.get(mark.label or "", mark.label)) for mark in step]
                for step in self._history
            ]

    # How it is done

    def _change(self, marks: list[Mark], remember: bool = True) -> None:
        with self._lock:
            before = [Mark(m.name, self.labels.get(m.name), m.name in self.skipped) for m in marks]
            self._write([mark.entry() for mark in marks])
            self._take(marks)
            if remember:
                self._history.append(before)

    def _write(self, entries: list[dict[str, object]]) -> None:
        if self.read_only:
            raise ReadOnly(self.read_only)
        self._journal.append(entries)

    def _take(self, marks: list[Mark]) -> None:
        for mark in marks:
            known = mark.name in self.pictures
            if known:
                self._count(mark.name, -1)
            self._apply(mark)
            if known:
                self._count(mark.name, +1)
        self.revision += 1
        self.last_change = time.monotonic()

    def _apply(self, mark: Mark) -> None:
        if mark.label is None:
            self.labels.pop(mark.name, None)
        else:
            self.labels[mark.name] = mark.label
        if mark.skipped:
            self.skipped[mark.name] = None
        else:
            self.skipped.pop(mark.name, None)

    def _count(self, name: str, step: int) -> None:
        if name in self.labels:
            self.counts[self.labels[name]] += step
        elif name in self.skipped:
            self.skipped_count += step

    # labels.csv

    @property
    def unsaved(self) -> bool:
        """Whether labels.csv is behind the journal, or was taken away."""
        taken_away = bool(self._table) and stamp(self.table_path) is None
        return taken_away or self.revision != self._saved_revision

    @property
    def edited_elsewhere(self) -> bool:
        """Whether somebody else has written labels.csv."""
        return stamp(self.table_path) not in (None, self._stamp)

    def save(self) -> None:
        """Bring labels.csv up to date, after reading what somebody else wrote into it.

        Raises
        ------
        NotSaved   if it cannot be written; the labels are safe in the journal
        """
        if self.read_only:
            return
        with self._saving:
            if self.edited_elsewhere:
                self._read_back()
            with self._lock:
                if not self.unsaved:
                    return
                revision, lines = self.revision, self._journal.lines
                rows = list(self.labels.items())
            written = write_table(self.table_path, rows)
            with self._lock:
                self._stamp, self._table = written, dict(rows)
                self._note_saved(revision, lines)

    def _note_saved(self, revision: int, lines: int) -> None:
        self._saved_revision = revision
        if lines:
            self._journal.append([{"saved": lines}], flush=False)  # losing it costs a replay

    def _read_back(self) -> None:
        """Take over what somebody else wrote into labels.csv, as one step that undo takes back.

        Where a label changed here too since the file was last read or written, ours holds.
        """
        self._stamp = stamp(self.table_path)
        try:
            theirs = read_table(self.table_path)
        except LabelerError as error:
            self._set_aside(error)
            self._saved_revision = -1
            return
        with self._lock:
            marks = [
                Mark(name, theirs.get(name))
                for name in {**self._table, **theirs}
                if theirs.get(name) != self._table.get(name) == self.labels.get(name)
            ]
            if marks:
                self._change(marks)
                self.messages.append(f"labels.csv was edited elsewhere: {len(marks)} changes read.")
            self._table = theirs
            if self.labels == theirs:
                self._note_saved(self.revision, self._journal.lines)
            else:
                self._saved_revision = -1

    def _set_aside(self, error: LabelerError) -> None:
        """Keep a damaged labels.csv under another name; it is then written anew."""
        kept = self.table_path.with_name("labels.damaged.csv")
        try:
            shutil.copyfile(self.table_path, kept)
        except OSError as failure:
            raise NotSaved(f"{error}; it could not be copied: {reason(failure)}") from failure
        self.messages.append(f"{error}. It was kept as {kept.name} and written anew.")

    def save_copy(self, path: Path) -> None:
        """Write all labels to some other place, for when the folder has become unreachable."""
        write_table(path, list(self.labels.items()))

    def close(self) -> None:
        """Bring labels.csv up to date and give the folder back.

        Raises
        ------
        NotSaved   if labels.csv could not be written; the labels are safe in the journal
        """
        try:
            self.save()
            if self._journal.lines and not self.read_only:
                skips = [Mark(name, skipped=True).entry() for name in self.skipped]
                self._journal.rewrite([{"classes": self.classes}, *skips])
        finally:
            self._release()

    def _release(self) -> None:
        if self._folder_lock:
            self._journal.close()
            self._folder_lock.release()
            self._folder_lock = None
        self.read_only = self.read_only or "This folder was closed."


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Class names as given, without surrounding blanks.

    Raises
    ------
    LabelerError   if there are fewer than 2, more than 26, an empty one, or two alike
    """
    names = tuple(name.strip() for name in classes)
    if not 2 <= len(names) <= MOST_CLASSES:
        raise LabelerError(f"{len(names)} class names: give 2 to {MOST_CLASSES}, one key each.")
    if not all(names):
        raise LabelerError("A class name is empty: give each class a name.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise LabelerError(f"Two classes are called {twice}: give them different names.")
    return names
