"""Text from elsewhere in Markdown: names of classes, files and folders, records of runs.

These functions make it text for Pandoc, Quarto and GitHub alike. Quarto runs what stands
between `{{<` and `>}}` even in code, so code gets these characters in another spelling. HTML has
`html.escape` for the same, a script has JSON.
"""

import json
import re
import shlex

from markupsafe import Markup

MARKUP = re.compile(
    r"""[\\`*{}\[\]<>#|~^$@&"':!]"""
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word, _ is just itself
    r"|(?<=-)-|(?<=\.)\."  # not made a dash or an ellipsis
    r"|^[-+=](?=[\s=-]|$)"  # no list or heading where a line begins
)
BREAKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")  # no-break spaces are none


class Markdown(Markup):
    """Text that is Markdown already, as `str` is not: `plain` leaves it alone."""


def one_line(text: object) -> str:
    """The text without line breaks, tabs and other control characters: they become blanks."""
    return BREAKS.sub(" ", str(text)).strip()


def plain(text: object) -> Markdown:
    """The text on one line, without what Markdown would take for markup."""
    if isinstance(text, Markup):
        return Markdown(text)
    line = MARKUP.sub(r"\\\g<0>", one_line(text))
    return Markdown(re.sub(r"^\d+(?=[.)](\s|$))", r"\g<0>\\", line))  # nor a numbered list


def code(text: str) -> Markdown:
    """Text as code within a line, between more backticks than it has in a row."""
    inside = one_line(text).replace("{{<", "{{\N{WORD JOINER}<")
    fence = "`" * (1 + max(map(len, re.findall("`+", inside)), default=0))
    return Markdown(f"{fence} {inside} {fence}" if "`" in inside else f"{fence}{inside}{fence}")


def shell_word(text: str) -> Markdown:
    """Text as one word of a command in a block of code."""
    quoted = shlex.quote(text)
    return Markdown(quoted.replace("{{<", "{{''<").replace("\n`", "\n''`"))  # the block goes on


def python_string(text: str) -> Markdown:
    """Text as a string in a block of Python code: one of JSON is one of Python."""
    return Markdown(json.dumps(text, ensure_ascii=False).replace("{{<", "{{\\u003c"))


def verbatim(text: str) -> Markdown:
    """Text within a line of a block of code."""
    return Markdown(one_line(text).replace("{{<", "{{ <"))


def raw_block(html: str) -> str:
    """HTML as a block that Pandoc and Quarto pass on untouched."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", html)), default=0))
    return f"{fence}{{=html}}\n{html}\n{fence}\n"
