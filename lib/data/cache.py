"""Store decoded pictures, so that the next start takes no time and little memory.

A cache is a folder with two files: `pixels.raw`, uint8 (N, 3, H, W) with the pictures of train,
then of val, then of test; and `contents.json`, all else that is known of them. It is read through
a memory map, so the splits are views of one file and take no memory of their own. A cache appears
whole or not at all.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.data.folders import Listing, short_hash
from lib.data.picture_files import UnreadablePicture
from lib.data.splits import arrange
from lib.errors import UserError
from lib.files import locked, read_json, write_json

CHUNK = 2**24  # bytes of pixels in memory at a time


@dataclass(frozen=True)
class Choices:
    """What decides, beside the source, how pictures are kept."""

    size: int  # height and width in pixels
    test_share: float
    val_share: float
    seed: int
    version: int = 2  # raised when pictures come to be decoded or arranged in another way

    def arrange(self, listing: Listing, digests: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """`lib.data.splits.arrange` by these shares and this seed."""
        return arrange(listing, digests, self.test_share, self.val_share, self.seed)


class Decoded(NamedTuple):
    """What a decoder says of the pictures that it wrote."""

    listing: Listing
    digests: np.ndarray  # uint64 (N,), the same for the same pixels
    damaged: dict[int, UnreadablePicture]  # by place; the pixels there mean nothing


@dataclass(frozen=True)
class Contents:
    """All that is known of arranged pictures, save their pixels."""

    classes: list[str]
    ids: list[str]  # of train, then val, then test, as the labels and the pixels
    labels: list[int]
    lengths: list[int]  # of the three splits
    mean: list[float]  # red, green, blue of train in [0, 1]
    std: list[float]
    fingerprint: str
    skipped: list[tuple[str, str]]  # id of a damaged picture and what is wrong with it


def cached(
    cache: Path, choices: Choices, decode: Callable[[Path], Decoded]
) -> tuple[np.ndarray, Contents]:
    """Pictures from a cache, which is made first where it is missing.

    Parameters
    ----------
    cache : path        folder that is the cache, or will be
    decode : function   writes pictures, uint8 (N, 3, H, W), to the file it is given

    Returns
    -------
    images : uint8 (N, 3, H, W)   read from disk as they are touched; changes stay in memory
    contents : Contents

    Raises
    ------
    UserError   if the place cannot be written or is full, or as `decode` and `arrange` do
    """
    if not cache.exists():
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            # Whoever comes while another process makes a cache waits, and then finds it made.
            with locked(cache.parent / "lock"):
                if not cache.exists():
                    _make(cache, choices, decode)
        except OSError as error:
            raise UserError(
                f"cannot write the picture cache {cache}: {error.strerror or error}; "
                "make room there or name another data folder"
            ) from error
    contents = Contents(**read_json(cache / "contents.json"))
    return _map(cache / "pixels.raw", len(contents.ids), choices.size), contents


def _make(cache: Path, choices: Choices, decode: Callable[[Path], Decoded]) -> None:
    for abandoned in cache.parent.glob("*.unfinished"):  # by a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    # Only this user may enter it, so others can put no link where something is written.
    scratch = tempfile.mkdtemp(".unfinished", f"{cache.name}-", cache.parent)
    try:
        unfinished = Path(scratch, "cache")
        unfinished.mkdir()
        listing, digests, damaged = decode(unfinished / "decoded.raw")
        whole = np.setdiff1d(np.arange(len(listing.ids)), list(damaged))
        _refuse_lost_splits(listing, whole, damaged)
        order, lengths = choices.arrange(listing.take(whole), digests[whole])
        order = whole[order]
        chunks = _in_order(unfinished / "decoded.raw", order, choices.size)
        contents = describe(
            _written(unfinished / "pixels.raw", chunks),
            listing.take(order),
            lengths,
            [(listing.ids[place], damaged[place].reason) for place in sorted(damaged)],
        )
        (unfinished / "decoded.raw").unlink()
        write_json(unfinished / "contents.json", vars(contents), indent=None)
        unfinished.rename(cache)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse_lost_splits(
    listing: Listing, whole: np.ndarray, damaged: dict[int, UnreadablePicture]
) -> None:
    """Stop if a split that the source brings has no readable picture; none is made in its place."""
    for split in np.setdiff1d(listing.splits, listing.splits[whole]):
        places = np.flatnonzero(listing.splits == split)
        raise UserError(
            f"no picture of the split {split} can be read ({damaged[places[0]]}, "
            f"and {len(places) - 1} more); mend them, or remove them all"
        )


def _in_order(path: Path, order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The pictures of a raw file in another order, uint8 (n, 3, size, size), a chunk at a time.

    They are read and not mapped, since the process would keep the pages of a map.
    """
    length = 3 * size**2
    with path.open("rb", buffering=0) as file:
        for places in np.array_split(order, len(order) * length // CHUNK + 1):
            pictures = []
            for place in places.tolist():
                file.seek(place * length)
                pictures.append(file.read(length))
            yield np.frombuffer(b"".join(pictures), np.uint8).reshape(-1, 3, size, size)


def _written(path: Path, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same chunks, each once it is written to a new file; that is on disk after the last."""
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk.data)
            yield chunk
        file.flush()
        os.fsync(file.fileno())


def _map(path: Path, count: int, size: int) -> np.ndarray:
    return np.memmap(path, np.uint8, mode="c", shape=(count, 3, size, size))


def describe(
    chunks: Iterable[np.ndarray],
    listing: Listing,
    lengths: list[int],
    skipped: list[tuple[str, str]],
) -> Contents:
    """Measure arranged pictures, uint8 (N, 3, H, W), which come in chunks from first to last."""
    pixel_hash = hashlib.blake2b()
    total, squares = np.zeros(3, np.int64), np.zeros(3, np.int64)
    count, left = 0, lengths[0]  # values of a channel in train, and pictures of it that are to come
    for chunk in chunks:
        pixel_hash.update(chunk.data)
        train = chunk[:left]
        total += train.sum(axis=(0, 2, 3), dtype=np.int64)
        squares += np.square(train, dtype=np.uint16).sum(axis=(0, 2, 3), dtype=np.int64)
        count += train[:, 0].size
        left -= len(train)
    mean = total / count
    variance = squares / count - mean**2
    labels = listing.labels.tolist()
    return Contents(
        classes=listing.classes,
        ids=listing.ids,
        labels=labels,
        lengths=lengths,
        mean=(mean / 255).tolist(),
        # Networks divide by it, so a channel that never changes gets one grey level, not zero.
        std=(np.sqrt(variance.clip(min=1)) / 255).tolist(),
        fingerprint=short_hash(
            pixel_hash.hexdigest(), labels, listing.ids, listing.classes, lengths
        ),
        skipped=skipped,
    )
