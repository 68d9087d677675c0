"""The labeler's window: connects stage, commands, keys and events in the background."""

import sys
import time
import tkinter as tk
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from labeler.desk import RECENT, Desk
from labeler.errors import LabelerError, NotSaved
from labeler.window.commands import Commands
from labeler.window.keyboard import CONTROL, Keyboard
from labeler.window.keys import (
    BINDINGS,
    CLASS_KEYS,
    Binding,
    HeldKeys,
    binding_of,
    is_plain,
    keyless,
    needs_folder,
    variants,
)
from labeler.window.layout import Layout
from labeler.window.panels import Panel
from labeler.window.stage import POLL, Stage
from labeler.window.theme import THEMES, Style

TICK = 100  # milliseconds between checks for news from the background
NOTICE = 6.0  # seconds for which a notice is shown
FOREVER = float("inf")
MOST_LINES = 4  # of a notice
SIZE = (1120, 820)


class Window:
    """The labeler on a Tk root.

    Parameters
    ----------
    root : Tk
    open_desk : opens a folder
    desk : the folder to start with, or None
    theme : "light" or "dark"
    scale : float   screen pixels per 1/96 inch; 0: as the display reports

    Attributes
    ----------
    stage : Stage or None   the open folder on the screen
    panel : Panel or None   the open panel
    notice : str            the line over the top of the picture
    """

    def __init__(
        self,
        root: tk.Tk,
        open_desk: Callable[[Path], Desk],
        desk: Desk | None = None,
        theme: str = "light",
        scale: float = 0.0,
    ) -> None:
        self.root, self._open_desk = root, open_desk
        self._theme, self._scale = theme, scale
        self.stage: Stage | None = None
        self.panel: Panel | None = None
        self.notice = ""
        self._notice_until = 0.0
        self._commands = Commands(self)
        self._windowing = root.tk.call("tk", "windowingsystem")
        self._held = HeldKeys(self._windowing)
        self._keyboard = Keyboard(self._windowing)
        self._close_anyway = False
        self._next_tick = ""
        style = Style(root, THEMES[theme], scale)
        root.geometry(f"{style.px(SIZE[0])}x{style.px(SIZE[1])}")
        root.minsize(style.px(720), style.px(560))
        root.protocol("WM_DELETE_WINDOW", self.close)
        self.build(desk)
        self._remark()
        self._bind()
        self._tick()

    def build(self, desk: Desk | None) -> None:
        """Build all widgets for this desk; again when theme, classes or folder change."""
        if self.stage:
            self.stage.clear()
        for old in self.root.place_slaves():
            if old is not self.panel:
                old.destroy()
        style = Style(self.root, THEMES[self._theme], self._scale)
        classes = desk.session.classes if desk else ()
        read_only = desk.session.read_only if desk else ""
        self.layout = Layout(self.root, style, classes, read_only, RECENT, self.run, self._filters)
        self.layout.place(relwidth=1, relheight=1)
        self.root.update_idletasks()  # gives the view its size, to which pictures are decoded
        self.stage = Stage(self.layout, desk) if desk else None
        if self.stage:
            self.stage.show_current()
        else:
            self.layout.view.show_text("Open a folder of pictures:   Ctrl+O", strong=True)
        self.layout.set_notice(self.notice, warning=self._notice_until == FOREVER)
        if self.panel:
            self.panel.lift()

    def _filters(self) -> list[tuple[str, int]]:
        return self.stage.desk.order.filters() if self.stage else []

    # Keys

    def _bind(self) -> None:
        for binding in BINDINGS:
            for sequence in (s for event in binding.events for s in variants(event)):
                self.root.bind(sequence, partial(self._on_binding, binding))
        self.root.bind("<KeyPress>", self._on_key)
        self.root.bind("<KeyRelease>", self._held.release)

    def _on_binding(self, binding: Binding, event: tk.Event) -> str | None:
        repeated = self._held.press(event)
        if event.widget is not self.root:
            return None  # it was for a panel, and may just have closed it
        if not repeated or binding.repeats:
            self.run(binding.method, *binding.arguments)
        return "break"  # else Tk's own binding of F10 opens the menu a second time

    def _on_key(self, event: tk.Event) -> None:
        """Label, or run the command of a key that has another letter in this keyboard layout."""
        repeated = self._held.press(event)
        if event.widget is not self.root:
            return
        try:
            key = self._keyboard.key(event)
        except LabelerError as error:
            self.notify(str(error), warning=True)
            return
        binding = binding_of(key, bool(int(event.state) & CONTROL)) if key else None
        if binding:
            if not repeated or binding.repeats:
                self.run(binding.method, *binding.arguments)
        elif key.isalpha() and len(key) == 1 and not repeated and is_plain(event, self._windowing):
            self.run("label", CLASS_KEYS.index(key.upper()))

    def run(self, command: str, *arguments: object) -> None:
        """Run a command unless a panel is open; show its error."""
        if self.panel or (needs_folder(command) and not self.stage):
            return
        try:
            getattr(self._commands, command)(*arguments)
        except LabelerError as error:
            gone = self.stage and not self.stage.desk.session.folder.is_dir()
            self.notify(
                f"{error} Press Ctrl+S to save a copy of the labels." if gone else str(error),
                warning=True,
            )

    def panel_closed(self) -> None:
        self.panel = None
        self.root.focus_set()

    # Notices and background

    def notify(self, text: str, warning: bool = False) -> None:
        """Show a notice over the picture: a warning until the next change, else for `NOTICE`."""
        self.notice = text
        self._notice_until = time.monotonic() + (FOREVER if warning else NOTICE)
        self.layout.set_notice(text, warning)

    def _tick(self) -> None:
        searching = self.stage and self.stage.searching
        self._next_tick = self.root.after(2 * POLL if searching else TICK, self._tick)
        if self.notice and time.monotonic() > self._notice_until:
            self.notify("")
        if self.stage:
            self.stage.refresh()
            if self.stage.desk.session.classes != self.layout.classes:
                self.build(self.stage.desk)  # an edit of labels.csv brought a new class
            self._show_messages(self.stage.desk.session.messages)

    def _show_messages(self, messages: deque[str]) -> None:
        """Show what happened in the background, below a warning that is still on the screen."""
        if not messages:
            return
        lines = self.notice.splitlines() if self._notice_until == FOREVER else []
        while messages:
            lines.append(messages.popleft())
        self.notify("\n".join(list(dict.fromkeys(lines))[-MOST_LINES:]), warning=True)

    def _remark(self) -> None:
        """Say how many classes of the folder just opened have no key."""
        if self.stage and (remark := keyless(self.stage.desk.session.classes)):
            self.stage.desk.session.messages.append(remark)

    # Theme and folder

    def switch_theme(self) -> None:
        self._theme = "dark" if self._theme == "light" else "light"
        self.build(self.stage.desk if self.stage else None)

    def open_folder(self, folder: Path) -> None:
        """Open another folder, or the same one again.

        Raises
        ------
        LabelerError   if it cannot be opened; another folder that is open stays open
        """
        old = self.stage.desk if self.stage else None
        again = old and old.session.folder.resolve() == folder.resolve()
        if old and again:  # its lock must be released first
            self._close(old)
            self.build(None)
        desk = self._open_desk(folder)
        if old and again:
            desk.order.current = old.order.current
        elif old:
            self._close(old)
        self.notice = ""
        self.build(desk)
        self._remark()

    def _close(self, desk: Desk) -> None:
        try:
            desk.close()
        except LabelerError as error:
            print(f"{error}. All labels are in the journal.", file=sys.stderr)

    def close(self) -> None:
        """Close the window; if labels.csv cannot be written, show a warning first."""
        desk = self.stage.desk if self.stage else None
        if desk and not self._close_anyway:
            try:
                desk.session.save()
            except NotSaved as error:
                self._close_anyway = True
                self.notify(
                    f"{error}. All labels are in the journal. Press Ctrl+Q again to close.", True
                )
                return
        if self.stage:
            self.stage.clear()
        self.root.after_cancel(self._next_tick)
        if desk:
            self._close(desk)
        self.root.destroy()
