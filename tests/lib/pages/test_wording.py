import pytest

from lib.pages.wording import (
    axis_title,
    corruption,
    count,
    display_name,
    duration,
    file_size,
    left_out,
    listed,
    per_cent,
    plural,
    points,
    signed,
    split_sizes,
    unseen,
)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.9312, "93.1\xa0%"), (1.0, "100.0\xa0%"), (0, "0.0\xa0%")]
)
def test_per_cent(value, shown):
    assert per_cent(value) == shown


@pytest.mark.parametrize(("value", "number"), [(0.021, "2.1"), (-0.021, "2.1"), (0.0012, "0.12")])
def test_points(value, number):
    assert points(value) == f"{number} percentage points"


@pytest.mark.parametrize(
    ("column", "title"),
    [("val_accuracy", "Validation accuracy"), ("best_epoch", "Best epoch"), ("run_id", "Run")],
)
def test_a_column_has_a_readers_title(column, title):
    assert axis_title(column) == title


def test_what_settings_differ_in_has_a_plural():
    assert plural("augmentation") == "augmentations"
    assert plural("strategy") == "fine-tuning strategies"


@pytest.mark.parametrize(
    ("name", "words"), [("gaussian_noise", "Gaussian noise"), ("jpeg", "JPEG"), ("fog", "fog")]
)
def test_corruption(name, words):
    assert corruption(name) == words


def test_signed_uses_a_minus_sign():
    assert [signed(0.031), signed(-0.004)] == ["+3.1", "\u22120.4"]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (list("abc"), "a, b and c"),
        (list("abcd"), "a, b, c and 1 more"),
    ],
)
def test_a_long_list_is_cut(names, text):
    assert listed(names, most=3) == text


def test_split_sizes_are_three_numbers():
    sizes = "1,300 pictures for training, 150 for validation and 1,347 for the test"
    assert split_sizes(1300, 150, 1347, used=1300) == f"{sizes}."
    assert split_sizes(1300, 150, 1347, used=100) == f"{sizes}; this notebook trains on 100."


def test_what_is_left_out_is_counted_and_named():
    assert left_out((), ()) == []
    assert left_out(["a.png", "b.png"], ["1 file in a format that is not read"]) == [
        "2 unreadable pictures left out: a.png and b.png.",
        "Passed over: 1 file in a format that is not read.",
    ]


def test_count():
    assert count(1, "seed") == "1 seed"
    assert count(12000, "picture") == "12,000 pictures"
    assert count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(4.21, "4.21 s"), (45, "45 s"), (720, "12 min"), (9000, "2.5 h")]
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("mixup", "MixUp"), ("mine", "mine"), (0.1, "label smoothing 0.1"), (0, "label smoothing 0")],
)
def test_display_name(value, shown):
    assert display_name("label_smoothing", value) == shown


@pytest.mark.parametrize(
    ("length", "text"),
    [(1, "1 byte"), (999, "999 bytes"), (1500, "1.5 kB"), (44_700_000, "44.7 MB")],
)
def test_sizes_are_given_in_readable_units(length, text):
    assert file_size(length) == text


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.031, "a lead of less than 3.1 percentage points could not be seen"),
        (0.999, "a lead of less than 99.9 percentage points could not be seen"),
        (2.83, "no lead could be seen"),
    ],
)
def test_what_could_be_seen_is_never_more_than_there_can_be(difference, words):
    assert unseen(difference, "lead") == words
