"""List the labelled pictures of a folder.

A folder says what its pictures show in one of three forms, tried in this order:

- `labels.csv` (filename,label) beside the pictures, optionally with `splits.csv` (filename,split),
  by the rules of `lib.data.tables`; a labelled picture missing in `splits.csv` is for train;
- split folders with class folders in them: `train/<class>/...`, and `val/`, `test/` or both; the
  names in `SPLIT_NAMES` in any case are splits; a folder that could also be read as classes is
  refused;
- `<class>/...`.

Pictures may lie in sub-folders of their class; which files count, and what they are called, is
decided in `lib.data.names`. Blanks around a class's name are no part of it. Where the form gives no
splits, all pictures count as train.

Nothing here imports torch: a study asks for a content key before it decides to start anything.
"""

import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from lib.data import names
from lib.data.names import LeftOut, Locator, Reason
from lib.data.tables import Table, read_table
from lib.errors import UserError

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {  # what people call the splits, in lower case
    **{"train": "train", "training": "train"},
    **{"val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "testing": "test"},
}
AT_ONCE = 4096  # entries whose text is hashed at a time
NO_LABEL = ("row of labels.csv without a label", "rows of labels.csv without a label")


@dataclass(frozen=True)
class Listing:
    """Labelled pictures, named but not yet decoded."""

    ids: list[str]
    labels: np.ndarray  # int64 (N,), places in `classes`
    splits: np.ndarray  # str (N,), each one of SPLITS
    classes: list[str]  # alphabetical
    key: str = ""  # changes when a file, a label or a split does
    left_out: tuple[str, ...] = ()  # what was passed over and why, a line for each reason

    def take(self, places: np.ndarray) -> "Listing":
        """The pictures at these places, in this order."""
        ids = [self.ids[place] for place in places]
        return replace(self, ids=ids, labels=self.labels[places], splits=self.splits[places])


class _Entry(NamedTuple):
    """A labelled picture. A listing's key is made of the text of these, names included."""

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
    left_out = names.new_left_out()
    try:
        from_csv = (folder / "labels.csv").exists()
        entries = sorted((_read_csv if from_csv else _read_tree)(folder, left_out))
    except OSError as error:
        raise UserError(f"cannot read {error.filename or folder}: {error.strerror}") from error
    if not entries:
        passed_over = "; ".join(names.summary(left_out))
        raise UserError(
            f"no labelled pictures in {folder}: put them into one folder a class, "
            "or beside a labels.csv with the columns filename,label"
            + (f" (passed over: {passed_over})" if passed_over else "")
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
        key=_key(entries),
        left_out=tuple(names.summary(left_out)),
    )


def short_hash(*values: object) -> str:
    """16 hexadecimal digits that stand for values as Python writes them."""
    return hashlib.blake2b(repr(values).encode(), digest_size=8).hexdigest()


def _key(entries: list[_Entry]) -> str:
    """`short_hash(entries)`, which never has the text of all of them at once."""
    digest = hashlib.blake2b(b"([", digest_size=8)
    for first in range(0, len(entries), AT_ONCE):
        text = repr(entries[first : first + AT_ONCE]).strip("[]")
        digest.update(f"{', ' if first else ''}{text}".encode())
    digest.update(b"],)")
    return digest.hexdigest()


def _read_tree(folder: Path, left_out: LeftOut) -> Iterator[_Entry]:
    files = []
    for batch in names.walk(folder, left_out):
        for name, entry in batch:  # which holds much memory, and is dropped with its folder
            status = names.status(entry)
            files.append((name, status.st_size, status.st_mtime_ns))
    _refuse_unusable(folder, left_out)
    # Beside the class folders a readme may lie, but no picture of a class.
    left_out[names.OTHER_FORMAT] = [name for name in left_out[names.OTHER_FORMAT] if "/" in name]
    split_of = _split_folders(folder, (name for name, _, _ in files))
    for name, size, mtime_ns in files:
        *above, _ = name.split("/")
        split = split_of[above.pop(0)] if split_of and above else "train"
        label = sys.intern(above[0].strip()) if above else ""  # one text for all of a class
        if label:
            yield _Entry(name, label, split, size, mtime_ns)
        else:
            left_out[names.NO_CLASS].append(name)


def _refuse_unusable(folder: Path, left_out: LeftOut) -> None:
    """Stop at what can be neither read nor passed over."""
    remedies: dict[Reason, str] = {
        names.NOT_UTF8: "rename them, or unpack their archive again with its own encoding",
        names.TWIN: "rename one of the two",
        names.UNREADABLE: "give yourself the right to read it, or hide it (.name)",
    }
    for reason, remedy in remedies.items():
        if found := left_out.get(reason):
            raise UserError(f"{folder} has {names.summary({reason: found})[0]}; {remedy}")


def _split_folders(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """The split of each top folder that is one; empty if the top folders are classes.

    Raises
    ------
    UserError   if both could be meant, or a split is there twice or without train
    """
    depths: dict[str, set[bool]] = defaultdict(set)  # whether pictures lie in further folders
    for name in files:
        top, _, rest = name.partition("/")
        if rest:
            depths[top].add("/" in rest)
    split_of = {top: SPLIT_NAMES[top.lower()] for top in depths if top.lower() in SPLIT_NAMES}
    others = sorted(set(depths) - set(split_of))
    without_classes = sorted(top for top in split_of if True not in depths[top])
    if without_classes == sorted(split_of) and (others or len(set(split_of.values())) < 2):
        return {}

    def refuse(problem: str, remedy: str) -> NoReturn:
        raise UserError(f"{folder}: {problem}; {remedy}")

    if without_classes:
        refuse(
            f"{_named(without_classes)} should be split into class folders, as train/<class>/",
            "sort the pictures so, or say in a labels.csv what each shows",
        )
    if others:
        refuse(
            f"{_named(sorted(split_of))} could be splits or classes, beside {_named(others)}",
            "for splits, move or hide (.name) the other folders; for classes, write a labels.csv",
        )
    for split in SPLITS:
        same = sorted(top for top, meant in split_of.items() if meant == split)
        if len(same) > 1:
            refuse(f"{_named(same)} are both the split {split}", "merge them, or hide one (.name)")
    if "train" not in split_of.values():
        refuse(f"{_named(sorted(split_of))} without train/", "add it, or rename one of them")
    return split_of


def _named(folders: list[str]) -> str:
    return " and ".join(f"{folder}/" for folder in folders[:4]) + (" …" if folders[4:] else "")


def _read_csv(folder: Path, left_out: LeftOut) -> Iterator[_Entry]:
    labels = read_table(folder / "labels.csv", "label")
    splits = _read_splits(folder, labels)
    if labels.empty:
        left_out[NO_LABEL] += labels.empty
    locator = Locator(folder)
    for name, label in labels.values.items():
        try:
            status = locator.path(name).stat()
        except FileNotFoundError:
            path = locator.path(name)
            if path.is_symlink():
                status = path.lstat()
            else:
                raise _missing(folder, name) from None
        yield _Entry(name, label, splits.get(name, "train"), status.st_size, status.st_mtime_ns)


def _missing(folder: Path, name: str) -> UserError:
    remedy = "bring the file back or remove the row"
    if name != name.strip() and Locator(folder).path(name.strip()).exists():
        remedy = "remove the blanks around the name"
    return UserError(f"{folder / 'labels.csv'} names {name!r}, which is not in {folder}; {remedy}")


def _read_splits(folder: Path, labels: Table) -> dict[str, str]:
    """The split of each picture that `splits.csv` names, if there is one."""
    path = folder / "splits.csv"
    splits = {}
    for name, value in read_table(path, "split").values.items() if path.exists() else ():
        if value.lower() not in SPLIT_NAMES:
            raise UserError(
                f"{path} puts {name} into {value!r}; the splits are {', '.join(SPLITS)}"
            )
        if name not in labels.values and name not in labels.empty:
            raise UserError(
                f"{path} names {name}, which has no label; add it to labels.csv or remove the row"
            )
        splits[name] = SPLIT_NAMES[value.lower()]
    return splits
