import ast
import shlex

import pypandoc
import pytest
from markupsafe import Markup

from lib.pages.markdown import code, plain, python_string, raw_block, shell_word, verbatim

NAMES = [
    "cat",
    "a_b _c_ *d*",
    "[x](javascript:y)",
    "<b onclick=x>y</b>",
    "`<b>`{=html}",
    "{{< env HOME >}}",
    "$x$ a|b ^c^ ~d~ @e #f",
    "::: {.g}",
    "- h",
    "1. i",
    "'j' \"k\" -- l...",
    "\\ ! https://m.example :n:",
]
READERS = ["gfm", "markdown+smart"]  # GitHub and the Hub; Quarto


def read(text, reader):
    return pypandoc.convert_text(text, "plain", reader, extra_args=["--wrap=none"]).strip()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", NAMES)
def test_plain_text_is_shown_as_it_is(name, reader):
    assert read(plain(name), reader) == name
    assert "{{<" not in plain(name)


@pytest.mark.parametrize("name", ["a\nb", "a\r\n\tb", "a\x00b", " a  b ", "a\u2028b"])
def test_plain_text_is_one_line(name):
    assert plain(name) == "a b"


def test_a_space_that_does_not_break_stays():
    assert plain("95\xa0%") == "95\xa0%"


def test_what_is_markdown_already_stays():
    assert plain(Markup("[a](b.html)")) == "[a](b.html)"


@pytest.mark.parametrize("name", [*NAMES, "``", "a ``` b"])
def test_code_shows_the_name_and_runs_nothing(name):
    assert read(code(name), "gfm").replace("\N{WORD JOINER}", "") == name
    assert "{{<" not in code(name) + verbatim(name)


@pytest.mark.parametrize("name", [*NAMES, "a\n```\nb", "it's {{< env HOME >}}"])
def test_words_and_strings_in_code_mean_the_name(name):
    assert shlex.split(shell_word(name)) == [name]
    assert ast.literal_eval(python_string(name)) == name
    block = read(f"```bash\n{shell_word(name)}\n{python_string(name)}\n```\n\nend", "gfm")
    assert block.endswith("\n\nend")
    assert "{{<" not in shell_word(name) + python_string(name)


@pytest.mark.parametrize("inside", ["", "`", "```", "`````"])
def test_a_raw_block_outlasts_what_is_in_it(inside):
    lines = raw_block(f"<p>{inside}</p>").splitlines()
    fence = lines[0].removesuffix("{=html}")
    assert set(fence) == {"`"}
    assert fence == lines[-1]
    assert fence not in lines[1]
