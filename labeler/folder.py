"""Which pictures does a folder hold, and in which order?

The order is the same on every machine: a folder's own pictures first, then its sub-folders, each as
a person would sort them (2.png before 10.png). Folders are handed on as soon as they are read, so
the first picture can be seen long before the last one is found.
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


def natural(name: str) -> list[str | int]:
    """A sort key under which 2 comes before 10 and case does not matter."""
    parts: list[str | int] = list(_DIGITS.split(name.casefold()))
    parts[1::2] = map(int, parts[1::2])
    return parts


def walk(folder: Path, complaints: list[str] | None = None) -> Iterator[list[str]]:
    """Picture names relative to the folder, with forward slashes, one list per (sub-)folder.

    Hidden files and folders, and links to folders, are left out. What cannot be read or written
    down is left out too and described in `complaints`.
    """
    complaints = [] if complaints is None else complaints
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
            complaints.append(f"{folder / inside} was left out: {reason(error)}.")
            continue
        names = _sorted(_writable(names, complaints))
        if names:
            yield [inside + name for name in names]
        waiting += [
            f"{inside}{name}/" for name in reversed(_sorted(_writable(folders, complaints)))
        ]


def _sorted(names: list[str]) -> list[str]:
    return sorted(sorted(names), key=natural)  # the first sort settles what the key holds equal


def _writable(names: list[str], complaints: list[str]) -> list[str]:
    """Names that can be written into a UTF-8 file."""
    fine = [name for name in names if name.isascii() or _is_text(name)]
    if len(fine) < len(names):
        complaints.append(f"{len(names) - len(fine)} names are not valid text and were left out.")
    return fine


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class Scan:
    """A walk through a folder in the background."""

    def __init__(self, folder: Path) -> None:
        self.complaints: list[str] = []
        self._found: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._stopped = False
        self.finished = False
        threading.Thread(target=self._run, args=(folder,), name="scan", daemon=True).start()

    def _run(self, folder: Path) -> None:
        for names in walk(folder, self.complaints):
            self._found.put(names)
            if self._stopped:
                break
        self._found.put(None)

    def take(self) -> list[str]:
        """The names found since the last call; `finished` once there will be no more."""
        names: list[str] = []
        while not self._found.empty():
            found = self._found.get()
            if found is None:
                self.finished = True
                break
            names += found
        return names

    def stop(self) -> None:
        self._stopped = True
