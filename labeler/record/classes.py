"""The classes of a folder: which names they may have, and what a list of new names means.

Any number of classes may be used, from two on; how many have a key is the window's matter.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from labeler.errors import LabelerError
from lib.data.names import normal


class Merging(LabelerError):
    """Classes would become one, which has not been confirmed."""


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Class names without surrounding spaces, in one Unicode form.

    Raises
    ------
    LabelerError   if there are fewer than 2, one is empty or no valid text, or two are equal
    """
    names = tuple(normal(name.strip()) for name in classes)
    if len(names) < 2:
        raise LabelerError(f"Number of class names: {len(names)}. Give at least 2.")
    for name in names:
        if not name:
            raise LabelerError("A class name is empty: give each class a name.")
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise LabelerError(f"Class name {name!a} is not valid text: correct it.") from error
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise LabelerError(f"Two classes are called {duplicate}: give them different names.")
    return names


def rename(old: Sequence[str], new: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The classes after a renaming, and the new name of each old one.

    Parameters
    ----------
    old : names   the classes
    new : names   their new names, in this order, then further classes. Fewer names drop the last
                  classes. Old classes of the same new name become one, in the place of the one that
                  had this name, else of the first.

    Raises
    ------
    LabelerError   if the names are invalid, see `check_classes`; two equal names are so too if one
                   is that of a further class, or if a single class would be left
    """
    names = [name.strip() for name in new]
    renamed = dict(zip(old, names, strict=False))
    renamed |= {name: name for name in old[len(names) :] if name in names}
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name not in places or old[place : place + 1] == (name,):
            places[name] = place
    kept = [names[place] for place in sorted(places.values())]
    further = Counter(names[len(old) :])
    mistaken = len(kept) < 2 or any(names.count(name) > 1 for name in further)
    return check_classes(names if mistaken else kept), renamed


def question(renamed: Mapping[str, str], sizes: Mapping[str, int]) -> str:
    """What is to be confirmed before classes become one; empty if none do.

    Parameters
    ----------
    renamed : {old name: new name}
    sizes : {old name: number of labels}
    """
    lines = []
    for name in (name for name, count in Counter(renamed.values()).items() if count > 1):
        parts = [
            f"{sizes[old]:,} {'label' if sizes[old] == 1 else 'labels'} of {old}"
            for old, new in renamed.items()
            if new == name != old
        ]
        found = f"Class {name} exists" if renamed.get(name) == name else "Classes get the same name"
        lines.append(f"{found}: {' and '.join(parts)} will become {name}.")
    return " ".join(lines)
