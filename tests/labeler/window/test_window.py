"""A real window on a virtual display, driven by key and mouse events."""

import json
import shutil
from tkinter import filedialog
from types import SimpleNamespace

import pytest

from labeler.record.table import read_table, write_table
from labeler.suggestions import Suggestions
from labeler.window.theme import CLASS_COLOURS


def journal(folder):
    path = folder / ".labels.journal"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def button_count(driver, number):
    button = driver.window.layout.buttons[number]
    return button.itemcget(button._count, "text")


# Labelling


def test_a_key_labels_and_the_next_picture_follows(open_window, pictures):
    driver = open_window(pictures())
    assert driver.displayed == "0.png"
    driver.press("a")
    assert driver.displayed == "1.png"
    driver.press("B")
    assert driver.displayed == "2.png"
    assert driver.session.labels == {"0.png": "0", "1.png": "1"}
    assert [button_count(driver, number) for number in (0, 1)] == ["1", "1"]


def test_each_label_is_on_the_disk_before_the_next_picture_shows(
    open_window, pictures, monkeypatch
):
    folder = pictures()
    driver = open_window(folder)
    seen = []
    show = driver.stage.show_current
    monkeypatch.setattr(
        driver.stage, "show_current", lambda: (seen.append(journal(folder)[-1]), show())
    )
    driver.press("b", "a")
    assert seen == [{"file": "0.png", "label": "1"}, {"file": "1.png", "label": "0"}]


def test_the_picture_is_framed_in_the_colour_of_the_class(open_window, pictures):
    driver = open_window(pictures())
    view = driver.window.layout.view
    driver.wait_for_picture()
    driver.root.event_generate("<KeyPress-b>")
    assert view.itemcget(view._frame, "state") == "normal"
    assert view.itemcget(view._frame, "outline") == CLASS_COLOURS[1]
    driver.wait(lambda: view.itemcget(view._frame, "state") == "hidden")


def test_a_picture_that_is_not_on_the_screen_gets_no_label(open_window, pictures, monkeypatch):
    driver = open_window(pictures())
    get = driver.stage.desk.prefetcher.get
    monkeypatch.setattr(
        driver.stage.desk.prefetcher, "get", lambda name: get(name) if name == "0.png" else None
    )
    for key in ("a", "a", "space"):
        driver.root.event_generate(f"<KeyPress-{key}>")
        driver.root.event_generate(f"<KeyRelease-{key}>")
    assert driver.displayed is None
    assert driver.session.labels == {"0.png": "0"}
    assert not driver.session.skipped
    monkeypatch.undo()
    driver.wait_for_picture()
    assert driver.displayed == "1.png"


def test_a_key_held_down_labels_one_picture(open_window, pictures):
    driver = open_window(pictures())
    for moment in (1000, 1030, 1060):  # under X a repeated key is released and pressed at once
        driver.root.event_generate("<KeyPress-a>", time=moment)
        driver.wait_for_picture()
        driver.root.event_generate("<KeyRelease-a>", time=moment + 30)
    assert driver.session.labels == {"0.png": "0"}
    driver.press("a", time=2000)
    assert driver.session.labelled_count == 2


