"""Which picture comes next?

A view is the list of pictures that one steps through: all of them, or those that a filter lets pass
at the moment when it is chosen. Labelling takes no picture out of the view under one's hands.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice

from labeler.record.session import Session

ALL, UNLABELLED, SKIPPED = "all", "unlabelled", "skipped"
CLASS = "class:"
LOOK_AHEAD = 8  # pictures whose turn is settled: they are already being decoded


def is_choice(filter_name: str, classes: Collection[str]) -> bool:
    """Whether there is such a filter where these are the classes."""
    return filter_name in (ALL, UNLABELLED, SKIPPED, *(CLASS + name for name in classes))


class Order:
    """A place in the pictures of a session.

    Attributes
    ----------
    filter : str    ALL, UNLABELLED, SKIPPED, or CLASS followed by the name of a class
    view : list     the names one steps through
    current : str   the picture in front of the person, or None
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.filter = ALL
        self.view: list[str] = session.names
        self.current: str | None = None
        self._places: Mapping[str, int] = session.pictures

    def filters(self) -> list[tuple[str, int]]:
        """The filters, each with the number of pictures that it lets pass now."""
        session = self.session
        return [
            (ALL, len(session.names)),
            (UNLABELLED, session.unlabelled_count),
            (SKIPPED, session.skipped_count),
            *((CLASS + name, session.counts[name]) for name in session.classes),
        ]

    def add(self, names: list[str]) -> None:
        """Take in pictures found later; they come last."""
        self.session.add_pictures(names)
        if self.view is not self.session.names:
            self._set_view([*self.view, *(name for name in names if self._passes(name))])

    def choose(self, filter_name: str) -> None:
        """Show only what the filter lets pass; stay at the current picture if it does."""
        self.filter = filter_name
        if filter_name == ALL:
            self.view, self._places = self.session.names, self.session.pictures
        else:
            self._set_view([name for name in self.session.names if self._passes(name)])
        if self.current not in self._places:
            self.current = self.next_unlabelled() or next(iter(self.view), None)

    def _passes(self, name: str) -> bool:
        if self.filter == ALL:
            return True
        if self.filter == UNLABELLED:
            return self.session.is_unlabelled(name)
        if self.filter == SKIPPED:
            return name in self.session.skipped
        return self.session.labels.get(name) == self.filter.removeprefix(CLASS)

    def _set_view(self, view: list[str]) -> None:
        self.view = view
        self._places = {name: place for place, name in enumerate(view)}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    @property
    def place(self) -> int:
        """The current picture's place in the view, -1 without one."""
        return self._places.get(self.current or "", -1)

    def after_mark(self) -> str | None:
        """Where a label or skip leads.

        To the next unlabelled picture; among those of a class, or the skipped, to the next one.
        """
        if self.filter in (ALL, UNLABELLED):
            return self.next_unlabelled()
        return self.step(1)

    def step(self, by: int) -> str | None:
        """The picture so many places on (or back), None beyond the ends."""
        place = len(self.view) - 1 if self.current is None and by < 0 else self.place + by
        return self.view[place] if 0 <= place < len(self.view) else None

    def next_unlabelled(self) -> str | None:
        """The first unlabelled picture after the current one, then from the start."""
        return next((name for name in self._from_here() if self.session.is_unlabelled(name)), None)

    def upcoming(self, count: int = LOOK_AHEAD) -> list[str]:
        """The pictures that will most likely be seen next, the likeliest first."""
        marking = self.filter in (ALL, UNLABELLED)
        near = islice(self._from_here(), 50 * count)
        likely = list(
            islice((n for n in near if not marking or self.session.is_unlabelled(n)), count)
        )
        beside = [name for name in (self.step(1), self.step(-1)) if name]
        return list(dict.fromkeys([*likely[:2], *beside, *likely[2:]]))

    def find(self, text: str) -> str | None:
        """The picture with this number in the view, or else the next whose name holds the text."""
        if text.isdecimal() and 1 <= int(text) <= len(self.view):
            return self.view[int(text) - 1]
        wanted = text.casefold()
        return next((name for name in self._from_here() if wanted in name.casefold()), None)

    def put_first(self, names: Iterable[str]) -> None:
        """Move these pictures to the front of what comes after the settled ones."""
        settled = self.view[: self.place + 1 + LOOK_AHEAD]
        done = set(settled)
        moved = [name for name in names if name in self._places and name not in done]
        done.update(moved)
        self._set_view([*settled, *moved, *(name for name in self.view if name not in done)])

    def _from_here(self) -> Iterator[str]:
        """The other pictures of the view: those after the current one, then those before it."""
        start, end = self.place + 1, len(self.view)
        places = chain(range(start, end), range(start - 1))
        return (self.view[place] for place in places)
