"""Which files of a folder are pictures, and what they are called.

Study, command line and labeler list folders by these rules:

- a name is taken whole, blanks included, and compared in one Unicode form (NFC, Unicode Standard
  Annex 15): macOS may store `café` in another than the one that people type. The file keeps its own
  name on disk; `Locator` finds it;
- a name that is not UTF-8 cannot be written into `labels.csv` and names nothing;
- hidden files and folders (their names begin with a dot) are no part of a dataset;
- each folder is read once. A link to a folder is followed after all real folders, unless it leads
  to one that is read already or to one that holds the dataset;
- what else is passed over is kept with the reason.

Needs the standard library and the list of formats alone, so that the labeler can use it.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from lib.data.picture_files import SUFFIXES

# What stands beside pictures and is none: written by the labeler, file managers and spreadsheets.
COMPANIONS = ("labels.csv", "splits.csv", "labels.damaged.csv", "thumbs.db", "desktop.ini")

# Why something is passed over, of one and of several.
NOT_UTF8 = ("name that is not UTF-8", "names that are not UTF-8")
TWIN = (
    "name that another file has in another Unicode form",
    "names that other files have in another Unicode form",
)
UNREADABLE = ("folder that cannot be read", "folders that cannot be read")
LINK_BACK = ("link to a folder that is read already", "links to folders that are read already")
NO_FILE = ("name of what is no regular file", "names of what are no regular files")
OTHER_FORMAT = ("file in a format that is not read", "files in formats that are not read")
NO_CLASS = ("picture outside the class folders", "pictures outside the class folders")

Reason = tuple[str, str]
LeftOut = dict[Reason, list[str]]  # names by the reason why they are passed over


class File(NamedTuple):
    """A picture file: its name, relative, with forward slashes, in NFC; and its directory entry."""

    name: str
    entry: os.DirEntry[str]


def normal(text: str) -> str:
    """The text in the one Unicode form in which names are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def printable(name: str) -> str:
    r"""The name with bytes that are not UTF-8 as escapes, such as `caf\xe9.png`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_utf8(name: str) -> bool:
    """Whether a name, as the system gives it, can be written as UTF-8."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def walk(
    folder: str | Path,
    left_out: LeftOut,
    in_order: Callable[[list[str]], list[str]] = sorted,
) -> Iterator[list[File]]:
    """The picture files of a folder and its sub-folders, one list per folder that has any.

    Parameters
    ----------
    left_out : see `new_left_out`; grows by what is passed over
    in_order : sorts the names of one folder
    """
    root = os.path.realpath(folder)
    seen: set[tuple[int, int]] = set()
    names: set[str] = set()
    waiting, links = [("", str(folder))], list[tuple[str, str]]()  # names, paths
    while waiting or links:
        inside, path = waiting.pop() if waiting else links.pop(0)
        if not _is_new(path, seen):
            left_out[LINK_BACK].append(inside.rstrip("/"))
            continue
        files, folders = list[File](), list[tuple[str, str]]()
        for name, entry in _list(path, inside, in_order, left_out):
            kind = _kind(entry)
            if kind == "link" and _holds(entry.path, root):
                left_out[LINK_BACK].append(name)
            elif kind in ("folder", "link"):
                (folders if kind == "folder" else links).append((f"{name}/", entry.path))
            elif not name.lower().endswith(SUFFIXES):
                if entry.name.lower() not in COMPANIONS:
                    left_out[OTHER_FORMAT].append(name)
            elif kind == "other":
                left_out[NO_FILE].append(name)
            elif name.isascii():
                files.append(File(name, entry))
            elif name in names:  # only such a name has another form
                left_out[TWIN].append(name)
            else:
                names.add(name)
                files.append(File(name, entry))
        if files:
            yield files
        waiting += reversed(folders)


def _list(
    path: str, inside: str, in_order: Callable[[list[str]], list[str]], left_out: LeftOut
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What is in a folder and not hidden, by name and in order."""
    try:
        with os.scandir(path) as entries:
            found = {entry.name: entry for entry in entries if entry.name[0] != "."}
    except OSError as error:
        left_out[UNREADABLE].append(f"{path} ({error.strerror})")
        return
    valid = [name for name in found if is_utf8(name)]
    if len(valid) < len(found):
        left_out[NOT_UTF8] += [printable(inside + name) for name in found if not is_utf8(name)]
    for name in in_order(valid):
        yield inside + normal(name), found[name]


def new_left_out() -> LeftOut:
    """An empty record for `walk`."""
    return defaultdict(list)


def _is_new(path: str, seen: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return True  # reading it will say why
    identity = (status.st_dev, status.st_ino)
    new = identity not in seen
    seen.add(identity)
    return new


def _holds(link: str, root: str) -> bool:
    """Whether a link leads to the folder `root` or to one above it."""
    target = os.path.realpath(link)
    return os.path.commonpath([target, root]) == target


def _kind(entry: os.DirEntry[str]) -> Literal["folder", "link", "file", "other"]:
    """What a name stands for; a `link` leads to a folder.

    A link that leads nowhere, or to itself, stands for the file that it should lead to.
    """
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "link" if entry.is_symlink() else "folder"
        return "other" if os.path.exists(entry.path) else "file"
    except OSError:  # such as a link to itself
        return "file"


def status(entry: os.DirEntry[str]) -> os.stat_result:
    """Size and time of a file, of the link itself where that leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def summary(left_out: LeftOut) -> list[str]:
    """A line for each reason: how much is passed over, and an example."""
    lines = []
    for reason, names in left_out.items():
        if not names:
            continue
        endings = _endings(names) if reason == OTHER_FORMAT else ""
        lines.append(f"{len(names):,} {reason[len(names) > 1]}{endings}, such as {names[0]}")
    return lines


def _endings(names: list[str]) -> str:
    endings = sorted({os.path.splitext(name)[1].lower() or "no ending" for name in names})
    return f" ({', '.join(endings[:4])}{', …' if len(endings) > 4 else ''})"


class Locator:
    """Finds the files of one folder on disk by their names in NFC."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._listed: dict[str, dict[str, list[str]]] = {}

    def path(self, name: str) -> Path:
        """Where the file of that name is; where it would be, if there is none."""
        direct = self.folder / name
        if name.isascii() or direct.exists():
            return direct
        paths = [str(self.folder)]
        for part in name.split("/"):
            paths = [
                os.path.join(path, own)
                for path in paths
                for own in self._names(path).get(normal(part), [])
            ]
        return Path(paths[0]) if paths else direct

    def _names(self, path: str) -> dict[str, list[str]]:
        """The names in a folder on disk by their form in NFC."""
        if path not in self._listed:
            names: dict[str, list[str]] = defaultdict(list)
            try:
                for name in sorted(os.listdir(path)):
                    names[normal(name)].append(name)
            except OSError:
                pass
            self._listed[path] = names
        return self._listed[path]
