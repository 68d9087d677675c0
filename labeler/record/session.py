"""The labels, skips and classes of one folder, with undo.

A change is on the disk before it is acknowledged (see `labeler.record.journal`): `label` returns
when the journal has the label, or raises `NotSaved` and changes nothing.
"""

import contextlib
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from labeler.errors import LabelerError, NotSaved, ReadOnly, reason
from labeler.folder import natural_key
from labeler.record.classes import Merging, check_classes, question, rename
from labeler.record.disk import FolderLock, limits
from labeler.record.journal import Journal, read_journal
from labeler.record.table import LABELS, read_table, stamp, write_table
from lib.data.names import Locator, normal
from lib.data.tables import Table

DEFAULT_CLASSES = ("0", "1")


class Mark(NamedTuple):
    """The decision on one picture: labelled, skipped, or neither."""

    name: str
    label: str | None = None
    skipped: bool = False

    def entry(self) -> dict[str, object]:
        """The mark as a line of the journal."""
        if self.skipped:
            return {"file": self.name, "skip": True}
        return {"file": self.name, "label": self.label}


class Step(NamedTuple):
    """What undo brings back: the decisions before a change, and the classes if it changed them."""

    marks: list[Mark]
    classes: tuple[str, ...] | None = None


class Session:
    """The labels of one folder, from opening to closing.

    Parameters
    ----------
    folder : Path      `labels.csv` and journal are read, and written unless another session has it
    classes : names    classes of the keys A, B, ..., and any number more; default: those in the
                       folder's journal, else the labels in `labels.csv`, else `fallback`
    fallback : names   classes of a folder that has neither

    Attributes
    ----------
    labels : dict            {filename: label}, also of files that are not in the folder
    skipped : dict           filenames, as keys
    pictures : dict          {filename: number} of the pictures listed so far; `names` in that order
    counts : Counter         labelled pictures in the folder, per class
    read_only : str          why nothing may be written, or empty
    messages : deque         lines for the person, about events in the background
    revision : int           increases with every change
    behind_since : float     time (`time.monotonic`) since when labels.csv lacks a change, or None

    Raises
    ------
    LabelerError   if the folder does not exist, or `labels.csv` or the classes are invalid
    """

    def __init__(
        self,
        folder: Path | str,
        classes: Sequence[str] = (),
        fallback: Sequence[str] = DEFAULT_CLASSES,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise LabelerError(f"{folder} is not a folder: give a folder of pictures")
        classes = check_classes(classes) if classes else ()
        self.table_path = self.folder / LABELS
        self._locator = Locator(self.folder)
        self.messages: deque[str] = deque()
        self.read_only = ""
        self.revision = 0
        self.behind_since: float | None = None
        self.pictures: dict[str, int] = {}
        self.names: list[str] = []
        self.counts: Counter[str] = Counter()
        self.skipped_count = 0
        self._history: list[Step] = []
        self._lock = threading.RLock()  # guards labels, skips and the journal
        self._saving = threading.Lock()  # one writer of labels.csv at a time
        self._journal = Journal(self.folder)
        self._folder_lock = self._acquire_lock()
        try:
            self._read(classes, fallback)
        except BaseException:
            self._release()
            raise

    def _acquire_lock(self) -> FolderLock | None:
        try:
            lock = FolderLock(self.folder)
        except BlockingIOError:
            self.read_only = "Read-only: this folder is open in another window."
            return None
        except OSError as error:
            self.read_only = f"Read-only: {self.folder} cannot be written: {reason(error)}."
            return None
        with contextlib.suppress(OSError):  # a disk that fails is reported at the first change
            if remark := limits(self.folder, lock):
                self.messages.append(remark)
        return lock

    def _read(self, classes: Sequence[str], fallback: Sequence[str]) -> None:
        journal = read_journal(self.folder)  # before the table, which may be replaced meanwhile
        if journal.damaged:
            self.messages.append(f"Damaged lines of the journal, ignored: {journal.damaged}.")
        self._journal.lines = journal.lines
        self._stamp = stamp(self.table_path)
        self._file = read_table(self.table_path)  # labels.csv as last read
        self._table = self._file.values  # its labels as last read or written
        self.labels = dict(self._table)
        skipped = {normal(name): None for name in journal.skipped}
        self.skipped = {name: None for name in skipped if name not in self._table}
        for name, label in journal.changes.items():
            self._apply_mark(Mark(normal(name), label and normal(label), normal(name) in skipped))
        if self.labels != self._table:
            self._note_unsaved()
        given = tuple(classes) or journal.classes
        if not given and set(self.labels.values()) <= set(fallback):
            given = tuple(fallback)
        self.classes = self._with_those_in_use(given)
        if classes and self.classes != journal.classes and not self.read_only:
            self._journal.append([{"classes": self.classes}])

    def _with_those_in_use(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        others = set(self.labels.values()) - set(classes)
        return (*classes, *sorted(others, key=natural_key))

    # State

    def path(self, name: str) -> Path:
        """Where a picture's file is."""
        return self._locator.path(name)

    def add_pictures(self, names: Iterable[str]) -> None:
        """Add pictures of the folder, in the order in which they are to be shown."""
        with self._lock:
            for name in names:
                self.pictures[name] = len(self.names)
                self.names.append(name)
                self._count(name, +1)

    def is_unlabelled(self, name: str) -> bool:
        """Whether the picture is neither labelled nor skipped."""
        return name not in self.labels and name not in self.skipped

    @property
    def labelled_count(self) -> int:
        return self.counts.total()

    @property
    def unlabelled_count(self) -> int:
        return len(self.names) - self.labelled_count - self.skipped_count

    # Actions

    def label(self, name: str, label: str) -> None:
        """Label a picture. The label is on the disk when this returns.

        Raises
        ------
        NotSaved   if it is not on the disk; nothing is changed
        ReadOnly   if the folder is open in another window, or cannot be written
        """
        self._change([Mark(name, label)])

    def skip(self, name: str) -> None:
        """Skip a picture whose class is unclear; an existing label is kept."""
        if name not in self.labels:
            self._change([Mark(name, skipped=True)])

    def clear(self, name: str) -> None:
        """Remove a label or a skip."""
        if not self.is_unlabelled(name):
            self._change([Mark(name)])

    def undo(self) -> str | None:
        """Undo the last change.

        Returns the name of its picture, an empty one if the classes were changed, None if there is
        nothing to undo.
        """
        if not self._history:
            return None
        step = self._history[-1]
        self._change(step.marks, step.classes, remember=False)
        self._history.pop()
        return step.marks[0].name if step.classes is None else ""

    def set_classes(self, classes: Sequence[str], merge: bool = False) -> None:
        """Rename classes, together with their labels, add or merge classes: one step for undo.

        Parameters
        ----------
        classes : names   the new name of each class, in their order, then further classes
        merge : bool      whether classes that get the same name may become one

        Raises
        ------
        Merging        if classes would become one, and `merge` is False
        LabelerError   if a class with labels would be removed, or the names are invalid
        """
        with self._lock:
            kept, renamed = rename(self.classes, classes)
            sizes = Counter(self.labels.values())
            if not merge and (asked := question(renamed, sizes)):
                raise Merging(asked)
            for label in self.classes[len(classes) :]:
                if sizes[label] and label not in renamed:
                    raise LabelerError(f"Class {label} has labels: it can be renamed, not removed.")
            marks = [
                Mark(name, renamed[label])
                for name, label in self.labels.items()
                if renamed.get(label, label) != label
            ]
            if kept != self.classes:
                self._change(marks, kept)

    # Changes

    def _change(
        self, marks: list[Mark], classes: tuple[str, ...] | None = None, remember: bool = True
    ) -> None:
        with self._lock:
            before = [Mark(m.name, self.labels.get(m.name), m.name in self.skipped) for m in marks]
            step = Step(before, None if classes is None else self.classes)
            entries = [mark.entry() for mark in marks]
            self._write(entries if classes is None else [{"classes": classes}, *entries])
            self._apply_marks(marks)
            if classes is not None:
                self.classes = self._with_those_in_use(classes)
            if remember:
                self._history.append(step)

    def _write(self, entries: list[dict[str, object]]) -> None:
        if self.read_only:
            raise ReadOnly(self.read_only)
        self._journal.append(entries)

    def _apply_marks(self, marks: list[Mark]) -> None:
        for mark in marks:
            in_folder = mark.name in self.pictures
            if in_folder:
                self._count(mark.name, -1)
            self._apply_mark(mark)
            if in_folder:
                self._count(mark.name, +1)
        self.revision += 1
        self._note_unsaved()

    def _apply_mark(self, mark: Mark) -> None:
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
    def seconds_behind(self) -> float:
        """The age of the oldest change that labels.csv lacks; 0 without one."""
        since = self.behind_since
        return 0.0 if since is None or self.read_only else time.monotonic() - since

    @property
    def unsaved(self) -> bool:
        """Whether labels.csv is older than the journal, or was deleted."""
        deleted = bool(self._table) and stamp(self.table_path) is None
        return deleted or self.behind_since is not None

    @property
    def edited_elsewhere(self) -> bool:
        """Whether another program has written labels.csv."""
        return stamp(self.table_path) not in (None, self._stamp)

    def save(self) -> None:
        """Write labels.csv, after reading the edits of other programs.

        Raises
        ------
        NotSaved   if it cannot be written; the labels are safe in the journal
        """
        if self.read_only:
            return
        with self._saving:
            if self.edited_elsewhere:
                self._merge_edits()
            with self._lock:
                if not self.unsaved:
                    return
                revision, lines, moment = self.revision, self._journal.lines, time.monotonic()
                labels = dict(self.labels)
            written = write_table(self.table_path, self._as_table(labels))
            with self._lock:
                self._stamp, self._table = written, labels
                self.behind_since = None if self.revision == revision else moment
                self._note_saved(lines)

    def _as_table(self, labels: dict[str, str]) -> Table:
        """The labels with what else labels.csv held when it was read: other columns."""
        empty = tuple(name for name in self._file.empty if name not in labels)
        return replace(self._file, values=labels, empty=empty)

    def _note_unsaved(self) -> None:
        if self.behind_since is None:
            self.behind_since = time.monotonic()

    def _note_saved(self, lines: int) -> None:
        if lines:
            self._journal.append([{"saved": lines}], flush=False)  # losing it costs only a replay

    def _merge_edits(self) -> None:
        """Apply the edits that another program made in labels.csv, as one step for undo.

        Where a label was changed here too since the file was last read or written, it is kept.
        """
        self._stamp = stamp(self.table_path)
        try:
            self._file = read_table(self.table_path)
        except LabelerError as error:
            self._back_up_damaged(error)
            self._note_unsaved()
            return
        edited = self._file.values
        with self._lock:
            marks = [
                Mark(name, edited.get(name))
                for name in {**self._table, **edited}
                if edited.get(name) != self._table.get(name) == self.labels.get(name)
            ]
            if marks:
                self._change(marks)
                self.classes = self._with_those_in_use(self.classes)
                self.messages.append(
                    f"labels.csv was edited by another program. Changes read: {len(marks)}."
                )
            self._table = edited
            if self.labels == edited:
                self.behind_since = None
                self._note_saved(self._journal.lines)
            else:
                self._note_unsaved()

    def _back_up_damaged(self, error: LabelerError) -> None:
        """Copy a damaged labels.csv to another name, before it is rewritten."""
        backup = self.table_path.with_name("labels.damaged.csv")
        try:
            shutil.copyfile(self.table_path, backup)
        except OSError as failure:
            raise NotSaved(f"{error}; it could not be copied: {reason(failure)}") from failure
        self.messages.append(
            f"{error}. A copy was saved as {backup.name}, and labels.csv was written again."
        )

    def save_copy(self, path: Path) -> None:
        """Write all labels to another file, for example when the folder is gone."""
        write_table(path, self._as_table(dict(self.labels)))

    def close(self) -> None:
        """Write labels.csv and release the folder.

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
        lock, self._folder_lock = self._folder_lock, None
        try:
            self._journal.close()
        finally:
            if lock:
                lock.release()
        self.read_only = self.read_only or "This folder was closed."
