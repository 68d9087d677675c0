"""The commands that keys, buttons and menus run.

A label applies only to the picture on the screen: a key pressed while the next picture is still
being decoded does nothing. The label is on the disk (`Session.label`) before the next picture is
shown.
"""

import tkinter as tk
from collections.abc import Callable
from pathlib import Path
from tkinter import filedialog
from typing import Protocol

from labeler.desk import Desk
from labeler.errors import LabelerError
from labeler.order import ALL, is_choice
from labeler.pictures import Unreadable
from labeler.window import class_panels, panels
from labeler.window.keys import class_key, help_rows, keyless
from labeler.window.layout import Layout, filter_title
from labeler.window.stage import Stage
from labeler.window.theme import class_colour, display_name


class Host(Protocol):
    """What the commands need of the window: see `labeler.window.window.Window`."""

    root: tk.Tk
    layout: Layout
    stage: Stage | None
    panel: panels.Panel | None

    def run(self, command: str, *arguments: object) -> None: ...
    def notify(self, text: str, warning: bool = False) -> None: ...
    def build(self, desk: Desk | None) -> None: ...
    def panel_closed(self) -> None: ...
    def switch_theme(self) -> None: ...
    def open_folder(self, folder: Path) -> None: ...
    def close(self) -> None: ...


