"""Widgets: class button, progress bar, thumbnails, flat button; named timers."""

import tkinter as tk
from collections.abc import Callable, Sequence

from PIL import ImageTk

from labeler.window.theme import Style, text_colour_on

FLASH = 160  # milliseconds


def flat_button(
    parent: tk.Misc, style: Style, text: str, command: Callable[[], object]
) -> tk.Button:
    """A push button that also works with the keyboard."""
    palette = style.palette
    button = tk.Button(
        parent,
        text=text,
        command=command,
        font=style.normal,
        relief="flat",
        borderwidth=0,
        padx=style.px(14),
        pady=style.px(5),
        bg=palette.surface,
        fg=palette.text,
        activebackground=palette.hover,
        activeforeground=palette.text,
        highlightthickness=style.px(1),
        highlightbackground=palette.line,
        highlightcolor=palette.accent,
    )
    button.bind("<Return>", lambda _: button.invoke())
    return button


class Timers:
    """Delayed calls by name, cancelled when their widget is destroyed.

    Tk itself would run them after that.
    """

    def __init__(self, widget: tk.Misc) -> None:
        self._widget = widget
        self._waiting: dict[str, str] = {}
        widget.bind("<Destroy>", lambda _: self.clear(), add=True)

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def schedule(self, name: str, delay: int, call: Callable[[], object]) -> None:
        """Call after `delay` milliseconds; scheduling the same name again restarts the wait."""

        def now() -> None:
            del self._waiting[name]
            call()

        self.cancel(name)
        self._waiting[name] = self._widget.after(delay, now)

    def cancel(self, name: str) -> None:
        if name in self._waiting:
            self._widget.after_cancel(self._waiting.pop(name))

    def clear(self) -> None:
        for name in list(self._waiting):
            self.cancel(name)


class ProgressBar(tk.Canvas):
    """A thin bar: the share of pictures that are labelled or skipped."""

    def __init__(self, parent: tk.Misc, style: Style) -> None:
        palette = style.palette
        super().__init__(parent, height=style.px(6), highlightthickness=0, bg=palette.line)
        self._fill = self.create_rectangle(0, 0, 0, style.px(6), width=0, fill=palette.accent)
        self._share = 0.0
        self.bind("<Configure>", lambda _: self.set(self._share))

    def set(self, share: float) -> None:
        self._share = share
        width, height = self.winfo_width(), self.winfo_height()
        self.coords(self._fill, 0, 0, round(width * share), height)


