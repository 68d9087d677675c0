"""Which key of a US keyboard a key press is, so that every keyboard layout has the same shortcuts.

A Latin letter is itself wherever it is, as on AZERTY or Dvorak. Where a layout has other letters
(Cyrillic, Greek, Hebrew, Arabic, ...), the key at the same place of a US keyboard counts. X11 gives
the place as a key code, the same (evdev's) for all keyboards under Linux; Windows gives the Latin
letter of the place. On macOS Tk gives neither: there the layout must be switched.
"""

import tkinter as tk
import unicodedata
from string import ascii_uppercase

from labeler.errors import LabelerError

# Key codes of X11: the first of each row of a US keyboard, and the characters from there on.
ROWS = {10: "1234567890-=", 24: "qwertyuiop[]", 38: "asdfghjkl;'`", 51: "\\zxcvbnm,./", 94: "<"}
PLACES = {first + n: character for first, row in ROWS.items() for n, character in enumerate(row)}
KEYSYMS = {"-": "minus", "=": "equal"}  # as Tk calls these characters
COMPOSED = {"\u0644\u0627": "b"}  # Arabic lam and alef on one key, passed on without its code
WITH_SHIFT = {"/": "question", "=": "plus"}

# Keysyms of X11 from before Unicode, by their high byte: kana, Arabic, Cyrillic, Greek, Hebrew,
# Thai, Hangul (X Window System Protocol, appendix A). All others are Latin, or no letters.
OTHER_SCRIPTS = (0x4, 0x5, 0x6, 0x7, 0xC, 0xD, 0xE)
UNICODE = 0x1000000  # the keysym of U+0000
FIRST_OTHER = 0x370  # before it Unicode has only Latin letters and accents

SHIFT, CAPS_LOCK, CONTROL = 0x1, 0x2, 0x4
GROUP = 0x6000  # X11: which of several layouts is switched on
ALT = {"x11": 0xC8, "win32": 0x20000, "aqua": 0x18}  # Alt, AltGr and Command


def is_other_letter(character: str) -> bool:
    """Whether a character is a letter or digit of another script than Latin."""
    return (
        len(character) == 1
        and ord(character) >= FIRST_OTHER
        and unicodedata.category(character) in ("Lu", "Ll", "Lo", "Mn", "Mc", "Nd")
        and not unicodedata.name(character, "").startswith("LATIN")
    )


class Keyboard:
    """Translates key presses; learns from them which of X11's layouts is a Latin one.

    Parameters
    ----------
    windowing : str   "x11", "win32" or "aqua", as Tk says
    """

    def __init__(self, windowing: str) -> None:
        self._windowing = windowing
        self._is_latin: dict[int, bool] = {}  # by number of the layout

    def key(self, event: tk.Event) -> str:
        """What Tk would call this key on a US keyboard, without modifiers; empty if it has no name.

        Letters are in lower case, others such as "1", "question".

        Raises
        ------
        LabelerError   if it has another script's letter, and its place cannot be known
        """
        state = int(event.state)
        if state & ALT[self._windowing]:
            return ""
        for letter in (event.keysym.upper(), event.char.upper()):  # a dotless i is an I too
            if len(letter) != 1 or letter not in ascii_uppercase:
                continue
            if not state & (SHIFT | CAPS_LOCK):  # a Hebrew layout has Latin capitals
                self._is_latin[state & GROUP] = True
            return letter.lower()
        if self._windowing == "win32":
            return self._key_on_windows(event)
        if self._windowing == "x11":
            return self._key_under_x(event)
        if is_other_letter(event.char):
            raise _unknown(event)
        return ""

    def _key_on_windows(self, event: tk.Event) -> str:
        """The key code is the capital letter, or the digit, whatever the layout writes."""
        key = chr(event.keycode) if 0 < event.keycode < 0x80 else ""
        by_place = is_other_letter(event.char) or (key.isupper() and not event.char.isalpha())
        return key.lower() if by_place else ""

    def _key_under_x(self, event: tk.Event) -> str:
        if event.keycode == 0:  # text from an input method
            if event.char not in COMPOSED and any(map(is_other_letter, event.char)):
                raise _unknown(event)
            return COMPOSED.get(event.char, "")
        state, keysym = int(event.state), event.keysym_num
        group, place = state & GROUP, PLACES.get(event.keycode, "")
        if _has_other_script(keysym):
            self._is_latin[group] = False
            if not place:
                raise _unknown(event)
        elif place.isalpha() and 0x20 < keysym < 0x7F:
            # Greek has a semicolon in the place of Q, and so has a left-handed Dvorak.
            if group not in self._is_latin:
                raise LabelerError(
                    f"Key {_name(event)}: the keyboard's layout is not known yet."
                    " Press a key with a letter first."
                )
            if self._is_latin[group]:
                return ""
        else:
            return ""
        if state & SHIFT and not place.isalpha():
            return WITH_SHIFT.get(place, "")
        return KEYSYMS.get(place, place)


def _has_other_script(keysym: int) -> bool:
    if keysym > UNICODE:
        return keysym - UNICODE < 0x110000 and is_other_letter(chr(keysym - UNICODE))
    return keysym >> 8 in OTHER_SCRIPTS


def _name(event: tk.Event) -> str:
    character = event.char if event.char.isprintable() and event.char else event.keysym
    return f"Ctrl+{character}" if int(event.state) & CONTROL else character


def _unknown(event: tk.Event) -> LabelerError:
    return LabelerError(
        f"Key {_name(event)}: its place on the keyboard is not known."
        " Switch to a Latin layout, such as English, to label with keys."
    )
