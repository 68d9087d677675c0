import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lib.errors import UserError
from lib.files import (
    locked,
    read_json,
    replacing,
    replacing_folder,
    sha256,
    write_json,
    write_text,
)
from tests.imports import PROJECT


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})

    def stop_half_way():
        with replacing(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["value.json"]


def test_a_place_that_cannot_be_written_is_one_line_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/value\.json: .*") as raised:
        write_json(tmp_path / "file" / "value.json", 1)
    assert "\n" not in str(raised.value)


def test_what_is_flushed_to_disk_is_open_for_writing(tmp_path, monkeypatch):
    """Windows refuses to flush anything else."""
    fcntl = pytest.importorskip("fcntl", reason="asks a POSIX system how a file was opened")
    flush, modes = os.fsync, []

    def look(descriptor):
        modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_json(tmp_path / "value.json", 1)
    assert modes == [os.O_RDWR]
    assert read_json(tmp_path / "value.json") == 1


@pytest.mark.parametrize("text", ["a\nb\n", "a\r\nb", "\u00e4\u0301\n", ""])
def test_a_text_is_on_disk_byte_by_byte(tmp_path, text):
    write_text(tmp_path / "text", text)
    assert (tmp_path / "text").read_bytes() == text.encode()


def test_a_text_that_utf_8_cannot_hold_is_one_line_and_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "text", "old")
    with pytest.raises(UserError, match=r"cannot write .*text: .*caf\\udce9.* rename") as raised:
        write_text(tmp_path / "text", "line\ncaf\udce9")
    assert "\n" not in str(raised.value)
    assert str(raised.value).isascii()
    assert (tmp_path / "text").read_text() == "old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line_with_the_reason(tmp_path):
    def overfill():
        with replacing(tmp_path / "a") as file, open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), file.fileno())
            file.write(b"more than fits")

    with pytest.raises(UserError, match="No space left"):
        overfill()
    assert os.listdir(tmp_path) == []


GUESSES = [
    *(".value.{pid}", ".value", "value.tmp", ".value.tmp", "value.new", ".value.new", "value~"),
    *("value.unfinished", ".value.unfinished", ".unfinished", "value.{pid}", "value.lock"),
]


@pytest.mark.parametrize("target", ["precious", "not there"])
def test_links_under_names_that_can_be_guessed_are_not_followed(tmp_path, target):
    (tmp_path / "precious").write_text("old")
    folder = tmp_path / "shared"
    folder.mkdir()
    planted = {guess.format(pid=os.getpid()) for guess in GUESSES}
    for name in planted | {"value"}:
        (folder / name).symlink_to(tmp_path / target)
    write_json(folder / "value", "new")
    assert read_json(folder / "value") == "new"
    assert not (folder / "value").is_symlink()
    assert all((folder / name).is_symlink() for name in planted)
    assert (tmp_path / "precious").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["precious", "shared"]


def test_a_link_put_in_place_of_the_temporary_file_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("old")
    folder = tmp_path / "shared"
    with replacing(folder / "value") as file:
        [name] = os.listdir(folder)
        (folder / name).unlink()
        (folder / name).symlink_to(tmp_path / "precious")
        file.write(b"new")
    assert (tmp_path / "precious").read_text() == "old"


def test_every_temporary_file_has_a_name_of_its_own(tmp_path):
    with replacing(tmp_path / "value"), replacing(tmp_path / "value"):
        first, second = os.listdir(tmp_path)
    assert "value" not in first + second
    assert first[:8] != second[:8]


def test_concurrent_writers_never_mix(tmp_path):
    path, whole = tmp_path / "value", 300_000

    def write(letter):
        for _ in range(20):
            write_text(path, letter * whole)
            seen = path.read_text()
            assert len(seen) == whole
            assert len(set(seen)) == 1

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, "abcd"))
    assert os.listdir(tmp_path) == ["value"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
@pytest.mark.parametrize("before", [None, 0o640, 0o600, 0o666, 0o444])
def test_a_file_has_the_permissions_of_the_one_it_replaces_or_those_of_the_umask(
    tmp_path, umask, before
):
    path = tmp_path / "value"
    if before is not None:
        path.touch()
        path.chmod(before)
    usual = os.umask(umask)
    try:
        write_json(path, 1)
    finally:
        os.umask(usual)
    expected = 0o666 & ~umask if before is None else before
    assert stat.S_IMODE(path.stat().st_mode) == expected


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_only_this_user_enters_a_folder_that_is_being_made(tmp_path):
    with replacing_folder(tmp_path / "folder") as fresh:
        assert stat.S_IMODE(fresh.parent.stat().st_mode) == 0o700
        mode = stat.S_IMODE(fresh.stat().st_mode)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == mode


@pytest.mark.parametrize("target", ["precious", "not there"])
def test_a_link_in_a_folders_place_is_replaced_itself(tmp_path, target):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("old")
    (tmp_path / "folder").symlink_to(tmp_path / target)
    with replacing_folder(tmp_path / "folder") as fresh:
        (fresh / "file").write_text("new")
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert not (tmp_path / "folder").is_symlink()
    assert (tmp_path / "precious" / "file").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["folder", "precious"]


@pytest.mark.parametrize("target", ["precious", "not there"])
def test_a_link_in_a_locks_place_is_refused_in_one_line(tmp_path, target):
    (tmp_path / "precious").write_text("old")
    (tmp_path / "lock").symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=r"cannot lock .*lock: it is a link; remove") as raised:
        locked(tmp_path / "lock").__enter__()
    assert "\n" not in str(raised.value)
    assert (tmp_path / "precious").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["lock", "precious"]


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot lock .*file/lock: "):
        locked(tmp_path / "file" / "lock").__enter__()


def test_a_lock_keeps_what_its_file_holds_and_is_held_by_one_process_at_a_time(tmp_path):
    (tmp_path / "lock").write_text("what others wrote")
    code = "\n".join(
        [
            "from pathlib import Path; from lib.files import locked; import sys",
            "print('waiting', flush=True)",
            "with locked(Path(sys.argv[1])): print('held', flush=True)",
        ]
    )
    with locked(tmp_path / "lock"):
        other = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "lock"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout.readline() == "waiting\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
    assert other.communicate()[0] == "held\n"
    assert (tmp_path / "lock").read_text() == "what others wrote"


def test_a_folder_takes_the_old_ones_place_with_nothing_left_of_it(tmp_path):
    path = tmp_path / "made" / "folder"
    for name in ("first", "second"):
        with replacing_folder(path) as fresh:
            (fresh / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["second"]
    assert os.listdir(tmp_path / "made") == ["folder"]


def test_an_interrupted_folder_leaves_the_old_one_and_no_other(tmp_path):
    with replacing_folder(tmp_path / "folder") as fresh:
        (fresh / "old").write_text("")

    def stop_half_way():
        with replacing_folder(tmp_path / "folder") as fresh:
            (fresh / "new").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == ["old"]


def test_a_folder_that_cannot_be_written_is_one_line_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")

    def misplace():
        with replacing_folder(tmp_path / "file" / "folder"):
            pass

    with pytest.raises(UserError, match=r"cannot write .*file/folder: .*"):
        misplace()


def test_figures_that_are_not_numbers_are_null(tmp_path):
    write_json(tmp_path / "a.json", {"a": [float("nan"), 1.5], "b": (np.float64("inf"), "x")})
    assert read_json(tmp_path / "a.json") == {"a": [None, 1.5], "b": [None, "x"]}


def test_a_files_digest_is_its_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(UserError, match=r"cannot read .*gone: No such file"):
        sha256(tmp_path / "gone")
