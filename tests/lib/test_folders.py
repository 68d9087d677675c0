"""The three forms of a folder, its content key, and decoding in parallel."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib import pictures
from lib.errors import UserError
from lib.folders import content_key, decode_all, find, scan
from lib.pictures import UnreadablePicture


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
        ("", None, r"needs the columns filename,label; its first line has nothing"),
        ("filename,label\n1.png,a\n9.png,b", None, r"labels\.csv names 9\.png, which is not in"),
        (
            "filename,label\n1.png,a\n2.png,",
            None,
            r"labels\.csv, line 3: filename or label is empt",
        ),
        ("filename,label\n1.png,a\n2.png", None, r"labels\.csv, line 3 has 1 columns, not 2"),
        ("filename,label\n1.png,a\n1.png,b", None, r"line 3: 1\.png comes a second time"),
        ("filename,label\n1.png,\udce9", None, r"labels\.csv is not a CSV file in UTF-8"),
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


def test_broken_link_gets_one_line(tmp_path):
    draw(tmp_path, "ant/1.png", "cat/1.png")
    (tmp_path / "ant" / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"cannot read .*2\.png: No such file"):
        scan(tmp_path)


def test_key_changes_with_the_content_and_only_with_it(tmp_path):
    draw(tmp_path / "one", "ant/1.png", "cat/1.png")
    folder = tmp_path / "one"
    keys = [content_key(folder)]
    (folder / "readme.txt").write_text("no picture")
    assert content_key(folder) == keys[-1]
    folder = folder.rename(tmp_path / "moved")
    assert content_key(folder) == keys[-1]

    draw(folder, "ant/2.png")
    keys.append(content_key(folder))
    (folder / "ant" / "2.png").rename(folder / "cat" / "2.png")
    keys.append(content_key(folder))
    os.utime(folder / "cat" / "2.png", (0, 0))
    keys.append(content_key(folder))
    (folder / "labels.csv").write_text("filename,label\nant/1.png,a\ncat/1.png,b\n")
    keys.append(content_key(folder))
    (folder / "splits.csv").write_text("filename,split\nant/1.png,val\n")
    keys.append(content_key(folder))
    assert len(set(keys)) == len(keys)


def test_names_and_paths_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find("digits") is None
    assert find("cifar10") is None
    assert content_key("digits").startswith("digits-")
    assert content_key("cifar10") == "cifar10"
    draw(Path("data/cifar10"), "train/ant/1.png", "train/cat/1.png", "test/ant/1.png")
    assert find("cifar10") == Path("data/cifar10")
    assert content_key("cifar10") == scan(Path("data/cifar10")).key
    assert find("data/cifar10", root="elsewhere") == Path("data/cifar10")
    assert find("cifar10", root="elsewhere") is None
    with pytest.raises(UserError, match=r"unknown dataset 'cifar': .* digits and cifar10.* folder"):
        find("cifar")


def test_neither_scanning_nor_decoding_loads_torch():
    code = "import sys, lib.folders; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("count", [5, 200])  # in this process, and in several
def test_decoding_writes_every_picture_in_its_place(tmp_path, count):
    names = [f"{number:03d}.png" for number in range(count)]
    draw(tmp_path, *names)
    digests, damaged = decode_all(tmp_path, names, 4, tmp_path / "out.raw", skip=False, bar=False)
    written = np.fromfile(tmp_path / "out.raw", np.uint8).reshape(count, 3, 4, 4)
    expected = [pictures.decode(tmp_path / name, 4).transpose(2, 0, 1) for name in names]
    assert np.array_equal(written, expected)
    assert [int(one) for one in digests] == [pictures.digest(one.tobytes()) for one in expected]
    assert damaged == {}


@pytest.mark.parametrize("count", [5, 200])
def test_damaged_picture_stops_or_is_passed_over(tmp_path, count):
    names = [f"{number:03d}.png" for number in range(count)]
    draw(tmp_path, *names)
    (tmp_path / names[-1]).write_bytes((tmp_path / names[-1]).read_bytes()[:60])
    options = {"folder": tmp_path, "ids": names, "size": 4, "out": tmp_path / "out.raw"}
    with pytest.raises(UnreadablePicture, match=names[-1]):
        decode_all(**options, skip=False, bar=False)
    _, damaged = decode_all(**options, skip=True, bar=False)
    assert {place: error.name for place, error in damaged.items()} == {
        count - 1: str(tmp_path / names[-1])
    }
    assert (tmp_path / "out.raw").stat().st_size == count * 3 * 4 * 4


def test_progress_is_reported(tmp_path, monkeypatch):
    draw(tmp_path / "pond", "1.png", "2.png")
    monkeypatch.setenv("DAYBOOK_PROGRESS", str(tmp_path / "events"))
    decode_all(tmp_path / "pond", ["1.png", "2.png"], 4, tmp_path / "out.raw", skip=False, bar=True)
    assert '"dataset": "pond", "done": 2, "total": 2' in (tmp_path / "events").read_text()
