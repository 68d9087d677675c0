"""How the current picture comes onto the screen, with all that is said about it.

The next pictures wait in the screen's own format, so that after a key there is nothing left to do
but to show one.
"""

from functools import partial
from threading import Thread

from PIL import ImageTk

from labeler.desk import Desk
from labeler.order import ALL, UNLABELLED
from labeler.pictures import Picture, Unreadable, decode, fit
from labeler.window.layout import Layout
from labeler.window.theme import class_colour, display_name
from labeler.window.widgets import Thumbnails, Timers

SOON = 4  # milliseconds between looks while the eye waits
BLANK = 150  # milliseconds before a picture that is not decoded yet gives way to an empty ground
READY = 2  # pictures ahead that wait in the screen's own format


class Stage:
    """The pictures of a desk, shown in a layout.

    Attributes
    ----------
    shown : str or None   the picture that is on the screen now; None while it is still being read
    """

    def __init__(self, layout: Layout, desk: Desk) -> None:
        self.desk, self.layout, self.view = desk, layout, layout.view
        self.shown: str | None = None
        self._photos: dict[str, ImageTk.PhotoImage] = {}
        self._thumbnails: dict[str, ImageTk.PhotoImage] = {}
        self._drawn: list[tuple[str, str, bool]] = []  # the thumbnails as they were drawn last
        self._zooming: list[int] = []  # steps asked for while every pixel is being read
        self._revision = -1
        self._timers = Timers(self.view)
        self.view.bind("<Configure>", lambda _: self._timers.later("resize", 60, self._resized))
        self.view.bind("<Button-4>", lambda _: self.zoom(1))
        self.view.bind("<Button-5>", lambda _: self.zoom(-1))
        self.view.bind("<MouseWheel>", lambda event: self.zoom(1 if event.delta > 0 else -1))

    def clear(self) -> None:
        """Leave the screen to somebody else."""
        self._timers.clear()

    # The picture

    def show_current(self) -> None:
        """Put the current picture on the screen, now or as soon as it is decoded."""
        self.shown = None
        self._zooming.clear()
        self._show_if_ready()
        self.fill()

    def _show_if_ready(self) -> None:
        name = self.desk.order.current
        if name is None:
            self._timers.cancel("blank")
            self._say_why_empty()
            return
        upcoming = self.desk.look_ahead(self.view.box)
        picture = self.desk.picture
        if picture is None:
            if "blank" not in self._timers:
                self._timers.later("blank", BLANK, lambda: self.view.say("…"))
            self._timers.later("show", SOON, self._show_if_ready)
            return
        self._timers.cancel("blank")
        if isinstance(picture, Picture):
            self.view.show(picture, self._photo(name, picture))
        else:
            text = f"{name} cannot be read:\n{picture.reason}\n\nSpace  skip it"
            self.view.say(text, strong=True)
        self.shown = name
        self._photos = {n: photo for n, photo in self._photos.items() if n in (name, *upcoming)}
        self._timers.later("prepare", 1, self._prepare)

    def _say_why_empty(self) -> None:
        desk = self.desk
        if desk.scanning:
            self.view.say("Looking for pictures …")
        elif not desk.session.names:
            self.view.say(
                f"No JPEG, PNG, WebP, BMP, GIF or TIFF in {desk.session.folder} or its sub-folders."
                "\n\nCtrl+O  open another folder"
            )
        elif desk.order.filter in (ALL, UNLABELLED):
            self.view.say(
                "Every picture is labelled or skipped.\n\n"
                "Ctrl+E  export splits        Ctrl+F  look at some again",
                strong=True,
            )
        else:
            self.view.say("No more pictures here.\n\nCtrl+F  choose others", strong=True)

    def _photo(self, name: str, picture: Picture) -> ImageTk.PhotoImage:
        if name not in self._photos:
            self._photos[name] = ImageTk.PhotoImage(picture.image, master=self.view)
        return self._photos[name]

    def _prepare(self) -> None:
        """Hand the next pictures to the screen before they are asked for, one at a time."""
        for name in self.desk.order.upcoming()[:READY]:
            picture = self.desk.ahead.get(name)
            if picture is None:
                self._timers.later("prepare", 2 * SOON, self._prepare)
                return
            if isinstance(picture, Picture) and name not in self._photos:
                self._photo(name, picture)
                self._timers.later("prepare", 1, self._prepare)
                return

    def _resized(self) -> None:
        self._photos.clear()
        self._show_if_ready()

    # Words, counts, thumbnails

    def fill(self) -> None:
        """Bring all words, counts and bars up to date."""
        desk, session, order = self.desk, self.desk.session, self.desk.order
        palette = self.layout.style.palette
        self._revision = session.revision
        name = order.current or ""
        label, hint = session.labels.get(name), desk.hint(name)
        counts = f"{session.labelled_count:,} of {len(session.names):,} labelled"
        if session.skipped_count:
            counts += f" · {session.skipped_count:,} skipped"
        pace = desk.pace.describe(session.unlabelled_count)
        self.layout.set_progress(desk.done_share, pace)
        for button, cls in zip(self.layout.buttons, session.classes, strict=True):
            likely = f"{hint.confidence:.0%} likely" if hint and hint.label == cls else ""
            button.show(session.counts[cls], label == cls, likely)
        state = display_name(label) if label else ("skipped" if name in session.skipped else "")
        position = f"{order.place + 1:,} of {len(order.view):,}" if name else ""
        colour = palette.text if label else palette.muted
        self.layout.set_caption(name, state, colour, position)
        self.layout.set_title(desk.title, order.filter, counts)

    def _fill_thumbnails(self) -> None:
        """Draw the last labelled pictures once they are decoded, and only if something changed."""
        desk, style = self.desk, self.layout.style
        side = style.px(Thumbnails.SIDE)
        for name in desk.recent:
            picture = desk.ahead.get(name)
            if name not in self._thumbnails and isinstance(picture, Picture):
                image = picture.image
                image = image.resize(fit(image.size, (side, side)), reducing_gap=2.0)
                self._thumbnails[name] = ImageTk.PhotoImage(image, master=self.view)
        classes, labels = desk.session.classes, desk.session.labels
        colours = {cls: class_colour(number) for number, cls in enumerate(classes)}
        recent = [(n, colours.get(labels.get(n, ""), style.palette.muted)) for n in desk.recent]
        drawn = [(name, colour, name in self._thumbnails) for name, colour in recent]
        if drawn != self._drawn:
            self._drawn = drawn
            self._thumbnails = {n: t for n, t in self._thumbnails.items() if n in desk.recent}
            self.layout.thumbnails.show([(n, c, self._thumbnails.get(n)) for n, c in recent])

    def take_news(self) -> None:
        """Show what scan, model and other programs brought since the last call."""
        desk = self.desk
        scanning = desk.scanning
        found = desk.take_found()
        if desk.order.current is None and (found or scanning != desk.scanning):
            desk.order.current = desk.order.next_unlabelled()
            self.show_current()
        elif found or desk.suggestions or desk.session.revision != self._revision:
            self.fill()
        self._fill_thumbnails()

    # Zoom

    def zoom(self, steps: int) -> None:
        """Nearer or farther by so many steps; 0: one screen pixel for one of the picture."""
        if not self.shown:
            return
        if not self.view.needs_pixels:
            self.view.zoom_by(steps) if steps else self.view.zoom_to(1)
            return
        self._zooming.append(steps)
        if len(self._zooming) == 1:
            read: list[Picture | Unreadable] = []
            path = self.desk.session.folder / self.shown
            Thread(target=lambda: read.append(decode(path)), daemon=True).start()
            self._zoom_when_read(read)

    def _zoom_when_read(self, read: list[Picture | Unreadable]) -> None:
        if not self._zooming:
            return  # the person has gone on
        if not read:
            self._timers.later("zoom", SOON, partial(self._zoom_when_read, read))
            return
        steps, self._zooming = self._zooming, []
        if isinstance(read[0], Picture):
            self.view.give_pixels(read[0].image)
            for step in steps:
                self.zoom(step)
