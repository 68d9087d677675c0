"""Panels over the picture that list the classes: to choose one, and to name them."""

import tkinter as tk
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from labeler.errors import LabelerError
from labeler.record.classes import Merging
from labeler.window.keys import class_key
from labeler.window.panels import Panel
from labeler.window.theme import Style, class_colour, text_colour_on

LINES = 14  # of the list
BLOCK, BLOCKS = 9, 3  # names below each other, and beside each other


def scrollbar(parent: tk.Misc, style: Style, command: Callable[..., Any]) -> tk.Scrollbar:
    """An upright scrollbar in the colours of the panels."""
    palette = style.palette
    return tk.Scrollbar(
        parent,
        command=command,
        width=style.px(12),
        relief="flat",
        borderwidth=0,
        elementborderwidth=0,
        highlightthickness=0,
        bg=palette.line,
        activebackground=palette.muted,
        troughcolor=palette.page,
    )


class ClassList(Panel):
    """Choose from a list, with the mouse or by a part of the name.

    Parameters
    ----------
    rows : (name, the name with its count, key) of each choice
    first : int   the choice that is selected at first
    choose : called with the number of the choice, after the panel is closed
    """

    def __init__(
        self,
        root: tk.Tk,
        style: Style,
        on_close: Callable[[], object],
        title: str,
        rows: Sequence[tuple[str, str, str]],
        first: int,
        choose: Callable[[int], object],
    ) -> None:
        super().__init__(root, style, title, on_close)
        self._rows, self._choose = rows, choose
        self._shown: list[int] = []  # the choices in the list
        self._text = ""  # by which it is filtered
        self._entry = self.entry(self.body, width=36)
        self._entry.pack(fill="x", ipady=style.px(4), pady=(0, style.px(8)))
        palette = style.palette
        settings: dict[str, Any] = {
            "height": LINES,
            "font": style.normal,
            "bg": palette.surface,
            "fg": palette.text,
            "selectbackground": palette.accent,
            "selectforeground": palette.surface,
            "relief": "flat",
            "borderwidth": 0,
            "highlightthickness": 0,
            "activestyle": "none",
            "exportselection": False,
            "takefocus": False,
        }
        self._keys = tk.Listbox(self.body, **(settings | {"width": 2, "fg": palette.muted}))
        self._list = tk.Listbox(self.body, **(settings | {"width": 34}))
        bar = scrollbar(self.body, style, self._scroll)
        self._keys.configure(yscrollcommand=lambda *_: self._follow(self._keys, bar))
        self._list.configure(yscrollcommand=lambda *_: self._follow(self._list, bar))
        if any(key for _, _, key in rows):
            self._keys.pack(side="left", fill="y", padx=(0, style.px(6)))
        self._list.pack(side="left", fill="both", expand=True)
        bar.pack(side="right", fill="y")
        for box in (self._keys, self._list):
            box.bind("<Button-1>", self._clicked)
            box.bind("<B1-Motion>", lambda _: "break")
        for key, by in (("Up", -1), ("Down", 1), ("Prior", -LINES + 1), ("Next", LINES - 1)):
            self._entry.bind(f"<{key}>", partial(self._move, by))
        self._entry.bind("<Return>", lambda _: self._done())
        for event in ("<KeyRelease>", "<ButtonRelease>"):  # a text may be pasted with the mouse
            self._entry.bind(event, lambda _: self._filter())
        self._entry.focus_set()
        self.set_note("Enter a part of the name, or press ↑ and ↓, then Return. Or click.")
        self._fill(first)

    def _filter(self) -> None:
        text = self._entry.get().strip()
        if text != self._text:
            self._text = text
            self._fill(0)

    def _fill(self, first: int) -> None:
        """List what contains the text; select the first that begins with it."""
        text = self._text.casefold()
        names = [name.casefold() for name, _, _ in self._rows]
        self._shown = [number for number, name in enumerate(names) if text in name]
        for box, column in ((self._keys, 2), (self._list, 1)):
            box.delete(0, "end")
            box.insert("end", *(self._rows[number][column] for number in self._shown))
        beginning = [n for n, number in enumerate(self._shown) if names[number].startswith(text)]
        self._select(first if not text else next(iter(beginning), 0))

    def _select(self, line: int) -> None:
        self._list.selection_clear(0, "end")
        self._list.selection_set(line)
        for box in (self._keys, self._list):
            box.see(line)

    def _move(self, by: int, _: tk.Event) -> str:
        here = self._list.curselection()
        if here:
            self._select(min(max(0, here[0] + by), len(self._shown) - 1))
        return "break"

    def _scroll(self, *arguments: Any) -> None:
        self._keys.yview(*arguments)
        self._list.yview(*arguments)

    def _follow(self, moved: tk.Listbox, bar: tk.Scrollbar) -> None:
        """Keep both columns at the same line, whichever was scrolled with the wheel."""
        top, bottom = moved.yview()
        bar.set(top, bottom)
        for box in (self._keys, self._list):
            if box is not moved and box.winfo_ismapped() and box.yview()[0] != top:
                box.yview_moveto(top)

    def _clicked(self, event: tk.Event) -> str:
        line = self._list.nearest(event.y)
        if line >= 0:
            self._select(line)
            self._done()
        return "break"

    def _done(self) -> None:
        self._filter()
        line = self._list.curselection()
        if not line:
            self.set_note(f"No name contains this: {self._text}", True)
            return
        number = self._shown[line[0]]
        self.close()
        self._choose(number)


