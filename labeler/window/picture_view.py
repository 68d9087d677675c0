"""The picture on a neutral background: fit, zoom, pan, and a flash of its frame."""

import tkinter as tk
from collections.abc import Iterable
from functools import partial

from PIL import Image, ImageTk

from labeler.pictures import Picture, Unreadable, fit
from labeler.window.theme import Style
from labeler.window.widgets import Timers

STEPS = (
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2,
    3,
    4,
    6,
    8,
    12,
    16,
    24,
    32,
    48,
    64,
    96,
    128,
)  # whole factors above 1
MARGIN = 14  # pixels around the fitted picture, for the flash
FADE = ((110, 0.35), (150, 0.7))  # (milliseconds, share of the background colour)
FLASH = 190  # milliseconds until the frame is gone


class PictureView(tk.Canvas):
    """Shows one picture.

    Attributes
    ----------
    zoom : float or None   screen pixels per picture pixel, None while the picture is fitted
    """

    def __init__(self, parent: tk.Misc, style: Style) -> None:
        super().__init__(parent, bg=style.palette.ground, highlightthickness=0)
        self._style = style
        self.zoom: float | None = None
        self._picture: Picture | Unreadable | None = None
        self._full: Image.Image | None = None  # every pixel, read only for zooming
        self._centre = (0.0, 0.0)  # the point of the picture in the middle of the view
        self._drag: tuple[int, int] | None = None
        self._photo: ImageTk.PhotoImage | None = None
        self._image = self.create_image(0, 0)
        self._ready: dict[ImageTk.PhotoImage, int] = {}  # hidden items
        self._text = self.create_text(0, 0, justify="center", fill=style.palette.muted)
        self._frame = self.create_rectangle(0, 0, 0, 0, state="hidden", width=style.px(6))
        self._timers = Timers(self)
        self.bind("<Button-1>", lambda event: setattr(self, "_drag", (event.x, event.y)))
        self.bind("<B1-Motion>", self._dragged)

    @property
    def box(self) -> tuple[int, int]:
        """The width and height available to a fitted picture, in pixels."""
        margin = 2 * self._style.px(MARGIN)
        return max(16, self.winfo_width() - margin), max(16, self.winfo_height() - margin)

    # Content

    def show(self, picture: Picture, photo: ImageTk.PhotoImage) -> None:
        """Show a picture, fitted; `photo` is its image, ready for the screen."""
        self._picture, self._full, self.zoom = picture, None, None
        self._put(photo)
        self.itemconfigure(self._text, text="")

    def keep_ready(self, photos: Iterable[ImageTk.PhotoImage]) -> None:
        """Have the X server hold these photos, so that showing one only copies it to the screen."""
        old, self._ready = self._ready, {}
        for photo in photos:
            hidden = old.pop(photo, 0) or self.create_image(0, 0, image=photo, state="hidden")
            self._ready[photo] = hidden
        self.delete(*old.values())

    def show_text(self, text: str, strong: bool = False) -> None:
        """Show a text in place of the picture."""
        self._picture = self._full = self.zoom = None
        self._put(None)
        style = self._style
        self.itemconfigure(
            self._text,
            text=text,
            font=style.large if strong else style.normal,
            fill=style.palette.text if strong else style.palette.muted,
            width=max(100, self.winfo_width() - style.px(80)),
        )
        self.coords(self._text, self.winfo_width() // 2, self.winfo_height() // 2)

    def _put(self, photo: ImageTk.PhotoImage | None, dx: float = 0, dy: float = 0) -> None:
        self.coords(self._image, self.winfo_width() // 2 + dx, self.winfo_height() // 2 + dy)
        self.itemconfigure(self._image, image=photo or "")
        self._photo = photo  # Tk itself holds no reference

    def flash(self, colour: str) -> None:
        """Frame the picture in this colour for a moment, see `FLASH`."""
        box = self.bbox(self._image) or (0, 0, self.winfo_width(), self.winfo_height())
        out = self._style.px(5)
        self.coords(self._frame, box[0] - out, box[1] - out, box[2] + out, box[3] + out)
        self.itemconfigure(self._frame, state="normal", outline=colour)
        for delay, share in FADE:
            faded = _blend(colour, self._style.palette.ground, share)
            paint = partial(self.itemconfigure, self._frame, outline=faded)
            self._timers.schedule(f"fade {delay}", delay, paint)
        hide = partial(self.itemconfigure, self._frame, state="hidden")
        self._timers.schedule("hide", FLASH, hide)

    # Zoom

    @property
    def magnification(self) -> float:
        """Screen pixels per picture pixel."""
        if self.zoom is not None:
            return self.zoom
        if not isinstance(self._picture, Picture):
            return 1.0
        return fit(self._picture.size, self.box)[0] / self._picture.size[0]

    @property
    def needs_full_image(self) -> bool:
        """Whether zooming needs the picture in full size first, see `set_full_image`."""
        return isinstance(self._picture, Picture) and self._full is None

    def set_full_image(self, image: Image.Image) -> None:
        self._full = image
        self._centre = (image.width / 2, image.height / 2)

    def zoom_by(self, steps: int) -> None:
        """Zoom in (above 0) or out to the next of `STEPS`."""
        if steps > 0:
            ladder = [step for step in STEPS if step > self.magnification * 1.001]
        else:
            ladder = [step for step in reversed(STEPS) if step < self.magnification * 0.999]
        if ladder:
            self.zoom_to(ladder[0])

    def zoom_to(self, scale: float) -> None:
        if self._full is not None:
            self.zoom = scale
            self._render()

    def fit(self) -> None:
        """Show the whole picture."""
        if self._full is not None and isinstance(self._picture, Picture):
            self.zoom = None
            self._centre = (self._full.width / 2, self._full.height / 2)
            self._put(ImageTk.PhotoImage(self._picture.image, master=self))

    def pan(self, dx: float, dy: float) -> None:
        """Move the visible part by (dx, dy) screen pixels."""
        if self.zoom is not None:
            self._centre = (self._centre[0] + dx / self.zoom, self._centre[1] + dy / self.zoom)
            self._render()

    def _dragged(self, event: tk.Event) -> None:
        if self._drag:
            self.pan(self._drag[0] - event.x, self._drag[1] - event.y)
        self._drag = (event.x, event.y)

    def _render(self) -> None:
        """Cut out the visible part, and scale only that."""
        full, scale = self._full, self.zoom
        if full is None or scale is None:
            return
        visible = (self.winfo_width() / scale, self.winfo_height() / scale)
        self._centre = (
            _clamp(self._centre[0], visible[0], full.width),
            _clamp(self._centre[1], visible[1], full.height),
        )
        box = (
            max(0, int(self._centre[0] - visible[0] / 2)),
            max(0, int(self._centre[1] - visible[1] / 2)),
            min(full.width, int(self._centre[0] + visible[0] / 2) + 1),
            min(full.height, int(self._centre[1] + visible[1] / 2) + 1),
        )
        size = (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale)))
        method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BILINEAR
        photo = ImageTk.PhotoImage(full.resize(size, method, box=box), master=self)
        dx = ((box[0] + box[2]) / 2 - self._centre[0]) * scale  # the part is cut at whole pixels
        dy = ((box[1] + box[3]) / 2 - self._centre[1]) * scale
        self._put(photo, dx, dy)


def _clamp(centre: float, visible: float, length: float) -> float:
    """Keep the view inside the picture; centre a picture that is smaller than the view."""
    if visible >= length:
        return length / 2
    return min(max(centre, visible / 2), length - visible / 2)


def _blend(colour: str, other: str, share: float) -> str:
    pairs = [(int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)
