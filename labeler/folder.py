"""List the pictures of a folder and its sub-folders, in natural order.

The order is the same on every machine: a folder's own pictures first, then its sub-folders, each in
natural order (2.png before 10.png). Each folder is passed on as soon as it is read, so that the
first picture appears long before the scan is complete. `lib.data.names` decides which files count.
"""

import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from lib.data import names

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> list[str | int]:
    """A sort key under which 2 comes before 10 and case does not matter."""
    parts: list[str | int] = list(_DIGITS.split(name.casefold()))
    parts[1::2] = map(int, parts[1::2])
    return parts


def walk(folder: Path, problems: list[str] | None = None) -> Iterator[list[str]]:
    """Picture names relative to the folder, with forward slashes, one list per (sub-)folder.

    When the folder is read, what was left out adds a line to `problems` for each reason.
    """
    left_out = names.new_left_out()
    for files in names.walk(folder, left_out, _sorted):
        yield [file.name for file in files]
    if problems is not None:
        problems += [f"Left out: {line}." for line in names.summary(left_out)]


def _sorted(found: list[str]) -> list[str]:
    return sorted(sorted(found), key=natural_key)  # the first sort orders names of equal keys


class Scan:
    """A walk through a folder in the background."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[str] = []
        self._batches: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._stopped = False
        self.finished = False
        threading.Thread(target=self._run, args=(folder,), name="scan", daemon=True).start()

    def _run(self, folder: Path) -> None:
        for batch in walk(folder, self.problems):
            self._batches.put(batch)
            if self._stopped:
                break
        self._batches.put(None)

    def new_names(self) -> list[str]:
        """The names listed since the last call; `finished` once there will be no more."""
        found: list[str] = []
        while not self._batches.empty():
            batch = self._batches.get()
            if batch is None:
                self.finished = True
                break
            found += batch
        return found

    def stop(self) -> None:
        self._stopped = True
