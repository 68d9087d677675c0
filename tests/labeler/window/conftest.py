"""A real window on a virtual display, driven by key and mouse events."""

import time

import pytest


class Driver:
    """A labeler's window, driven by key and mouse events."""

    def __init__(self, root, window):
        self.root, self.window = root, window

    @property
    def stage(self):
        return self.window.stage

    @property
    def session(self):
        return self.window.stage.desk.session

    @property
    def displayed(self):
        return self.window.stage.displayed

    def count(self, number):
        """The count that the button of a class shows."""
        button = self.window.layout.buttons[number]
        return button.itemcget(button._count, "text")

    def has_text(self, text):
        """Whether a label of the window contains this text."""
        parts = self.window.layout.winfo_children()
        return any(text in part["text"] for part in parts if part.winfo_class() == "Label")

    def wait(self, condition, seconds=20.0):
        """Let the window run until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            self.root.update()
            time.sleep(0.002)
        self.root.update()

    def wait_for_picture(self):
        desk = self.stage.desk
        self.wait(lambda: self.displayed or (desk.order.current is None and not desk.scanning))

    def press(self, *keys, time=0):
        """Press and release keys, waiting for a picture before each: `a`, `space`, `Control-z`."""
        for key in keys:
            if self.window.stage:
                self.wait_for_picture()
            self.take_focus()
            target = self.root.focus_get()
            modifier, _, letter = key.rpartition("-")
            prefix = f"{modifier}-" if modifier else ""
            target.event_generate(f"<{prefix}KeyPress-{letter}>", time=time)
            if self.closed:
                return
            self.root.event_generate(f"<KeyRelease-{letter}>", time=time)
            self.root.update()
        if self.window.stage:
            self.wait_for_picture()

    def take_focus(self):
        """Without a window manager, the keys of several windows must be fetched."""
        self.root.update()
        if self.root.focus_get() is None:
            self.root.focus_force()
            self.wait(self.root.focus_get)

    @property
    def closed(self):
        try:
            return not self.root.winfo_exists()
        except Exception:  # Tk's own, once the application is destroyed
            return True

    def type(self, text):
        """Put text into the entry that has the focus."""
        self.take_focus()
        entry = self.root.focus_get()
        entry.delete(0, "end")
        entry.insert(0, text)

    def click(self, widget, x, y):
        widget.event_generate("<Button-1>", x=x, y=y)
        self.root.update()


# Tk must be deallocated by the thread that made it. Garbage is collected by whichever thread comes
# along, the labeler's own among them, so closed windows are kept until the process ends.
CLOSED = []


@pytest.fixture
def tk_root(display):
    """An empty window on the virtual display, for widgets alone."""
    import tkinter as tk

    root = tk.Tk(screenName=display, className="widgets")
    yield root
    root.destroy()
    CLOSED.append(root)


@pytest.fixture
def style(tk_root):
    from labeler.window.theme import LIGHT, Style

    return Style(tk_root, LIGHT, 1.0)


@pytest.fixture
def open_window(display):
    """Opens windows on the virtual display; they are closed after the test."""
    import tkinter as tk

    from labeler.desk import Desk
    from labeler.window.window import Window

    drivers = []

    def open_(folder=None, classes=(), suggestions=None, theme="light", scale=1.0):
        def open_desk(path):
            return Desk(path, classes, suggestions)

        root = tk.Tk(screenName=display, className="labeler")
        failures = []
        root.report_callback_exception = lambda *error: failures.append(error[1])
        desk = open_desk(folder) if folder else None
        driver = Driver(root, Window(root, open_desk, desk, theme, scale))
        drivers.append((driver, failures))
        driver.take_focus()
        if folder:
            driver.wait(lambda: not driver.stage.desk.scanning)
            driver.wait_for_picture()
        root.update()
        return driver

    yield open_
    for driver, failures in drivers:
        for _ in range(2):  # the first time it may only warn that labels.csv cannot be written
            if not driver.closed:
                driver.window.close()
        CLOSED.append(driver)
        assert failures == []
