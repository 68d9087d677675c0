"""All widgets of the window, from top to bottom, and their updates."""

import math
import tkinter as tk
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from labeler.order import CLASS
from labeler.window.keys import BY_METHOD, CLASS_KEYS, MENU, class_key
from labeler.window.picture_view import PictureView
from labeler.window.theme import Style, class_colour, display_name
from labeler.window.widgets import ClassButton, ProgressBar, Thumbnails, shorten

PER_ROW = 7  # class buttons, once there are more than two
PAD = 16
LONGEST_MENU = 20  # entries; Tk cannot scroll a menu that is longer than the screen
BEHIND = 5.0  # seconds; a younger labels.csv is what one expects


class Layout(tk.Frame):
    """The widgets of the window, from top to bottom.

    Parameters
    ----------
    root : Tk
    style : Style
    classes : names of the classes, one button each for those that have a key
    warning : str   a line that stays over the picture, or empty
    recent : int    maximum number of thumbnails
    run : called with the name of a command and its arguments when it is selected with the mouse
    filters : returns the filters, each with the number of its pictures

    Attributes
    ----------
    buttons : list         one for each class that has a key
    more : ClassButton     for all other classes; None if there are none
    """

    def __init__(
        self,
        root: tk.Tk,
        style: Style,
        classes: Sequence[str],
        warning: str,
        recent: int,
        run: Callable[..., object],
        filters: Callable[[], Sequence[tuple[str, int]]],
    ) -> None:
        super().__init__(root, bg=style.palette.page, cursor="arrow")
        self.style, self._run, self._filters = style, run, filters
        self._build_progress()
        self._build_bar()
        self._build_footer(recent)
        self.classes = tuple(classes)
        self.buttons: list[ClassButton] = []
        self.more: ClassButton | None = None
        self._build_buttons()
        self._build_caption()
        if warning:
            self._message(warning).pack(side="top", fill="x")
        self.view = PictureView(self, style)
        self.view.pack(fill="both", expand=True)
        self._notice = self._message("")
        root.configure(bg=style.palette.page)

    def _row(self, side: Literal["top", "bottom"], above: int, below: int) -> tk.Frame:
        px = self.style.px
        row = tk.Frame(self, bg=self.style.palette.page)
        row.pack(side=side, fill="x", padx=px(PAD), pady=(px(above), px(below)))
        return row

    def _text(self, parent: tk.Misc, muted: bool = True, **options) -> tk.Label:
        palette = self.style.palette
        colour = palette.muted if muted else palette.text
        settings: dict[str, Any] = {
            "font": self.style.normal,
            "bg": palette.page,
            "fg": colour,
            "padx": 0,
        }
        return tk.Label(parent, **(settings | options))

    def _message(self, text: str) -> tk.Label:
        palette, px = self.style.palette, self.style.px
        return tk.Label(
            self,
            text=text,
            font=self.style.normal,
            bg=palette.surface,
            fg=palette.warning,
            anchor="w",
            justify="left",
            padx=px(PAD),
            pady=px(9),
        )

    def _build_progress(self) -> None:
        row = self._row("top", 10, 0)
        self._pace = self._text(row, font=self.style.small)
        self._pace.pack(side="right")
        self._progress = ProgressBar(row, self.style)
        self._progress.pack(side="left", fill="x", expand=True)

    def _build_bar(self) -> None:
        row = self._row("top", 4, 8)
        self.menu = self._menu_button(row, "Menu")
        self.menu.pack(side="left", padx=(0, self.style.px(14)))
        menu = self.menu["menu"] = self._menu(self.menu)
        for number, block in enumerate(MENU):
            if number:
                menu.add_separator()
            for method in block:
                command = BY_METHOD[method]
                text = command.description.partition(" (")[0].capitalize()
                menu.add_command(
                    label=text, accelerator=command.keys, command=partial(self._run, method)
                )
        self._title = self._text(row, muted=False, font=self.style.strong)
        self._title.pack(side="left")
        self._counts = self._text(row)
        self._counts.pack(side="right")
        self.filter = self._menu_button(row, "Show: all")
        self.filter.pack(side="right", padx=self.style.px(18))
        filters = self.filter["menu"] = self._menu(self.filter)
        filters.configure(postcommand=partial(self._fill_filters, filters))

    def _menu_button(self, parent: tk.Misc, text: str) -> tk.Menubutton:
        palette, px = self.style.palette, self.style.px
        return tk.Menubutton(
            parent,
            text=f"{text} ▾",
            font=self.style.normal,
            relief="flat",
            padx=px(10),
            pady=px(3),
            bg=palette.surface,
            fg=palette.text,
            activebackground=palette.hover,
            activeforeground=palette.text,
            highlightthickness=px(1),
            highlightbackground=palette.line,
            takefocus=False,
        )

    def _menu(self, parent: tk.Misc) -> tk.Menu:
        palette = self.style.palette
        return tk.Menu(
            parent,
            tearoff=False,
            font=self.style.normal,
            relief="flat",
            borderwidth=1,
            activeborderwidth=self.style.px(3),
            bg=palette.surface,
            fg=palette.text,
            activebackground=palette.accent,
            activeforeground=palette.surface,
            selectcolor=palette.text,
        )

    def _build_footer(self, recent: int) -> None:
        row = self._row("bottom", 10, 12)
        self.thumbnails = Thumbnails(row, self.style, recent, partial(self._run, "go_to"))
        self.thumbnails.pack(side="left")
        help_text = "Space  skip      Ctrl+Z  undo      ?  all keys"
        self._text(row, text=help_text, font=self.style.small).pack(side="right", anchor="s")
        self._behind = self._text(row, font=self.style.small)
        self._behind.pack(side="right", anchor="s", padx=self.style.px(18))

    def _build_buttons(self) -> None:
        row = self._row("bottom", 0, 0)
        with_key = self.classes[: len(CLASS_KEYS)]
        others = len(self.classes) - len(with_key)
        count = len(with_key) + bool(others)
        rows = max(1, math.ceil(count / PER_ROW))
        columns = math.ceil(count / rows)  # so that the rows are evenly filled

        def add(colour: str, key: str, name: str, command: Callable[[], object]) -> ClassButton:
            number = len(self.buttons)
            compact = len(self.classes) > 2
            button = ClassButton(row, self.style, colour, key, name, command, compact)
            button.configure(bg=self.style.palette.page)
            line, column = divmod(number, columns)
            gap = self.style.px(4)
            button.grid(
                row=line,
                column=column,
                sticky="ew",
                padx=(gap if column else 0, gap if column < columns - 1 else 0),
                pady=(self.style.px(6) if line else 0, 0),
            )
            row.columnconfigure(column, weight=1, uniform="class")
            return button

        for number, name in enumerate(with_key):
            command = partial(self._run, "label", number)
            button = add(class_colour(number), class_key(number), display_name(name), command)
            self.buttons.append(button)
        if others:
            colour = self.style.palette.muted
            key = f"+{others}" if others < 100 else "…"
            name = BY_METHOD["open_list"].keys
            self.more = add(colour, key, name, partial(self._run, "open_list"))

    def _build_caption(self) -> None:
        row = self._row("bottom", 8, 8)
        self._position = self._text(row)
        self._position.pack(side="right")
        self._state = self._text(row, muted=False, font=self.style.strong)
        self._state.pack(side="right", padx=self.style.px(18))
        self._file = self._text(row, muted=False, anchor="w")
        self._file.pack(side="left")

    def _fill_filters(self, menu: tk.Menu) -> None:
        menu.delete(0, "end")
        filters = self._filters()
        shown = len(filters) if len(filters) <= LONGEST_MENU else LONGEST_MENU - 1
        for name, count in filters[:shown]:
            text = f"{filter_title(name)}  ({count:,})"
            menu.add_command(label=text, command=partial(self._run, "choose", name))
        if shown < len(filters):
            text = f"{len(filters) - shown:,} more …"
            menu.add_command(label=text, command=partial(self._run, "open_filter_list"))

    def pop_up(self, button: tk.Menubutton) -> None:
        """Open the menu of a button for use with the keyboard."""
        menu = button.nametowidget(button["menu"])
        menu.tk_popup(button.winfo_rootx(), button.winfo_rooty() + button.winfo_height(), 0)

    # Updates

    def set_progress(self, share: float, pace: str) -> None:
        self._progress.set(share)
        self._pace.configure(text=f"   {pace}" if pace else "")

    def set_title(self, folder: str, filter_name: str, counts: str) -> None:
        self.winfo_toplevel().title(f"{folder} · {counts}")
        self._title.configure(text=shorten(folder, self.style.strong, self.style.px(360)))
        self._counts.configure(text=counts)
        self.filter.configure(text=f"Show: {filter_title(filter_name)} ▾")

    def set_caption(self, name: str, state: str, colour: str, position: str) -> None:
        self._file.configure(text=shorten(name, self.style.normal, self.style.px(460)))
        self._state.configure(text=state, fg=colour)
        self._position.configure(text=position)

    def set_behind(self, seconds: float) -> None:
        """Say quietly how old labels.csv is, from `BEHIND` seconds on."""
        text = ""
        if seconds >= BEHIND:
            age = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
            text = f"labels.csv: {age} behind"
        if text != self._behind["text"]:
            self._behind.configure(text=text)

    def flash(self, number: int) -> None:
        """Flash the button of a class, and only that one."""
        buttons = [*self.buttons, *([self.more] if self.more else [])]
        for other, button in enumerate(buttons):
            button.flash(other == min(number, len(buttons) - 1))

    def set_notice(self, text: str, warning: bool) -> None:
        """Show a line over the top of the picture; an empty text removes it."""
        palette = self.style.palette
        if not text:
            self._notice.place_forget()
            return
        self._notice.configure(
            text=text,
            fg=palette.warning if warning else palette.text,
            wraplength=max(200, self.winfo_width() - 2 * self.style.px(PAD)),
        )
        self._notice.place(in_=self.view, x=0, y=0, relwidth=1)
        self._notice.lift()


def filter_title(filter_name: str) -> str:
    return display_name(filter_name.removeprefix(CLASS))
