import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.data import folders
from lib.data.folders import scan
from lib.data.sources import content_key, find
from lib.errors import UserError


def draw(folder, *names, seed=0):
    """Pictures of noise under the given names, no two alike."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(path)


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


def test_keys_are_those_of_earlier_versions(tmp_path, monkeypatch):
    """Caches are found by them, and pages know by them whether their pictures have changed."""
    for number, name in enumerate(["ant/a b.png", "ant/é.png", "cat/it's.png", "cat/1.png"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(number))
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + number))
    assert scan(tmp_path).key == "311f68451c68497c"
    for at_once in (1, 3):
        monkeypatch.setattr(folders, "AT_ONCE", at_once)
        assert scan(tmp_path).key == "311f68451c68497c"


def test_names_and_paths_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find("digits") is None
    assert find("cifar10") is None
    assert content_key("digits").startswith("digits-")
    assert content_key("cifar10") == "cifar10"
    draw(Path("data/cifar10"), "train/ant/1.png", "train/cat/1.png", "test/ant/1.png")
    assert find("cifar10") == Path("data/cifar10")
    assert content_key("cifar10") == content_key("data/cifar10")
    assert find("data/cifar10", root="elsewhere") == Path("data/cifar10")
    assert find("cifar10", root="elsewhere") is None
    with pytest.raises(UserError, match=r"unknown dataset 'cifar': .* digits and cifar10.* folder"):
        find("cifar")


def test_a_folder_whose_name_is_not_utf8_gets_one_line(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(UserError, match=r"caf\\xe9 has a name that is not UTF-8; rename it"):
        find(folder)


def test_key_changes_with_what_is_passed_over(tmp_path):
    draw(tmp_path, "ant/1.png", "cat/1.png")
    before = content_key(tmp_path)
    (tmp_path / "cat" / "2.heic").write_bytes(b"a picture of another format")
    assert content_key(tmp_path) != before
    assert scan(tmp_path).left_out == (
        "1 file in a format that is not read (.heic), such as cat/2.heic",
    )
