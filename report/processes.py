"""Another program, run to its end or to its time limit."""

import os
import signal
import subprocess
from pathlib import Path

from lib.errors import UserError


def run(words: list[str], folder: Path, seconds: float, what: str) -> None:
    """Run a command in `folder`; it and whatever it started end when the time is up.

    Raises
    ------
    UserError   if it fails or does not end in time, with the last line it wrote
    """
    # A session of its own, so that the children of a program that hangs can be ended with it.
    process = subprocess.Popen(
        words,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise UserError(
                f"{what} did not end within {seconds:g} s; the site is as it was"
            ) from None
        raise
    if process.returncode != 0:
        raise UserError(f"{what} failed: {reason(output)}; the site is as it was")


def reason(output: str) -> str:
    """The line of a program's output that says most: the first that names an error, or the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    named = [line for line in lines if line.upper().startswith(("ERROR", "FATAL"))]
    return (named or lines[-1:] or ["no word why"])[0].rstrip(".;")
