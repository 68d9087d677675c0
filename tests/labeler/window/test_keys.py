from types import SimpleNamespace

import pytest

from labeler.window.commands import Commands
from labeler.window.keys import (
    BINDINGS,
    BY_METHOD,
    CLASS_KEYS,
    MENU,
    HeldKeys,
    binding_of,
    class_key,
    help_rows,
    keyless,
    needs_folder,
)


def event(code, time):
    return SimpleNamespace(keycode=code, time=time)


def test_every_binding_is_a_command_and_no_key_has_two():
    events = [event for binding in BINDINGS for event in binding.events]
    assert len(set(events)) == len(events)
    for binding in BINDINGS:
        assert callable(getattr(Commands, binding.method))
    for block in MENU:
        assert set(block) <= set(BY_METHOD)


def test_the_bindings_of_a_command_differ_only_in_keys_and_arguments():
    traits = {(b.method, b.repeats, b.needs_folder) for b in BINDINGS}
    assert len(traits) == len(BY_METHOD)
    assert needs_folder("label")
    assert not needs_folder("choose_folder")


def test_twenty_six_classes_have_a_key():
    assert "".join(class_key(number) for number in range(30)) == CLASS_KEYS
    assert len(set(CLASS_KEYS)) == 26
    assert keyless(["class"] * 26) == ""
    assert keyless(["class"] * 30) == "Classes without a key: 4 of 30. Ctrl+L lists all classes."


@pytest.mark.parametrize(
    ("key", "control", "method"),
    [
        ("z", True, "undo"),
        ("1", True, "go_to_recent"),
        ("1", False, "zoom"),
        ("question", False, "open_keys"),
        ("a", False, None),
        ("b", True, None),
    ],
)
def test_a_key_has_the_binding_that_tk_knows_it_by(key, control, method):
    assert getattr(binding_of(key, control), "method", None) == method


def test_a_key_held_down_under_x_counts_once():
    keys = HeldKeys("x11")
    assert not keys.press(event(38, 1000))
    for time in (1030, 1060, 1090):
        keys.release(event(38, time))
        assert keys.press(event(38, time))
    keys.release(event(38, 1120))
    assert not keys.press(event(0, 1121)), "an input method's key has no code"
    keys.release(event(56, 1150))
    assert keys.press(event(0, 1150))
    assert not keys.press(event(38, 1121))
    assert not keys.press(event(38, 1130)), "its release went to a menu"


def test_a_key_held_down_elsewhere_counts_once():
    keys = HeldKeys("win32")
    assert not keys.press(event(65, 1000))
    assert keys.press(event(65, 1030))
    assert not keys.press(event(66, 1040)), "another key may join it"
    keys.release(event(65, 1060))
    assert not keys.press(event(65, 1090))
    assert not keys.press(event(65, 3000)), "its release went to a menu"


@pytest.mark.parametrize(
    ("classes", "last"), [(2, "B"), (4, "D"), (5, "E"), (26, "E … Z"), (30, "E … Z")]
)
def test_help_names_the_keys_of_the_classes(classes, last):
    rows = help_rows([f"class {n}" for n in range(classes)])
    keys = [key for key, _ in rows]
    assert keys[keys.index("Space") - 1] == last
    assert len(rows) == len(set(rows))
    described = rows[keys.index("Space") - 1][1]
    assert described.endswith("; 4 have none") == (classes == 30)


def test_the_website_describes_the_keys_as_the_window_does(root_folder):
    page = (root_folder / "report" / "labeler.qmd").read_text(encoding="utf-8")
    table = page[page.index("| Key ") : page.index("## Output files")]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[3:] if line]
    assert len(cells) > 8
    assert {tuple(row) for row in cells} <= set(help_rows(()))
