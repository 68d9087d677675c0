import json
from pathlib import Path

import pytest

from labeler.errors import LabelerError
from labeler.window.commands import Commands


class Host:
    """A window without Tk: notes what the commands ask of it."""

    stage = panel = layout = root = None

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


def test_commands_reach_the_window_through_its_protocol(monkeypatch, tmp_path):
    host = Host()
    commands = Commands(host)
    commands.switch_theme()
    for chosen in ("", str(tmp_path)):  # the first dialog is cancelled
        monkeypatch.setattr("tkinter.filedialog.askdirectory", lambda chosen=chosen, **_: chosen)
        commands.choose_folder()
    commands.close()
    assert host.calls == [("switch_theme",), ("open_folder", Path(tmp_path)), ("close",)]


def test_a_command_that_needs_a_folder_is_not_run_without_one():
    with pytest.raises(AssertionError, match="needs a folder"):
        Commands(Host()).skip()


def journal(folder):
    path = folder / ".labels.journal"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_a_key_labels_and_the_next_picture_follows(open_window, pictures):
    driver = open_window(pictures())
    assert driver.displayed == "0.png"
    driver.press("a")
    assert driver.displayed == "1.png"
    driver.press("B")
    assert driver.displayed == "2.png"
    assert driver.session.labels == {"0.png": "0", "1.png": "1"}
    assert [driver.count(number) for number in (0, 1)] == ["1", "1"]


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


def test_next_previous_first_last_and_next_unlabelled(open_window, pictures):
    driver = open_window(pictures())
    visited = []
    for key in ("a", "Right", "Right", "Left", "End", "Right", "Home", "Left", "Next", "Return"):
        driver.press(key)
        visited.append(driver.displayed)
    assert [name.removesuffix(".png") for name in visited] == list("1232550012")


def test_the_ends_are_reported(open_window, pictures):
    driver = open_window(pictures("0.png", "1.png"))
    notices = []
    for key in ("Left", "End", "Right", "a", "Home", "Next"):
        driver.press(key)
        notices.append(driver.window.notice)
    assert notices[0] == "This is the first picture."
    assert notices[2] == "This is the last picture."
    assert notices[5] == "There is no other unlabelled picture."


def test_a_picture_that_cannot_be_read_gets_no_label(open_window, pictures):
    folder = pictures()
    (folder / "0.png").write_bytes(b"no picture")
    driver = open_window(folder)
    with pytest.raises(LabelerError, match="Press Space to skip"):
        Commands(driver.window).label(0)
