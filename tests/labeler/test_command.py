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
    modules = ["labeler.__main__", "labeler.window", "labeler.splits", "labeler.recording"]
    others = imported_by(root_folder, *modules) - set(sys.stdlib_module_names)
    assert others == {"labeler", "PIL"}


def test_the_session_needs_no_window(root_folder):
    assert not {"tkinter", "PIL"} & imported_by(root_folder, "labeler.session", "labeler.keeper")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["no such folder"], "is not a folder"),
        ([".", "--classes", "cat"], "1 class names"),
        ([".", "--classes", "cat,,dog"], "A class name is empty"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    capsys, monkeypatch, tmp_path, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_without_a_display_it_says_so(root_folder, pictures):
    folder = pictures()
    result = run_python(root_folder, "-m", "labeler", str(folder), DISPLAY=":none")
    assert result.returncode == 2
    assert result.stderr.startswith("error: There is no display")
    assert result.stderr.count("\n") == 1


@pytest.fixture
def labeler(display, root_folder):
    """Starts `python -m labeler` and presses keys in its window from outside, with xdotool."""
    if not shutil.which("xdotool"):
        pytest.skip("xdotool is not installed: no keys from outside")
    environment = {**os.environ, "DISPLAY": display}
    processes = []

    def xdotool(*arguments):
        command = ["xdotool", *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

    def start(folder, *options):
        command = [sys.executable, "-m", "labeler", str(folder), *options]
        process = subprocess.Popen(command, cwd=root_folder, env=environment)
        processes.append(process)
        window = xdotool(
            "search", "--sync", "--pid", str(process.pid), "--onlyvisible", "--name", ""
        )
        xdotool("windowfocus", "--sync", window.stdout.split()[0])
        return process, lambda *keys: xdotool("key", *keys)

    yield start
    for process in processes:
        process.kill()
        process.wait()


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_keys_from_outside_label_undo_and_close(labeler, pictures, read_csv):
    folder = pictures()
    journal = folder / ".labels.journal"

    def lines():
        return journal.read_bytes().count(b'"file"') if journal.exists() else 0

    process, press = labeler(folder, "--classes", "cat,dog", "--theme", "dark")
    for number, key in enumerate(["a", "b", "B", "space", "ctrl+z", "a"], start=1):
        wait_for(lambda key=key, number=number: (press(key), time.sleep(0.2), lines() >= number)[2])
    press("ctrl+q")
    assert process.wait(timeout=10) == 0
    rows = read_csv(folder / "labels.csv")
    assert rows[0] == ["filename", "label"]
    assert len(rows) >= 5


def test_a_signal_closes_it_in_good_order(labeler, pictures, read_csv):
    folder = pictures()
    process, press = labeler(folder)
    wait_for(lambda: (press("a"), time.sleep(0.2), (folder / ".labels.journal").exists())[2])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert read_csv(folder / "labels.csv")[1] == ["0.png", "0"]
