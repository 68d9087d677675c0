import os
import time
from pathlib import Path

import pytest

from labeler.folder import Scan, natural_key, walk


def test_names_are_sorted_as_people_do():
    names = ["b1", "a10", "a9", "A2", "a", "a09b", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "A2", "a9", "a09b", "a10", "b1"]


def test_a_folders_own_pictures_come_before_its_sub_folders(pictures):
    names = ["10.png", "2.png", "b/1.png", "a/1.JPG", "a/c/1.png", "a/2.jpeg", "z.webp", "z/1.tif"]
    folder = pictures(*names)
    assert list(walk(folder)) == [
        ["2.png", "10.png", "z.webp"],
        ["a/1.JPG", "a/2.jpeg"],
        ["a/c/1.png"],
        ["b/1.png"],
        ["z/1.tif"],
    ]


def test_what_is_left_out_is_reported_but_for_hidden_files(pictures):
    folder = pictures("1.png", ".hidden.png", ".cache/2.png", "folder.png/3.png")
    (folder / "notes.txt").touch()
    (folder / "loop").symlink_to(folder)
    (folder / "linked.png").symlink_to(folder / "1.png")
    problems = []
    assert list(walk(folder, problems)) == [["1.png", "linked.png"], ["folder.png/3.png"]]
    assert problems == [
        "Left out: 1 link to a folder that is read already, such as loop.",
        "Left out: 1 file in a format that is not read (.txt), such as notes.txt.",
    ]


def test_names_that_are_no_text_are_left_out_and_reported(pictures):
    folder = pictures("1.png", "é.png")
    try:
        os.close(os.open(os.fsencode(folder) + b"/\xff.png", os.O_CREAT))
    except OSError:
        pytest.skip("this file system has only names that are text")
    problems = []
    assert list(walk(folder, problems)) == [["1.png", "é.png"]]
    assert problems == [r"Left out: 1 name that is not UTF-8, such as \xff.png."]


def test_a_scan_returns_all_names(pictures):
    folder = pictures("1.png", "a/2.png")
    scan, names = Scan(folder), []
    end = time.monotonic() + 5
    while not scan.finished and time.monotonic() < end:
        names += scan.new_names()
    assert names == ["1.png", "a/2.png"]


def test_a_folder_that_is_gone_is_reported():
    problems = []
    assert list(walk(Path("gone"), problems)) == []
    assert problems == [
        "Left out: 1 folder that cannot be read, such as gone (No such file or directory)."
    ]
