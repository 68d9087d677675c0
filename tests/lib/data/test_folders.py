"""The three forms of a folder, its content key, and decoding in parallel."""

import numpy as np
import pytest
from PIL import Image

from lib.data.folders import scan
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