class Commands:
    """The methods are the commands of `labeler.window.keys`; the window shows a `LabelerError`."""

    def __init__(self, window: Host) -> None:
        self._window = window

    @property
    def _stage(self) -> Stage:
        stage = self._window.stage
        assert stage is not None, "a command that needs a folder was run without one"
        return stage

    @property
    def _desk(self) -> Desk:
        return self._stage.desk

    # Labelling

    def label(self, number: int) -> None:
        """Give the picture on the screen the class of this number."""
        if not self._stage.displayed or number >= len(self._desk.session.classes):
            return
        if isinstance(self._desk.picture, Unreadable):
            raise LabelerError(
                "A picture that cannot be read gets no label. Press Space to skip it."
            )
        self._desk.label(number)
        self._advance(class_colour(number))
        self._window.layout.flash(number)

    def skip(self) -> None:
        """Skip the picture on the screen."""
        if self._stage.displayed:
            self._desk.session.skip(self._stage.displayed)
            self._advance(self._window.layout.style.palette.muted)

    def _advance(self, colour: str) -> None:
        self._desk.order.current = self._desk.order.after_mark()
        self._window.notify("")
        self._stage.show_current()
        self._window.layout.view.flash(colour)

    def clear(self) -> None:
        """Remove the label or skip of the picture on the screen, and stay there."""
        if self._stage.displayed:
            self._desk.clear(self._stage.displayed)
            self._window.notify("")
            self._stage.update()

    def undo(self) -> None:
        """Undo the last change, and go to its picture."""
        name = self._desk.undo()
        if name == "":
            self._classes_changed()
            self._window.notify("Undone: the classes are as before.")
            return
        self._window.notify("Nothing to undo." if name is None else "")
        if name in self._desk.session.pictures:
            self.go_to(name)
        else:
            self._stage.update()

    # Navigation

    def go_to(self, name: str) -> None:
        """Show this picture; clear the filter if it does not match."""
        if name not in self._desk.order:
            self._desk.order.choose(ALL)
        self._desk.order.current = name
        self._stage.show_current()

    def step(self, by: int) -> None:
        """Go to the next (1) or previous (-1) picture."""
        name = self._desk.order.step(by)
        if name:
            self.go_to(name)
        else:
            end = "last" if by > 0 else "first"
            self._window.notify(f"This is the {end} picture.")

    def next_unlabelled(self) -> None:
        name = self._desk.order.next_unlabelled()
        if name:
            self.go_to(name)
        else:
            self._window.notify("There is no other unlabelled picture.")

    def go_to_position(self, position: int) -> None:
        """Go to the first (0) or last (-1) picture of the view."""
        if self._desk.order.view:
            self.go_to(self._desk.order.view[position])

    def go_to_recent(self, number: int) -> None:
        """Go to the picture of this thumbnail."""
        if number < len(self._desk.recent):
            self.go_to(self._desk.recent[number])

    def choose(self, filter_name: str) -> None:
        """Filter the pictures, see `Order`."""
        self._desk.order.choose(filter_name)
        self._stage.show_current()

    # Zoom

    def zoom(self, steps: int) -> None:
        self._stage.zoom(steps)

    def fit(self) -> None:
        self._window.layout.view.fit()

    def pan(self, right: int, down: int) -> None:
        step = self._window.layout.style.px(80)
        self._window.layout.view.pan(right * step, down * step)

    # Panels and menus

    def open_keys(self) -> None:
        classes = self._desk.session.classes if self._window.stage else ()
        self._open(panels.Keys, help_rows(classes))

    def open_info(self) -> None:
        if self._desk.order.current:
            self._open(panels.Info, self._desk.picture_info())

    def open_jump(self) -> None:
        self._open(panels.Jump, self._jump)

    def open_classes(self) -> None:
        self._open(class_panels.Classes, self._desk.session.classes, self._set_classes)

    def open_list(self) -> None:
        """Label with a class from the list of all, whether or not it has a key."""
        session, current = self._desk.session, self._desk.order.current or ""
        prediction = self._desk.prediction(current)
        likely = session.labels.get(current) or (prediction.label if prediction else "")
        rows = []
        for number, name in enumerate(session.classes):
            shown, key = display_name(name), class_key(number)
            rows.append((shown, f"{shown}  ({session.counts[name]:,})", key))
        first = session.classes.index(likely) if likely in session.classes else 0

        def label(number: int) -> None:
            self._window.run("label", number)

        self._open(class_panels.ClassList, "Label as", rows, first, label)

    def open_filter_list(self) -> None:
        """Filter by one of all filters, those of classes without a key included."""
        filters = self._desk.order.filters()
        names = [name for name, _ in filters]
        rows = [(filter_title(n), f"{filter_title(n)}  ({count:,})", "") for n, count in filters]

        def choose(number: int) -> None:
            self._window.run("choose", names[number])

        self._open(
            class_panels.ClassList, "Show", rows, names.index(self._desk.order.filter), choose
        )

    def open_export(self) -> None:
        self._open(panels.Export, self._desk.session)

    def open_menu(self) -> None:
        self._window.layout.pop_up(self._window.layout.menu)

    def open_filter(self) -> None:
        self._window.layout.pop_up(self._window.layout.filter)

    def _open(self, kind: Callable[..., panels.Panel], *arguments: object) -> None:
        window = self._window
        window.panel = kind(window.root, window.layout.style, window.panel_closed, *arguments)

    def _jump(self, text: str) -> bool:
        name = self._desk.order.find(text)
        if name:
            self.go_to(name)
        return name is not None

    def _set_classes(self, names: list[str], merge: bool) -> None:
        self._desk.session.set_classes(names, merge)
        self._classes_changed()
        self._window.notify(keyless(self._desk.session.classes))

    def _classes_changed(self) -> None:
        if not is_choice(self._desk.order.filter, self._desk.session.classes):
            self._desk.order.choose(ALL)
        self._window.build(self._desk)

    # The window and its folder

    def switch_theme(self) -> None:
        self._window.switch_theme()

    def choose_folder(self) -> None:
        root = self._window.root
        folder = filedialog.askdirectory(parent=root, title="Open a folder of pictures")
        if folder:
            self._window.open_folder(Path(folder))

    def reload(self) -> None:
        """Read the folder again: there may be new pictures, or it may have become writable."""
        self._window.open_folder(self._desk.session.folder)

    def save_copy(self) -> None:
        path = filedialog.asksaveasfilename(
            parent=self._window.root, title="Save a copy of the labels", initialfile="labels.csv"
        )
        if path:
            self._desk.session.save_copy(Path(path))
            self._window.notify(f"Written: {path}")

    def close(self) -> None:
        self._window.close()
