"""Label a folder of pictures with one key per picture: `python -m labeler [FOLDER]`."""

import argparse
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labeler.errors import LabelerError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m labeler", description=__doc__)
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="folder of pictures, with its sub-folders (default: choose one in the window)",
    )
    parser.add_argument(
        "--classes",
        default="",
        metavar="NAMES",
        help="names of two or more classes, separated by commas, such as cat,dog; the first 26 have"
        " the keys A to Z, Ctrl+L lists all (default:"
        " those used in the folder, else those of the model, else 0,1)",
    )
    parser.add_argument(
        "--suggest",
        type=Path,
        metavar="BUNDLE",
        help="folder of an exported model, such as models/demo: shows its predictions and sorts the"
        " pictures, least confident first (default: no predictions)",
    )
    parser.add_argument(
        "--theme",
        choices=("light", "dark"),
        default="light",
        help="colours of the window (default: %(default)s)",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="size of text and buttons, in screen pixels per 1/96 inch, such as 1.5"
        " (default: as the display reports)",
    )
    options = parser.parse_args(arguments)
    try:
        show(options)
    except LabelerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def show(options: argparse.Namespace) -> None:
    """Open the folder and the window; return when it is closed.

    Raises
    ------
    LabelerError   if one of them cannot be opened
    """
    try:
        import tkinter as tk

        from PIL import Image, ImageTk  # noqa: F401
    except ImportError as error:
        raise LabelerError(
            f"The window needs Tk and Pillow, and {error.name} is missing:"
            " install python3-tk from your system and Pillow from PyPI"
        ) from error
    from labeler.desk import Desk
    from labeler.window.window import Window

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    classes = options.classes.split(",") if options.classes else ()
    suggestions: Any = None
    if options.suggest:
        from labeler.suggestions import load

        suggestions = load(options.suggest)

    def open_desk(folder: Path) -> Desk:
        return Desk(folder, classes, suggestions)

    desk = open_desk(options.folder) if options.folder else None
    try:
        try:
            root = tk.Tk(className="labeler")
        except tk.TclError as error:
            raise LabelerError(f"No display is available for the window: {error}") from error
        window = Window(root, open_desk, desk, options.theme, options.scale)
    except LabelerError:
        if desk:
            desk.close()
        raise
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: root.after_idle(window.close))
    root.mainloop()


if __name__ == "__main__":
    sys.exit(main())
