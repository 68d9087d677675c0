import os
import time
from pathlib import Path

import pytest

from labeler.folder import Scan, natural, walk


def test_names_are_sorted_as_people_do():
    names = ["b1", "a10", "a9", "A2", "a", "a09b", "10", "9"]
    assert sorted(names, key=natural) == ["9", "10", "a", "A2", "a9", "a09b", "a10", "b1"]


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


def test_only_pictures_that_are_to_be_seen(pictures):
    folder = pictures("1.png", ".hidden.png", ".cache/2.png", "folder.png/3.png")
    (folder / "notes.txt").touch()
    (folder / "loop").symlink_to(folder)
    (folder / "linked.png").symlink_to(folder / "1.png")
    assert list(walk(folder)) == [["1.png", "linked.png"], ["folder.png/3.png"]]


def test_names_that_are_no_text_are_left_out_and_told(pictures):
    folder = pictures("1.png", "é.png")
    try:
        os.close(os.open(os.fsencode(folder) + b"/\xff.png", os.O_CREAT))
    except OSError:
        pytest.skip("this file system has only names that are text")
    complaints = []
    assert list(walk(folder, complaints)) == [["1.png", "é.png"]]
    assert complaints == ["1 names are not valid text and were left out."]


def test_a_scan_hands_over_what_it_finds(pictures):
    folder = pictures("1.png", "a/2.png")
    scan, found = Scan(folder), []
    end = time.monotonic() + 5
    while not scan.finished and time.monotonic() < end:
        found += scan.take()
    assert found == ["1.png", "a/2.png"]


def test_a_folder_that_is_gone_is_told():
    complaints = []
    assert list(walk(Path("no such folder"), complaints)) == []
    assert "no longer there" in complaints[0]
