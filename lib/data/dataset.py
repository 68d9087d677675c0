"""Load a dataset by its name or from a folder: three splits of uint8 tensors.

| source | pictures | default size | splits it brings | flip |
|---|---|---|---|---|
| `digits` | 1,797 handwritten digits that come with scikit-learn | 8 | none | no |
| `cifar10` | 60,000 photographs (Krizhevsky, 2009), downloaded | 32 | train, test | yes |
| a folder | what `lib.data.folders` finds in it | 32 | as found | yes |

`cifar10` uses a copy in `<root>`: the publisher's files, or `<root>/cifar10` as a folder of
pictures. Missing splits are made by `lib.data.splits`, of the size asked for. Pictures that take
time to decode are stored by `lib.data.cache` in `<root>/.cache`, a folder that may be deleted at
any time.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.data import decoding, folders, pictures, sources
from lib.data.cache import Choices, Contents, Decoded, cached, describe
from lib.data.folders import Listing, short_hash
from lib.data.picture_files import UnreadablePicture
from lib.data.pictures import LARGEST
from lib.errors import UserError


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures with one use."""

    images: Tensor  # uint8 (N, 3, H, W)
    labels: Tensor  # int64 (N,), places in the dataset's classes
    ids: tuple[str, ...]  # N stable names

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, pictures: int) -> Self:
        """The first so many, balanced over the classes as a split's order is; 0 takes all."""
        end = pictures or len(self)
        return type(self)(self.images[:end], self.labels[:end], self.ids[:end])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures in three splits, and what a training must know of them."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]  # red, green, blue in [0, 1] of the training pictures before any limit
    std: tuple[float, ...]
    flip: bool  # whether a mirrored picture keeps its label
    fingerprint: str  # of content, flip and training limit
    content: str = ""  # a fingerprint of pixels, labels, ids, classes and splits
    skipped: tuple[str, ...] = ()  # ids of damaged pictures that were left out
    left_out: tuple[str, ...] = ()  # what the folder holds beside pictures, a line for each reason
    available: int = 0  # number of training pictures before any limit

    @property
    def image_size(self) -> int:
        """Height and width of every picture in pixels."""
        return self.train.images.shape[-1]

    def drawn(self, pictures: int, seed: int) -> Self:
        """This dataset with so many of its training pictures, drawn class by class in turns.

        Runs on a draw are not those of the study's other pages: `is_that_of` tells them apart.

        Raises
        ------
        ValueError   if there are not so many, or fewer than classes are asked for
        """
        if not len(self.classes) <= pictures <= len(self.train):
            raise ValueError(f"{pictures} of {len(self.train)} pictures cannot be drawn")
        order = np.random.default_rng(seed).permutation(len(self.train))
        labels = pd.Series(self.train.labels.numpy()[order])
        turns = labels.groupby(labels).cumcount().to_numpy()
        chosen = order[np.argsort(turns, kind="stable")[:pictures]]
        places = torch.from_numpy(chosen)
        train = Split(
            self.train.images[places],
            self.train.labels[places],
            tuple(self.train.ids[place] for place in chosen),
        )
        name = short_hash(self.fingerprint, "draw", pictures, seed)
        return replace(self, train=train, fingerprint=name)

    def converted(self, convert: Callable[[Any], Any]) -> Self:
        """This dataset with its tensors as arrays, for another process, or as tensors again there.

        Parameters
        ----------
        convert : callable   of pictures and labels: `torch.Tensor.numpy` or `torch.from_numpy`
        """

        def split(part: Split) -> Split:
            return replace(part, images=convert(part.images), labels=convert(part.labels))

        return replace(self, train=split(self.train), val=split(self.val), test=split(self.test))

    def is_that_of(self, run: Mapping[str, Any]) -> bool:
        """Whether a run was made on these pictures, be it on the first few in training.

        Parameters
        ----------
        run : dict   what the run remembers of its dataset: `lib.training.runs.facts`
        """
        limited = fingerprint(self.content, self.flip, run["pictures"]["train"])
        return run["fingerprint"] in (self.fingerprint, limited)


