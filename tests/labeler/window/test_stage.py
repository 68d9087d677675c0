from threading import Event
from types import SimpleNamespace

import pytest

from labeler.pictures import decode
from labeler.record.table import write_table
from labeler.suggestions import Suggestions
from lib.data.tables import Table


def test_after_the_last_picture(open_window, pictures):
    driver = open_window(pictures("0.png", "1.png"))
    driver.press("a", "b")
    assert driver.stage.desk.order.current is None
    view = driver.window.layout.view
    assert "Every picture is labelled" in view.itemcget(view._text, "text")
    driver.press("a", "Left")
    assert driver.displayed == "1.png"


def test_a_thumbnail_brings_its_picture_back(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a", "b", "a")
    thumbnails = driver.window.layout.thumbnails
    driver.wait(lambda: thumbnails.name_at(2))
    assert [thumbnails.name_at(place) for place in range(3)] == ["2.png", "1.png", "0.png"]
    driver.wait(lambda: len(driver.stage._thumbnails) == 3)
    driver.click(thumbnails, 70, 20)
    assert driver.displayed == "1.png"
    driver.press("Control-3")
    assert driver.displayed == "0.png"
    driver.press("b")
    assert driver.displayed == "3.png", "one goes on where one was"


def test_pace_and_progress(open_window, pictures):
    driver = open_window(pictures(*[f"{n}.png" for n in range(20)]))
    driver.press(*"ababab")
    assert "per minute" in driver.window.layout._pace["text"]
    assert driver.window.layout._counts["text"] == "6 of 20 labelled"
    assert driver.stage.desk.progress == pytest.approx(0.3)


def test_suggestions_are_hints_and_the_doubtful_come_first(open_window, pictures):
    class Model:
        classes = ("cat", "dog")

        def predict(self, paths):
            return [
                SimpleNamespace(label="dog", confidence=0.99 - int(path.stem) / 100)
                for path in paths
            ]

    driver = open_window(
        pictures(*[f"{n}.png" for n in range(30)]), suggestions=Suggestions(Model())
    )
    assert driver.session.classes == ("cat", "dog")
    button = driver.window.layout.buttons[1]
    driver.wait(lambda: button.itemcget(button._hint, "text") == "99\xa0% likely")
    driver.wait(lambda: driver.stage.desk.order.view[9] == "29.png")
    driver.press(*"ababababab")
    assert driver.displayed == "28.png"


def test_an_unreadable_picture_is_shown_as_such_and_skipped(open_window, pictures):
    folder = pictures()
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:40])
    driver = open_window(folder)
    view = driver.window.layout.view
    assert "0.png cannot be read" in view.itemcget(view._text, "text")
    driver.press("a")
    assert (driver.session.labels, driver.displayed) == ({}, "0.png")
    assert "Press Space to skip it" in driver.window.notice
    driver.press("plus", "space", "a")
    assert driver.session.labels == {"1.png": "0"}
    assert list(driver.session.skipped) == ["0.png"]


def test_an_edit_made_elsewhere_appears(open_window, pictures):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a", "b")
    driver.wait(lambda: (folder / "labels.csv").exists())
    write_table(folder / "labels.csv", Table({"0.png": "1", "1.png": "1"}))
    driver.wait(lambda: driver.count(1) == "2")
    assert "edited by another program" in driver.window.notice


def test_a_class_that_an_edit_elsewhere_adds_gets_its_button(open_window, pictures):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a")
    driver.wait(lambda: (folder / "labels.csv").exists())
    write_table(folder / "labels.csv", Table({"0.png": "0", "1.png": "bird"}))
    driver.wait(lambda: len(driver.window.layout.buttons) == 3)
    assert driver.count(2) == "1"
    assert "edited by another program" in driver.window.notice


def test_the_age_of_labels_csv_is_shown(open_window, pictures, monkeypatch):
    driver = open_window(pictures())
    driver.stage.desk._autosave.stop()
    driver.press("a")
    driver.session.behind_since -= 12
    behind = driver.window.layout._behind
    driver.wait(lambda: behind["text"].startswith("labels.csv: 1"))
    assert behind["text"].endswith("s behind")
    driver.session.save()
    driver.wait(lambda: behind["text"] == "")


