import errno
import os

import pytest

from labeler.errors import LabelerError, NotSaved, ReadOnly, reason


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "permission is missing"),
        (errno.EROFS, "permission is missing"),
        (errno.ENOENT, "it is no longer there"),
        (errno.EIO, os.strerror(errno.EIO).lower()),
    ],
)
def test_the_systems_errors_in_words(number, words):
    assert reason(OSError(number, os.strerror(number))) == words


def test_an_error_without_a_number_keeps_its_text():
    assert reason(OSError("Broken data stream")) == "broken data stream"


def test_one_clause_catches_every_error_of_the_labeler():
    assert issubclass(NotSaved, LabelerError)
    assert issubclass(ReadOnly, LabelerError)