def test_undo_skip_clear_and_relabel(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a", "space", "b")
    assert driver.displayed == "3.png"
    driver.press("Control-z")
    assert driver.displayed == "2.png"
    driver.press("Control-z")
    assert driver.displayed == "1.png"
    assert driver.session.labels == {"0.png": "0"}
    driver.press("Left", "b")
    assert driver.session.labels == {"0.png": "1"}
    assert driver.displayed == "1.png"
    driver.press("Left", "Delete")
    assert (driver.displayed, driver.session.labels) == ("0.png", {})
    driver.press(*["Control-z"] * 3)
    assert driver.window.notice == ""
    driver.press("Control-z")
    assert driver.window.notice == "Nothing to undo."


def test_after_the_last_picture(open_window, pictures):
    driver = open_window(pictures("0.png", "1.png"))
    driver.press("a", "b")
    assert driver.stage.desk.order.current is None
    view = driver.window.layout.view
    assert "Every picture is labelled" in view.itemcget(view._text, "text")
    driver.press("a", "Left")
    assert driver.displayed == "1.png"


def test_a_class_button_is_a_key_too(open_window, pictures):
    driver = open_window(pictures())
    driver.click(driver.window.layout.buttons[1], 20, 20)
    assert driver.session.labels == {"0.png": "1"}


def test_twenty_six_classes_have_twenty_six_keys(open_window, pictures):
    driver = open_window(pictures(), classes=[f"class {n}" for n in range(26)])
    driver.press("z", "n")
    assert driver.session.labels == {"0.png": "class 25", "1.png": "class 13"}
    driver.press("Control-k", "Escape")


def test_keys_beyond_the_classes_do_nothing(open_window, pictures):
    driver = open_window(pictures())
    driver.press("c", "z", "Mod1-a", "Control-b")
    assert driver.session.labels == {}


# Going about


def test_next_previous_first_last_and_next_unlabelled(open_window, pictures):
    driver = open_window(pictures())
    visited = []
    for key in ("a", "Right", "Right", "Left", "End", "Right", "Home", "Left", "Next", "Return"):
        driver.press(key)
        visited.append(driver.displayed)
    assert [name.removesuffix(".png") for name in visited] == list("1232550012")


def test_one_resumes_where_one_stopped(open_window, pictures):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a", "space", "b")
    driver.window.close()
    assert read_table(folder / "labels.csv") == {"0.png": "0", "2.png": "1"}
    again = open_window(folder)
    assert again.displayed == "3.png"
    assert again.session.skipped_count == 1


def test_jump_by_number_and_by_name(open_window, pictures):
    driver = open_window(pictures("cat.png", "dog.png", "sub/hen.png"))
    driver.press("Control-g")
    driver.type("3")
    driver.press("Return")
    assert driver.displayed == "sub/hen.png"
    driver.press("Control-g")
    driver.type("cow")
    driver.press("Return")
    assert driver.window.panel, "it stays open for another name"
    driver.type("DOG")
    driver.press("Return")
    assert (driver.displayed, driver.window.panel) == ("dog.png", None)


def test_filters(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a", "b", "space", "a")
    menu = driver.window.layout.filter.nametowidget(driver.window.layout.filter["menu"])
    driver.window.layout._fill_filters(menu)
    entries = [menu.entrycget(n, "label") for n in range(menu.index("end") + 1)]
    assert entries == [
        "all  (6)",
        "unlabelled  (2)",
        "skipped  (1)",
        "class 0  (2)",
        "class 1  (1)",
    ]
    menu.invoke(3)
    assert driver.stage.desk.order.view == ["0.png", "3.png"]
    driver.press("b")
    assert driver.displayed == "3.png"
    menu.invoke(0)
    assert driver.displayed == "3.png"


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


# What is seen


def test_zoom_shows_hard_pixels_and_fits_again(open_window, pictures):
    driver = open_window(pictures())
    view = driver.window.layout.view
    assert view.magnification == int(view.magnification) > 30
    driver.press("plus")
    driver.wait(lambda: view.zoom == 96)
    assert view._photo.width() % 96 == view._photo.height() % 96 == 0
    driver.press("1")
    assert (view.zoom, view._photo.width(), view._photo.height()) == (1, 12, 8)
    driver.press("0")
    assert view.zoom is None
    driver.press("minus")
    driver.wait(lambda: view.zoom)
    driver.press("Right")
    assert view.zoom is None, "the next picture is fitted"


def test_zoomed_one_moves_about_within_the_picture(open_window, tmp_path, pictures):
    from PIL import Image

    folder = pictures("0.png")
    Image.linear_gradient("L").resize((3000, 2000)).save(folder / "0.png")
    driver = open_window(folder)
    view = driver.window.layout.view
    driver.press("1")
    driver.wait(lambda: view.zoom == 1)
    assert view._centre == (1500, 1000)
    driver.press("Shift-Left", "Shift-Up", "Shift-Up")
    assert view._centre == (1420, 840)
    driver.press(*["Shift-Right"] * 40)
    assert view._centre == (3000 - view.winfo_width() / 2, 840)


def test_light_and_dark(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a")
    light = driver.window.layout["bg"]
    driver.press("Control-d")
    assert driver.displayed == "1.png"
    assert int(driver.window.layout["bg"][1:3], 16) < 64 < 192 < int(light[1:3], 16)
    driver.press("b", "Control-d")
    assert driver.window.layout["bg"] == light
    assert driver.session.labels == {"0.png": "0", "1.png": "1"}


def test_everything_grows_with_the_display(open_window, pictures):
    folder = pictures()
    small = open_window(folder).window.layout
    large = open_window(folder, scale=1.5).window.layout
    assert large.buttons[0].winfo_reqheight() == 1.5 * small.buttons[0].winfo_reqheight()
    assert large.style.normal.metrics("linespace") > 1.3 * small.style.normal.metrics("linespace")


def test_help_names_the_keys_and_hides_the_picture_from_them(open_window, pictures):
    driver = open_window(pictures())
    driver.press("question")
    driver.press("a")
    assert driver.session.labels == {}
    driver.press("Escape", "a")
    assert driver.session.labels == {"0.png": "0"}


def test_information_about_the_picture(open_window, pictures):
    driver = open_window(pictures())
    driver.press("Control-i")
    facts = dict(driver.stage.desk.picture_info())
    assert facts["size"] == "12 × 8 pixels"
    assert facts["format"] == "PNG, RGB"
    assert facts["label"] == "none yet"
    driver.press("Escape")


def test_pace_and_progress(open_window, pictures):
    driver = open_window(pictures(*[f"{n}.png" for n in range(20)]))
    driver.press(*"ababab")
    assert "per minute" in driver.window.layout._pace["text"]
    assert driver.window.layout._counts["text"] == "6 of 20 labelled"
    assert driver.stage.desk.progress == pytest.approx(0.3)


# Classes, export, suggestions


def test_classes_are_named_in_the_window(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a", "Control-k")
    panel = driver.window.panel
    for entry, name in zip(panel._entries, ["cat", "cat"], strict=True):
        entry.delete(0, "end")
        entry.insert(0, name)
    driver.press("Return")
    assert "Two classes are called cat" in panel.note["text"]
    panel._entries[1].delete(0, "end")
    panel._entries[1].insert(0, "dog")
    panel._add_class_button.invoke()
    driver.type("bird")
    driver.press("Return")
    assert driver.session.classes == ("cat", "dog", "bird")
    assert len(driver.window.layout.buttons) == 3
    driver.press("c")
    assert driver.session.labels == {"0.png": "cat", "1.png": "bird"}


def test_export_writes_splits_and_shows_counts(open_window, pictures, read_csv):
    folder = pictures(*[f"{n}.png" for n in range(20)])
    driver = open_window(folder)
    driver.press(*"ab" * 10, "Control-e")
    panel = driver.window.panel
    for entry, ratio in zip(panel._ratios, ("0.6", "0.2", "0.3"), strict=True):
        entry.delete(0, "end")
        entry.insert(0, ratio)
    driver.press("Return")
    assert "sum to 1.1" in panel.note["text"]
    panel._ratios[2].delete(0, "end")
    panel._ratios[2].insert(0, "0.2")
    driver.press("Return")
    driver.wait(lambda: "Written" in panel.note["text"])
    cells = [cell["text"] for cell in panel._table.grid_slaves(row=3)][::-1]
    assert cells == ["all", "12", "4", "4", "20"]
    assert len(read_csv(folder / "splits.csv")) == 21
    assert len(read_csv(folder / "labels.csv")) == 21
    driver.press("Escape")


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


# What can go wrong


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


def test_the_second_window_is_read_only(open_window, pictures):
    folder = pictures()
    first, second = open_window(folder), open_window(folder)
    assert second.has_text("another window")
    second.press("a")
    assert (second.session.labels, second.displayed) == ({}, "0.png")
    first.press("a", "b")
    first.window.close()
    second.press("F5")
    second.wait(lambda: not second.stage.desk.scanning)
    assert not second.has_text("another window")
    assert second.session.labels == {"0.png": "0", "1.png": "1"}
    second.press("Next", "a")
    assert second.session.labels["2.png"] == "0"


def test_a_full_disk_is_reported_and_the_picture_stays(open_window, pictures, small_disk):
    driver = open_window(pictures(folder=small_disk.path))
    driver.press("a")
    small_disk.fill()
    for _ in range(2000):  # there may still be room in the journal's last block
        driver.press("b")
        if driver.window.notice:
            break
        driver.press("Left")
    assert "the disk is full" in driver.window.notice
    here, labels = driver.displayed, dict(driver.session.labels)
    driver.press("a")
    assert (driver.displayed, driver.session.labels) == (here, labels)
    small_disk.free()
    driver.press("a")
    assert driver.session.labels == {**labels, here: "0"}
    assert driver.window.notice == ""
    driver.window.close()
    assert read_table(small_disk.path / "labels.csv") == {**labels, here: "0"}


def test_a_read_only_folder_is_reported(open_window, pictures, small_disk):
    pictures(folder=small_disk.path)
    small_disk.freeze()
    driver = open_window(small_disk.path)
    assert driver.has_text("cannot be written")
    driver.press("a", "Right")
    assert (driver.session.labels, driver.displayed) == ({}, "1.png")


def test_a_folder_removed_while_open_is_reported_and_the_labels_can_be_saved(
    open_window, pictures, monkeypatch, tmp_path
):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a", "b")
    shutil.rmtree(folder)
    driver.press("a")
    assert "no longer there" in driver.window.notice
    assert "Press Ctrl+S to save a copy" in driver.window.notice
    assert driver.displayed == "2.png"
    copy = tmp_path / "copy.csv"
    monkeypatch.setattr(filedialog, "asksaveasfilename", lambda **_: str(copy))
    driver.press("Control-s")
    assert read_table(copy) == {"0.png": "0", "1.png": "1"}
    driver.press("Control-q")
    assert "Press Ctrl+Q again to close" in driver.window.notice
    driver.press("Control-q")
    assert driver.closed


def test_an_edit_made_elsewhere_appears(open_window, pictures):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a", "b")
    driver.wait(lambda: (folder / "labels.csv").exists())
    write_table(folder / "labels.csv", [("0.png", "1"), ("1.png", "1")])
    driver.wait(lambda: button_count(driver, 1) == "2")
    assert "edited by another program" in driver.window.notice


def test_an_empty_folder_and_no_folder(open_window, tmp_path, pictures, monkeypatch):
    view = open_window(tmp_path).window.layout.view
    assert "No JPEG, PNG" in view.itemcget(view._text, "text")
    driver = open_window()
    driver.press("a", "space", "Right", "Control-z", "F5", "question", "Escape", "Control-d")
    monkeypatch.setattr(filedialog, "askdirectory", lambda **_: str(pictures("0.png")))
    driver.press("Control-o")
    driver.press("a")
    assert driver.session.labels == {"0.png": "0"}


def test_another_folder_is_opened_only_if_it_can_be(open_window, pictures, tmp_path, monkeypatch):
    driver = open_window(pictures())
    driver.press("a")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "labels.csv").write_text("nonsense\n")
    monkeypatch.setattr(filedialog, "askdirectory", lambda **_: str(bad))
    driver.press("Control-o")
    assert "row 1" in driver.window.notice
    driver.press("b")
    assert driver.session.labels == {"0.png": "0", "1.png": "1"}
