"""How are labels handed to other programs?

`labels.csv` (filename,label) and `splits.csv` (filename,split): UTF-8, a header, one row a picture,
its name relative to the folder with forward slashes. A file is only ever replaced whole: whoever
reads it, at whatever moment, finds the old one or the new one.
"""

import contextlib
import csv
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from labeler.errors import LabelerError, NotSaved, reason

LABELS = "labels.csv"

Stamp = tuple[int, int, int] | None


def read_table(path: Path, columns: tuple[str, str] = ("filename", "label")) -> dict[str, str]:
    """The file's rows as {filename: value}; empty where there is no file.

    A row without a value counts as absent; of two rows for one file the later one holds.

    Raises
    ------
    LabelerError   if the file is not CSV with exactly these columns; the message names the row
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LabelerError(f"{path} cannot be read: {reason(error)}") from error
    rows: dict[str, str] = {}
    number = 0
    try:
        lines = io.StringIO(data.decode("utf-8-sig"), newline="")
        for number, row in enumerate(csv.reader(lines, strict=True), start=1):
            if (number == 1 and tuple(row) == columns) or not row:
                continue
            if number == 1 or len(row) != 2 or not row[0]:
                raise _damaged(path, number, f"is {','.join(row)!r}, not {','.join(columns)}")
            rows.pop(row[0], None)
            if row[1]:
                rows[row[0]] = row[1]
    except UnicodeDecodeError as error:
        raise _damaged(path, data.count(b"\n", 0, error.start) + 1, "is not UTF-8") from error
    except csv.Error as error:
        raise _damaged(path, number + 1, f"is not CSV ({error})") from error
    return rows


def _damaged(path: Path, row: int, what: str) -> LabelerError:
    return LabelerError(f"{path}: row {row} {what}: mend it, or move the file away")


def write_table(
    path: Path, rows: Sequence[tuple[str, str]], columns: tuple[str, str] = ("filename", "label")
) -> Stamp:
    """Replace the file by one with these rows; its stamp, see `stamp`.

    Raises
    ------
    NotSaved   if it cannot be written; the old file is then untouched
    """
    target = Path(os.path.realpath(path))  # a linked file stays a link
    temporary = target.with_name(f".{target.name}.new")
    odd = any("\r" in name or "\r" in value for name, value in rows)  # left bare by QUOTE_MINIMAL
    try:
        with temporary.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.writer(
                lines, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
            )
            writer.writerow(columns)
            for start in range(0, len(rows), 500):  # in bites, so that the window stays awake
                writer.writerows(rows[start : start + 500])
            lines.flush()
            os.fsync(lines.fileno())
        written = stamp(temporary)  # now: somebody may replace the file right after us
        os.replace(temporary, target)
        flush_folder(target.parent)
    except OSError as error:
        remove(temporary)
        raise NotSaved(f"{path} could not be written: {reason(error)}") from error
    return written


def stamp(path: Path) -> Stamp:
    """What changes when somebody writes the file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def flush_folder(folder: Path) -> None:
    """Put a folder on the disk: only then a new name in it is safe."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(temporary: Path) -> None:
    """Take away a file that was not finished, if the disk still lets us."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
