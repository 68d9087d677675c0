"""The order of labelling: filters, the next unlabelled picture, search.

A view is the list of pictures that the keys step through: all of them, or those that match a filter
at the moment when it is selected. Labelling a picture does not remove it from the view.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice

from labeler.record.session import Session

ALL, UNLABELLED, SKIPPED = "all", "unlabelled", "skipped"
CLASS = "class:"
PREFETCH = 8  # next pictures that are decoded already: their order no longer changes


def is_choice(filter_name: str, classes: Collection[str]) -> bool:
    """Whether there is such a filter where these are the classes."""
    return filter_name in (ALL, UNLABELLED, SKIPPED, *(CLASS + name for name in classes))


class Order:
    """A position in the pictures of a session.

    Attributes
    ----------
    filter : str    ALL, UNLABELLED, SKIPPED, or CLASS followed by the name of a class
    view : list     the names that the keys step through
    current : str   the current picture, or None
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.filter = ALL
        self.view: list[str] = session.names
        self.current: str | None = None
        self._positions: Mapping[str, int] = session.pictures

    def filters(self) -> list[tuple[str, int]]:
        """The filters, each with the number of pictures that match it now."""
        session = self.session
        return [
            (ALL, len(session.names)),
            (UNLABELLED, session.unlabelled_count),
            (SKIPPED, session.skipped_count),
            *((CLASS + name, session.counts[name]) for name in session.classes),
        ]

    def add(self, names: list[str]) -> None:
        """Add pictures at the end."""
        self.session.add_pictures(names)
        if self.view is not self.session.names:
            self._set_view([*self.view, *(name for name in names if self._matches(name))])

    def choose(self, filter_name: str) -> None:
        """Show only what matches the filter; keep the current picture if it matches."""
        self.filter = filter_name
        if filter_name == ALL:
            self.view, self._positions = self.session.names, self.session.pictures
        else:
            self._set_view([name for name in self.session.names if self._matches(name)])
        if self.current not in self._positions:
            self.current = self.next_unlabelled() or next(iter(self.view), None)

    def _matches(self, name: str) -> bool:
        if self.filter == ALL:
            return True
        if self.filter == UNLABELLED:
            return self.session.is_unlabelled(name)
        if self.filter == SKIPPED:
            return name in self.session.skipped
        return self.session.labels.get(name) == self.filter.removeprefix(CLASS)

    def _set_view(self, view: list[str]) -> None:
        self.view = view
        self._positions = {name: position for position, name in enumerate(view)}

    def __contains__(self, name: str) -> bool:
        return name in self._positions

    @property
    def position(self) -> int:
        """The current picture's position in the view, -1 without one."""
        return self._positions.get(self.current or "", -1)

    def after_mark(self) -> str | None:
        """The picture to show after a label or skip.

        The next unlabelled one; where a class or the skipped pictures are filtered, the next one.
        """
        if self.filter in (ALL, UNLABELLED):
            return self.next_unlabelled()
        return self.step(1)

    def step(self, by: int) -> str | None:
        """The picture `by` positions ahead (or back, if negative), None beyond the ends."""
        at_end = self.current is None and by < 0
        position = len(self.view) - 1 if at_end else self.position + by
        return self.view[position] if 0 <= position < len(self.view) else None

    def next_unlabelled(self) -> str | None:
        """The first unlabelled picture after the current one, then from the start."""
        return next((name for name in self._from_here() if self.session.is_unlabelled(name)), None)

    def upcoming(self, count: int = PREFETCH) -> list[str]:
        """The pictures that will most likely be shown next, the likeliest first."""
        marking = self.filter in (ALL, UNLABELLED)
        near = islice(self._from_here(), 50 * count)
        likely = list(
            islice((n for n in near if not marking or self.session.is_unlabelled(n)), count)
        )
        beside = [name for name in (self.step(1), self.step(-1)) if name]
        return list(dict.fromkeys([*likely[:2], *beside, *likely[2:]]))

    def find(self, text: str) -> str | None:
        """The picture with this number in the view, else the next whose name contains the text."""
        if text.isdecimal() and 1 <= int(text) <= len(self.view):
            return self.view[int(text) - 1]
        part = text.casefold()
        return next((name for name in self._from_here() if part in name.casefold()), None)

    def put_first(self, names: Iterable[str]) -> None:
        """Move these pictures directly behind those that are decoded already."""
        fixed = self.view[: self.position + 1 + PREFETCH]
        done = set(fixed)
        moved = [name for name in names if name in self._positions and name not in done]
        done.update(moved)
        self._set_view([*fixed, *moved, *(name for name in self.view if name not in done)])

    def _from_here(self) -> Iterator[str]:
        """The other pictures of the view: those after the current one, then those before it."""
        start, end = self.position + 1, len(self.view)
        positions = chain(range(start, end), range(start - 1))
        return (self.view[position] for position in positions)
