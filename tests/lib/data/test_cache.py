"""A cache appears whole or not at all, whatever happens while it is made."""

import os
import stat
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lib.data import cache
from lib.data.cache import Choices, Decoded, cached
from lib.data.folders import Listing
from lib.data.picture_files import UnreadablePicture
from lib.errors import UserError

HERE = Path(__file__).parents[3]
CHOICES = Choices(size=4, test_share=0.2, val_share=0.25, seed=0)
LABELS = np.arange(40) % 2
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 3, 4, 4), np.uint8)
LISTING = Listing(
    ids=[f"{place:02d}" for place in range(40)],
    labels=LABELS,
    splits=np.full(40, "train"),
    classes=["ant", "cat"],
)


def decode(out, damaged=()):
    PIXELS.tofile(out)
    broken = {place: UnreadablePicture(str(place), "it is cut off") for place in damaged}
    return Decoded(LISTING, np.arange(40), broken)


def never(out):
    raise AssertionError("decoded a second time")


def test_pictures_come_in_the_order_of_the_splits(tmp_path):
    images, contents = cached(tmp_path / "it", CHOICES, decode)
    assert contents.lengths == [24, 8, 8]
    for image, id, label in zip(images, contents.ids, contents.labels, strict=True):
        assert np.array_equal(image, PIXELS[int(id)])
        assert label == LABELS[int(id)]


def test_second_time_opens_the_file_without_reading_it_all(tmp_path):
    images, contents = cached(tmp_path / "it", CHOICES, decode)
    again, same = cached(tmp_path / "it", CHOICES, never)
    assert same == contents
    assert isinstance(again, np.memmap)
    images[:] = 0  # changes stay in memory
    assert np.array_equal(again, cached(tmp_path / "it", CHOICES, never)[0])
    assert again.any()


def test_a_cache_is_made_a_chunk_at_a_time(tmp_path, monkeypatch):
    choices = Choices(size=64, test_share=0.2, val_share=0.25, seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (40 * 10, 3, 64, 64), np.uint8)
    listing = Listing(
        ids=[f"{place:03d}" for place in range(len(pixels))],
        labels=np.arange(len(pixels)) % 2,
        splits=np.full(len(pixels), "train"),
        classes=["ant", "cat"],
    )

    def decode(out):
        pixels.tofile(out)
        return Decoded(listing, np.arange(len(pixels)), {})

    images, contents = cached(tmp_path / "at once", choices, decode)
    order = [int(id) for id in contents.ids]
    assert np.array_equal(images, pixels[order])
    monkeypatch.setattr(cache, "CHUNK", 10 * pixels[0].nbytes)
    mapped = []  # the pages of a map stay in memory as long as there is room for them
    monkeypatch.setattr(cache, "_map", lambda path, *_: mapped.append(path.name))
    tracemalloc.start()
    assert cached(tmp_path / "in chunks", choices, decode)[1] == contents
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < pixels.nbytes / 4
    assert mapped == ["pixels.raw"]
    assert np.array_equal(
        np.fromfile(tmp_path / "in chunks" / "pixels.raw", np.uint8), images.ravel()
    )


def test_mean_and_std_are_of_the_training_pictures(tmp_path):
    images, contents = cached(tmp_path / "it", CHOICES, decode)
    train = images[:24] / 255
    assert contents.mean == pytest.approx(train.mean(axis=(0, 2, 3)), abs=1e-12)
    assert contents.std == pytest.approx(train.std(axis=(0, 2, 3)), abs=1e-12)


def test_constant_channel_gets_a_std_to_divide_by(tmp_path):
    def grey(out):
        np.full_like(PIXELS, 128).tofile(out)
        return Decoded(LISTING, np.arange(40), {})

    assert cached(tmp_path / "it", CHOICES, grey)[1].std == [1 / 255] * 3


def test_damaged_pictures_are_left_out_and_remembered(tmp_path):
    _, contents = cached(tmp_path / "it", CHOICES, lambda out: decode(out, damaged=(3, 30)))
    assert sorted(contents.ids) == [f"{n:02d}" for n in range(40) if n not in (3, 30)]
    assert [tuple(one) for one in contents.skipped] == [
        ("03", "it is cut off"),
        ("30", "it is cut off"),
    ]


