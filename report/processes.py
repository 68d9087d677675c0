"""Run another program with a time limit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from lib.errors import UserError


def run(words: list[str], folder: Path, seconds: float, what: str) -> None:
    """Run a command in `folder`; at the time limit it is killed with its child processes.

    Raises
    ------
    UserError   if it fails, with a line of its output, or exceeds the time limit
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
        end(process)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise UserError(
                f"{what} did not end within {seconds:g} s; the site is unchanged"
            ) from None
        raise
    if process.returncode != 0:
        raise UserError(f"{what} failed: {reason(output)}; the site is unchanged")


def end(process: subprocess.Popen[str]) -> None:
    """End a process at once, and its children where the system has sessions; Windows has none."""
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def reason(output: str) -> str:
    """The most informative line of a program's output: the first with an error, or the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith(("ERROR", "FATAL"))]
    return (errors or lines[-1:] or ["no error message"])[0].rstrip(".;")