class Classes(Panel):
    """Name, rename, merge and add classes.

    Parameters
    ----------
    names : the classes
    change : called with the new names, and whether classes of the same name may become one
    """

    def __init__(
        self,
        root: tk.Tk,
        style: Style,
        on_close: Callable[[], object],
        names: Sequence[str],
        change: Callable[[list[str], bool], object],
    ) -> None:
        super().__init__(root, style, "Classes", on_close)
        self._change = change
        self._asked: list[str] = []  # the names with which the note asks whether to merge
        self._entries: list[tk.Entry] = []
        self._canvas = tk.Canvas(self.body, bg=style.palette.surface, highlightthickness=0)
        self._canvas.pack(side="left")
        self._rows = tk.Frame(self._canvas, bg=style.palette.surface)
        self._canvas.create_window(0, 0, window=self._rows, anchor="nw")
        self._bar = scrollbar(self.body, style, self._canvas.yview)
        self._canvas.configure(yscrollcommand=self._bar.set)
        self._rows.bind("<Configure>", lambda _: self._fit())
        self._bind_wheel(self._canvas)
        self._bind_wheel(self._rows)
        self._add_class_button = self.add_button("Add a class", lambda: self._add("").focus_set())
        self.add_button("Done", self._done)
        for name in names:
            self._add(name)
        self._entries[0].focus_set()
        self._entries[0].selection_range(0, "end")
        self._explain()

    def _names(self) -> list[str]:
        """The names that are entered, without empty ones at the end."""
        names = [entry.get() for entry in self._entries]
        while names and not names[-1].strip():
            names.pop()
        return names

    def _edited(self) -> None:
        if self._asked and self._asked != self._names():
            self._explain()

    def _explain(self) -> None:
        self._asked = []
        self.set_note(
            "Existing labels are renamed together with their class. Empty last lines are ignored."
        )

    def _add(self, name: str) -> tk.Entry:
        number, style = len(self._entries), self.style
        colour = class_colour(number)
        page, place = divmod(number, BLOCK * BLOCKS)  # further names are below the first ones
        block, row = divmod(place, BLOCK)
        row += page * BLOCK
        key = tk.Label(
            self._rows,
            text=class_key(number),
            width=2,
            font=style.key,
            bg=colour,
            fg=text_colour_on(colour),
        )
        key.grid(row=row, column=2 * block, pady=style.px(3), padx=(style.px(12 * (block > 0)), 0))
        entry = self.entry(self._rows, name, width=22)
        entry.grid(row=row, column=2 * block + 1, padx=(style.px(8), 0), ipady=style.px(3))
        entry.bind("<Return>", lambda _: self._done())
        entry.bind("<FocusIn>", lambda _: self._show(entry))
        entry.bind("<KeyRelease>", lambda _: self._edited())
        for widget in (key, entry):
            self._bind_wheel(widget)
        self._entries.append(entry)
        self._explain()
        return entry

    def _fit(self) -> None:
        """Make room for all names, at most two thirds of the window's height."""
        width, height = self._rows.winfo_reqwidth(), self._rows.winfo_reqheight()
        room = max(self.style.px(200), self.winfo_toplevel().winfo_height() * 2 // 3)
        self._canvas.configure(
            width=width, height=min(height, room), scrollregion=(0, 0, width, height)
        )
        if height > room:
            self._bar.pack(side="right", fill="y", padx=(self.style.px(8), 0))
        else:
            self._bar.pack_forget()

    def _show(self, entry: tk.Entry) -> None:
        """Scroll to an entry that gets the focus."""
        self.update_idletasks()
        height = self._rows.winfo_reqheight()
        top, bottom = (share * height for share in self._canvas.yview())
        first, last = entry.winfo_y(), entry.winfo_y() + entry.winfo_height()
        if first < top:
            self._canvas.yview_moveto(first / height)
        elif last > bottom:
            self._canvas.yview_moveto((last - (bottom - top)) / height)

    def _bind_wheel(self, widget: tk.Misc) -> None:
        widget.bind("<Button-4>", lambda _: self._scroll(-1))
        widget.bind("<Button-5>", lambda _: self._scroll(1))
        widget.bind("<MouseWheel>", lambda event: self._scroll(-1 if event.delta > 0 else 1))

    def _scroll(self, lines: int) -> None:
        if self._bar.winfo_ismapped():
            self._canvas.yview_scroll(lines, "units")

    def _done(self) -> None:
        names = self._names()
        try:
            self._change(names, names == self._asked)
        except Merging as question:
            self.set_note(f"{question} Press Done again to merge.", True)
            self._asked = names
        except LabelerError as error:
            self.set_note(str(error), True)
        else:
            self.close()
