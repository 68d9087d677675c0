"""Events of a long computation, for whoever started it.

A notebook's kernel has no terminal, and a bar drawn into a notebook would be published with it. So
whoever starts the kernel names a file in `DAYBOOK_PROGRESS`, what computes appends one JSON line an
event, and the terminal's bars are drawn from that. Without the variable nothing is written.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "DAYBOOK_PROGRESS"


def report(event: str, **facts: Any) -> None:
    """Append one event with its facts to the file that `DAYBOOK_PROGRESS` names."""
    _append(json.dumps({"event": event, **facts}) + "\n")


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
