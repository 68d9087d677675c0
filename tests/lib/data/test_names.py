"""Which files count, how links are followed, and how a file is found by its name."""

import os
import subprocess
import sys

import pytest

from lib.data.names import (
    LINK_BACK,
    NOT_UTF8,
    OTHER_FORMAT,
    UNREADABLE,
    Locator,
    is_utf8,
    new_left_out,
    printable,
    status,
    summary,
    walk,
)


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def listed(folder, left_out=None):
    left_out = new_left_out() if left_out is None else left_out
    return [file.name for files in walk(folder, left_out) for file in files]


def test_hidden_files_and_companions_are_no_pictures(tmp_path):
    make(tmp_path, "1.png", ".2.png", ".git/3.png", "labels.csv", "a/Thumbs.db", "a/4.TIFF")
    left_out = new_left_out()
    assert listed(tmp_path, left_out) == ["1.png", "a/4.TIFF"]
    assert not left_out


def test_order_is_the_callers(tmp_path):
    make(tmp_path, "1.png", "2.png", "b/1.png", "a/1.png")
    batches = walk(tmp_path, new_left_out(), lambda names: sorted(names, reverse=True))
    assert [[file.name for file in files] for files in batches] == [
        ["2.png", "1.png"],
        ["b/1.png"],
        ["a/1.png"],
    ]


def test_a_link_out_of_the_folder_is_followed_after_all_real_folders(tmp_path):
    make(tmp_path / "elsewhere", "1.png", "deep/2.png")
    make(tmp_path / "here", "b/1.png")
    (tmp_path / "here" / "a").symlink_to(tmp_path / "elsewhere")
    assert listed(tmp_path / "here") == ["b/1.png", "a/1.png", "a/deep/2.png"]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("loop", "."),
        ("cat/up", ".."),
        ("cat/self", "../cat"),
        ("a cat", "cat"),  # sorts before the real folder
        ("above", "../.."),
        ("root", "/"),
    ],
)
def test_a_link_to_what_is_read_already_is_passed_over(tmp_path, link, target):
    folder = make(tmp_path / "deep" / "pictures", "cat/1.png", "dog/1.png")
    make(tmp_path / "deep", "other/9.png")
    (folder / link).symlink_to(target)
    left_out = new_left_out()
    assert listed(folder, left_out) == ["cat/1.png", "dog/1.png"]
    assert left_out == {LINK_BACK: [link]}


def test_two_links_to_one_folder_are_one_and_loops_outside_end(tmp_path):
    outside = make(tmp_path / "outside", "1.png", "in/2.png")
    (outside / "in" / "round").symlink_to(outside)
    folder = make(tmp_path / "here", "0.png")
    (folder / "a").symlink_to(outside)
    (folder / "b").symlink_to(outside)
    left_out = new_left_out()
    assert listed(folder, left_out) == ["0.png", "a/1.png", "a/in/2.png"]
    assert left_out[LINK_BACK] == ["b", "a/in/round"]


@pytest.mark.parametrize("target", ["gone.png", "link.png"])  # the second leads to itself
def test_a_link_that_leads_nowhere_stands_for_a_picture(tmp_path, target):
    (tmp_path / "link.png").symlink_to(tmp_path / target)
    ((file,),) = walk(tmp_path, new_left_out())
    assert file.name == "link.png"
    assert status(file.entry).st_size > 0  # of the link itself


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    left_out = new_left_out()
    assert listed(tmp_path / "gone", left_out) == []
    assert left_out[UNREADABLE] == [f"{tmp_path / 'gone'} (No such file or directory)"]


def test_names_that_are_not_utf8_are_escaped(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    assert not is_utf8(name)
    assert is_utf8("café.png")
    assert printable(name) == r"caf\xe9.png"
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system has only names that are text")
    left_out = new_left_out()
    assert listed(tmp_path, left_out) == []
    assert left_out == {NOT_UTF8: [r"caf\xe9.png"]}


def test_summary_counts_and_gives_an_example():
    left_out = {OTHER_FORMAT: [f"{n}.e{n}" for n in range(1200)], NOT_UTF8: ["x"], LINK_BACK: []}
    assert summary(left_out) == [
        "1,200 files in formats that are not read (.e0, .e1, .e10, .e100, …), such as 0.e0",
        "1 name that is not UTF-8, such as x",
    ]


@pytest.mark.parametrize(
    "stored", ["café/thé.png", "cafe\u0301/the\u0301.png", "café/the\u0301.png"]
)
def test_locator_finds_a_file_in_whichever_form_it_is_stored(tmp_path, stored):
    make(tmp_path, stored)
    assert listed(tmp_path) == ["café/thé.png"]
    assert Locator(tmp_path).path("café/thé.png").samefile(tmp_path / stored)


def test_locator_looks_into_both_forms_of_a_folder(tmp_path):
    make(tmp_path, "é/1.png", "e\u0301/2.png")
    locator = Locator(tmp_path)
    assert locator.path("é/1.png").exists()
    assert locator.path("é/2.png").exists()
    assert locator.path("é/3.png") == tmp_path / "é" / "3.png"


def test_labeler_modules_need_pillow_alone():
    code = (
        "import sys, lib.data.names, lib.data.tables, lib.data.picture_files\n"
        "print({'numpy', 'torch', 'pydantic', 'tqdm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
