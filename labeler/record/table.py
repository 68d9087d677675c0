"""Read and write `labels.csv` and `splits.csv`.

`labels.csv` (filename,label) and `splits.csv` (filename,split) are UTF-8 with a header and one row
per picture; names are relative to the folder, with forward slashes. A file is always replaced as a
whole: another program that reads it sees either the old one or the new one.
"""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from labeler.errors import LabelerError, NotSaved, reason
from labeler.record.disk import flush_folder, remove

LABELS = "labels.csv"

Stamp = tuple[int, int, int] | None


def read_table(path: Path, columns: tuple[str, str] = ("filename", "label")) -> dict[str, str]:
    """The file's rows as {filename: value}; empty where there is no file.

    A row without a value counts as absent; of two rows for one file the later one counts.

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


def _damaged(path: Path, row: int, problem: str) -> LabelerError:
    return LabelerError(f"{path}: row {row} {problem}: correct it, or move the file away")


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
    bare_cr = any(
        "\r" in name or "\r" in value for name, value in rows
    )  # not quoted by QUOTE_MINIMAL
    try:
        with temporary.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.writer(
                lines, lineterminator="\n", quoting=csv.QUOTE_ALL if bare_cr else csv.QUOTE_MINIMAL
            )
            writer.writerow(columns)
            for start in range(0, len(rows), 500):  # in parts, so that the window stays responsive
                writer.writerows(rows[start : start + 500])
            lines.flush()
            os.fsync(lines.fileno())
        written = stamp(
            temporary
        )  # before the replacement: another program may replace it right after
        os.replace(temporary, target)
        flush_folder(target.parent)
    except OSError as error:
        remove(temporary)
        raise NotSaved(f"{path} could not be written: {reason(error)}") from error
    return written


def stamp(path: Path) -> Stamp:
    """Time, size and inode, which change when the file is written; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
