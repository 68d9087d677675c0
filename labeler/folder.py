"""List the pictures of a folder and its sub-folders, in natural order.

The order is the same on every machine: a folder's own pictures first, then its sub-folders, each in
natural order (2.png before 10.png). Each folder is passed on as soon as it is read, so that the
first picture appears long before the scan is complete.
"""

import os
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from labeler.errors import reason

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> list[str | int]:
    """A sort key under which 2 comes before 10 and case does not matter."""
    parts: list[str | int] = list(_DIGITS.split(name.casefold()))
    parts[1::2] = map(int, parts[1::2])
    return parts


def walk(folder: Path, problems: list[str] | None = None) -> Iterator[list[str]]:
    """Picture names relative to the folder, with forward slashes, one list per (sub-)folder.

    Hidden files and folders, and links to folders, are left out. So are folders that cannot be read
    and names that are not valid text; each of these adds a line to `problems`.
    """
    problems = [] if problems is None else problems
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        names, folders = [], []
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    name = entry.name
                    if name[0] == ".":
                        continue
                    if name.lower().endswith(SUFFIXES) and not entry.is_dir():
                        names.append(name)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(name)
        except OSError as error:
            problems.append(f"{folder / inside} was left out: {reason(error)}.")
            continue
        names = _sorted(_valid_names(names, problems))
        if names:
            yield [inside + name for name in names]
        waiting += [
            f"{inside}{name}/" for name in reversed(_sorted(_valid_names(folders, problems)))
        ]


def _sorted(names: list[str]) -> list[str]:
    return sorted(sorted(names), key=natural_key)  # the first sort orders names of equal keys


def _valid_names(names: list[str], problems: list[str]) -> list[str]:
    """Names that can be written into a UTF-8 file."""
    valid = [name for name in names if name.isascii() or _is_text(name)]
    if len(valid) < len(names):
        problems.append(f"Names that are not valid text, left out: {len(names) - len(valid)}.")
    return valid


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class Scan:
    """A walk through a folder in the background."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[str] = []
        self._batches: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._stopped = False
        self.finished = False
        threading.Thread(target=self._run, args=(folder,), name="scan", daemon=True).start()

    def _run(self, folder: Path) -> None:
        for names in walk(folder, self.problems):
            self._batches.put(names)
            if self._stopped:
                break
        self._batches.put(None)

    def new_names(self) -> list[str]:
        """The names listed since the last call; `finished` once there will be no more."""
        names: list[str] = []
        while not self._batches.empty():
            batch = self._batches.get()
            if batch is None:
                self.finished = True
                break
            names += batch
        return names

    def stop(self) -> None:
        self._stopped = True
