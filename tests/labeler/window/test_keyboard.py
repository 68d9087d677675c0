"""Key presses under other keyboard layouts: on a real display, and as other systems report them."""

import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from labeler.errors import LabelerError
from labeler.window.keyboard import PLACES, Keyboard, is_other_letter

CODES = {key: str(code) for code, key in PLACES.items()}
Q, W = "24", "25"


@pytest.fixture
def keyboard(display):
    """Switches the display's keyboard layout, and presses keys by their place."""
    for program in ("setxkbmap", "xdotool"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: no keys of other layouts")
    environment = {**os.environ, "DISPLAY": display}

    def run(*command):
        subprocess.run(command, env=environment, check=True, capture_output=True)

    def add(symbols):
        command = ["setxkbmap", "-layout", "us", "-print"]
        us = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
        us = us.replace(b'include "pc+us+inet(evdev)"', b'include "pc+us"\n' + symbols.encode())
        command = ["xkbcomp", "-w0", "-", display]
        subprocess.run(command, env=environment, check=True, capture_output=True, input=us)

    yield SimpleNamespace(
        add=add,
        switch=lambda *layout: run("setxkbmap", *layout),
        press=lambda *keys: run("xdotool", "key", *keys),
        hold=lambda *keys: run("xdotool", "keydown", *keys),
        release=lambda *keys: run("xdotool", "keyup", *keys),
    )
    run("setxkbmap", "-layout", "us")


@pytest.mark.parametrize("layout", ["us", "ru", "gr", "ua", "il", "ara", "bg", "ge", "th", "de"])
def test_keys_work_by_place_where_a_layout_has_other_letters(
    open_window, pictures, keyboard, layout
):
    keyboard.switch("-layout", layout)
    driver = open_window(pictures(), classes=[f"class {n}" for n in range(23)])

    def press(key, until):
        keyboard.press(key)
        driver.wait(lambda: driver.displayed == until)

    press(CODES["a"], "1.png")
    press(CODES["b"], "2.png")
    press("ctrl+" + (CODES["z"] if layout != "de" else CODES["y"]), "1.png")
    press("shift+" + CODES["c"], "2.png")
    press(Q, "3.png")
    press(W, "4.png")
    assert [*driver.session.labels.values()] == [f"class {n}" for n in (0, 2, 16, 22)]
    keyboard.press("ctrl+" + CODES["k"])
    driver.wait(lambda: driver.window.panel)
    driver.press("Escape")
    keyboard.press("F1")
    driver.wait(lambda: driver.window.panel)
    driver.press("Escape")


@pytest.mark.parametrize(
    ("layout", "place_of_a"), [(("fr",), Q), (("us", "-variant", "dvorak"), CODES["a"])]
)
def test_latin_layouts_work_by_letter(open_window, pictures, keyboard, layout, place_of_a):
    keyboard.switch("-layout", *layout)
    driver = open_window(pictures(), classes=[f"class {n}" for n in range(26)])
    keyboard.press(place_of_a)
    driver.wait(lambda: driver.displayed == "1.png")
    for key in (*CODES.values(), "F1"):  # every other key, until the help is open
        keyboard.press(key)
    driver.wait(lambda: driver.window.panel)
    assert driver.session.labels["0.png"] == "class 0"
    assert driver.session.labelled_count == 6, "each letter labelled what came next"


def test_a_key_whose_place_is_unknown_is_named(open_window, pictures, keyboard):
    keyboard.add("key <FK20> { [ Cyrillic_ef ] };")
    driver = open_window(pictures())
    keyboard.press("198")
    driver.wait(lambda: driver.window.notice)
    assert driver.window.notice.startswith("Key ф: its place on the keyboard is not known.")
    assert driver.session.labels == {}


def test_a_held_key_of_another_layout_labels_once(open_window, pictures, keyboard):
    for number, (layout, key) in enumerate([("ru", "a"), ("ara", "b")], start=1):
        keyboard.switch("-layout", layout)
        driver = open_window(pictures(folder=pictures().with_name(layout)))
        seen = []
        driver.root.bind("<KeyRelease>", lambda _, seen=seen: seen.append(1), add=True)
        keyboard.hold(CODES[key])
        driver.wait(lambda seen=seen: len(seen) > 4)
        keyboard.release(CODES[key])
        driver.wait_for_picture()
        assert driver.session.labels == {"0.png": str(number - 1)}


def event(keysym="??", number=0, code=0, character="", state=0):
    return SimpleNamespace(
        keysym=keysym, keysym_num=number, keycode=code, char=character, state=state
    )


SEMICOLON = event("semicolon", 0x3B, 24, ";")
LETTER = {
    "greek": event("Greek_alpha", 0x7E1, 38, "α"),
    "latin": event("a", 0x61, 38, "a"),
    "greek capital": event("A", 0x41, 38, "A", state=1),
}


def in_group(event, group):
    return SimpleNamespace(**{**vars(event), "state": event.state | group << 13})


def test_a_sign_in_the_place_of_a_letter_waits_until_the_layout_is_known():
    keyboard = Keyboard("x11")
    with pytest.raises(LabelerError, match="Key ;: the keyboard's layout is not known yet"):
        keyboard.key(SEMICOLON)
    assert keyboard.key(LETTER["greek"]) == "a"
    assert keyboard.key(SEMICOLON) == "q"
    assert keyboard.key(LETTER["greek capital"]) == "a"
    assert keyboard.key(SEMICOLON) == "q", "a capital tells nothing"
    assert keyboard.key(in_group(LETTER["latin"], 1)) == "a"
    assert keyboard.key(in_group(SEMICOLON, 1)) == "", "the second of two layouts is a Dvorak"
    assert keyboard.key(SEMICOLON) == "q"


@pytest.mark.parametrize(
    ("pressed", "key"),
    [
        (event("Cyrillic_ef", 0x6C6, 38, "ф"), "a"),
        (event("Cyrillic_EF", 0x6E6, 38, "Ф", state=1), "a"),
        (event("Cyrillic_ya", 0x6D1, 52, "", state=4), "z"),
        (event("Cyrillic_ha", 0x6C8, 34, "х"), "["),
        (event("Georgian_an", 0x10010D0, 38, "ა"), "a"),
        (event("Farsi_1", 0x10006F1, 10, "۱"), "1"),
        (event("Farsi_1", 0x10006F1, 10, "۱", state=1), ""),
        (event("Arabic_question_mark", 0x5BF, 61, "؟", state=1), "question"),
        (event("??", 0, 0, "لا"), "b"),
        (event("idotless", 0x2B9, 31, "ı"), "i"),
        (event("eacute", 0xE9, 25, "é"), ""),
        (event("EuroSign", 0x20AC, 26, "€", state=0x80), ""),
        (event("Greek_mu", 0x7EC, 58, "μ", state=0x80), ""),
        (event("Cyrillic_ef", 0x6C6, 38, "ф", state=8), ""),
        (event("1", 0x31, 10, "1"), ""),
        (event("Left", 0xFF51, 113, ""), ""),
    ],
)
def test_keys_as_x11_reports_them(pressed, key):
    assert Keyboard("x11").key(pressed) == key


@pytest.mark.parametrize(
    ("pressed", "key"),
    [
        (event("??", 0, 0x41, "ф"), "a"),
        (event("??", 0, 0x5A, "\x1a", state=4), "z"),
        (event("slash", 0x2F, 0x51, "/"), "q"),  # Hebrew
        (event("a", 0x61, 0x41, "a"), "a"),
        (event("eacute", 0xE9, 0x57, "é"), ""),
        (event("ampersand", 0x26, 0x31, "&"), ""),  # AZERTY
        (event("??", 0, 0x31, "۱"), "1"),
        (event("??", 0, 0x25, ""), ""),
        (event("EuroSign", 0, 0x45, "€", state=0x20004), ""),
    ],
)
def test_keys_as_windows_reports_them(pressed, key):
    assert Keyboard("win32").key(pressed) == key


def test_a_mac_tells_no_place():
    keyboard = Keyboard("aqua")
    assert keyboard.key(event("a", 0x61, 97, "a")) == "a"
    assert keyboard.key(event("comma", 0x2C, 44, ",")) == ""
    with pytest.raises(LabelerError, match="Key ф: its place on the keyboard is not known"):
        keyboard.key(event("Cyrillic_ef", 0x6C6, 1092, "ф"))
    with pytest.raises(LabelerError, match=r"Key Ctrl\+я"):
        keyboard.key(event("Cyrillic_ya", 0x6D1, 1103, "я", state=4))


@pytest.mark.parametrize("character", [*"aéßı1;€ªµʼ", "", "фф"])
def test_latin_letters_and_signs_are_of_no_other_script(character):
    assert not is_other_letter(character)


@pytest.mark.parametrize("character", [*"фαאبก一あ۱"])
def test_letters_and_digits_of_other_scripts_are(character):
    assert is_other_letter(character)
