"""Divide labelled pictures into train, val and test splits.

    python -m labeler.splits FOLDER --ratios 0.7 0.15 0.15 --seed 0 [--by-folder | --by-name ...]

writes `splits.csv` (filename,split) beside `labels.csv`. Each class is divided in the given ratios,
as nearly as whole groups allow. Pictures that belong together go to the same split: exact copies
(files with the same bytes) always, on request also the pictures of a sub-folder or those whose
names share a part, such as the frames of one video. Otherwise a model would be tested on pictures
that it was trained on.
"""

import argparse
import hashlib
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labeler.errors import LabelerError, reason
from labeler.folder import natural_key
from labeler.record.session import Session
from labeler.record.table import write_table
from lib.data.names import Locator
from lib.data.tables import Table

SPLITS = ("train", "val", "test")
FILE = "splits.csv"
DEFAULT_RATIOS = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class Division:
    """The split of each labelled picture, and counts."""

    splits: dict[str, str]  # {filename: split}
    counts: dict[str, Counter[str]]  # {class: {split: pictures}}
    copies: int  # pictures that are exact copies of another one
    conflicting: int  # pictures whose copies have different labels
    missing: int  # labelled files that do not exist; they get no split


def check_ratios(ratios: Sequence[float]) -> tuple[float, ...]:
    """Check the ratios of train, val and test.

    Raises
    ------
    LabelerError   unless there are three, none negative, some for train, and they sum to 1
    """
    if len(ratios) != len(SPLITS) or min(ratios) < 0 or ratios[0] == 0:
        raise LabelerError(
            f"Ratios {_numbers(ratios)}: give three, for train, val and test, with train above 0."
        )
    if not abs(sum(ratios) - 1) < 1e-6:  # so that nan fails too
        raise LabelerError(f"Ratios {_numbers(ratios)} sum to {sum(ratios):g}: they must sum to 1.")
    return tuple(ratios)


def by_folder(name: str) -> str:
    """Group key: the sub-folder of a picture; a picture at the top level is its own group."""
    return name.rpartition("/")[0] or name


def by_name(pattern: str) -> Callable[[str], str]:
    r"""Group key: the part of a picture's name that matches a pattern.

    The part is the pattern's first group, or else the whole match; `^(.+)_\d+` makes one group of
    `walk_001.png` and `walk_002.png`. A name without a match is its own group.

    Raises
    ------
    LabelerError   if the pattern is no regular expression
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise LabelerError(f"{pattern!r} is not a regular expression: {error}.") from error
    group = min(1, compiled.groups)

    def key(name: str) -> str:
        match = compiled.search(name)
        return f"\0{match[group]}" if match and match[group] else name

    return key


def divide(
    labels: Mapping[str, str],
    ratios: Sequence[float] = DEFAULT_RATIOS,
    seed: int = 0,
    together: Iterable[Sequence[str]] = (),
) -> dict[str, str]:
    """Assign a split to every picture.

    The groups are shuffled by the seed and sorted by size, the largest first. Each goes to the
    split that lacks most pictures of the group's classes. With groups of one picture, every class
    in every split is within one picture of its share.

    Parameters
    ----------
    labels : {filename: class}
    ratios : shares of train, val and test
    seed : int         the same labels and seed give the same splits
    together : lists of filenames that must be in the same split; overlapping lists are merged
    """
    ratios = check_ratios(ratios)
    groups = _merge(_in_order(labels), together)
    random.Random(seed).shuffle(groups)
    groups.sort(key=len, reverse=True)
    sizes = Counter(labels.values())
    wanted = {label: [size * ratio for ratio in ratios] for label, size in sizes.items()}
    splits: dict[str, str] = {}
    for group in groups:
        classes = Counter(labels[name] for name in group)
        missing = [
            sum(wanted[label][place] * count for label, count in classes.items())
            for place in range(len(SPLITS))
        ]
        place = max((p for p in range(len(SPLITS)) if ratios[p] > 0), key=missing.__getitem__)
        for label, count in classes.items():
            wanted[label][place] -= count
        splits |= dict.fromkeys(group, SPLITS[place])
    return {name: splits[name] for name in _in_order(splits)}


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (natural_key(name), name))


def _merge(names: list[str], together: Iterable[Sequence[str]]) -> list[list[str]]:
    """Groups of names: the connected components of the lists that must stay together."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for group in together:
        for name in group[1:]:
            parent[root(name)] = root(group[0])
    members = defaultdict(list)
    for name in names:
        members[root(name)].append(name)
    return list(members.values())


