"""`python -m labeler` as a person starts it: a process of its own, and keys from outside."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from labeler.__main__ import main

IMPORTED = """
import sys
before = set(sys.modules)
{imports}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


def run_python(root_folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root_folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def imported_by(root_folder, *modules):
    code = IMPORTED.format(imports="\n".join(f"import {module}" for module in modules))
    result = run_python(root_folder, "-c", code)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_the_window_needs_the_standard_library_and_pillow_alone(root_folder):
    modules = ["labeler.__main__", "labeler.window.window", "labeler.splits", "labeler.recording"]
    others = imported_by(root_folder, *modules) - set(sys.stdlib_module_names)
    assert others == {"labeler", "lib", "PIL"}


def test_the_session_needs_no_window(root_folder):
    assert "tkinter" not in imported_by(
        root_folder, "labeler.record.session", "labeler.record.autosave"
    )


def test_the_help_says_how_many_classes_have_a_key(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "the first 26 have the keys A to Z, Ctrl+L lists all" in printed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["no such folder"], "is not a folder"),
        ([".", "--classes", "cat"], "Number of class names: 1"),
        ([".", "--classes", "cat,,dog"], "A class name is empty"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_status_2(
    capsys, monkeypatch, tmp_path, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert complaint in printed
    assert printed.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_a_missing_display_is_reported(root_folder, pictures):
    folder = pictures()
    result = run_python(root_folder, "-m", "labeler", str(folder), DISPLAY=":none")
    assert result.returncode == 2
    assert result.stderr.startswith("error: No display")
    assert result.stderr.count("\n") == 1


class Person:
    """Presses keys in the window of a labeler in another process, with xdotool."""

    def __init__(self, process, environment):
        self.process, self._environment = process, environment

    def xdotool(self, *arguments, seconds=60):
        command = ["xdotool", *arguments]
        return subprocess.run(
            command, env=self._environment, timeout=seconds, capture_output=True, text=True
        ).stdout

    def has_title(self, title, seconds=2.0):
        """Whether a window's title ends with this pattern (plain ASCII) before the time is up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.xdotool("search", "--name", f"{title}$"):
                return True
            time.sleep(0.02)
        return False

    def press(self, key, until):
        """Press a key until the title matches: a key before the picture has no effect."""
        for _ in range(10):
            self.xdotool("key", key)
            if self.has_title(until):
                return
        pytest.fail(f"{key} had no effect")


@pytest.fixture
def start_labeler(display, root_folder):
    """Starts `python -m labeler` on the virtual display, for a person to use."""
    if not shutil.which("xdotool"):
        pytest.skip("xdotool is not installed: no keys from outside")
    environment = {**os.environ, "DISPLAY": display}
    processes = []

    def start(folder, *options):
        command = [sys.executable, "-m", "labeler", str(folder), *options]
        process = subprocess.Popen(command, cwd=root_folder, env=environment)
        processes.append(process)
        person = Person(process, environment)
        window = person.xdotool("search", "--sync", "--name", "of [0-9]+ labelled")
        person.xdotool("windowfocus", "--sync", window.split()[0])
        return person

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_keys_from_outside_label_undo_filter_and_close(start_labeler, pictures, read_csv):
    folder = pictures()
    person = start_labeler(folder, "--classes", "cat,dog", "--theme", "dark")
    person.press("a", until="1 of 6 labelled")
    person.press("B", until="2 of 6 labelled")
    person.press("space", until="2 of 6 labelled.*1 skipped")
    person.press("ctrl+z", until="2 of 6 labelled")
    for key in ("ctrl+f", "ctrl+f", "F10"):  # menus swallow the release of the key that opened them
        person.xdotool("key", key)
        time.sleep(0.3)
        person.xdotool("key", "Escape")
        time.sleep(0.1)
    person.press("b", until="3 of 6 labelled")
    person.xdotool("key", "ctrl+q")
    assert person.process.wait(timeout=60) == 0
    assert read_csv(folder / "labels.csv") == [
        ["filename", "label"],
        ["0.png", "cat"],
        ["1.png", "dog"],
        ["2.png", "dog"],
    ]


def test_a_signal_closes_it_properly(start_labeler, pictures, read_csv):
    folder = pictures()
    person = start_labeler(folder)
    person.press("a", until="1 of 6 labelled")
    person.process.send_signal(signal.SIGTERM)
    assert person.process.wait(timeout=60) == 0
    assert read_csv(folder / "labels.csv") == [["filename", "label"], ["0.png", "0"]]
