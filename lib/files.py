"""Files and folders that are either whole or not there; JSON without NaN; a file's digest."""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lib.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Raises
    ------
    UserError   if the folder cannot be written or the disk is full; `path` is then as it was
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` that takes its place when the block ends without an error.

    Nothing of what `path` held before is left then.

    Raises
    ------
    UserError   if the folder cannot be written or the disk is full; `path` is then as it was
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name.strip('_')}-", dir=path.parent) as scratch:
            new = Path(scratch, "new")
            new.mkdir()
            yield new
            if path.exists():
                path.rename(Path(scratch, "old"))
            new.rename(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"cannot write {path}: {reason}; make room there or name another folder")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with its line ends as they are, all of it or nothing.

    Raises
    ------
    UserError   what `replacing` raises, and for text that UTF-8 has no bytes for: a name that the
                file system holds in another encoding
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"cannot write {path}: {unencodable(error)}; rename the file or folder that it names"
        ) from error
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)


def unencodable(error: UnicodeEncodeError) -> str:
    """What of a text UTF-8 has no bytes for, with the characters around it."""
    around = error.object[max(error.start - 20, 0) : error.end + 20]
    return f"{around!a} holds a character that is not in UTF-8"


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, all of it or nothing."""
    write_text(path, json.dumps(without_nan(value), indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The value that a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def without_nan(value: Any) -> Any:
    """The value with None for numbers that are not finite, which JSON lacks."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    Raises
    ------
    UserError   if the file cannot be read
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
