import errno
import os
import stat

import pytest

from labeler.errors import NotSaved
from labeler.record.disk import FolderLock, flush_folder, limits, replacing
from labeler.record.table import read_table

NO_FOLDER_SYNC = [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF]
NO_LOCK = [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS]
TRUE_ERRORS = [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EACCES]


@pytest.fixture
def break_folders(monkeypatch):
    """Makes fsync, or open, of every folder fail with this error."""
    fsync, open_ = os.fsync, os.open

    def break_(function, number):
        def fail_in_fsync(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        def fail_in_open(path, *arguments, **options):
            if os.path.isdir(path):
                raise OSError(number, os.strerror(number))
            return open_(path, *arguments, **options)

        monkeypatch.setattr(os, function, fail_in_fsync if function == "fsync" else fail_in_open)

    return break_


@pytest.fixture
def break_locks(monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def break_(number):
        def fail(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", fail)

    return break_


def test_only_one_process_has_the_lock(tmp_path, descriptors):
    lock = FolderLock(tmp_path)
    assert lock.held
    before = descriptors()
    with pytest.raises(BlockingIOError):
        FolderLock(tmp_path)
    assert descriptors() == before
    lock.release()
    FolderLock(tmp_path).release()


@pytest.mark.parametrize(
    ("function", "number"),
    [*(("fsync", n) for n in NO_FOLDER_SYNC), ("open", errno.EISDIR), ("open", errno.EINVAL)],
)
def test_labels_are_kept_where_folders_cannot_be_synced(
    open_session, tmp_path, break_folders, function, number, descriptors
):
    break_folders(function, number)
    before = descriptors()
    session = open_session()
    (remark,) = session.messages
    assert "cannot sync folders. A power loss may lose" in remark
    for name in ("1.png", "2.png", "1.png"):
        session.label(name, "0")
    session.save()
    session.close()
    assert descriptors() == before
    assert read_table(tmp_path / "labels.csv").values == {"1.png": "0", "2.png": "0"}
    again = open_session()
    assert (again.read_only, again.classes) == ("", ("0", "1"))


@pytest.mark.parametrize("number", NO_LOCK)
def test_labels_are_kept_where_files_cannot_be_locked(
    open_session, tmp_path, break_locks, number, descriptors
):
    break_locks(number)
    before = descriptors()
    session = open_session()
    assert session.read_only == ""
    (remark,) = session.messages
    assert "cannot lock files. Do not open this folder in two windows." in remark
    session.label("1.png", "0")
    session.close()
    assert descriptors() == before
    assert read_table(tmp_path / "labels.csv").values == {"1.png": "0"}


def test_one_remark_says_all_that_is_missing(tmp_path, break_folders, break_locks):
    break_folders("fsync", errno.EINVAL)
    break_locks(errno.ENOLCK)
    lock = FolderLock(tmp_path)
    assert "cannot lock files or sync folders. Do not open" in limits(tmp_path, lock)
    lock.release()


def test_nothing_is_remarked_where_nothing_is_missing(tmp_path):
    lock = FolderLock(tmp_path)
    assert limits(tmp_path, lock) == ""
    lock.release()
    assert flush_folder(tmp_path)


@pytest.mark.parametrize("function", ["fsync", "open"])
@pytest.mark.parametrize("number", TRUE_ERRORS)
def test_a_true_error_of_a_folder_is_reported_and_leaks_nothing(
    open_session, tmp_path, break_folders, function, number, descriptors
):
    break_folders(function, number)
    session = open_session()
    assert not session.messages
    before = descriptors()
    for _ in range(3):
        with pytest.raises(NotSaved, match="Nothing was changed"):
            session.label("1.png", "0")
    assert descriptors() == before
    assert session.labels == {}


@pytest.mark.parametrize("number", TRUE_ERRORS)
def test_a_true_error_of_the_lock_opens_read_only(open_session, break_locks, number, descriptors):
    break_locks(number)
    before = descriptors()
    assert "cannot be written" in open_session().read_only
    assert descriptors() == before


def test_a_replacement_that_fails_leaves_the_file_and_nothing_else(tmp_path):
    (tmp_path / "table").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "table") as file:
        file.write(b"new" * (1 // 0))
    assert os.listdir(tmp_path) == ["table"]
    assert (tmp_path / "table").read_text() == "old"
