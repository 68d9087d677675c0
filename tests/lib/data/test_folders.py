"""The three forms of a folder, its splits, and names as people have them."""

import os
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from lib.data.folders import AT_ONCE, scan
from lib.errors import UserError


def draw(folder, *names, seed=0):
    """Pictures of noise under the given names, no two alike."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(path)


def said(listing):
    """What a listing says of each picture."""
    return {
        id: (listing.classes[label], str(split))
        for id, label, split in zip(listing.ids, listing.labels, listing.splits, strict=True)
    }


def test_class_folders(tmp_path):
    draw(tmp_path, "cat/b.png", "cat/a.PNG", "ant/old/c.jpg", "preview.png", "cat/.hidden.png")
    draw(tmp_path, ".ipynb_checkpoints/d.png")
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    listing = scan(tmp_path)
    assert listing.classes == ["ant", "cat"]
    assert listing.ids == ["ant/old/c.jpg", "cat/a.PNG", "cat/b.png"]
    assert said(listing)["ant/old/c.jpg"] == ("ant", "train")


@pytest.mark.parametrize("splits", [("train", "test"), ("train", "val"), ("train", "val", "test")])
def test_split_folders(tmp_path, splits):
    draw(tmp_path, *(f"{split}/{label}/1.png" for split in splits for label in ("ant", "cat")))
    assert said(scan(tmp_path)) == {
        f"{split}/{label}/1.png": (label, split) for split in splits for label in ("ant", "cat")
    }


def test_a_class_may_be_called_train(tmp_path):
    draw(tmp_path, "train/1.png", "plane/1.png")
    assert scan(tmp_path).classes == ["plane", "train"]


def test_labels_csv_with_splits_csv(tmp_path):
    draw(tmp_path, "1.png", "deep/1.png", "deep/2.png", "unlabelled.png")
    # As a spreadsheet writes it: byte order mark, carriage returns, another column.
    rows = ["filename,label,who", "deep/1.png,ant,me", "1.png,cat,me", '"deep/2.png","cat",me']
    (tmp_path / "labels.csv").write_text("\r\n".join(rows), encoding="utf-8-sig")
    assert set(said(scan(tmp_path)).values()) == {("ant", "train"), ("cat", "train")}
    (tmp_path / "splits.csv").write_text("filename,split\n1.png,test\ndeep/1.png,val\n")
    assert said(scan(tmp_path)) == {
        "1.png": ("cat", "test"),
        "deep/1.png": ("ant", "val"),
        "deep/2.png": ("cat", "train"),
    }


@pytest.mark.parametrize(
    ("labels", "splits", "message"),
    [
        (
            "name,label\n1.png,a",
            None,
            r"labels\.csv needs the columns filename,label; .* name,label",
        ),
        ("filename;label\n1.png;a", None, r"needs the columns filename,label"),
        ("", None, r"no labelled pictures in"),
        ("filename,label\n1.png,a\n9.png,b", None, r"labels\.csv names '9\.png', which is not in"),
        ("filename,label\n1.png,a\n,b", None, r"labels\.csv, line 3: filename is empty"),
        ("filename,label\n1.png,a\n2.png", None, r"labels\.csv, line 3 has 1 columns, not 2"),
        ("filename,label\n1.png,a\n1.png,b", None, r"lines 2 and 3: 1\.png has the labels a and b"),
        ("filename,label\n1.png,\udce9", None, r"labels\.csv, line 2 is not UTF-8"),
        ("filename,label", None, r"no labelled pictures"),
        ("filename,label\n1.png,a\n2.png,a", None, r"only one class, 'a'"),
        ("filename,label\n1.png,a\n2.png,b", "filename,part\n", r"splits\.csv needs the columns"),
        (
            "filename,label\n1.png,a\n2.png,b",
            "filename,split\n1.png,dev",
            r"puts 1\.png into 'dev'",
        ),
        ("filename,label\n1.png,a", "filename,split\n2.png,val", r"2\.png, which has no label"),
    ],
)
def test_csv_files_that_do_not_fit_get_one_line(tmp_path, labels, splits, message):
    draw(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text(labels, errors="surrogateescape")
    if splits is not None:
        (tmp_path / "splits.csv").write_text(splits)
    with pytest.raises(UserError, match=message) as caught:
        scan(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_empty_folder_and_single_class_get_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no labelled pictures in .*labels\.csv"):
        scan(tmp_path)
    draw(tmp_path, "loose.png")
    with pytest.raises(UserError, match="no labelled pictures"):
        scan(tmp_path)
    draw(tmp_path, "ant/1.png")
    with pytest.raises(UserError, match="only one class, 'ant'"):
        scan(tmp_path)


def test_a_row_without_a_label_is_passed_over_and_counted(tmp_path):
    draw(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "labels.csv").write_text("filename,label\n1.png,a\n2.png,b\n3.png,\n")
    listing = scan(tmp_path)
    assert listing.ids == ["1.png", "2.png"]
    assert listing.left_out == ("1 row of labels.csv without a label, such as 3.png",)


def test_blanks_are_part_of_a_filename_and_not_of_a_class(tmp_path):
    draw(tmp_path, " lead.png", "2.png", "3.png")
    (tmp_path / "labels.csv").write_text("filename, label\n lead.png,cat\n2.png, cat\n3.png,dog \n")
    assert scan(tmp_path).classes == ["cat", "dog"]
    (tmp_path / "labels.csv").write_text("label, filename\na, 2.png\nb,3.png\n")
    with pytest.raises(UserError, match=r"names ' 2\.png'.*; remove the blanks around the name"):
        scan(tmp_path)


def test_class_folders_that_look_alike_are_one_class(tmp_path):
    draw(tmp_path, "cat/1.png", "cat /2.png", "dog/1.png")
    assert scan(tmp_path).classes == ["cat", "dog"]


# ---- splits by folder


def spread(folder, *tops, classes=("ant", "cat")):
    draw(folder, *(f"{top}/{name}/1.png" for top in tops for name in classes))


@pytest.mark.parametrize(
    ("tops", "splits"),
    [
        (("train", "valid"), ("train", "val")),
        (("train", "validation"), ("train", "val")),
        (("Train", "Test"), ("train", "test")),
        (("TRAINING", "Testing", "VALID"), ("train", "test", "val")),
        (("train", "test", "valid"), ("train", "test", "val")),
        (("train",), ("train",)),
    ],
)
def test_usual_split_names_in_any_case_are_splits(tmp_path, tops, splits):
    spread(tmp_path, *tops)
    assert scan(tmp_path).classes == ["ant", "cat"]
    assert said(scan(tmp_path)) == {
        f"{top}/{label}/1.png": (label, split)
        for top, split in zip(tops, splits, strict=True)
        for label in ("ant", "cat")
    }


@pytest.mark.parametrize(
    ("deep", "direct", "message"),
    [
        (("train", "val", "valid"), (), "val/ and valid/ are both the split val; merge them"),
        (("train", "test"), ("plane",), "could be splits or classes, beside plane/; for splits,"),
        (("train", "plane"), (), "train/ could be splits or classes, beside plane/"),
        ((), ("train", "test"), "test/ and train/ should be split into class folders"),
        (("train",), ("test",), "test/ should be split into class folders"),
        (("val", "test"), (), "test/ and val/ without train/; add it"),
    ],
)
def test_what_could_be_read_both_ways_gets_one_line(tmp_path, deep, direct, message):
    spread(tmp_path, *deep)
    draw(tmp_path, *(f"{top}/1.png" for top in direct))
    with pytest.raises(UserError, match=message) as caught:
        scan(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tops", [("train", "plane"), ("test", "train", "plane"), ("val", "car")])
def test_a_class_may_have_the_name_of_a_split(tmp_path, tops):
    draw(tmp_path, *(f"{top}/1.png" for top in tops))
    assert scan(tmp_path).classes == sorted(tops)


def test_splits_csv_knows_the_same_names(tmp_path):
    draw(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "labels.csv").write_text("filename,label\n1.png,a\n2.png,b\n3.png,a\n")
    (tmp_path / "splits.csv").write_text("filename,split\n1.png,Valid\n2.png,TESTING\n")
    assert list(scan(tmp_path).splits) == ["val", "test", "train"]


# ---- names as people have them


def test_a_name_that_is_not_utf8_gets_one_line(tmp_path):
    draw(tmp_path, "ant/1.png", "cat/1.png")
    name = os.fsencode(tmp_path) + b"/cat/caf\xe9 1.png"
    try:
        os.link(tmp_path / "cat/1.png", name)
    except OSError:
        pytest.skip("this file system has only names that are text")
    expected = r"1 name that is not UTF-8, such as cat/caf\\xe9 1\.png; rename them"
    with pytest.raises(UserError, match=expected):
        scan(tmp_path)


def test_both_unicode_forms_are_one_class_and_one_name(tmp_path):
    draw(tmp_path, "café/1.png", "cafe\u0301/2.png", "the\u0301.png", "tea/1.png")
    assert scan(tmp_path).ids == ["café/1.png", "café/2.png", "tea/1.png"]
    assert scan(tmp_path).classes == ["café", "tea"]
    for typed, row in (("thé.png", "cafe\u0301"), ("the\u0301.png", "café")):
        table = f"filename,label\n{typed},{row}\ncafé/1.png,café\ntea/1.png,tea\n"
        (tmp_path / "labels.csv").write_text(table)
        assert scan(tmp_path).ids == ["café/1.png", "tea/1.png", "thé.png"]
        assert scan(tmp_path).classes == ["café", "tea"]


def test_two_files_of_one_name_get_one_line(tmp_path):
    draw(tmp_path, "tea/é.png", "tea/e\u0301.png", "ant/1.png")
    with pytest.raises(UserError, match=r"1 name that another file has in another Unicode form"):
        scan(tmp_path)


def test_what_is_passed_over_is_counted_and_named(tmp_path):
    draw(tmp_path, "ant/1.png", "cat/1.jpe", "cat/2.JFIF", "cat/3.avif", "loose.png")
    for name in ("cat/4.heic", "cat/5.HEIC", "ant/2.psd", "readme.md"):
        (tmp_path / name).write_bytes(b"another format")
    os.mkfifo(tmp_path / "cat" / "6.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "ant")
    listing = scan(tmp_path)
    assert listing.ids == ["ant/1.png", "cat/1.jpe", "cat/2.JFIF", "cat/3.avif"]
    assert listing.left_out == (
        "3 files in formats that are not read (.heic, .psd), such as ant/2.psd",
        "1 name of what is no regular file, such as cat/6.png",
        "1 link to a folder that is read already, such as cat/again",
        "1 picture outside the class folders, such as loose.png",
    )


def test_where_nothing_is_read_the_message_says_what_was_passed_over(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.heic").write_bytes(b"another format")
    with pytest.raises(UserError, match=r"no labelled .*\(passed over: 1 file in .*\.heic"):
        scan(tmp_path)


def test_a_listing_takes_little_memory(tmp_path):
    draw(tmp_path, "0.png")
    count = 2 * AT_ONCE
    for number in range(count):
        folder = tmp_path / f"{number % 16:02d}"
        folder.mkdir(exist_ok=True)
        os.link(tmp_path / "0.png", folder / f"{number:05d}.png")
    tracemalloc.start()
    listing = scan(tmp_path)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(listing.ids) == count
    assert most / count < 500  # bytes: its name, its size and its time, and a tuple of these
    assert kept / count < 150