@pytest.mark.parametrize("what", ["pixels", "labels", "ids", "classes", "seed"])
def test_fingerprint_changes_with(tmp_path, what):
    def changed(out):
        listing, digests, damaged = decode(out)
        if what == "pixels":
            other = PIXELS.copy()
            other[7, 0, 0, 0] ^= 1
            other.tofile(out)
        values = {
            "labels": 1 - LABELS,
            "ids": ["other", *LISTING.ids[1:]],
            "classes": ["ant", "dog"],
        }
        fields = {**vars(listing)} | ({what: values[what]} if what in values else {})
        return Decoded(Listing(**fields), digests, damaged)

    choices = Choices(4, 0.2, 0.25, seed=1 if what == "seed" else 0)
    before = cached(tmp_path / "before", CHOICES, decode)[1].fingerprint
    assert cached(tmp_path / "again", CHOICES, decode)[1].fingerprint == before
    assert cached(tmp_path / "after", choices, changed)[1].fingerprint != before


def test_error_while_decoding_leaves_nothing(tmp_path):
    def fails(out):
        decode(out)
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        cached(tmp_path / "it", CHOICES, fails)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def run(code, folder):
    """Run Python that has this module's names as `this`, and the cache's path as `cache`."""
    head = f"""
        import os, resource, signal, sys, time
        from pathlib import Path
        sys.path[:0] = [{str(HERE)!r}, {str(Path(__file__).parent)!r}]
        import test_cache as this
        cache = Path({str(folder / "it")!r})
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_killed_process_leaves_nothing_half_valid(tmp_path):
    killed = run(
        """
        def decode(out):
            this.PIXELS[:20].tofile(out)
            os.kill(os.getpid(), signal.SIGKILL)
        this.cached(cache, this.CHOICES, decode)
        """,
        tmp_path,
    )
    killed.communicate()
    assert killed.returncode == -9
    [abandoned] = tmp_path.glob("*it*")
    assert abandoned.name.startswith("it-")
    other, contents = cached(tmp_path / "other", CHOICES, decode)
    assert not abandoned.exists()
    images, same = cached(tmp_path / "it", CHOICES, decode)
    assert (same, images.tolist()) == (contents, other.tolist())


def test_two_processes_at_once_decode_once(tmp_path):
    both = [
        run(
            """
            def decode(out):
                print("decoding")
                time.sleep(0.5)
                return this.decode(out)
            print(this.cached(cache, this.CHOICES, decode)[1].fingerprint)
            """,
            tmp_path,
        )
        for _ in range(2)
    ]
    outputs = [one.communicate()[0].split() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sorted(map(len, outputs)) == [1, 2]
    assert outputs[0][-1] == outputs[1][-1]


def test_full_disk_gets_one_line_and_leaves_nothing(tmp_path):
    pytest.importorskip("resource")
    full = run(
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        def decode(out):
            with out.open("wb") as file:
                file.write(this.PIXELS)
        try:
            this.cached(cache, this.CHOICES, decode)
        except this.UserError as error:
            print(error)
        """,
        tmp_path,
    )
    message, trouble = full.communicate()
    assert message.startswith(f"cannot write the picture cache {tmp_path / 'it'}: File too large;")
    assert trouble == ""
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize("kind", ["a link", "a folder", "a file"])
def test_what_lies_under_a_name_that_can_be_guessed_is_not_written_to(tmp_path, kind):
    precious, shared = tmp_path / "precious", tmp_path / "shared"
    for folder in (precious, shared):
        folder.mkdir()
    for name in ("decoded.raw", "pixels.raw", "contents.json"):
        (precious / name).write_text("old")
    for name in ("it.unfinished", ".it", "it.tmp", "new"):
        if kind == "a link":
            (shared / name).symlink_to(precious)
        elif kind == "a file":
            (shared / name).touch()
        else:
            (shared / name).mkdir()
            for inner in ("decoded.raw", "pixels.raw", "contents.json"):
                (shared / name / inner).symlink_to(precious / inner)
    images, _ = cached(shared / "it", CHOICES, decode)
    assert images.shape == PIXELS.shape
    assert {path.read_text() for path in precious.iterdir()} == {"old"}
    assert len(list(precious.iterdir())) == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_only_this_user_enters_a_cache_that_is_being_made(tmp_path):
    modes = []

    def look(out):
        modes.append(stat.S_IMODE(out.parent.parent.stat().st_mode))
        return decode(out)

    cached(tmp_path / "it", CHOICES, look)
    (tmp_path / "usual").mkdir()
    assert modes == [0o700]
    assert (tmp_path / "it").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_in_the_locks_place_is_refused_in_one_line(tmp_path):
    (tmp_path / "precious").write_text("old")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match=r"cannot lock .*lock: it is a link"):
        cached(tmp_path / "it", CHOICES, never)
    assert (tmp_path / "precious").read_text() == "old"


def test_place_that_cannot_be_written_gets_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        UserError, match=r"cannot write the picture cache .*name another data folder"
    ):
        cached(tmp_path / "file" / ".cache" / "it", CHOICES, never)
