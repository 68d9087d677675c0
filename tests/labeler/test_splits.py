import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeler import splits
from labeler.errors import LabelerError
from labeler.record.session import Session
from labeler.splits import SPLITS, by_folder, by_name, check_ratios, divide, export, find_copies

LABELS = st.dictionaries(
    st.text("abc/1_", min_size=1, max_size=6), st.sampled_from(["cat", "dog", "3"]), max_size=60
)
RATIOS = st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9)).map(
    lambda parts: tuple(part / sum(parts) for part in parts)
)


@given(LABELS, RATIOS, st.integers())
@settings(max_examples=60, deadline=None)
def test_each_class_is_divided_within_one_picture_of_its_share(labels, ratios, seed):
    divided = divide(labels, ratios, seed)
    assert set(divided) == set(labels)
    for label, size in Counter(labels.values()).items():
        counts = Counter(divided[name] for name in labels if labels[name] == label)
        for split, ratio in zip(SPLITS, ratios, strict=True):
            assert abs(counts[split] - size * ratio) < 1
            assert ratio or not counts[split]


@given(LABELS, RATIOS, st.data())
@settings(max_examples=40, deadline=None)
def test_groups_stay_together(labels, ratios, data):
    some = st.lists(st.sampled_from(sorted(labels)), unique=True) if labels else st.just([])
    together = data.draw(st.lists(some, max_size=5))
    divided = divide(labels, ratios, 0, together)
    for group in together:
        assert len({divided[name] for name in group}) <= 1


def test_the_seed_decides_and_the_order_of_labelling_does_not():
    labels = {f"{number}.png": "cd"[number % 2] for number in range(50)}
    shuffled = dict(reversed(labels.items()))
    assert divide(labels, seed=3) == divide(shuffled, seed=3)
    assert divide(labels, seed=3) != divide(labels, seed=4)


def test_overlapping_groups_are_joined():
    labels = dict.fromkeys("abcdefgh", "x")
    divided = divide(labels, (0.5, 0.25, 0.25), 0, ["ab", "bc", "de"])
    assert len({divided[name] for name in "abc"}) == 1
    assert Counter(divided.values()) == {"train": 4, "val": 2, "test": 2}


@pytest.mark.parametrize(
    ("ratios", "complaint"),
    [
        ((0.7, 0.2, 0.2), "sum to 1.1"),
        ((0.7, 0.3), "give three"),
        ((1.2, -0.1, -0.1), "give three"),
        ((0, 0.5, 0.5), "train above 0"),
        ((float("nan"), 0.5, 0.5), "must sum to 1"),
    ],
)
def test_invalid_ratios_are_refused(ratios, complaint):
    with pytest.raises(LabelerError, match=complaint):
        check_ratios(ratios)


def test_ratios_may_be_a_little_off():
    assert check_ratios([0.1, 0.2, 0.7]) == (0.1, 0.2, 0.7)
    assert check_ratios([1, 0, 0]) == (1, 0, 0)


def test_groups_by_folder_and_by_name():
    assert by_folder("a/b/1.png") == by_folder("a/b/2.png") != by_folder("a/1.png")
    assert by_folder("1.png") != by_folder("2.png")
    walk = by_name(r"^(.+)_\d+")
    assert walk("walk_1.png") == walk("walk_2.png") != walk("run_1.png")
    assert walk("alone.png") == "alone.png"
    assert by_name("[a-z]+")("7walk.png") == by_name("[a-z]+")("8walk.png")
    with pytest.raises(LabelerError, match="not a regular expression"):
        by_name("(")


def test_exact_copies_have_the_same_bytes(tmp_path):
    contents = {"a.png": b"one", "b.png": b"two", "c.jpg": b"one", "d.png": b"four", "e": b"one"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    read = []
    copies = find_copies(tmp_path, contents, read.append)
    assert copies == [["a.png", "c.jpg", "e"]]
    assert read[-1] == 4, "only files of equal size are read"


def test_export_writes_splits_and_counts(tmp_path, read_csv):
    labels = {}
    for number in range(40):
        name = f"{number % 4}/{number}.png"
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"%02d" % (number // 2 if number < 20 else number))  # 10 pairs of copies
        labels[name] = "even" if number % 2 == 0 else "odd"
    labels["gone.png"] = "odd"
    division = export(tmp_path, labels, (0.5, 0.25, 0.25), seed=1)
    rows = read_csv(tmp_path / "splits.csv")
    assert rows[0] == ["filename", "split"]
    assert dict(rows[1:]) == division.splits
    assert set(division.splits) == set(labels) - {"gone.png"}
    for label, counts in division.counts.items():
        names = [name for name in division.splits if labels[name] == label]
        assert counts == Counter(division.splits[name] for name in names)
    for first in range(0, 20, 2):
        pair = [f"{n % 4}/{n}.png" for n in (first, first + 1)]
        assert division.splits[pair[0]] == division.splits[pair[1]]
    assert (division.copies, division.conflicting, division.missing) == (10, 20, 1)
    assert len(splits.remarks(division, (0.5, 0.25, 0.25))) == 3


def test_export_by_folder_keeps_folders_whole(pictures):
    names = [f"walk{n // 5}/{n}.png" for n in range(50)]
    folder = pictures(*names)
    division = export(folder, dict.fromkeys(names, "x"), (0.6, 0.2, 0.2), 0, by_folder)
    by_walk = itertools.groupby(sorted(division.splits), by_folder)
    assert all(len({division.splits[name] for name in group}) == 1 for _, group in by_walk)
    assert Counter(division.splits.values()) == {"train": 30, "val": 10, "test": 10}


def test_a_class_without_test_pictures_is_reported(pictures):
    folder = pictures("a.png", "b.png", "c.png", "d.png", "e.png")
    labels = {"a.png": "rare", **dict.fromkeys(["b.png", "c.png", "d.png", "e.png"], "common")}
    division = export(folder, labels, (0.5, 0.25, 0.25))
    lines = splits.remarks(division, (0.5, 0.25, 0.25))
    assert [line for line in lines if line.startswith("No picture in test: rare")]


def test_the_command(pictures, capsys, read_csv):
    folder = pictures(*[f"{number}.png" for number in range(20)])
    session = Session(folder)
    for number in range(20):
        session.label(f"{number}.png", str(number % 2))
    session._release()  # as after a crash: labels.csv was not written yet
    assert splits.main([str(folder), "--ratios", "0.6", "0.2", "0.2", "--seed", "5"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["class", "train", "val", "test", "all"]
    assert [line.split() for line in printed[1:4]] == [
        ["0", "6", "2", "2", "10"],
        ["1", "6", "2", "2", "10"],
        ["all", "12", "4", "4", "20"],
    ]
    assert len(read_csv(folder / "splits.csv")) == len(read_csv(folder / "labels.csv")) == 21


@pytest.mark.parametrize(
    "arguments", [["--ratios", "0.5", "0.5", "0.5"], ["--by-name", "("], [], ["--seed", "1"]]
)
def test_an_error_of_the_command_is_one_line(pictures, capsys, arguments):
    assert splits.main([str(pictures()), *arguments]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert not output.out
