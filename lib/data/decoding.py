"""Decode many picture files into one array, in parallel processes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib import progress
from lib.data import pictures
from lib.data.names import Locator
from lib.data.picture_files import UnreadablePicture

BATCH = 64  # pictures that a decoding process takes at a time


def decode_all(
    folder: Path, ids: Sequence[str], size: int, out: Path, *, skip: bool, bar: bool
) -> tuple[np.ndarray, dict[int, UnreadablePicture]]:
    """Decode pictures in parallel processes into the raw file `out`, uint8 (N, 3, size, size).

    Parameters
    ----------
    skip : bool   go on after a damaged picture, leaving it black
    bar : bool    show a progress bar, where `lib.progress.bar` can

    Returns
    -------
    digests : uint64 (N,)   the same for the same pixels
    damaged : dict          what is wrong with the damaged pictures, by their place

    Raises
    ------
    UnreadablePicture   at a damaged picture, unless `skip`
    """
    from joblib import Parallel, cpu_count, delayed  # here, for it outweighs all that a scan needs

    out.touch()
    batches = [
        delayed(_decode_batch)(folder, ids[first : first + BATCH], size, out, first, skip)
        for first in range(0, len(ids), BATCH)
    ]
    # Unlike multiprocessing's, joblib's processes don't run the caller's main module again. A
    # single batch is decoded in this process.
    work = Parallel(
        n_jobs=min(cpu_count(), len(batches)),
        return_as="generator_unordered",
        idle_worker_timeout=5,  # seconds, after which they also end if the caller was killed
    )
    digests = np.zeros(len(ids), np.uint64)
    damaged: dict[int, UnreadablePicture] = {}
    done = 0
    title = f"decoding {folder.name}"
    with progress.bar(title, len(ids), " pictures", wanted=bar) as bar_drawn:
        for first, batch, refused in work(batches):
            digests[first : first + len(batch)] = batch
            damaged |= refused
            done += len(batch)
            bar_drawn.update(len(batch))
            progress.report("decode", dataset=folder.name, done=done, total=len(ids))
    return digests, damaged


def _decode_batch(
    folder: Path, ids: Sequence[str], size: int, out: Path, first: int, skip: bool
) -> tuple[int, list[int], dict[int, UnreadablePicture]]:
    digests: list[int] = []
    damaged: dict[int, UnreadablePicture] = {}
    locator = Locator(folder)
    # Written, not memory-mapped: on a full disk a write fails with an error, a mapping kills.
    with out.open("r+b") as file:
        for place, name in enumerate(ids, first):
            try:
                pixels = pictures.decode(locator.path(name), size).transpose(2, 0, 1).tobytes()
            except UnreadablePicture as error:
                if not skip:
                    raise
                damaged[place] = error
                pixels = bytes(3 * size * size)
            file.seek(place * len(pixels))
            file.write(pixels)
            digests.append(pictures.digest(pixels))
    return first, digests, damaged
