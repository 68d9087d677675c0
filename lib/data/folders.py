"""List the labelled pictures of a folder.

A folder says what its pictures show in one of three forms, tried in this order:

- `labels.csv` (filename,label) beside the pictures, optionally with `splits.csv` (filename,split);
  filenames are relative to the folder; a labelled picture missing in `splits.csv` is for train;
- `train/<class>/...` with `test/<class>/...`, `val/<class>/...` or both;
- `<class>/...`.

Pictures may lie in sub-folders of their class. Hidden files, and files whose names don't end as a
picture's, are passed over. Where the form gives no splits, all pictures count as train.

Nothing here imports torch: a study asks for a content key before it decides to start anything.
"""

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from lib.data import pictures
from lib.errors import UserError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Listing:
    """Labelled pictures, named but not yet decoded."""

    ids: list[str]
    labels: np.ndarray  # int64 (N,), places in `classes`
    splits: np.ndarray  # str (N,), each one of SPLITS
    classes: list[str]  # alphabetical
    key: str = ""  # changes when a file, a label or a split does

    def take(self, places: np.ndarray) -> "Listing":
        """The pictures at these places, in this order."""
        ids = [self.ids[place] for place in places]
        return Listing(ids, self.labels[places], self.splits[places], self.classes, self.key)


class _Entry(NamedTuple):
    id: str
    label: str
    split: str
    size: int
    mtime_ns: int


def scan(folder: Path) -> Listing:
    """List the labelled pictures of a folder, sorted by name, from whichever form it has.

    Raises
    ------
    UserError   if there are no pictures or only one class, or a CSV file doesn't fit the folder
    """
    try:
        from_csv = (folder / "labels.csv").exists()
        entries = sorted(_read_csv(folder) if from_csv else _read_tree(folder))
    except OSError as error:
        raise UserError(f"cannot read {error.filename or folder}: {error.strerror}") from error
    if not entries:
        raise UserError(
            f"no labelled pictures in {folder}: put them into one folder a class, "
            "or beside a labels.csv with the columns filename,label"
        )
    classes = sorted({entry.label for entry in entries})
    if len(classes) == 1:
        raise UserError(f"{folder} has only one class, {classes[0]!r}; add pictures of another")
    place = {label: index for index, label in enumerate(classes)}
    return Listing(
        ids=[entry.id for entry in entries],
        labels=np.array([place[entry.label] for entry in entries]),
        splits=np.array([entry.split for entry in entries]),
        classes=classes,
        key=short_hash(entries),
    )


def short_hash(*values: object) -> str:
    """16 hexadecimal digits that stand for values as Python writes them."""
    return hashlib.blake2b(repr(values).encode(), digest_size=8).hexdigest()


def _read_tree(folder: Path) -> Iterator[_Entry]:
    is_split = (folder / "train").is_dir() and (
        (folder / "val").is_dir() or (folder / "test").is_dir()
    )
    tops = {split: f"{split}/" for split in SPLITS} if is_split else {"train": ""}
    for split, above in tops.items():
        for name, status in _walk(folder / above):
            label, _, rest = name.partition("/")
            if rest:  # a picture outside the class folders has no label
                yield _Entry(above + name, label, split, status.st_size, status.st_mtime_ns)


def _walk(folder: str | Path, above: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Picture files under a folder by their relative names."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{above}{entry.name}/")
            elif entry.name.lower().endswith(pictures.SUFFIXES):
                yield above + entry.name, entry.stat()


def _read_csv(folder: Path) -> Iterator[_Entry]:
    labels = _read_column(folder / "labels.csv", "label")
    splits: dict[str, str] = {}
    if (folder / "splits.csv").exists():
        splits = _read_column(folder / "splits.csv", "split")
    for name, split in splits.items():
        if split not in SPLITS:
            raise UserError(
                f"{folder / 'splits.csv'} puts {name} into {split!r}; "
                f"the splits are {', '.join(SPLITS)}"
            )
        if name not in labels:
            raise UserError(
                f"{folder / 'splits.csv'} names {name}, which has no label; "
                "add it to labels.csv or remove the row"
            )
    for name, label in labels.items():
        try:
            status = os.stat(os.path.join(folder, name))
        except FileNotFoundError:
            raise UserError(
                f"{folder / 'labels.csv'} names {name}, which is not in {folder}; "
                "bring the file back or remove the row"
            ) from None
        split = splits.get(name, "train")
        yield _Entry(name, label, split, status.st_size, status.st_mtime_ns)


def _read_column(path: Path, column: str) -> dict[str, str]:
    """Column of a CSV file by its `filename` column."""

    def refuse(problem: str) -> NoReturn:
        raise UserError(f"{path}{problem}")

    values: dict[str, str] = {}
    try:
        # utf-8-sig: spreadsheets begin a UTF-8 file with a byte order mark.
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, skipinitialspace=True)
            header = next(rows, [])
            if "filename" not in header or column not in header:
                columns = ",".join(header) or "nothing"
                refuse(f" needs the columns filename,{column}; its first line has {columns}")
            cells = itemgetter(header.index("filename"), header.index(column))
            for row in filter(None, rows):
                if len(row) != len(header):
                    refuse(f", line {rows.line_num} has {len(row)} columns, not {len(header)}")
                name, value = cells(row)
                if not name or not value:
                    refuse(f", line {rows.line_num}: filename or {column} is empty")
                if name in values:
                    refuse(f", line {rows.line_num}: {name} comes a second time")
                values[name] = value
    except (UnicodeDecodeError, csv.Error) as error:
        refuse(f" is not a CSV file in UTF-8: {error}")
    return values
