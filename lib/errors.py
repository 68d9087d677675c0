"""The one kind of error that is the user's to mend, and how a command shows it."""

import difflib
import os
import reprlib
import sys
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """A mistake in what was asked for: one line that says what is wrong, where, and the remedy."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"


def explained(error: "ValidationError") -> str:
    """The first of pydantic's complaints in one line: the field, its value, what it should be."""
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")  # of our own validators
    message = message[:1].lower() + message[1:]
    if first["type"] in ("missing", "missing_argument"):
        return f"{name} is missing"
    return f"{name} = {reprlib.repr(first['input'])}: {message}"


def command(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and leave the process: 2 and one line on stderr for a `UserError`.

    What standard output cannot encode, in the name of a file for example, is written as an escape
    (`\\xe9`), as Python does on standard error. An interrupt (Ctrl+C) exits with 130, as shells
    expect, and a reader that has seen enough (`| head`) ends the command quietly; any other
    exception is a defect of the program and keeps its traceback.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # neither closed nor replaced
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = main()
        sys.stdout.flush()
        sys.exit(status)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
        sys.exit(141)  # as if by SIGPIPE
