"""What the disk must do beyond reading and writing: sync a folder, lock a file.

Some file systems (network shares, FUSE, memory cards) can do one of them only, or neither. Labels
are kept there too; `limits` says what is missing. All other errors are raised: a full or failing
disk, a missing permission.
"""

import contextlib
import errno
import os
import sys
from pathlib import Path

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


def remove(temporary: Path) -> None:
    """Delete an unfinished file, if that is still possible."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


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
        OSError           if the folder cannot be written
        """
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
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
