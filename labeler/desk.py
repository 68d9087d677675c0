"""All that belongs to the folder on the desk: session, order, pictures ahead, pace, hints."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labeler.folder import Scan
from labeler.order import Order
from labeler.pace import Pace
from labeler.pictures import LookAhead, Picture, Unreadable
from labeler.record.autosave import Autosave
from labeler.record.session import DEFAULT_CLASSES, Session

if TYPE_CHECKING:
    from labeler.suggestions import Hint, Suggestions

RECENT = 9  # labelled pictures kept at hand as thumbnails
RESORT = 2.0  # seconds between two sortings by doubt


class Desk:
    """One open folder.

    Parameters
    ----------
    folder : Path
    classes : names of the classes, see `Session`
    suggestions : hints from a model, or None
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str] = (),
        suggestions: "Suggestions | None" = None,
    ) -> None:
        fallback = suggestions.classes if suggestions else DEFAULT_CLASSES
        self.session = Session(folder, classes, fallback)
        self._autosave = Autosave(self.session)
        self.title = folder.resolve().name
        self.order = Order(self.session)
        self.ahead = LookAhead(folder)
        self.pace = Pace()
        self.recent = list(self.session.labels)[: -RECENT - 1 : -1]
        self.suggestions = suggestions
        self._scan = Scan(folder)
        self._sorted = 0.0
        self._stop_suggestions = suggestions.start(folder) if suggestions else lambda: None

    @property
    def scanning(self) -> bool:
        return not self._scan.finished

    @property
    def done_share(self) -> float:
        """Labelled or skipped, of all."""
        total = len(self.session.names)
        return 1 - self.session.unlabelled_count / total if total else 0.0

    def take_found(self) -> bool:
        """Take in what the scan and the model have found; whether there was anything new."""
        names = self._scan.take()
        if names:
            self.order.add(names)
            if self.suggestions:
                self.suggestions.ask([n for n in names if self.session.is_unlabelled(n)])
        while self._scan.complaints:
            self.session.messages.append(self._scan.complaints.pop(0))
        if self.suggestions:
            self._take_hints(self.suggestions)
        return bool(names)

    def _take_hints(self, suggestions: "Suggestions") -> None:
        now = time.monotonic()
        if suggestions.fresh and now - self._sorted > RESORT:
            self._sorted = now
            suggestions.fresh = False
            unlabelled = filter(self.session.is_unlabelled, suggestions.most_doubtful())
            self.order.put_first(list(unlabelled))
        self.session.messages.extend(suggestions.take_complaints())

    def hint(self, name: str) -> "Hint | None":
        return self.suggestions.hints.get(name) if self.suggestions else None

    def look_ahead(self, box: tuple[int, int]) -> list[str]:
        """Have the current picture and the next ones decoded; the names of those to come."""
        upcoming = self.order.upcoming()
        current = [self.order.current] if self.order.current else []
        self.ahead.want([*current, *upcoming, *self.recent], box)
        return upcoming

    @property
    def picture(self) -> Picture | Unreadable | None:
        """The current picture, None while it is being read."""
        return self.ahead.get(self.order.current) if self.order.current else None

    def label(self, number: int) -> None:
        """Give the current picture the class of this number."""
        name = self.order.current or ""
        self.session.label(name, self.session.classes[number])
        self.pace.add(time.monotonic())
        self.recent = [name, *(other for other in self.recent if other != name)][:RECENT]

    def undo(self) -> str | None:
        """Take back the last change; the picture that it was about."""
        name = self.session.undo()
        self._forget_unlabelled()
        return name

    def clear(self, name: str) -> None:
        """Take back a picture's label or skip."""
        self.session.clear(name)
        self._forget_unlabelled()

    def _forget_unlabelled(self) -> None:
        self.recent = [name for name in self.recent if name in self.session.labels]

    def facts(self) -> list[tuple[str, str]]:
        """What is known about the current picture, for reading."""
        name, session, picture = self.order.current or "", self.session, self.picture
        rows = [
            ("file", name),
            ("number", f"{session.pictures.get(name, -1) + 1:,} of {len(session.names):,}"),
        ]
        try:
            status = (session.folder / name).stat()
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime))
            rows += [("on disk", f"{status.st_size:,} bytes, changed {day}")]
        except OSError:
            rows += [("on disk", "no longer there")]
        if isinstance(picture, Picture):
            width, height = picture.size
            rows += [("size", f"{width:,} × {height:,} pixels")]
            rows += [("format", f"{picture.format}, {picture.mode}")]
        elif picture:
            rows += [("cannot be read", picture.reason)]
        label = session.labels.get(name)
        rows += [("label", label or ("skipped" if name in session.skipped else "none yet"))]
        hint = self.hint(name)
        if hint:
            rows += [("suggestion", f"{hint.label}, {hint.confidence:.0%}")]
        unknown = len(session.labels) - session.labelled_count
        if unknown and not self.scanning:
            rows += [
                ("labels.csv", f"also names {unknown:,} files that are not here; they are kept")
            ]
        return rows

    def close(self) -> None:
        """Give the folder back, see `Session.close`."""
        self._scan.stop()
        self.ahead.close()
        self._stop_suggestions()
        self._autosave.stop()
        self.session.close()
