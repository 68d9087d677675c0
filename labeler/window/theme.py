"""Colours of the light and dark theme, fonts, scale, and how a class is shown."""

import tkinter as tk
from dataclasses import dataclass
from tkinter import font


@dataclass(frozen=True)
class Palette:
    """The colours of one theme."""

    page: str  # background of the window
    ground: str  # background of the picture
    surface: str  # background of buttons and panels
    hover: str
    line: str
    text: str
    muted: str
    accent: str
    warning: str


LIGHT = Palette(
    page="#f7f7f5",
    ground="#e4e4e1",
    surface="#ffffff",
    hover="#f0f0ed",
    line="#d3d3cf",
    text="#1d1d1b",
    muted="#666661",
    accent="#0072b2",
    warning="#b34700",
)
DARK = Palette(
    page="#1b1c1e",
    ground="#111213",
    surface="#26282b",
    hover="#303236",
    line="#3b3e42",
    text="#e8e8e6",
    muted="#9da0a3",
    accent="#56b4e9",
    warning="#e69f00",
)
THEMES = {"light": LIGHT, "dark": DARK}

# The colour-blind-safe palette of Okabe and Ito, with a grey that is visible in both themes instead
# of its black. From the ninth class on the colours repeat, and the key tells the classes apart.
CLASS_COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
    "#8a8a8a",
)


def class_colour(number: int) -> str:
    return CLASS_COLOURS[number % len(CLASS_COLOURS)]


def display_name(label: str) -> str:
    """A class as the window shows it: a bare number could be taken for its count."""
    return f"class {label}" if label.isdecimal() else label


def text_colour_on(colour: str) -> str:
    """Black or white, whichever has more contrast (by the relative luminance of WCAG 2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"


class Style:
    """A palette, the fonts, and lengths in pixels of this display.

    Parameters
    ----------
    root : Tk         a window on the display
    palette : Palette
    scale : float     screen pixels per 1/96 inch; 0: as the display reports
    """

    def __init__(self, root: tk.Misc, palette: Palette, scale: float = 0.0) -> None:
        self.palette = palette
        self.scale = scale or max(1.0, round(root.winfo_fpixels("1i") / 96 * 4) / 4)
        family = font.nametofont("TkDefaultFont", root).actual("family")
        self.small = font.Font(root, family=family, size=-self.px(12))
        self.normal = font.Font(root, family=family, size=-self.px(13))
        self.strong = font.Font(root, family=family, size=-self.px(13), weight="bold")
        self.large = font.Font(root, family=family, size=-self.px(17))
        self.key = font.Font(root, family=family, size=-self.px(15), weight="bold")

    def px(self, length: float) -> int:
        """A length at 96 dots per inch, in pixels of this display."""
        return max(1, round(length * self.scale))
