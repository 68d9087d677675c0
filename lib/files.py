"""Files and folders that are either whole or not there; locks; JSON without NaN; digests.

Whoever may write into a folder can put a link under any name that can be guessed. So nothing is
written by such a name: what is new gets a name drawn at random, is created exclusively, and is
written through the descriptor of its creation; locks are opened without following links.
"""

import hashlib
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import filelock

from lib.errors import UserError

# Windows lacks the second flag and needs the third one.
EXCLUSIVELY = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


@contextmanager
def replacing(path: Path, *, flushed: bool = True) -> Iterator[BinaryIO]:
    """A new file, open for writing, that takes the place of `path` when the block ends.

    If the block ends with an error, `path` stays as it was. The new file has the permissions of the
    file that it replaces; where there was none, those that the umask leaves. A link at `path` is
    replaced itself, not what it points to.

    Parameters
    ----------
    flushed : bool   wait until the disk has it, so that it is whole even if the machine stops

    Raises
    ------
    UserError   if the folder cannot be written or the disk is full; `path` is then as it was
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _permissions(path)
        descriptor = os.open(temporary, EXCLUSIVELY, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "w+b") as file:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)  # the umask may have taken some of them
            yield file
            file.flush()
            if flushed:
                os.fsync(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _permissions(path: Path) -> int | None:
    """The permissions of the regular file at `path`, if there is one."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    return mode & 0o777 if stat.S_ISREG(mode) else None


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` that takes its place when the block ends without an error.

    Nothing of what `path` held before is left then. Until then the folder lies in one that only
    this user may enter, so others can put nothing into it.

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
            if os.path.lexists(path):  # also a link to nowhere
                path.rename(Path(scratch, "old"))
            new.rename(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Held by one process at a time, which the others wait for; the lock is the file `path`.

    Raises
    ------
    UserError   if the lock cannot be made, or a link lies in its place
    """
    lock = filelock.FileLock(path)  # follows no link
    try:
        lock.acquire()
    except OSError as error:
        reason = "it is a link" if path.is_symlink() else error.strerror or str(error)
        raise UserError(
            f"cannot lock {path}: {reason}; remove it, or make its folder writable"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _cannot_write(path: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"cannot write {path}: {reason}; make room there or name another folder")


def write_text(path: Path, text: str, *, flushed: bool = True) -> None:
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
    with replacing(path, flushed=flushed) as file:
        file.write(encoded)


def write_if_changed(path: Path, text: str) -> None:
    """Write `text`, unless it is already the content of the file.

    It does not wait for the disk, of which a thousand files take a minute: what is lost when the
    machine stops is written at the next call.
    """
    try:
        unchanged = path.read_bytes() == text.encode()
    except (FileNotFoundError, UnicodeEncodeError):  # the latter is explained where it is written
        unchanged = False
    if not unchanged:
        write_text(path, text, flushed=False)


def unencodable(error: UnicodeEncodeError) -> str:
    """What of a text UTF-8 has no bytes for, with the characters around it."""
    around = error.object[max(error.start - 20, 0) : error.end + 20]
    return f"{around!a} holds a character that is not in UTF-8"


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Write `value` as JSON, all of it or nothing; long lists are quicker without an indent."""
    write_text(path, to_json(value, indent=indent) + "\n")


def to_json(value: Any, **options: Any) -> str:
    """`value` as JSON text, by the options of `json.dumps`, with null for NaN and infinities."""
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(without_nan(value), allow_nan=False, **options)


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