class ClassButton(tk.Canvas):
    """A wide button: key in the class's colour, class name, hint, count."""

    def __init__(
        self,
        parent: tk.Misc,
        style: Style,
        colour: str,
        key: str,
        name: str,
        command: Callable[[], object],
        compact: bool,
    ) -> None:
        self._style, self._compact = style, compact
        height = style.px(38 if compact else 60)
        super().__init__(
            parent, height=height, width=style.px(90), highlightthickness=0, cursor="hand2"
        )
        self.colour = colour
        palette = style.palette
        self._frame = self.create_rectangle(0, 0, 0, 0, outline=palette.line, fill=palette.surface)
        self._cap = self.create_rectangle(0, 0, 0, 0, width=0, fill=self.colour)
        font = style.normal if compact else style.large
        self._key = self.create_text(
            0, 0, text=key, font=style.key, fill=text_colour_on(self.colour)
        )
        self._text = self.create_text(0, 0, text=name, font=font, fill=palette.text, anchor="w")
        self._count = self.create_text(0, 0, font=font, fill=palette.muted, anchor="e")
        self._hint = self.create_text(0, 0, font=style.small, fill=palette.muted, anchor="e")
        self._label, self._font = name, font
        self._chosen = self._hover = False
        self._state = (False, "", 0)  # what the positions of name and hint depend on
        self._timers = Timers(self)
        self.bind("<Configure>", lambda _: self._place())
        self.bind("<Button-1>", lambda _: command())
        self.bind("<Enter>", lambda _: self._set_hover(True))
        self.bind("<Leave>", lambda _: self._set_hover(False))

    def show(self, count: int, chosen: bool, hint: str = "") -> None:
        """Update the count, whether it is the picture's class, and the hint."""
        self.itemconfigure(self._count, text=f"{count:,}")
        state = (chosen, hint, len(f"{count:,}"))
        if state != self._state:
            self._state, self._chosen = state, chosen
            self.itemconfigure(self._hint, text=hint)
            self._place()
            self._paint()

    def flash(self, lit: bool) -> None:
        """Fill with the class's colour for a moment, or end that."""
        if not lit:
            self._timers.cancel("flash")
            self._paint()
            return
        self._timers.schedule("flash", FLASH, self._paint)
        self.itemconfigure(self._frame, fill=self.colour)
        for item in (self._text, self._count, self._hint):
            self.itemconfigure(item, fill=text_colour_on(self.colour))

    def _set_hover(self, hover: bool) -> None:
        self._hover = hover
        if "flash" not in self._timers:
            self._paint()

    def _paint(self) -> None:
        palette = self._style.palette
        lit = self._hover or self._chosen
        self.itemconfigure(
            self._frame,
            fill=palette.hover if lit else palette.surface,
            outline=self.colour if self._chosen else palette.line,
            width=self._style.px(2 if self._chosen else 1),
        )
        self.itemconfigure(self._text, fill=palette.text)
        for item in (self._count, self._hint):
            self.itemconfigure(item, fill=palette.muted)

    def _place(self) -> None:
        width, height = self.winfo_width(), self.winfo_height()
        px = self._style.px
        inset = px(5 if self._compact else 10)
        cap = height - 2 * inset
        middle = height // 2
        self.coords(self._frame, px(1), px(1), width - px(2), height - px(2))
        self.coords(self._cap, inset + px(1), inset, inset + px(1) + cap, inset + cap)
        self.coords(self._key, inset + px(1) + cap / 2, middle)
        self.coords(self._text, inset + cap + px(12), middle)
        right = width - inset - px(6)
        self.coords(self._count, right, middle)
        left = self._left_of(self._count, right) - px(8)
        self.coords(self._hint, left - px(8), middle)
        room = self._left_of(self._hint, left) - (inset + cap + px(12))
        self.itemconfigure(self._text, text=shorten(self._label, self._font, room))

    def _left_of(self, item: int, otherwise: int) -> int:
        box = self.bbox(item) if self.itemcget(item, "text") else None
        return box[0] if box else otherwise


class Thumbnails(tk.Canvas):
    """The last labelled pictures, newest first; a click goes back to one."""

    SIDE = 48

    def __init__(
        self, parent: tk.Misc, style: Style, count: int, command: Callable[[str], object]
    ) -> None:
        self._style, self._command = style, command
        self._names: list[str] = []
        width = count * style.px(self.SIDE + 8)
        super().__init__(
            parent,
            width=width,
            height=style.px(self.SIDE + 7),
            bg=style.palette.page,
            highlightthickness=0,
            cursor="hand2",
        )
        self.bind("<Button-1>", self._click)

    def show(self, marks: Sequence[tuple[str, str, ImageTk.PhotoImage | None]]) -> None:
        """Draw (filename, colour, thumbnail) from the left."""
        self.delete("all")
        px, palette = self._style.px, self._style.palette
        side, step = px(self.SIDE), px(self.SIDE + 8)
        self._names = [name for name, _, _ in marks]
        for position, (_, colour, thumbnail) in enumerate(marks):
            left = position * step
            self.create_rectangle(left, 0, left + side, side, width=0, fill=palette.ground)
            if thumbnail:
                self.create_image(left + side // 2, side // 2, image=thumbnail)
            self.create_rectangle(
                left, side + px(2), left + side, side + px(6), width=0, fill=colour
            )

    def name_at(self, position: int) -> str | None:
        return self._names[position] if position < len(self._names) else None

    def _click(self, event: tk.Event) -> None:
        name = self.name_at(event.x // self._style.px(self.SIDE + 8))
        if name:
            self._command(name)


def shorten(text: str, font, room: int) -> str:
    """The text, cut with an ellipsis if it is wider than `room` pixels."""
    if font.measure(text) <= room:
        return text
    while text and font.measure(text + "…") > room:
        text = text[:-1]
    return text + "…"