def find_copies(
    folder: Path, names: Iterable[str], progress: Callable[[int], object] = lambda count: None
) -> list[list[str]]:
    """Groups of files with the same bytes. Only files of equal size are read.

    Raises
    ------
    LabelerError   if a file cannot be read
    """
    locator = Locator(folder)
    sizes: dict[int, list[str]] = defaultdict(list)
    contents: dict[str, list[str]] = defaultdict(list)
    try:
        for name in names:
            sizes[locator.path(name).stat().st_size].append(name)
        same_size = [n for group in sizes.values() if len(group) > 1 for n in group]
        for count, name in enumerate(same_size, start=1):
            with locator.path(name).open("rb") as file:
                contents[hashlib.file_digest(file, "sha256").hexdigest()].append(name)
            progress(count)
    except OSError as error:
        raise LabelerError(f"{error.filename} cannot be read: {reason(error)}.") from error
    return [group for group in contents.values() if len(group) > 1]


def export(
    folder: Path,
    labels: Mapping[str, str],
    ratios: Sequence[float] = DEFAULT_RATIOS,
    seed: int = 0,
    group: Callable[[str], str] | None = None,
    progress: Callable[[int], object] = lambda count: None,
) -> Division:
    """Divide the labelled pictures of a folder and write its `splits.csv`.

    Parameters
    ----------
    group : group key of a name, see `by_folder` and `by_name`; None: only copies stay together
    progress : called with the number of files read so far

    Raises
    ------
    LabelerError   if the ratios make no sense, nothing is labelled, or a file cannot be read
    NotSaved       if `splits.csv` cannot be written
    """
    check_ratios(ratios)
    locator = Locator(folder)
    present = {name: label for name, label in labels.items() if locator.path(name).is_file()}
    if not present:
        raise LabelerError(f"{folder}: no picture is labelled yet, so there is nothing to divide.")
    copies = find_copies(folder, present, progress)
    grouped: dict[str, list[str]] = defaultdict(list)
    if group:
        for name in present:
            grouped[group(name)].append(name)
    splits = divide(present, ratios, seed, [*copies, *grouped.values()])
    write_table(folder / FILE, Table(splits), "split")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, split in splits.items():
        counts[present[name]][split] += 1
    return Division(
        splits=splits,
        counts={label: counts[label] for label in sorted(counts, key=natural_key)},
        copies=sum(len(alike) - 1 for alike in copies),
        conflicting=sum(len(alike) for alike in copies if len({present[n] for n in alike}) > 1),
        missing=len(labels) - len(present),
    )


def rows(division: Division) -> list[tuple[str, ...]]:
    """Counts per class and split, with a header and a last row of totals."""
    table: list[tuple[str, ...]] = [("class", *SPLITS, "all")]
    total: Counter[str] = Counter()
    for label, counts in division.counts.items():
        total += counts
        table.append((label, *(f"{counts[split]:,}" for split in SPLITS), f"{counts.total():,}"))
    table.append(("all", *(f"{total[split]:,}" for split in SPLITS), f"{total.total():,}"))
    return table


def remarks(division: Division, ratios: Sequence[float]) -> list[str]:
    """What to know about the splits before training on them, one line each."""
    lines = []
    if division.copies:
        lines.append(f"Exact copies: {division.copies:,}, each in the split of its original.")
    if division.conflicting:
        lines.append(f"Copies with different labels: {division.conflicting:,}. Check these labels.")
    if division.missing:
        lines.append(f"Labelled files that do not exist and get no split: {division.missing:,}.")
    for split, ratio in zip(SPLITS, ratios, strict=True):
        without = [label for label, counts in division.counts.items() if not counts[split]]
        if ratio and without:
            lines.append(
                f"No picture in {split}: {', '.join(without)}. Label more, or use smaller groups."
            )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m labeler.splits",
        description="Divide the labelled pictures of a folder into train, val and test,"
        " and write splits.csv beside labels.csv.",
    )
    parser.add_argument("folder", type=Path, help="folder of labelled pictures")
    parser.add_argument(
        "--ratios",
        type=float,
        nargs=3,
        default=DEFAULT_RATIOS,
        metavar=("TRAIN", "VAL", "TEST"),
        help="shares of the three splits, which sum to 1"
        f" (default: {' '.join(map(str, DEFAULT_RATIOS))})",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed, a whole number (default: %(default)s)"
    )
    grouping = parser.add_mutually_exclusive_group()
    grouping.add_argument(
        "--by-folder",
        action="store_true",
        help="keep the pictures of a sub-folder together (default: only exact copies)",
    )
    grouping.add_argument(
        "--by-name",
        metavar="PATTERN",
        help="keep pictures together whose names share the part that this regular expression"
        r" matches, such as '^(.+)_\d+' (default: only exact copies)",
    )
    options = parser.parse_args(arguments)
    try:
        group = by_name(options.by_name) if options.by_name else None
        group = by_folder if options.by_folder else group
        session = Session(options.folder)
        try:
            division = export(session.folder, session.labels, options.ratios, options.seed, group)
        finally:
            session.close()
    except LabelerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = rows(division)
    width = max(len(row[0]) for row in table)
    for row in table:
        print(row[0].ljust(width), *(cell.rjust(8) for cell in row[1:]))
    for remark in remarks(division, options.ratios):
        print(remark)
    print(f"Written: {options.folder / FILE}")
    return 0


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