def load(
    source: str | Path,
    image_size: int = 0,
    *,
    root: str | Path = "data",
    test_share: float = 0.2,
    val_share: float = 0.1,
    seed: int = 0,
    train_limit: int = 0,
    flip: bool | None = None,
    unreadable: Literal["stop", "skip"] = "stop",
    progress: bool = True,
) -> Dataset:
    """Load a dataset by its name, or from a folder of pictures.

    Parameters
    ----------
    source : `digits`, `cifar10` or the path of a folder
    image_size : int     height and width in pixels; 0 for the source's default
    root : path          where downloads and caches are kept
    test_share : float   share of the pictures that are for test; a source that brings a test split
                         keeps it, and the share has no effect
    val_share : float    share of all others that are for validation; without effect likewise where
                         the source brings a val split
    seed : int           of the draw of splits and of the order within them
    train_limit : int    number of training pictures, at least one per class; 0 takes all
    flip : bool          whether a mirrored picture keeps its label; None for the source's default
    unreadable : str     a damaged picture stops the load, or is left out and named in `skipped`
    progress : bool      show a bar while decoding, in a terminal or under a notebook's cell

    Raises
    ------
    UserError           if the source, its pictures or an argument can't make a dataset
    UnreadablePicture   if a picture is damaged and `unreadable` is `stop`
    """
    folder, root = sources.find(source, root), Path(root)
    if image_size == 0:
        image_size = 8 if source == "digits" else 32
    choices = Choices(image_size, test_share, val_share, seed)
    _check(choices, train_limit, unreadable)
    left_out: tuple[str, ...] = ()
    if folder is not None:
        name = "cifar10" if source == "cifar10" else folder.resolve().name
        listing = folders.scan(folder)
        left_out = listing.left_out
        images, contents = _from_folder(
            folder, listing, root, choices, skip=unreadable == "skip", progress=progress
        )
    else:
        name = str(source)
        images, contents = _digits(choices) if name == "digits" else _cifar10(root, choices)
    flip = flip if flip is not None else name != "digits"
    return replace(_dataset(name, images, contents, flip, train_limit), left_out=left_out)


def fingerprint(content: str, flip: bool, train_limit: int) -> str:
    """Of pictures by their content, whether they may be flipped, and the number that train."""
    return short_hash(content, flip, train_limit)


def _check(choices: Choices, train_limit: int, unreadable: str) -> None:
    size = choices.size
    if not isinstance(size, int) or not 1 <= size <= LARGEST:
        raise UserError(f"image_size is {size!r}; it must be 1 to {LARGEST} pixels")
    for name, share in (("test_share", choices.test_share), ("val_share", choices.val_share)):
        if not isinstance(share, float) or not 0 < share < 1:
            raise UserError(f"{name} is {share!r}; it must lie between 0 and 1")
    if unreadable not in ("stop", "skip"):
        raise UserError(f"unreadable is {unreadable!r}; it must be stop or skip")
    if not isinstance(train_limit, int) or train_limit < 0:
        raise UserError(
            f"train_limit is {train_limit!r}; it must be a number of pictures, or 0 for all"
        )


def _dataset(
    name: str, images: np.ndarray, contents: Contents, flip: bool, train_limit: int
) -> Dataset:
    pixels, labels = torch.from_numpy(images), torch.tensor(contents.labels)
    n_train, n_val, n_test = contents.lengths
    limit = min(train_limit or n_train, n_train)
    if limit < len(contents.classes):
        raise UserError(
            f"train_limit is {limit}, fewer than the {len(contents.classes)} classes; "
            "allow at least one picture of each"
        )

    def split(first: int, length: int) -> Split:
        part = slice(first, first + length)
        return Split(pixels[part], labels[part], tuple(contents.ids[part]))

    return Dataset(
        name=name,
        classes=tuple(contents.classes),
        train=split(0, limit),
        val=split(n_train, n_val),
        test=split(n_train + n_val, n_test),
        mean=tuple(contents.mean),
        std=tuple(contents.std),
        flip=flip,
        fingerprint=fingerprint(contents.fingerprint, flip, limit),
        content=contents.fingerprint,
        skipped=tuple(id for id, _ in contents.skipped),
        available=n_train,
    )


# ---- the three sources


