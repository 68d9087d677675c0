"""Carving missing splits and ordering every split."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data.folders import Listing
from lib.data.splits import arrange
from lib.errors import UserError


def listing(labels, splits="train"):
    labels = np.asarray(labels)
    return Listing(
        ids=[str(place) for place in range(len(labels))],
        labels=labels,
        splits=np.full(len(labels), splits) if isinstance(splits, str) else np.asarray(splits),
        classes=[f"class {label}" for label in range(labels.max() + 1)],
    )


def parts(order, lengths):
    return np.split(order, np.cumsum(lengths)[:-1])


def test_shares_are_met_class_by_class():
    labels = np.repeat([0, 1], [100, 1000])
    order, lengths = arrange(listing(labels), np.arange(1100), 0.2, 0.1, seed=0)
    train, val, test = parts(order, lengths)
    assert np.bincount(labels[test]).tolist() == [20, 200]
    assert np.bincount(labels[val]).tolist() == [8, 80]
    assert np.bincount(labels[train]).tolist() == [72, 720]
    assert sorted(order) == list(range(1100))


def test_the_rest_of_a_large_test_split_is_enough_for_the_others():
    labels = np.repeat([0, 1], [4, 3])
    order, lengths = arrange(listing(labels), np.arange(7), 0.99, 0.99, seed=0)
    assert [np.bincount(labels[part]).tolist() for part in parts(order, lengths)] == [
        [1, 1],
        [1, 1],
        [2, 1],
    ]


def test_given_splits_are_kept():
    splits = ["train", "val", "test", "train", "test", "val"]
    order, lengths = arrange(listing([0, 0, 0, 1, 1, 1], splits), np.arange(6), 0.2, 0.1, seed=0)
    assert [set(part.tolist()) for part in parts(order, lengths)] == [{0, 3}, {1, 5}, {2, 4}]


@pytest.mark.parametrize("given", ["val", "test"])
def test_only_the_missing_split_is_carved(given):
    labels = np.arange(100) % 2
    splits = np.where(np.arange(100) < 60, "train", given)
    order, lengths = arrange(listing(labels, splits), np.arange(100), 0.2, 0.2, seed=0)
    train, val, test = parts(order, lengths)
    assert (len(train), len(val) + len(test)) == (48, 52)
    assert sorted(val if given == "val" else test) == list(range(60, 100))


@settings(deadline=None)  # a busy machine is no mistake
@given(
    labels=st.lists(st.integers(0, 2), min_size=40, max_size=90),
    copies=st.integers(0, 2**32 - 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_equal_pictures_stay_on_one_side(labels, copies, seed):
    labels = np.array([0, 1, 2] * 4 + labels)
    digests = np.arange(len(labels))
    # From the 13th picture on, some are copies of others, of any class.
    rng = np.random.default_rng(copies)
    digests[12:] = rng.integers(0, len(labels), len(labels) - 12)
    sides = [
        set(digests[part]) for part in parts(*arrange(listing(labels), digests, 0.2, 0.2, seed))
    ]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert all(sides)


def test_every_beginning_is_balanced():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [300, 300, 40]))
    order, lengths = arrange(listing(labels), np.arange(640), 0.2, 0.1, seed=0)
    for part in parts(order, lengths):
        available = np.bincount(labels[part])
        for n in range(1, len(part) + 1):
            counts = np.bincount(labels[part[:n]], minlength=3)
            still_there = counts < available
            # A class falls behind only when it has no more pictures.
            assert counts.max() - counts[still_there].min(initial=counts.max()) <= 1


def test_the_seed_decides():
    labels = np.arange(60) % 3
    first, again, other = (
        arrange(listing(labels), np.arange(60), 0.2, 0.1, seed)[0].tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_what_the_digests_are_decides_nothing_but_which_are_equal():
    labels = np.arange(60) % 3
    digests = np.arange(60)
    digests[30:33] = digests[:3]
    orders = [
        arrange(listing(labels), values, 0.2, 0.1, seed=0)[0].tolist()
        for values in (digests, 1000 - digests)
    ]
    assert orders[0] == orders[1]


def test_too_few_pictures_get_one_line():
    labels = [0] * 10 + [1, 1]
    with pytest.raises(UserError, match="'class 1' has too few different pictures"):
        arrange(listing(labels), np.arange(12), 0.2, 0.1, seed=0)
    with pytest.raises(UserError, match="'class 1' has too few different pictures"):
        arrange(listing([0] * 10 + [1] * 9), np.array([*range(10), *[10] * 9]), 0.2, 0.1, seed=0)
    order, lengths = arrange(listing([0] * 10 + [1] * 3), np.arange(13), 0.2, 0.1, seed=0)
    assert [np.sum(part >= 10) for part in parts(order, lengths)] == [1, 1, 1]


def test_class_without_training_pictures_gets_one_line():
    with pytest.raises(UserError, match="'class 1' has no picture in train"):
        arrange(listing([0, 0, 1], ["train", "test", "test"]), np.arange(3), 0.2, 0.1, seed=0)


class Counted(np.ndarray):
    """Labels that count how many of them are compared, added up or the like."""

    touched = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        plain = [np.asarray(one) for one in inputs]
        Counted.touched += max(one.size for one in plain)
        return getattr(ufunc, method)(*plain, **options)

    def __getitem__(self, places):
        part = super().__getitem__(places)
        Counted.touched += np.size(part)
        return part


def test_many_classes_are_arranged_with_as_little_work_as_few():
    work = {}
    for classes in (3, 600):
        plain = listing(np.arange(6000) % classes)
        Counted.touched = 0
        arrange(replace(plain, labels=plain.labels.view(Counted)), np.arange(6000), 0.2, 0.1, 0)
        work[classes] = Counted.touched
    assert 0 < work[600] < 2 * work[3]
