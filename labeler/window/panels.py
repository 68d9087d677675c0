"""Panels over the picture: keys, information, jump, export."""

import threading
import tkinter as tk
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labeler import splits
from labeler.errors import LabelerError
from labeler.record.session import Session
from labeler.window.theme import Style
from labeler.window.widgets import flat_button

CLOSE = "Press Esc to close."


class Panel(tk.Frame):
    """A panel in the middle of the window. Escape closes it."""

    def __init__(
        self, root: tk.Tk, style: Style, title: str, on_close: Callable[[], object]
    ) -> None:
        palette = style.palette
        super().__init__(
            root,
            bg=palette.surface,
            padx=style.px(24),
            pady=style.px(18),
            highlightthickness=style.px(1),
            highlightbackground=palette.line,
            highlightcolor=palette.line,
            cursor="arrow",
        )
        self.style, self._on_close = style, on_close
        self.label(title, font=style.large).pack(anchor="w", pady=(0, style.px(12)))
        self.body = tk.Frame(self, bg=palette.surface)
        self.body.pack(fill="both", expand=True)
        self.note = self.label("", muted=True, wraplength=style.px(520))
        self.buttons = tk.Frame(self, bg=palette.surface)
        self.bind_all("<Escape>", lambda _: self.close())
        self.place(relx=0.5, rely=0.46, anchor="center")
        self.focus_set()

    def label(self, text: str, parent: tk.Misc | None = None, muted: bool = False, **options):
        palette = self.style.palette
        colour = palette.muted if muted else palette.text
        settings: dict[str, Any] = {
            "font": self.style.normal,
            "bg": palette.surface,
            "fg": colour,
            "justify": "left",
        }
        return tk.Label(parent or self, text=text, **(settings | options))

    def entry(self, parent: tk.Misc, text: str = "", width: int = 10) -> tk.Entry:
        palette = self.style.palette
        entry = tk.Entry(
            parent,
            width=width,
            font=self.style.normal,
            relief="flat",
            bg=palette.page,
            fg=palette.text,
            insertbackground=palette.text,
            disabledbackground=palette.surface,
            highlightthickness=self.style.px(1),
            highlightbackground=palette.line,
            highlightcolor=palette.accent,
        )
        entry.insert(0, text)
        return entry

    def set_note(self, text: str, warning: bool = False) -> None:
        """Show a line under the body."""
        palette = self.style.palette
        self.note.configure(text=text, fg=palette.warning if warning else palette.muted)
        self.note.pack(anchor="w", pady=(self.style.px(10), 0), after=self.body)

    def add_button(self, text: str, command: Callable[[], object]) -> tk.Button:
        self.buttons.pack(anchor="e", pady=(self.style.px(16), 0))
        button = flat_button(self.buttons, self.style, text, command)
        button.pack(side="left", padx=(self.style.px(8), 0))
        return button

    def close(self) -> None:
        self.unbind_all("<Escape>")
        self.destroy()
        self._on_close()


