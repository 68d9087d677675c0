"""What the disk must do beyond reading and writing: sync a folder, lock a file, follow no link.

Whoever may write into a folder can put a link under a name that can be guessed, so that the labeler
would write where they cannot. Its own files are opened without following links, and what replaces
a file is written under a random name.

Some file systems (network shares, FUSE, memory cards) can do one of them only, or neither. Labels
are kept there too; `limits` says what is missing. All other errors are raised: a full or failing
disk, a missing permission.
"""

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".labels.lock"
UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
NO_LOCK = UNSUPPORTED | {errno.ENOLCK}
NO_FOLDER_SYNC = UNSUPPORTED | {errno.EINVAL, errno.EBADF, errno.EISDIR}  # or no opening of folders


def flush_folder(folder: Path) -> bool:
    """Flush a folder to the disk, so that new names in it survive a power loss.

    Returns False where the file system cannot do that.

    Raises
    ------
    OSError   if it could be done, and failed
    """
    if sys.platform == "win32":
        return True  # nothing to do: the system has no such call
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
        return False
    return True


def open_own(path: Path, flags: int) -> int:
    """A descriptor of one of the labeler's own files, which is neither a link nor a pipe.

    Raises
    ------
    OSError   if it is, or cannot be opened
    """
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, f"{path.name} is a link; remove it", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is no regular file; remove it", str(path))
    return descriptor


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file, open for writing, that takes the place of `path` when the block ends.

    If that fails, `path` stays as it was, and nothing is left of the new file.

    Raises
    ------
    OSError   if it cannot be written
    """
    temporary = path.with_name(f".{path.name.lstrip('.')}.{secrets.token_hex(4)}.new")
    try:
        with temporary.open("xb") as file:  # exclusively: a link of that name is no place to write
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


class FolderLock:
    """Exclusive right to write in a folder, released even by `kill -9`.

    Attributes
    ----------
    held : bool   False where the file system has no locks, and nobody is kept out
    """

    def __init__(self, folder: Path) -> None:
        """Acquire the lock.

        Raises
        ------
        BlockingIOError   if another process has it
        OSError           if the folder cannot be written, or a link lies there
        """
        self._file = open_own(folder / LOCK, os.O_RDWR | os.O_CREAT)
        try:
            self.held = _lock(self._file)
        except BaseException:
            os.close(self._file)
            raise

    def release(self) -> None:
        os.close(self._file)


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCK:
            return False
        if sys.platform == "win32":
            raise BlockingIOError from error
        raise
    return True


def limits(folder: Path, lock: FolderLock) -> str:
    """A remark on what the folder's file system cannot do, empty if it can do all.

    Raises
    ------
    OSError   if the folder could be flushed, and that failed
    """
    missing, advice = [], []
    if not lock.held:
        missing.append("lock files")
        advice.append("Do not open this folder in two windows.")
    if not flush_folder(folder):
        missing.append("sync folders")
        advice.append("A power loss may lose the last labels; a crash of the labeler loses none.")
    if not missing:
        return ""
    return f"This folder's file system cannot {' or '.join(missing)}. {' '.join(advice)}"
