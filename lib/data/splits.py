"""Split pictures into train, val and test, and order each split.

A split that the source doesn't bring is carved from train, class by class, by a seeded draw: a
chosen share for test, then another share of the rest for val. Pictures with equal pixels stay on
one side of a split made here. Within a split the classes take turns, so its first n pictures are
as balanced as n can be.
"""

import numpy as np

from lib.data.folders import SPLITS, Listing
from lib.errors import UserError


def arrange(
    listing: Listing, digests: np.ndarray, test_share: float, val_share: float, seed: int
) -> tuple[np.ndarray, list[int]]:
    """Order pictures by split and, within each, by turns of the classes.

    Parameters
    ----------
    digests : uint64 (N,)   the same for the same pixels
    test_share : float      part of train that becomes test where the source brings no test split
    val_share : float       part of the rest that becomes val where it brings no val split

    Returns
    -------
    order : int (N,)        places of the pictures for train, then val, then test
    lengths : list of int   of the three

    Raises
    ------
    UserError   if a class has no picture in train, or too few different ones to carve a split from
    """
    rng = np.random.default_rng(seed)
    splits = listing.splits.copy()
    trained = np.isin(np.arange(len(listing.classes)), listing.labels[splits == "train"])
    if not all(trained):
        name = listing.classes[np.argmin(trained)]
        raise UserError(f"class {name!r} has no picture in train; add some or drop the class")
    for split, share in (("test", test_share), ("val", val_share)):
        if split not in splits:
            pool = np.flatnonzero(splits == "train")
            keep = 2 if split == "test" and "val" not in splits else 1
            splits[_carve(listing, pool, digests[pool], share, keep, rng)] = split
    parts = [_take_turns(np.flatnonzero(splits == split), listing.labels, rng) for split in SPLITS]
    return np.concatenate(parts), [len(part) for part in parts]


def _carve(
    listing: Listing,
    pool: np.ndarray,
    digests: np.ndarray,
    share: float,
    keep: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """About `share` of every class's places in the pool, places of equal pictures together.

    At least `keep` different pictures of every class stay in the pool.
    """
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    # Of equal pictures the first; its class counts if they differ in it.
    representative = first[inverse]
    followers = np.bincount(representative, minlength=len(pool))
    leads = np.flatnonzero(representative == np.arange(len(pool)))
    by_class = _by_label(listing.labels[pool[leads]], len(listing.classes))
    chosen = []
    for name, own in zip(listing.classes, by_class, strict=True):
        leaders = rng.permutation(leads[own])
        if len(leaders) <= keep:
            raise UserError(
                f"class {name!r} has too few different pictures for train, val and test; "
                "add some, to three at least, or drop the class"
            )
        filled = followers[leaders].cumsum()
        target = np.searchsorted(filled, round(share * filled[-1]), side="right")
        chosen.append(leaders[: np.clip(target, 1, len(leaders) - keep)])
    return pool[np.isin(representative, np.concatenate(chosen))]


def _take_turns(places: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle, then let every class give one picture a round for as long as it has any."""
    shuffled = rng.permutation(places)
    turn = np.empty(len(places), np.int64)
    for own in _by_label(labels[shuffled], labels.max() + 1):
        turn[own] = np.arange(len(own))
    return shuffled[np.argsort(turn, kind="stable")]


def _by_label(labels: np.ndarray, classes: int) -> list[np.ndarray]:
    """The places of each class among the labels, in ascending order."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.bincount(labels, minlength=classes).cumsum()[:-1])
