"""A run's predictions of val and test, and the smaller file of them that a reference run has.

In full a file has ids, labels and logits (float32) of both splits. The smaller one has logits in
half precision and no ids: these are in a file beside the records, which all records of the same
pictures share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.data.folders import short_hash
from lib.files import replacing

SPLITS = "val", "test"
STEP = 1 / 128  # between logits of a smaller file; exact up to 16
SHARED = "ids"  # the array of a smaller file that has the digest of its ids


@dataclass(frozen=True)
class Predictions:
    """Predictions of a split: ids (N,), labels int64 (N,), logits float32 (N, classes)."""

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray


def save(file: Path, predictions: Mapping[str, Predictions]) -> None:
    """Write the predictions of both splits, in full.

    Raises
    ------
    UserError   if the file cannot be written
    """
    arrays: dict[str, np.ndarray] = {}
    for split in SPLITS:
        arrays |= {f"{split}_{name}": array for name, array in vars(predictions[split]).items()}
    _write(file, arrays)


def save_smaller(file: Path, beside: Path, predictions: Mapping[str, Predictions]) -> None:
    """Write the predictions of both splits to a record's file, and their ids to a folder.

    Parameters
    ----------
    beside : Path   the folder in which the record's own folder is

    Raises
    ------
    UserError   if a file cannot be written
    """
    ids = {split: predictions[split].ids for split in SPLITS}
    digest = short_hash(*(array.tolist() for array in ids.values()))
    if not (shared := beside / _shared(digest)).exists():
        _write(shared, ids)
    arrays = {SHARED: np.array(digest)}
    for split in SPLITS:
        arrays[f"{split}_labels"] = predictions[split].labels
        arrays[f"{split}_logits"] = halved(predictions[split].logits)
    _write(file, arrays)


def read(file: Path, split: str) -> Predictions:
    """The predictions of val or test that a file of either kind has.

    Raises
    ------
    OSError, ValueError, KeyError, BadZipFile   if it is missing or damaged
    """
    with np.load(file) as arrays:
        labels, logits = arrays[f"{split}_labels"], arrays[f"{split}_logits"]
        if SHARED in arrays:
            with np.load(file.parent.parent / _shared(str(arrays[SHARED]))) as shared:
                ids = shared[split]
        else:
            ids = arrays[f"{split}_ids"]
    if not len(ids) == len(labels) == len(logits):
        raise ValueError(f"ids, labels and logits of {split} differ in number")
    return Predictions(ids, labels, logits.astype(np.float32, copy=False))


def halved(logits: NDArray[np.float32]) -> NDArray[np.float16]:
    """The logits (N, classes) in multiples of `STEP`, of which the same one is the largest.

    Half precision alone takes a third more space, in digits that no page shows.
    """
    found, best = (np.round(logits / STEP) * STEP).astype(np.float16), logits.argmax(1)
    (rows,) = np.nonzero(found.argmax(1) != best)  # where two have become equal
    largest = found[rows].max(1)
    found[rows, best[rows]] = np.maximum(largest + np.float16(STEP), np.nextafter(largest, np.inf))
    return found


def _shared(digest: str) -> str:
    return f"ids-{digest}.npz"


def _write(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with replacing(file) as opened:
        np.savez_compressed(opened, **arrays)  # type: ignore[arg-type]
