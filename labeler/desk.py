"""The open folder: its session, order, decoded pictures, pace and predictions."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from labeler.folder import Scan
from labeler.order import Order
from labeler.pace import Pace
from labeler.pictures import Picture, Prefetcher, Unreadable
from labeler.record.autosave import Autosave
from labeler.record.session import DEFAULT_CLASSES, Session

if TYPE_CHECKING:
    from labeler.suggestions import Prediction, Suggestions

RECENT = 9  # last labelled pictures, shown as thumbnails
RESORT = 2.0  # seconds between two sortings by confidence


class Desk:
    """One open folder.

    Parameters
    ----------
    folder : Path
    classes : names of the classes, see `Session`
    suggestions : a model's predictions, or None
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str] = (),
        suggestions: "Suggestions | None" = None,
    ) -> None:
        fallback = suggestions.classes if suggestions else DEFAULT_CLASSES
        self.title = folder.resolve().name
        self.suggestions = suggestions
        self.pace = Pace()
        self._last_sort = 0.0
        self._closing = ExitStack()  # releases what is open, the session last
        with self._closing:
            self.session = Session(folder, classes, fallback)
            self._closing.callback(self.session.close)
            self._autosave = Autosave(self.session)
            self._closing.callback(self._autosave.stop)
            self._autosave.start()
            self.order = Order(self.session)
            self.recent = list(self.session.labels)[: -RECENT - 1 : -1]
            if suggestions:
                self._closing.callback(suggestions.start(folder))
            self.prefetcher = Prefetcher(folder)
            self._closing.callback(self.prefetcher.close)
            self._scan = Scan(folder)
            self._closing.callback(self._scan.stop)
            self._closing = self._closing.pop_all()  # nothing failed: all stays open

    @property
    def scanning(self) -> bool:
        return not self._scan.finished

    @property
    def progress(self) -> float:
        """The share of pictures that are labelled or skipped."""
        total = len(self.session.names)
        return 1 - self.session.unlabelled_count / total if total else 0.0

    def poll(self) -> bool:
        """Add new pictures and predictions; return whether there were new pictures."""
        names = self._scan.new_names()
        if names:
            self.order.add(names)
            if self.suggestions:
                self.suggestions.request([n for n in names if self.session.is_unlabelled(n)])
        while self._scan.problems:
            self.session.messages.append(self._scan.problems.pop(0))
        if self.suggestions:
            self._use_predictions(self.suggestions)
        return bool(names)

    def _use_predictions(self, suggestions: "Suggestions") -> None:
        now = time.monotonic()
        if suggestions.has_new and now - self._last_sort > RESORT:
            self._last_sort = now
            suggestions.has_new = False
            unlabelled = filter(self.session.is_unlabelled, suggestions.least_confident())
            self.order.put_first(list(unlabelled))
        self.session.messages.extend(suggestions.drain_errors())

    def prediction(self, name: str) -> "Prediction | None":
        return self.suggestions.predictions.get(name) if self.suggestions else None

    def prefetch(self, box: tuple[int, int]) -> list[str]:
        """Decode the current picture and the next ones; return the names of the next ones."""
        upcoming = self.order.upcoming()
        current = [self.order.current] if self.order.current else []
        self.prefetcher.request([*current, *upcoming, *self.recent], box)
        return upcoming

    @property
    def picture(self) -> Picture | Unreadable | None:
        """The current picture, None while it is being decoded."""
        return self.prefetcher.get(self.order.current) if self.order.current else None

    def label(self, number: int) -> None:
        """Give the current picture the class of this number."""
        name = self.order.current or ""
        self.session.label(name, self.session.classes[number])
        self.pace.add(time.monotonic())
        self.recent = [name, *(other for other in self.recent if other != name)][:RECENT]

    def undo(self) -> str | None:
        """Undo the last change; return the name of its picture, see `Session.undo`."""
        name = self.session.undo()
        self._update_recent()
        return name

    def clear(self, name: str) -> None:
        """Remove a picture's label or skip."""
        self.session.clear(name)
        self._update_recent()

    def _update_recent(self) -> None:
        self.recent = [name for name in self.recent if name in self.session.labels]

    def picture_info(self) -> list[tuple[str, str]]:
        """Facts about the current picture, as rows of name and value."""
        name, session, picture = self.order.current or "", self.session, self.picture
        rows = [
            ("file", name),
            ("number", f"{session.pictures.get(name, -1) + 1:,} of {len(session.names):,}"),
        ]
        try:
            status = session.path(name).stat()
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime))
            rows += [("on disk", f"{status.st_size:,} bytes, modified {day}")]
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
        prediction = self.prediction(name)
        if prediction:
            rows += [
                (
                    "prediction",
                    f"{prediction.label}, confidence {100 * prediction.confidence:.0f} %",
                )
            ]
        unknown = len(session.labels) - session.labelled_count
        if unknown and not self.scanning:
            rows += [("labels.csv", f"labels of files that are not in the folder: {unknown:,}")]
        return rows

    def close(self) -> None:
        """Release the folder, see `Session.close`."""
        self._closing.close()