def _digits(choices: Choices) -> tuple[np.ndarray, Contents]:
    from sklearn.datasets import load_digits  # here, for only this source needs it

    raw = load_digits()
    grey = np.round(raw.images * (255 / 16)).astype(np.uint8)
    if choices.size % 8 == 0:  # every pixel becomes a block, with no new shades
        grey = grey.repeat(choices.size // 8, axis=1).repeat(choices.size // 8, axis=2)
    listing = Listing(
        ids=[f"{number:04d}" for number in range(len(grey))],
        labels=raw.target,
        splits=np.full(len(grey), "train"),
        classes=[str(name) for name in raw.target_names],
    )
    rgb = [pictures.resize(np.stack([one] * 3, axis=-1), choices.size) for one in grey]
    pixels = np.ascontiguousarray(np.stack(rgb).transpose(0, 3, 1, 2))
    digests = np.array([pictures.digest(one.tobytes()) for one in pixels], np.uint64)
    order, lengths = choices.arrange(listing, digests)
    images = pixels[order]
    return images, describe([images], listing.take(order), lengths, skipped=[])


def _cifar10(root: Path, choices: Choices) -> tuple[np.ndarray, Contents]:
    def decode(out: Path) -> Decoded:
        listing, pixels = _download_cifar10(root)
        digests = []
        with out.open("wb") as file:
            for one in pixels:
                data = pictures.resize(one, choices.size).transpose(2, 0, 1).tobytes()
                digests.append(pictures.digest(data))
                file.write(data)
        return Decoded(listing, np.array(digests, np.uint64), damaged={})

    return cached(root / ".cache" / f"cifar10-{short_hash(choices)}", choices, decode)


def _download_cifar10(root: Path) -> tuple[Listing, np.ndarray]:
    """All pictures, uint8 (60000, 32, 32, 3), from an intact copy in `root` or the network."""
    from torchvision.datasets import CIFAR10  # here, for only this source needs it

    # The download's bar is for a terminal; a notebook would publish it.
    bar = nullcontext() if sys.stderr.isatty() else redirect_stderr(StringIO())
    try:
        with bar:
            train, test = CIFAR10(root, download=True), CIFAR10(root, train=False)
    except Exception as error:  # of the network, the archive or its checksum
        raise UserError(
            f"cannot download CIFAR-10 ({error}): put cifar-10-python.tar.gz from "
            f"https://www.cs.toronto.edu/~kriz/cifar.html into {root}, or its pictures into "
            f"{root / 'cifar10'} as train/<class>/... and test/<class>/..."
        ) from error
    splits = ["train"] * len(train) + ["test"] * len(test)
    listing = Listing(
        ids=[f"{split}/{number:05d}" for number, split in enumerate(splits)],
        labels=np.array([*train.targets, *test.targets]),
        splits=np.array(splits),
        classes=train.classes,
    )
    return listing, np.concatenate([train.data, test.data])


def _from_folder(
    folder: Path, listing: Listing, root: Path, choices: Choices, *, skip: bool, progress: bool
) -> tuple[np.ndarray, Contents]:
    def decode(out: Path) -> Decoded:
        # Splits that cannot be made are refused here, before the decoding and not after it.
        choices.arrange(listing, np.arange(len(listing.ids)))
        digests, damaged = decoding.decode_all(
            folder, listing.ids, choices.size, out, skip=skip, bar=progress
        )
        return Decoded(listing, digests, damaged)

    cache = root / ".cache" / f"{folder.resolve().name}-{short_hash(listing.key, choices)}"
    try:
        images, contents = cached(cache, choices, decode)
        if contents.skipped and not skip:
            id, reason = contents.skipped[0]
            raise UnreadablePicture(str(folder / id), reason)
    except UnreadablePicture as error:
        remedy = "mend or remove it, or set unreadable to skip"
        raise UnreadablePicture(error.name, f"{error.reason}; {remedy}") from error
    return images, contents


def class_counts(dataset: Dataset) -> pd.DataFrame:
    """How many pictures of each class each split holds: split, class, count."""
    splits = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    return pd.DataFrame(
        {"split": split, "class": name, "count": count}
        for split, part in splits.items()
        for name, count in zip(
            dataset.classes,
            part.labels.bincount(minlength=len(dataset.classes)).tolist(),
            strict=True,
        )
    )
