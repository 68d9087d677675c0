import pytest
from PIL import Image, ImageTk

from labeler.window.theme import CLASS_COLOURS
from labeler.window.widgets import (
    ClassButton,
    ProgressBar,
    Thumbnails,
    Timers,
    flat_button,
    shorten,
)


@pytest.fixture
def wait(tk_root):
    """Lets the window run for some milliseconds."""

    def run(milliseconds):
        tk_root.after(milliseconds, tk_root.quit)
        tk_root.mainloop()

    return run


def test_a_timer_runs_once_restarts_and_ends_with_its_widget(tk_root, style, wait):
    bar = ProgressBar(tk_root, style)
    timers, calls = Timers(bar), []
    timers.schedule("a", 1, lambda: calls.append("early"))
    timers.schedule("a", 20, lambda: calls.append("late"))
    timers.schedule("b", 20, lambda: calls.append("cancelled"))
    timers.cancel("b")
    assert ("a" in timers, "b" in timers) == (True, False)
    wait(60)
    assert calls == ["late"]
    assert "a" not in timers
    timers.schedule("c", 1, lambda: calls.append("after the end"))
    bar.destroy()
    wait(20)
    assert calls == ["late"]


def test_the_bar_fills_with_the_share(tk_root, style):
    bar = ProgressBar(tk_root, style)
    bar.pack(fill="x")
    tk_root.update()
    bar.set(0.25)
    assert bar.coords(bar._fill)[2] == round(bar.winfo_width() / 4)


def test_a_class_button_shows_count_and_hint_and_shortens_a_long_name(tk_root, style):
    clicks = []
    name = "a class whose name is longer than its button is wide, by far " * 3
    button = ClassButton(
        tk_root, style, CLASS_COLOURS[1], "B", name, lambda: clicks.append("B"), compact=True
    )
    button.pack()
    tk_root.update()
    button.show(1234, chosen=True, hint="99 %")
    texts = [button.itemcget(item, "text") for item in (button._count, button._hint, button._key)]
    assert texts == ["1,234", "99 %", "B"]
    assert button.itemcget(button._text, "text").endswith("…")
    assert button.itemcget(button._frame, "outline") == CLASS_COLOURS[1]
    button.flash(True)
    assert button.itemcget(button._frame, "fill") == CLASS_COLOURS[1]
    button.flash(False)
    assert button.itemcget(button._frame, "fill") == style.palette.hover
    button.event_generate("<Button-1>", x=5, y=5)
    assert clicks == ["B"]


def test_a_click_on_a_thumbnail_names_its_picture(tk_root, style):
    clicks = []
    thumbnails = Thumbnails(tk_root, style, 9, clicks.append)
    thumbnails.pack()
    tk_root.update()
    photo = ImageTk.PhotoImage(Image.new("RGB", (48, 32)), master=tk_root)
    thumbnails.show([("1.png", CLASS_COLOURS[0], photo), ("0.png", CLASS_COLOURS[1], None)])
    for x in (10, 60, 300):  # nothing is at the third place
        thumbnails.event_generate("<Button-1>", x=x, y=10)
    assert clicks == ["1.png", "0.png"]


def test_a_button_works_with_the_keyboard(tk_root, style):
    presses = []
    button = flat_button(tk_root, style, "Done", lambda: presses.append("Done"))
    button.pack()
    tk_root.update()
    button.focus_force()
    tk_root.update()
    button.event_generate("<Return>")
    assert presses == ["Done"]


def test_a_text_is_shortened_to_the_room_it_has(style):
    font = style.normal
    assert shorten("cat", font, font.measure("cat")) == "cat"
    short = shorten("caterpillar", font, font.measure("cater…"))
    assert short == "cater…"
    assert shorten("cat", font, 0) == "…"
