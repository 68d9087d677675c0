"""Read and write `labels.csv` and `splits.csv`, by the rules of `lib.data.tables`.

A file is always replaced as a whole: another program that reads it sees either the old one or the
new one.
"""

import os
from io import TextIOWrapper
from pathlib import Path

from labeler.errors import LabelerError, NotSaved, reason
from labeler.record.disk import replacing
from lib.data import tables
from lib.data.tables import Table, TableError, table_rows, write_rows

LABELS = "labels.csv"

Stamp = tuple[int, int, int] | None


def read_table(path: Path) -> Table:
    """The labels in the file; none where there is no file.

    Raises
    ------
    LabelerError   if the file does not follow the rules; the message names the line
    """
    try:
        return tables.read_table(path, "label")
    except FileNotFoundError:
        return Table()
    except OSError as error:
        raise LabelerError(f"{path} cannot be read: {reason(error)}") from error
    except TableError as error:
        raise LabelerError(f"{error}: correct it, or move the file away") from error


def write_table(path: Path, table: Table, column: str = "label") -> Stamp:
    """Replace the file by one with this table; its stamp, see `stamp`.

    Raises
    ------
    NotSaved   if it cannot be written; the old file is then untouched
    """
    target = Path(os.path.realpath(path))  # a linked file stays a link
    try:
        with replacing(target) as file:
            lines = TextIOWrapper(file, encoding="utf-8", newline="")
            write_rows(lines, table_rows(table, column))
            lines.detach()
            file.flush()
            # Before the replacement: another program may replace it right after.
            written = _stamp(os.fstat(file.fileno()))
    except OSError as error:
        raise NotSaved(f"{path} could not be written: {reason(error)}") from error
    return written


def stamp(path: Path) -> Stamp:
    """Time, size and inode, which change when the file is written; None if there is no file."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino
