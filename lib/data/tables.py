"""Read and write `labels.csv` and `splits.csv`, for study and labeler alike.

The files are CSV (RFC 4180) in UTF-8, with commas and a header; one row per picture:

- a byte order mark, blank lines and rows of empty cells are passed over, also before the header; a
  file of nothing else holds no rows;
- the header has `filename` and `label` (or `split`) in any order and case, blanks around them or
  not; other columns are kept as they are and mean nothing;
- a filename is taken whole, blanks included: the path relative to the folder, with forward slashes,
  in Unicode's form NFC;
- a label is taken without blanks around it, in NFC; a row with an empty one is not labelled;
- a row for the same file with the same label counts once, with another label it is an error;
- bytes that are not UTF-8, a NUL, or a row of another length are errors, with the line's number.

Needs the standard library alone, so that the labeler can use it.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO

from lib.data.names import normal
from lib.errors import UserError

FILENAME = "filename"


@dataclass(frozen=True)
class Table:
    """What a file holds."""

    values: dict[str, str] = field(default_factory=dict)  # label or split by filename
    empty: tuple[str, ...] = ()  # filenames without a value
    columns: tuple[str, ...] = ()  # the other columns
    cells: dict[str, tuple[str, ...]] = field(default_factory=dict)  # their cells by filename


class TableError(UserError):
    """A file that does not follow the rules; the message names file and line."""


def read_table(path: Path, column: str) -> Table:
    """The table in a file: `column` is `label` or `split`.

    Raises
    ------
    TableError   if it does not follow the rules of this module
    OSError      if it cannot be read
    """
    return parse_table(path.read_bytes(), column, str(path))


def parse_table(data: bytes, column: str, name: str) -> Table:
    """The table in the bytes of a file, which messages call `name`."""
    rows = ((line, row) for line, row in _rows(data, name) if any(map(str.strip, row)))
    header = next(rows, None)
    if header is None:
        return Table()
    columns = _Columns(*header, column, name)
    values: dict[str, str] = {}
    cells: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        filename, value = columns.read(line, row)
        before = values.get(filename, "")
        if before and value and value != before:
            raise TableError(
                f"{name}, lines {lines[filename]} and {line}: {filename} has the {column}s "
                f"{before} and {value}; remove one of the rows"
            )
        values[filename] = before or value
        lines[filename] = line
        if columns.others:
            cells[filename] = columns.pick(row)
    labelled = {filename: value for filename, value in values.items() if value}
    empty = tuple(filename for filename, value in values.items() if not value)
    return Table(labelled, empty, columns.others, cells)


class _Columns:
    """Where a table's header puts the columns."""

    def __init__(self, line: int, header: list[str], column: str, name: str) -> None:
        names = [cell.strip().lower() for cell in header]
        if names.count(FILENAME) != 1 or names.count(column) != 1:
            raise TableError(
                f"{name} needs the columns {FILENAME},{column}; "
                f"its line {line} has {','.join(header)}"
            )
        self._key, self._value = names.index(FILENAME), names.index(column)
        self._width, self._column, self._name = len(header), column, name
        self.others = self.pick(header)

    def read(self, line: int, row: list[str]) -> tuple[str, str]:
        """A row's filename and value."""
        if len(row) != self._width:
            raise TableError(f"{self._name}, line {line} has {len(row)} columns, not {self._width}")
        filename = normal(row[self._key])
        if not filename.strip():
            raise TableError(
                f"{self._name}, line {line}: filename is empty; add it, or remove the row"
            )
        return filename, normal(row[self._value].strip())

    def pick(self, row: list[str]) -> tuple[str, ...]:
        """A row's cells in the other columns."""
        known = (self._key, self._value)
        return tuple(cell for place, cell in enumerate(row) if place not in known)


def _rows(data: bytes, name: str) -> Iterable[tuple[int, list[str]]]:
    """The rows of a CSV file with the numbers of the lines on which they end."""
    try:
        text = data.decode("utf-8-sig")  # spreadsheets begin a UTF-8 file with a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(f"{name}, line {line} is not UTF-8; save the file as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TableError(f"{name}, line {line} has a NUL character; remove it")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise TableError(f"{name}, line {reader.line_num} is not CSV ({error})") from error


def table_rows(table: Table, column: str) -> Iterator[tuple[str, ...]]:
    """The header and rows that say what a table holds; unlabelled ones only with other columns."""
    blank = ("",) * len(table.columns)
    yield (FILENAME, column, *table.columns)
    for name, value in table.values.items():
        yield (name, value, *table.cells.get(name, blank))
    for name in table.empty:
        if name in table.cells:
            yield (name, "", *table.cells[name])


def write_rows(lines: TextIO, rows: Iterable[tuple[str, ...]]) -> None:
    """Write rows as CSV that `read_table` reads back as they are.

    `lines` is a text file that was opened with `newline=""`.
    """
    plain = csv.writer(lines, lineterminator="\n")
    quoted = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows = iter(rows)
    while part := list(islice(rows, 500)):  # in parts, so that other threads get their turn
        bare_return = any("\r" in cell for row in part for cell in row)  # not quoted otherwise
        (quoted if bare_return else plain).writerows(part)
