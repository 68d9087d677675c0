import pytest

from labeler.window.theme import (
    CLASS_COLOURS,
    THEMES,
    Style,
    class_colour,
    display_name,
    text_colour_on,
)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """The contrast ratio of WCAG 2, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_texts_are_readable(theme):
    palette = THEMES[theme]
    for text in (palette.text, palette.muted, palette.warning):
        for background in (palette.page, palette.surface, palette.hover):
            assert contrast(text, background) >= 4.5, (text, background)


@pytest.mark.parametrize("colour", CLASS_COLOURS)
def test_a_key_has_the_text_colour_with_more_contrast(colour):
    other = {"#000000": "#ffffff", "#ffffff": "#000000"}[text_colour_on(colour)]
    assert contrast(text_colour_on(colour), colour) > contrast(other, colour)


def test_class_colours_repeat_from_the_ninth_on():
    assert len({class_colour(number) for number in range(8)}) == 8
    assert class_colour(8) == class_colour(0)


def test_a_bare_number_is_shown_as_a_class():
    assert [display_name(name) for name in ("7", "cat")] == ["class 7", "cat"]


def test_lengths_are_scaled_and_never_nothing(tk_root):
    style = Style(tk_root, THEMES["dark"], 1.5)
    assert (style.px(10), style.px(0.1)) == (15, 1)
    assert style.large.metrics("linespace") > style.small.metrics("linespace")
    assert Style(tk_root, THEMES["dark"]).scale >= 1
