"""Show the current picture with its label, the counts, the pace and the thumbnails.

The next pictures are converted to the screen's format and sent to the X server in advance, so that
a key press only has to show one.
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

POLL = 2  # milliseconds between checks while a picture is being decoded
BLANK = 150  # milliseconds until the last picture is cleared if the next is not decoded yet
PREPARED = 2  # next pictures that are converted to the screen's format


class Stage:
    """The pictures of a desk, shown in a layout.

    Attributes
    ----------
    displayed : str or None   the picture on the screen; None while it is being decoded
    """

    def __init__(self, layout: Layout, desk: Desk) -> None:
        self.desk, self.layout, self.view = desk, layout, layout.view
        self.displayed: str | None = None
        self._photos: dict[str, ImageTk.PhotoImage] = {}
        self._thumbnails: dict[str, ImageTk.PhotoImage] = {}
        self._drawn: list[tuple[str, str, bool]] = []  # the thumbnails on the screen
        self._zooming: list[int] = []  # requested while the picture is read in full size
        self._revision = -1
        self._timers = Timers(self.view)
        self.view.bind("<Configure>", lambda _: self._timers.schedule("resize", 60, self._resized))
        self.view.bind("<Button-4>", lambda _: self.zoom(1))
        self.view.bind("<Button-5>", lambda _: self.zoom(-1))
        self.view.bind("<MouseWheel>", lambda event: self.zoom(1 if event.delta > 0 else -1))

    @property
    def searching(self) -> bool:
        """Whether the folder is being read and no picture has been found yet."""
        return self.desk.scanning and self.desk.order.current is None

    def clear(self) -> None:
        """Stop all updates, before another stage takes over."""
        self._timers.clear()

    # The picture

    def show_current(self) -> None:
        """Show the current picture, now or as soon as it is decoded."""
        self.displayed = None
        self._zooming.clear()
        self._show_if_ready()
        self.update()

    def _show_if_ready(self) -> None:
        name = self.desk.order.current
        if name is None:
            self._timers.cancel("blank")
            self._timers.cancel("show")
            self._explain_empty()
            return
        upcoming = self.desk.prefetch(self.view.box)
        picture = self.desk.picture
        if picture is None:
            if "blank" not in self._timers:
                self._timers.schedule("blank", BLANK, lambda: self.view.show_text("…"))
            self._timers.schedule("show", POLL, self._show_when_decoded)
            return
        self._timers.cancel("blank")
        if isinstance(picture, Picture):
            self.view.show(picture, self._photo(name, picture))
        else:
            text = f"{name} cannot be read:\n{picture.reason}\n\nSpace  skip"
            self.view.show_text(text, strong=True)
        self.displayed = name
        self._photos = {n: photo for n, photo in self._photos.items() if n in (name, *upcoming)}
        self._timers.schedule("prepare", 1, self._prepare)

    def _show_when_decoded(self) -> None:
        if self.desk.picture is None:
            self._timers.schedule("show", POLL, self._show_when_decoded)
        else:
            self._show_if_ready()

    def _explain_empty(self) -> None:
        desk = self.desk
        if desk.scanning:
            self.view.show_text("Searching for pictures …")
        elif not desk.session.names:
            self.view.show_text(
                "No JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF or PPM"
                f" in {desk.session.folder} or its sub-folders."
                "\n\nCtrl+O  open another folder"
            )
        elif desk.order.filter in (ALL, UNLABELLED):
            self.view.show_text(
                "Every picture is labelled or skipped.\n\n"
                "Ctrl+E  export splits        Ctrl+F  filter the pictures",
                strong=True,
            )
        else:
            self.view.show_text(
                "No more pictures match the filter.\n\nCtrl+F  change the filter", strong=True
            )

    def _photo(self, name: str, picture: Picture) -> ImageTk.PhotoImage:
        if name not in self._photos:
            self._photos[name] = ImageTk.PhotoImage(picture.image, master=self.view)
        return self._photos[name]

    def _prepare(self) -> None:
        """Convert the next pictures to the screen's format, one at a time."""
        self.view.keep_ready(self._photos.values())
        for name in self.desk.order.upcoming()[:PREPARED]:
            picture = self.desk.prefetcher.get(name)
            if picture is None:
                self._timers.schedule("prepare", 2 * POLL, self._prepare)
                return
            if isinstance(picture, Picture) and name not in self._photos:
                self._photo(name, picture)
                self._timers.schedule("prepare", 1, self._prepare)
                return

    def _resized(self) -> None:
        self._photos.clear()
        self._show_if_ready()

    # Texts, counts, thumbnails

    def update(self) -> None:
        """Update all texts, counts and bars."""
        desk, session, order = self.desk, self.desk.session, self.desk.order
        palette = self.layout.style.palette
        self._revision = session.revision
        name = order.current or ""
        label, prediction = session.labels.get(name), desk.prediction(name)
        counts = f"{session.labelled_count:,} of {len(session.names):,} labelled"
        if session.skipped_count:
            counts += f" · {session.skipped_count:,} skipped"
        pace = desk.pace.describe(session.unlabelled_count)
        self.layout.set_progress(desk.progress, pace)
        likely = ""
        if prediction:
            likely = f"{100 * prediction.confidence:.0f}\N{NO-BREAK SPACE}% likely"
        predicted = prediction.label if prediction else None
        for button, cls in zip(self.layout.buttons, self.layout.classes, strict=False):
            button.show(session.counts[cls], label == cls, likely if cls == predicted else "")
        if self.layout.more:
            others = self.layout.classes[len(self.layout.buttons) :]
            count = sum(session.counts[cls] for cls in others)
            self.layout.more.show(count, label in others, likely if predicted in others else "")
        state = display_name(label) if label else ("skipped" if name in session.skipped else "")
        position = f"{order.position + 1:,} of {len(order.view):,}" if name else ""
        colour = palette.text if label else palette.muted
        self.layout.set_caption(name, state, colour, position)
        self.layout.set_title(desk.title, order.filter, counts)

    def _update_thumbnails(self) -> None:
        """Draw the thumbnails that are decoded, if something changed."""
        desk, style = self.desk, self.layout.style
        side = style.px(Thumbnails.SIDE)
        for name in desk.recent:
            picture = desk.prefetcher.get(name)
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

    def refresh(self) -> None:
        """Show new pictures, predictions and edits of other programs since the last call."""
        desk = self.desk
        scanning = desk.scanning
        new_pictures = desk.poll()
        if desk.order.current is None and (new_pictures or scanning != desk.scanning):
            desk.order.current = desk.order.next_unlabelled()
            self.show_current()
        elif new_pictures or desk.suggestions or desk.session.revision != self._revision:
            self.update()
        self._update_thumbnails()
        self.layout.set_behind(desk.session.seconds_behind)

    # Zoom

    def zoom(self, steps: int) -> None:
        """Zoom in (above 0) or out (below 0) by one step; 0: one screen pixel per picture pixel."""
        if not self.displayed:
            return
        if not self.view.needs_full_image:
            self.view.zoom_by(steps) if steps else self.view.zoom_to(1)
            return
        self._zooming.append(steps)
        if len(self._zooming) == 1:
            read: list[Picture | Unreadable] = []
            path = self.desk.session.path(self.displayed)
            Thread(target=lambda: read.append(decode(path)), daemon=True).start()
            self._zoom_when_read(read)

    def _zoom_when_read(self, read: list[Picture | Unreadable]) -> None:
        if not self._zooming:
            return  # the next picture is on the screen
        if not read:
            self._timers.schedule("zoom", POLL, partial(self._zoom_when_read, read))
            return
        steps, self._zooming = self._zooming, []
        if isinstance(read[0], Picture):
            self.view.set_full_image(read[0].image)
            for step in steps:
                self.zoom(step)