def test_predictions_without_a_key_are_hints_too(open_window, pictures):
    class Model:
        classes = tuple(f"class {n}" for n in range(30))

        def predict(self, paths):
            return [SimpleNamespace(label="class 28", confidence=0.9) for _ in paths]

    driver = open_window(pictures(), suggestions=Suggestions(Model()))
    more = driver.window.layout.more
    driver.wait(lambda: more.itemcget(more._hint, "text") == "90\xa0% likely")
    driver.press("Control-l", "Return")
    assert driver.session.labels == {"0.png": "class 28"}


def test_the_caption_gives_name_state_and_position(open_window, pictures):
    driver = open_window(pictures())
    layout = driver.window.layout
    driver.press("space", "Left")
    caption = [part["text"] for part in (layout._file, layout._state, layout._position)]
    assert caption == ["0.png", "skipped", "1 of 6"]
    driver.press("b", "Home")
    assert layout._state["text"] == "class 1"
    assert driver.root.title() == "pictures · 1 of 6 labelled"


def test_a_filter_that_nothing_matches_is_explained(open_window, pictures):
    driver = open_window(pictures())
    driver.window.run("choose", "skipped")
    view = driver.window.layout.view
    assert view.itemcget(view._text, "text").startswith("No more pictures match the filter.")


def on_the_server(view):
    """The photos that the X server holds, by their names in Tk."""
    items = view.find_all()
    return {view.itemcget(item, "image") for item in items if view.type(item) == "image"} - {""}


def test_the_pictures_around_are_ready_on_the_x_server(open_window, pictures):
    driver = open_window(pictures())
    stage, view = driver.stage, driver.window.layout.view
    driver.press("a", "a")
    around = {f"{number}.png" for number in (1, 2, 3, 4)}
    driver.wait(lambda: set(stage._photos) == around)
    driver.wait(lambda: on_the_server(view) == {str(photo) for photo in stage._photos.values()})
    ready = {name: str(photo) for name, photo in stage._photos.items()}
    driver.press("b")
    assert view.itemcget(view._image, "image") == ready["3.png"]
    driver.wait(lambda: ready["1.png"] not in on_the_server(view))
    driver.press("Left")
    assert view.itemcget(view._image, "image") == ready["2.png"]


def test_a_picture_is_shown_when_it_is_decoded_and_only_if_it_is_still_wanted(
    open_window, pictures, monkeypatch
):
    folder = pictures(*[f"{number}.png" for number in range(40)])
    driver = open_window(folder)
    held, release = [], Event()

    def slow(path, box):
        held.append(path.name)
        release.wait(20)
        return decode(path, box)

    monkeypatch.setattr("labeler.pictures.decode", slow)
    driver.window.run("go_to", "30.png")
    driver.wait(lambda: "30.png" in held)
    driver.root.event_generate("<KeyPress-a>")
    driver.root.event_generate("<KeyRelease-a>")
    assert (driver.displayed, driver.session.labels) == (None, {}), "a key without a picture"
    driver.window.run("go_to", "20.png")
    release.set()
    driver.wait(lambda: driver.displayed)
    assert driver.displayed == "20.png"
    driver.press("b")
    assert driver.session.labels == {"20.png": "1"}


def test_after_the_last_picture_nothing_is_waited_for(open_window, pictures, monkeypatch):
    folder = pictures(*[f"{number}.png" for number in range(20)])
    driver = open_window(folder)
    driver.press(*"ababab")
    release = Event()
    monkeypatch.setattr(
        "labeler.pictures.decode", lambda path, box: release.wait(20) and decode(path, box)
    )
    driver.window.run("go_to", "18.png")
    assert "show" in driver.stage._timers
    driver.window.run("choose", "skipped")
    release.set()
    assert (driver.displayed, driver.stage.searching) == (None, False)
    assert "show" not in driver.stage._timers
