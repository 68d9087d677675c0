"""Events of a long computation, for whoever started it.

A notebook's kernel has no terminal, and a bar drawn into a notebook would be published with it. So
whoever starts the kernel names a file in `DAYBOOK_PROGRESS`, what computes appends one JSON line an
event, and the terminal's bars are drawn from that. Without the variable nothing is written. Who
calls the library in a terminal, or in a notebook whose events nobody reads, has a `bar`.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

VARIABLE = "DAYBOOK_PROGRESS"


def report(event: str, **facts: Any) -> None:
    """Append one event with its facts to the file that `DAYBOOK_PROGRESS` names."""
    _append(json.dumps({"event": event, **facts}) + "\n")


def bar(description: str, total: int, unit: str, *, wanted: bool = True) -> tqdm:
    """A bar in the terminal, or under the cell of a notebook whose events nobody reads, or none."""
    cell = _Cell.of_this_notebook() if wanted and VARIABLE not in os.environ else None
    return tqdm(
        desc=description,
        total=total,
        unit=unit,
        file=cell,
        leave=cell is None,
        disable=not wanted or (None if cell is None else False),  # None: unless in a terminal
    )


class _Cell:
    """A text file for a bar: what is written last stands under the notebook's cell, in one line."""

    encoding = "utf-8"  # by which tqdm knows what it may draw with

    def __init__(self, display: Any) -> None:
        self._output = display({"text/plain": ""}, raw=True, display_id=True)

    @classmethod
    def of_this_notebook(cls) -> "_Cell | None":
        """One in the kernel of a notebook, None in any other process."""
        ipython = sys.modules.get("IPython")
        if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
            return None
        return cls(ipython.display.display)

    def write(self, text: str) -> None:
        self._output.update({"text/plain": text.strip()}, raw=True)

    def flush(self) -> None:
        """Nothing is kept back."""


@contextmanager
def heard() -> Iterator[list[dict[str, Any]]]:
    """A list that holds, when the block has ended, the events that were reported during it."""
    events: list[dict[str, Any]] = []
    path = os.environ.get(VARIABLE)
    start = os.path.getsize(path) if path and os.path.exists(path) else 0
    yield events
    if path and os.path.exists(path):
        with open(path, "rb") as file:
            file.seek(start)
            events += [json.loads(line) for line in file]


def pass_on(path: Path, start: int) -> int:
    """Report what another process appended to `path` after byte `start`; where that ends."""
    with path.open("rb") as file:
        file.seek(start)
        lines, newline, _ = file.read().rpartition(b"\n")
    _append((lines + newline).decode())
    return start + len(lines + newline)


def _append(lines: str) -> None:
    path = os.environ.get(VARIABLE)
    if path and lines:
        with open(path, "ab") as file:  # as bytes, for a reader counts them
            file.write(lines.encode())
