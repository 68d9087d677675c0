"""A real window on a virtual display, driven by key and mouse events."""

import errno
import os
import shutil
import stat
from tkinter import filedialog

import pytest

from labeler.record.table import read_table


def test_a_key_held_down_labels_one_picture(open_window, pictures):
    driver = open_window(pictures())
    for moment in (1000, 1030, 1060):  # under X a repeated key is released and pressed at once
        driver.root.event_generate("<KeyPress-a>", time=moment)
        driver.wait_for_picture()
        driver.root.event_generate("<KeyRelease-a>", time=moment + 30)
    assert driver.session.labels == {"0.png": "0"}
    driver.press("a", time=2000)
    assert driver.session.labelled_count == 2


def test_twenty_six_classes_have_twenty_six_keys(open_window, pictures):
    driver = open_window(pictures(), classes=[f"class {n}" for n in range(26)])
    driver.press("z", "n")
    assert driver.session.labels == {"0.png": "class 25", "1.png": "class 13"}
    driver.press("Control-k", "Escape")


def test_keys_beyond_the_classes_do_nothing(open_window, pictures):
    driver = open_window(pictures())
    driver.press("c", "z", "Mod1-a", "Control-b")
    assert driver.session.labels == {}


def test_one_resumes_where_one_stopped(open_window, pictures):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a", "space", "b")
    driver.window.close()
    assert read_table(folder / "labels.csv").values == {"0.png": "0", "2.png": "1"}
    again = open_window(folder)
    assert again.displayed == "3.png"
    assert again.session.skipped_count == 1


def test_light_and_dark(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a")
    light = driver.window.layout["bg"]
    driver.press("Control-d")
    assert driver.displayed == "1.png"
    assert int(driver.window.layout["bg"][1:3], 16) < 64 < 192 < int(light[1:3], 16)
    driver.press("b", "Control-d")
    assert driver.window.layout["bg"] == light
    assert driver.session.labels == {"0.png": "0", "1.png": "1"}


def test_the_second_window_is_read_only(open_window, pictures):
    folder = pictures()
    first, second = open_window(folder), open_window(folder)
    assert second.has_text("another window")
    second.press("a")
    assert (second.session.labels, second.displayed) == ({}, "0.png")
    first.press("a", "b")
    first.window.close()
    second.press("F5")
    second.wait(lambda: not second.stage.desk.scanning)
    assert not second.has_text("another window")
    assert second.session.labels == {"0.png": "0", "1.png": "1"}
    second.press("Next", "a")
    assert second.session.labels["2.png"] == "0"


def test_a_full_disk_is_reported_and_the_picture_stays(open_window, pictures, small_disk):
    driver = open_window(pictures(folder=small_disk.path))
    driver.press("a")
    driver.stage.desk._autosave.stop()  # it would say so too, at some time of its own
    small_disk.fill()
    for _ in range(2000):  # there may still be room in the journal's last block
        driver.press("b")
        if driver.window.notice:
            break
        driver.press("Left")
    assert "the disk is full" in driver.window.notice
    here, labels = driver.displayed, dict(driver.session.labels)
    driver.press("a")
    assert (driver.displayed, driver.session.labels) == (here, labels)
    small_disk.free()
    driver.press("a")
    assert driver.session.labels == {**labels, here: "0"}
    assert driver.window.notice == ""
    driver.window.close()
    assert read_table(small_disk.path / "labels.csv").values == {**labels, here: "0"}


def test_a_file_system_without_locks_and_folder_sync_is_remarked_and_used(
    open_window, pictures, monkeypatch
):
    fcntl = pytest.importorskip("fcntl")
    fsync = os.fsync

    def refuse(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(
        os, "fsync", lambda f: refuse() if stat.S_ISDIR(os.fstat(f).st_mode) else fsync(f)
    )
    folder = pictures()
    driver = open_window(folder, classes=[f"class {n}" for n in range(30)])
    driver.wait(lambda: driver.window.notice)
    lines = driver.window.notice.splitlines()
    assert len(lines) == 2, "one line does not hide the other"
    assert "cannot lock files or sync folders. Do not open this folder in two" in lines[0]
    assert "Classes without a key: 4 of 30" in lines[1]
    driver.press("a", "b")
    driver.window.close()
    assert read_table(folder / "labels.csv").values == {"0.png": "class 0", "1.png": "class 1"}


def test_a_read_only_folder_is_reported(open_window, pictures, small_disk):
    pictures(folder=small_disk.path)
    small_disk.freeze()
    driver = open_window(small_disk.path)
    assert driver.has_text("cannot be written")
    driver.press("a", "Right")
    assert (driver.session.labels, driver.displayed) == ({}, "1.png")


def test_a_folder_removed_while_open_is_reported_and_the_labels_can_be_saved(
    open_window, pictures, monkeypatch, tmp_path
):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a", "b")
    shutil.rmtree(folder)
    driver.press("a")
    assert "no longer there" in driver.window.notice
    assert "Press Ctrl+S to save a copy" in driver.window.notice
    assert driver.displayed == "2.png"
    copy = tmp_path / "copy.csv"
    monkeypatch.setattr(filedialog, "asksaveasfilename", lambda **_: str(copy))
    driver.press("Control-s")
    assert read_table(copy).values == {"0.png": "0", "1.png": "1"}
    driver.press("Control-q")
    assert "Press Ctrl+Q again to close" in driver.window.notice
    driver.press("Control-q")
    assert driver.closed


def test_an_empty_folder_and_no_folder(open_window, tmp_path, pictures, monkeypatch):
    view = open_window(tmp_path).window.layout.view
    assert "No JPEG, PNG" in view.itemcget(view._text, "text")
    driver = open_window()
    driver.press("a", "space", "Right", "Control-z", "F5", "question", "Escape", "Control-d")
    monkeypatch.setattr(filedialog, "askdirectory", lambda **_: str(pictures("0.png")))
    driver.press("Control-o")
    driver.press("a")
    assert driver.session.labels == {"0.png": "0"}


def test_another_folder_is_opened_only_if_it_can_be(open_window, pictures, tmp_path, monkeypatch):
    driver = open_window(pictures())
    driver.press("a")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "labels.csv").write_text("nonsense\n")
    monkeypatch.setattr(filedialog, "askdirectory", lambda **_: str(bad))
    driver.press("Control-o")
    assert "line 1" in driver.window.notice
    driver.press("b")
    assert driver.session.labels == {"0.png": "0", "1.png": "1"}
