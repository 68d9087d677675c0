"""Which study a command is about, and what a new one is called.

A study is found again by what named it: the profile, the dataset of `-p dataset`, or the name of
`--study`. A folder is the same one however its path is spelled, and one whose content is that of a
study's pictures is that study's folder, moved.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from analysis import settings
from lib.data.sources import NAMES, content_key, find
from lib.errors import UserError, nearest
from lib.study.study import STUDIES, Facts, NamedBy, Study, found, latest

FIRST = "demo"  # the profile of the first study, and of a known dataset
OWN = "pictures"  # the profile of a folder's study
LONGEST = 60  # characters of a study's name


def chosen(
    root: Path, name: str | None, profile: str | None, changes: Mapping[str, Any]
) -> tuple[Study, Facts]:
    """The study that a command asks for, and its facts; one that is new is not stored yet.

    Without a name, a profile or a dataset it is the study that was asked for last.

    Parameters
    ----------
    name, profile   what `--study` and `--profile` gave
    changes : dict  what `-p` gave

    Raises
    ------
    UserError   for a name that no study has, where nothing says what a new one is about, and for a
                dataset that cannot be found
    """
    studies = found(root)
    dataset = changes.get("dataset")
    named_by: NamedBy
    if name is not None:
        named_by, source = "name", _checked(name)
        known = [study.name for study in studies]
        if profile is None and dataset is None and name not in known:
            there = nearest(name, known) if known else "; there are none yet"
            raise UserError(
                f"--study: no study {name!r}{there}; for a new one add --profile or -p dataset"
            )
    elif dataset is not None:
        named_by, source = "dataset", _source(dataset)
    elif profile is not None or not studies:
        named_by, source = "profile", _profile(profile or FIRST)
    else:
        known_one = latest(studies)
        return known_one, known_one.facts
    if study := _find(studies, named_by, source):
        moved = named_by == study.facts.named_by == "dataset"
        return study, replace(study.facts, source=source) if moved else study.facts
    called = _free_name(studies, named_by, source)
    address = _free_address(called, {study.address for study in studies})
    usual = FIRST if dataset is None or dataset in NAMES else OWN
    facts = Facts(called, named_by, source, profile or usual, {})
    return Study(root / STUDIES / address), facts


def spelling(facts: Facts, dataset: str) -> str:
    """The dataset as the study names it, if that is the same folder."""
    own = facts.parameters.get("dataset", dataset)
    try:
        return own if _source(own) == _source(dataset) else dataset
    except UserError:  # its folder has been moved
        return dataset


def found_without_name(facts: Facts, profile: str, overrides: Mapping[str, Any]) -> bool:
    """Whether a command with this profile and these parameters alone is about the study."""
    if "dataset" in overrides:
        return facts.named_by == "dataset"
    return facts.named_by == "profile" and facts.source == _profile(profile)


def _find(studies: list[Study], named_by: str, source: str) -> Study | None:
    """The study that this named, or whose folder this is, moved."""
    if named_by == "name":
        return next((study for study in studies if study.name == source), None)
    alike = [study for study in studies if study.facts.named_by == named_by]
    same = next((study for study in alike if study.facts.source == source), None)
    if same is None and named_by == "dataset":
        content = content_key(source)
        same = next((study for study in alike if study.facts.content == content), None)
    return same


def _checked(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > LONGEST:
        raise UserError(
            f"--study: {name!a} should be a name of at most {LONGEST} printable characters"
        )
    return name


def _source(dataset: str) -> str:
    """A dataset's name as it is, a folder as its path without links."""
    folder = find(dataset)
    return dataset if folder is None or dataset == "cifar10" else str(folder.resolve())


def _profile(name: str) -> str:
    """The name of one of the study's own profiles, or the path of a file without links."""
    return name if (settings.PROFILES / f"{name}.yaml").exists() else str(Path(name).resolve())


def _free_name(studies: list[Study], named_by: str, source: str) -> str:
    """A name for a new study that no other one has."""
    taken = {study.name for study in studies}
    return next(name for name in _names(named_by, source) if name not in taken)


def _names(named_by: str, source: str) -> Iterator[str]:
    path = Path(source)
    name = source if named_by == "name" else path.stem if named_by == "profile" else path.name
    name = "".join(c if c.isprintable() else " " for c in name).strip()[:LONGEST] or named_by
    yield name
    if path.parent.name:
        yield f"{path.parent.name}-{name}"
    yield from (f"{name} {number}" for number in count(2))


def _free_address(name: str, taken: set[str]) -> str:
    """The name as a part of an address: small letters, digits and hyphens of ASCII."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    address = re.sub(r"[^a-z0-9]+", "-", letters).strip("-") or "study"
    numbered = (f"{address}-{number}" for number in count(2))
    return address if address not in taken else next(a for a in numbered if a not in taken)
