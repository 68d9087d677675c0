import os

import numpy as np
import pytest

from lib.errors import UserError
from lib.files import read_json, replacing, replacing_folder, sha256, write_json, write_text


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})

    def stop_half_way():
        with replacing(path) as temporary:
            temporary.write_text("half")
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
        with replacing(tmp_path / "a") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_text("more than fits")

    with pytest.raises(UserError, match="No space left"):
        overfill()


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
