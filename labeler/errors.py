"""Errors for the person who labels, one line each."""

import errno


class LabelerError(Exception):
    """One line that says what is wrong, where, and what to do."""


class NotSaved(LabelerError):
    """A change that could not be put on the disk, and therefore was not made."""


class ReadOnly(LabelerError):
    """A change in a folder that this window may only read."""


def reason(error: OSError) -> str:
    """The system's error in words for the person in front of the window."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "permission is missing"
    if error.errno == errno.ENOENT:
        return "it is no longer there"
    return (error.strerror or str(error)).lower()
