"""Numbers and names as pages write them."""

from collections.abc import Hashable, Iterable
from numbers import Real

from lib.pages.palette import label

NO_BREAK = "\N{NO-BREAK SPACE}"


def per_cent(share: float, digits: int = 1) -> str:
    """0.9312 as `93.1 %`, with a space that doesn't break."""
    return f"{share:.{digits}%}".replace("%", f"{NO_BREAK}%")


def points(difference: float) -> str:
    """A difference of proportions in percentage points, with a second digit where it is small."""
    size = abs(difference) * 100
    return f"{size:.1f} points" if size >= 0.95 else f"{size:.2f} points"


def signed(difference: float) -> str:
    """A difference of proportions in percentage points, as `+3.1` or `−0.4`."""
    return f"{difference * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 seed`, `3 seeds`, `10,000 pictures`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def axis_title(column: str) -> str:
    """A column's name as an axis shows it."""
    words = column.replace("_", " ")
    return words[:1].upper() + words[1:]


def display_name(column: str, value: Hashable) -> str:
    """A column's value as a page says it: `MixUp`, and for a number what it is of."""
    if isinstance(value, Real):
        return f"{column.replace('_', ' ')} {value:g}"
    return label(value)


def span(numbers: Iterable[int], noun: str) -> str:
    """`3 seeds`, `2 to 3 seeds`; of no numbers, `0 seeds`."""
    found = sorted(set(numbers)) or [0]
    upper = count(int(found[-1]), noun)
    return upper if len(found) == 1 else f"{found[0]:,} to {upper}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def as_one_word(text: str) -> str:
    """The text as one word, for a narrow column."""
    joined = text.replace("–", "\N{WORD JOINER}–\N{WORD JOINER}")
    return joined.replace(" ", "\N{NO-BREAK SPACE}")


def file_size(length: int) -> str:
    """`812 bytes`, `4.1 kB`, `44.7 MB`."""
    if length < 1000:
        return count(length, "byte")
    return f"{length / 1e3:.1f} kB" if length < 1e6 else f"{length / 1e6:.1f} MB"
