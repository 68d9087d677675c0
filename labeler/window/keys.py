"""The key table: which key runs which command, and when a held key repeats it."""

import tkinter as tk
from collections.abc import Sequence
from string import ascii_uppercase
from typing import NamedTuple

from labeler.window.theme import display_name


class Binding(NamedTuple):
    """A method of `Commands` and its keys."""

    keys: str  # as a person reads them
    events: tuple[str, ...]  # as Tk writes them
    description: str
    method: str
    arguments: tuple[int, ...] = ()
    repeats: bool = False  # whether a held key runs it again and again
    needs_folder: bool = True


ARROWS = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}
BINDINGS = (
    Binding("Space", ("space",), "skip (class unclear)", "skip"),
    Binding("Ctrl+L", ("Control-l",), "label as any class (list)", "open_list"),
    Binding("Delete", ("Delete", "BackSpace"), "remove the label or skip", "clear"),
    Binding("Ctrl+Z", ("Control-z",), "undo (any number of steps)", "undo", repeats=True),
    Binding("→", ("Right",), "next picture", "step", (1,), repeats=True),
    Binding("←", ("Left",), "previous picture", "step", (-1,), repeats=True),
    Binding("Page Down", ("Next", "Return"), "next unlabelled picture", "next_unlabelled"),
    Binding("Home", ("Home",), "first picture", "go_to_position", (0,)),
    Binding("End", ("End",), "last picture", "go_to_position", (-1,)),
    *(
        Binding(
            "Ctrl+1 … 9", (f"Control-Key-{n + 1}",), "picture of a thumbnail", "go_to_recent", (n,)
        )
        for n in range(9)
    ),
    Binding("Ctrl+G", ("Control-g",), "jump to a picture (number or name)", "open_jump"),
    Binding("Ctrl+F", ("Control-f",), "filter the pictures", "open_filter"),
    Binding("+", ("plus", "equal", "KP_Add"), "zoom in", "zoom", (1,), repeats=True),
    Binding("−", ("minus", "KP_Subtract"), "zoom out", "zoom", (-1,), repeats=True),
    Binding("1", ("Key-1",), "one screen pixel per picture pixel", "zoom", (0,), repeats=True),
    Binding("0", ("Key-0",), "fit the picture to the window", "fit"),
    *(
        Binding(
            "Shift+arrows", (f"Shift-{to}",), "move the zoomed picture", "pan", by, repeats=True
        )
        for to, by in ARROWS.items()
    ),
    Binding("Ctrl+I", ("Control-i",), "picture information", "open_info"),
    Binding("Ctrl+K", ("Control-k",), "name, add or merge classes", "open_classes"),
    Binding("Ctrl+E", ("Control-e",), "export splits", "open_export"),
    Binding("Ctrl+O", ("Control-o",), "open a folder", "choose_folder", needs_folder=False),
    Binding("F5", ("F5",), "reload the folder", "reload"),
    Binding("Ctrl+S", ("Control-s",), "save a copy of the labels", "save_copy"),
    Binding("Ctrl+D", ("Control-d",), "light or dark theme", "switch_theme", needs_folder=False),
    Binding("F10", ("F10",), "open the menu", "open_menu", needs_folder=False),
    Binding("?", ("question", "F1"), "show all keys", "open_keys", needs_folder=False),
    Binding("Ctrl+Q", ("Control-q",), "close the window", "close", needs_folder=False),
)
CLASS_KEYS = ascii_uppercase  # one key per class, in this order; further classes have none
BY_METHOD = {binding.method: binding for binding in BINDINGS}
BY_EVENT = {event: binding for binding in BINDINGS for event in binding.events}
MENU = (
    ("choose_folder", "reload", "save_copy", "open_export"),
    ("open_classes", "open_list", "undo", "clear", "open_jump", "open_info"),
    ("switch_theme", "open_keys", "close"),
)
REPEAT_GAP = 1200  # milliseconds; systems repeat a held key sooner than that


def needs_folder(method: str) -> bool:
    """Whether this method of `Commands` can run only while a folder is open."""
    return method not in BY_METHOD or BY_METHOD[method].needs_folder


def variants(event: str) -> tuple[str, ...]:
    """Tk's sequences for an event; with Control, a letter works under Caps Lock too."""
    if event.startswith("Control-") and event[-1].isalpha():
        return (f"<{event}>", f"<Control-{event[-1].upper()}>")
    return (f"<{event}>",)


def binding_of(key: str, control: bool) -> Binding | None:
    """The binding of a key, see `labeler.window.keyboard.Keyboard.key`, with or without Control."""
    event = f"Key-{key}" if key.isdigit() else key
    return BY_EVENT.get(f"Control-{event}" if control else event)


def class_key(number: int) -> str:
    """The key of the class of this number, empty if it has none."""
    return CLASS_KEYS[number] if number < len(CLASS_KEYS) else ""


def keyless(classes: Sequence[str]) -> str:
    """A line on the classes that have no key, empty if each has one."""
    number = len(classes) - len(CLASS_KEYS)
    return (
        f"Classes without a key: {number:,} of {len(classes):,}. {BY_METHOD['open_list'].keys}"
        " lists all classes."
        if number > 0
        else ""
    )


def help_rows(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Every key and its description, for the help panel."""
    rows = [(CLASS_KEYS[n], f"label as {display_name(name)}") for n, name in enumerate(classes[:4])]
    if len(classes) > 4:
        last = CLASS_KEYS[min(len(classes), len(CLASS_KEYS)) - 1]
        keys = f"E … {last}" if last > "E" else "E"
        without = len(classes) - len(CLASS_KEYS)
        more = f"; {without:,} have none" if without > 0 else ""
        rows.append((keys, f"and so on, one key per class{more}"))
    rows += [(binding.keys, binding.description) for binding in BINDINGS]
    return list(dict.fromkeys(rows))


def is_plain(event: tk.Event, windowing: str) -> bool:
    """Whether a key was pressed without Control, Alt or Command."""
    return not int(event.state) & {"win32": 0x20004, "aqua": 0x1C}.get(windowing, 0x4C)


class HeldKeys:
    """Tells a key press from the repeats of a held key, which must label nothing.

    X (`x11`) sends a release and a press with the same time for every repeat. Other systems send
    only presses, in quick succession. A menu may swallow a release, so a pause counts as one. An
    input method's press has the code 0, and its release that of the key.
    """

    def __init__(self, windowing: str) -> None:
        self._has_releases = windowing == "x11"
        self._pressed: dict[int, int] = {}
        self._released: dict[int, int] = {}

    def press(self, event: tk.Event) -> bool:
        """Record a press; return whether it is a repeat."""
        code, now = event.keycode, event.time
        if self._has_releases:
            released = self._released.values() if code == 0 else (self._released.get(code),)
            return bool(now) and now in released
        repeated = code in self._pressed and now - self._pressed[code] < REPEAT_GAP
        self._pressed[code] = now
        return repeated

    def release(self, event: tk.Event) -> None:
        self._pressed.pop(event.keycode, None)
        self._released[event.keycode] = event.time