class Keys(Panel):
    """Every key and its description."""

    def __init__(self, root, style, on_close, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__(root, style, "Keys", on_close)
        half = (len(rows) + 1) // 2
        for number, part in enumerate((rows[:half], rows[half:])):
            column = tk.Frame(self.body, bg=style.palette.surface)
            column.grid(row=0, column=number, sticky="n", padx=(0, style.px(32)))
            for row, (keys, description) in enumerate(part):
                self.label(keys, column, font=style.strong).grid(row=row, column=0, sticky="w")
                label = self.label(description, column, muted=True)
                label.grid(row=row, column=1, sticky="w", padx=(style.px(14), 0), pady=style.px(2))
        self.set_note(CLOSE)


class Info(Panel):
    """Facts about the picture."""

    def __init__(self, root, style, on_close, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__(root, style, "Picture information", on_close)
        for row, (name, value) in enumerate(rows):
            label = self.label(name, self.body, muted=True)
            label.grid(row=row, column=0, sticky="nw", pady=style.px(2))
            text = self.label(value, self.body, wraplength=style.px(440))
            text.grid(row=row, column=1, sticky="w", padx=(style.px(16), 0))
        self.set_note(CLOSE)


class Jump(Panel):
    """Go to a picture by its number or a part of its name."""

    def __init__(self, root, style, on_close, go: Callable[[str], bool]) -> None:
        super().__init__(root, style, "Jump to a picture", on_close)
        entry = self.entry(self.body, width=36)
        entry.pack(fill="x", ipady=style.px(4))
        entry.bind("<Return>", lambda _: self._go(entry.get().strip(), go))
        entry.focus_set()
        self.set_note("Enter a number or a part of a file name, then press Return.")

    def _go(self, text: str, go: Callable[[str], bool]) -> None:
        if text and go(text):
            self.close()
        else:
            self.set_note(
                f"No picture has this number or name: {text}"
                if text
                else "Enter a number or a name.",
                True,
            )


class Export(Panel):
    """Divide the labelled pictures into train, val and test."""

    def __init__(self, root, style, on_close, session: Session) -> None:
        super().__init__(root, style, "Export splits", on_close)
        self._session = session
        line = tk.Frame(self.body, bg=style.palette.surface)
        line.pack(anchor="w")
        self._ratios: list[tk.Entry] = []
        for split, ratio in zip(splits.SPLITS, splits.DEFAULT_RATIOS, strict=True):
            self.label(split, line, muted=True).pack(side="left", padx=(0, style.px(6)))
            entry = self.entry(line, f"{ratio:g}", width=6)
            entry.pack(side="left", padx=(0, style.px(16)), ipady=style.px(3))
            self._ratios.append(entry)
        self.label("seed", line, muted=True).pack(side="left", padx=(0, style.px(6)))
        self._seed = self.entry(line, "0", width=8)
        self._seed.pack(side="left", ipady=style.px(3))
        self._grouping = tk.StringVar(self, "none")
        for value, text in (
            ("none", "No groups (exact copies always stay together)"),
            ("folder", "Pictures of one sub-folder stay together"),
            ("name", "Pictures whose names share this part stay together (regular expression):"),
        ):
            self._radio(value, text).pack(
                anchor="w", pady=(style.px(8 if value == "none" else 0), 0)
            )
        self._pattern = self.entry(self.body, r"^(.+)_\d+", width=30)
        self._pattern.pack(anchor="w", padx=(style.px(26), 0), ipady=style.px(3))
        self._pattern.bind("<FocusIn>", lambda _: self._grouping.set("name"))
        self._table = tk.Frame(self.body, bg=style.palette.surface)
        self._table.pack(anchor="w", pady=(style.px(12), 0))
        for entry in (*self._ratios, self._seed, self._pattern):
            entry.bind("<Return>", lambda _: self._export())
        self._write_button = self.add_button("Write splits.csv", self._export)
        self.add_button("Close", self.close)
        self._ratios[0].focus_set()
        self._result: list[splits.Division | LabelerError] = []
        self._read = 0

    def _radio(self, value: str, text: str) -> tk.Radiobutton:
        palette = self.style.palette
        return tk.Radiobutton(
            self.body,
            text=text,
            value=value,
            variable=self._grouping,
            font=self.style.normal,
            bg=palette.surface,
            fg=palette.text,
            selectcolor=palette.page,
            activebackground=palette.surface,
            activeforeground=palette.text,
            highlightthickness=self.style.px(1),
            highlightbackground=palette.surface,
            highlightcolor=palette.accent,
        )

    def _export(self) -> None:
        if self._write_button["state"] == "disabled":
            return
        try:
            ratios = splits.check_ratios([float(entry.get()) for entry in self._ratios])
            seed = int(self._seed.get())
            group = {
                "none": lambda: None,
                "folder": lambda: splits.by_folder,
                "name": lambda: splits.by_name(self._pattern.get()),
            }[self._grouping.get()]()
        except LabelerError as error:
            self.set_note(str(error), True)
            return
        except ValueError:
            self.set_note(
                "Ratios must be numbers such as 0.7; the seed must be a whole number.", True
            )
            return
        self._write_button.configure(state="disabled")
        self._result.clear()
        labels = dict(self._session.labels)
        work = threading.Thread(target=self._work, args=(labels, ratios, seed, group), daemon=True)
        work.start()
        self._wait_for_result(ratios)

    def _work(self, labels, ratios, seed, group) -> None:
        try:
            self._session.save()
            self._result.append(
                splits.export(self._session.folder, labels, ratios, seed, group, self._progress)
            )
        except LabelerError as error:
            self._result.append(error)

    def _progress(self, read: int) -> None:
        self._read = read

    def _wait_for_result(self, ratios: Sequence[float]) -> None:
        if not self.winfo_exists():
            return
        if not self._result:
            self.set_note(f"Searching for exact copies: {self._read:,} files read.")
            self.after(50, self._wait_for_result, ratios)
            return
        self._write_button.configure(state="normal")
        result = self._result[0]
        if isinstance(result, LabelerError):
            self.set_note(str(result), True)
        else:
            self._show(result, ratios)

    def _show(self, division: splits.Division, ratios: Sequence[float]) -> None:
        for cell in self._table.winfo_children():
            cell.destroy()
        table = splits.rows(division)
        for row, cells in enumerate(table):
            bold = row in (0, len(table) - 1)
            for column, text in enumerate(cells):
                font = self.style.strong if bold else self.style.normal
                cell = self.label(text, self._table, font=font)
                side = "w" if column == 0 else "e"
                cell.grid(row=row, column=column, sticky=side, padx=(0, self.style.px(24)))
        written = f"Written: {Path(self._session.folder) / splits.FILE}"
        self.set_note("\n".join([written, *splits.remarks(division, ratios)]))
